"""Uvicorn around the app: an address that is ours before a model loads, an end that breaks nothing off."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker

import uvicorn
from starlette.types import ASGIApp

from tw_plugins.errors import UserError

__all__ = ["ServeError", "bound", "config_of", "is_loopback", "serve", "shown", "unheard_by_children"]

KEEP_ALIVE_S = 75
"""Seconds that an idle connection is kept, nginx's. Uvicorn's 5 are httpx's own: the server would close one
just as its client asks again, and the client's request is lost."""


class ServeError(UserError):
    """A server that cannot be started; the message says what to change."""


def bound(host: str, port: int) -> socket.socket:
    """A socket at the address. It refuses connections until somebody listens.

    Args:
        port: 0 is any that is free.

    Raises:
        ServeError: the address is taken, is not this machine's, or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServeError(f"--host {host} is no address: {error.strerror or error}") from None
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise ServeError(f"port {port} of {host} is taken: give another --port") from None
        raise ServeError(f"{host}, port {port}, cannot be used: {error.strerror}") from None
    return made


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def shown(at: socket.socket) -> str:
    """The address of a socket as clients write it."""
    host, port = at.getsockname()[:2]
    return f"http://[{host}]:{port}" if at.family == socket.AF_INET6 else f"http://{host}:{port}"


def config_of(app: ASGIApp) -> uvicorn.Config:
    """Uvicorn's, of every server of ours."""
    return uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=KEEP_ALIVE_S
    )


async def serve(app: ASGIApp, at: socket.socket, up: Callable[[], None] = lambda: None) -> None:
    """Until SIGINT or SIGTERM; then nothing new is taken and what runs is finished.

    Args:
        up: called when it answers.

    Raises:
        KeyboardInterrupt: a second Ctrl-C, which breaks off what runs.
    """
    server = _Server(config_of(app), up)
    await server.serve(sockets=[at])
    if server.force_exit:
        raise KeyboardInterrupt


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, up: Callable[[], None]) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's; then it listens."""
        await super().startup(sockets)
        self._up()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[override]
        """Uvicorn's raises the signal again in the end; a stop that was asked for is no failure."""
        if threading.current_thread() is not threading.main_thread():  # only there Python takes signals
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


@contextmanager
def unheard_by_children() -> Iterator[None]:
    """Ctrl-C in a terminal goes to every process in it: those that are started here do not hear it, for an
    engine must outlive the signal until what runs is finished. Ours waits until the context is left."""
    resource_tracker.ensure_running()  # whose start would end the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
