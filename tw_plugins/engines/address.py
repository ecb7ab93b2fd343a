"""A server's base URL as its user gave it: checked before anything is sent, shown without what it hides."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tw_plugins.engines.server_errors import WrongSetting

if TYPE_CHECKING:
    import httpx

__all__ = ["EXAMPLE", "address_of", "basic", "credentials_in", "joined", "shown"]

EXAMPLE = "http://localhost:8000/v1"
_ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/generate", "/models", "/embeddings")


def address_of(base_url: str) -> httpx.URL:
    """A base URL, up to and including the version.

    Raises:
        WrongSetting: it is no address, or that of one endpoint of the server.
    """
    import httpx

    try:
        url = httpx.URL(base_url)
        host, port = url.host, url.port  # reading a host decodes it
    except (httpx.InvalidURL, ValueError) as error:
        raise _no_address(base_url, str(error)) from None
    if url.scheme not in ("http", "https"):
        raise _no_address(base_url, "http:// or https:// must stand before it")
    if not host or not (port is None or 0 < port < 65536) or any(map(str.isspace, base_url)):
        raise _no_address(base_url, "it has a space, no host, or a port that does not exist")
    for endpoint in _ENDPOINTS:
        if url.path.rstrip("/").endswith(endpoint):
            base = shown(url).rstrip("/").removesuffix(endpoint)
            raise WrongSetting(f"base_url ends in {endpoint}, which is added to it: give {base}")
    return url


def joined(url: httpx.URL, path: str) -> httpx.URL:
    """The address with a path behind its own; its query stays, its name and password are left out."""
    return url.copy_with(path=url.path.rstrip("/") + path, username=None, password=None, fragment=None)


def shown(url: httpx.URL) -> str:
    """The address without name, password and query: they may hold a key."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def basic(url: httpx.URL) -> str | None:
    """Name and password of an address as a header has them; None where it has none."""
    return b64encode(f"{url.username}:{url.password}".encode()).decode() if url.userinfo else None


def credentials_in(url: httpx.URL) -> list[str]:
    """What `shown` leaves out, as it is written, as it is meant and as it is sent."""
    query = [value for _, value in url.params.multi_items()]
    name = [] if url.password else [url.username]  # which is then the key
    return [
        *name,
        basic(url) or "",
        url.password,
        *url.userinfo.decode("ascii", "ignore").split(":")[1:],
        *query,
        *_raw_values(url),
    ]


def _raw_values(url: httpx.URL) -> list[str]:
    pairs = url.query.decode("ascii", "ignore").split("&")
    return [pair.partition("=")[2] or pair for pair in pairs]


def _no_address(base_url: str, reason: str) -> WrongSetting:
    """One that may hold a password is not shown, nor what a parser took for a part of it."""
    if any(mark in base_url for mark in "@?"):
        base_url, reason = "base_url", "its parts cannot be told apart"
    text = f"{base_url} is no address: {reason}"
    return WrongSetting(f"{' '.join(text.split())}. Give base_url with http:// or https://, as in {EXAMPLE}")
