"""What the file system answers about a path, in one line: which path, what is wrong, what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["path_message"]

SHOWN = 240  # characters of a path: a name may be too long to be read, too
FULL = "the disk is full{where}; what was finished is kept. Make room and run the same command again."
MESSAGES = {
    errno.EISDIR: "{path} is a folder where a file is meant: give a file",
    errno.EACCES: "no permission for {path}: choose another place",
    errno.EPERM: "no permission for {path}: choose another place",
    errno.ENAMETOOLONG: "the name is too long: {path}; give a shorter one",
    errno.ELOOP: "{path} is a link that leads back to itself: mend it, or give another path",
    errno.EROFS: "{path} is on a file system that is read-only: choose another place",
}
OTHER = "{path} cannot be used ({reason}): check it, or choose another place"
OF_THE_SYSTEM = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EMFILE: "too many files are open at once{where}: raise the limit, ulimit -n",
    errno.ENFILE: "too many files are open at once{where}: end other programs",
}
"""These may come without a path."""


def path_message(error: OSError) -> str | None:
    """None for what no path can give: a connection that is refused, a time that is over."""
    named = isinstance(error.filename, str | bytes | os.PathLike)
    path = Path(os.fsdecode(error.filename)) if named else None
    if error.errno in OF_THE_SYSTEM:
        return OF_THE_SYSTEM[error.errno].format(where=f" ({_short(path)})" if path else "")
    if path is None or error.errno is None:
        return f"{error}: check the path" if isinstance(error, FileNotFoundError | PermissionError) else None
    if error.errno == errno.ENOENT:
        return _missing(path)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return _in_the_way(path)
    return MESSAGES.get(error.errno, OTHER).format(path=_short(path), reason=error.strerror)


def _short(path: Path) -> str:
    name = str(path).replace("\n", "\\n")
    return name if len(name) <= SHOWN else f"{name[: SHOWN // 2]}…{name[-SHOWN // 2 :]}"


def _missing(path: Path) -> str:
    link = next(filter(_leads_nowhere, (path, *path.parents)), None)
    if link is None:
        return f"no such file: {_short(path)}; check the path"
    return f"no such file: {_short(path)}; {_nowhere(link)}: mend it"


def _in_the_way(path: Path) -> str:
    if os.path.isdir(path):
        return f"{_short(path)} is there already: remove it, or choose another place"
    if _leads_nowhere(path):
        return f"{_nowhere(path)}: remove it, or choose another place"
    above = (part for part in (*path.parents, path) if os.path.exists(part) and not os.path.isdir(part))
    return f"{_short(next(above, path))} is a file where a folder is meant: give a folder"


def _leads_nowhere(path: Path) -> bool:
    return os.path.islink(path) and not os.path.exists(path)


def _nowhere(link: Path) -> str:
    return f"{_short(link)} is a link to {_short(Path(os.readlink(link)))}, which is not there"
