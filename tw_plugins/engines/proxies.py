"""A client that goes through the proxies of the environment, or one line that names the variable at fault."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tw_plugins.engines.address import credentials_in
from tw_plugins.engines.server_errors import WrongSetting

if TYPE_CHECKING:
    import httpx

__all__ = ["client_of_environment", "proxy_credentials", "proxy_variable"]

_KINDS = ("http", "https", "all")


def client_of_environment(url: httpx.URL, **options: Any) -> httpx.AsyncClient:
    """`httpx.AsyncClient` of these options, for requests to `url`.

    Raises:
        WrongSetting: a variable of the environment (proxies, certificates) that it cannot take. The value of
            none that may hold a password is shown.
    """
    import httpx

    _check_silent(url)
    try:
        client = httpx.AsyncClient(**options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise (_at_fault() or error) from None
    except OSError as error:
        raise (_file_at_fault(error) or error) from None
    return client


def proxy_variable(scheme: str) -> str | None:
    """The variable that sends requests of a scheme through a proxy, where there is one."""
    if "*" in _exceptions():
        return None
    return _variable(f"{scheme}_proxy") or _variable("all_proxy")


def proxy_credentials() -> list[str]:
    """Names and passwords of the environment's proxies, see `credentials_in`."""
    import httpx

    found = []
    for kind in _KINDS:
        with suppress(ValueError, httpx.InvalidURL):  # no URL, and so no proxy
            found += credentials_in(_proxy_url(os.environ.get(_variable(f"{kind}_proxy") or "", "")))
    return found


def _variable(lower: str) -> str | None:
    """The name of one that is set, in small letters or large; small ones go first, as in `urllib.request`."""
    name = max((name for name in os.environ if name.lower() == lower), default=None, key=str.islower)
    return name if name and os.environ[name] else None


def _exceptions() -> list[str]:
    """Hosts that are asked without a proxy."""
    return [entry.strip() for entry in os.environ.get(_variable("no_proxy") or "", "").split(",")]


def _file_at_fault(error: OSError) -> WrongSetting | None:
    """Which variable names a file that ssl cannot use: certificates are read, the log of keys is written."""
    certificates = next(filter(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")), None)
    log = os.environ.get("SSLKEYLOGFILE")
    if log and (not certificates or error.filename == log):
        return WrongSetting(
            f"SSLKEYLOGFILE names no file that can be written ({type(error).__name__}): set it to one, or "
            "not at all"
        )
    if not certificates:
        return None
    return WrongSetting(
        f"{certificates} names no certificates that can be read ({type(error).__name__}): set it to a file "
        "or a folder of them, or not at all"
    )


def _at_fault() -> WrongSetting | None:
    """Which variable httpx cannot take."""
    for kind in _KINDS:
        name = _variable(f"{kind}_proxy")
        if name and (reason := _reason(os.environ[name])):
            return WrongSetting(
                f"{name} is no proxy that can be used: {reason}. Set it to one, as http://proxy:3128"
            )
    if name := _variable("no_proxy"):
        entry = next((entry for entry in _exceptions() if not _is_host(entry)), "")
        return WrongSetting(
            f"{name} has an entry that cannot be read as a host, {entry[:60]!r}: leave it out. Names and "
            "single addresses can be given there, with commas, IPv6 ones without brackets, no IPv6 networks"
        )
    return None


def _reason(proxy: str) -> str:
    """Why httpx cannot take a proxy; "" where it can."""
    import httpx

    try:
        url = _proxy_url(proxy)
        httpx.AsyncHTTPTransport(verify=False, proxy=httpx.Proxy(url))
    except ImportError:
        return "SOCKS needs a package that is not installed (pip install 'httpx[socks]')"
    except (httpx.InvalidURL, ValueError):
        return "it is no address, or its scheme is none of http, https, socks5 and socks5h"
    return "" if url.host else "it names no host"


def _proxy_url(proxy: str) -> httpx.URL:
    """As httpx reads it."""
    import httpx

    return httpx.URL(proxy if "://" in proxy else f"http://{proxy}")


def _is_host(entry: str) -> bool:
    """Whether httpx can make a pattern of an entry, which it does of all but plain addresses."""
    import httpx

    if any(map(str.isspace, entry)):  # several, of which httpx would make one that no host is
        return False
    try:
        ipaddress.ip_address(entry)
        return True
    except ValueError:
        pass
    try:
        return bool(httpx.URL(entry if "://" in entry else f"all://*{entry}"))
    except (httpx.InvalidURL, ValueError):
        return False


def _check_silent(url: httpx.URL) -> None:
    """What httpx would take in silence, and not as it is meant: a proxy without a host, a network of hosts.

    Raises:
        WrongSetting: one of them concerns this address.
    """
    name = proxy_variable(url.scheme)
    no_host = not all(map(_is_host, filter(None, _exceptions())))
    if name and (_reason(os.environ[name]) or no_host) and (fault := _at_fault()):
        raise fault
    if name and (network := _network_of(url.host)):
        raise WrongSetting(
            f"{_variable('no_proxy')} has the network {network}, which is not looked up for {url.host}: add "
            f"{url.host} itself"
        )


def _network_of(host: str) -> str | None:
    """The network in NO_PROXY that a host is in, where it is not there itself."""
    entries = _exceptions()
    for entry in (entry for entry in entries if "/" in entry and host not in entries):
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return entry
        except ValueError:  # a name, or no network
            continue
    return None
