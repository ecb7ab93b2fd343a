"""The page at ``/``: a problem, its threads side by side as they grow, the timeline and the figures.

Three files, sent as they are: nothing is built, and nothing loaded from elsewhere, which the policy says too.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import Response

__all__ = ["FILES", "page_file"]

FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_file(path: str) -> Response:
    """What is served at one of `FILES`."""
    name, kind = FILES[path]
    return Response((files(__package__) / name).read_bytes(), media_type=kind, headers=HEADERS)
