"""Files that others give: looked at before they are opened, and named by what goes wrong with them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tw_plugins.errors import UserError

__all__ = ["FileError", "check_file", "check_target", "is_there", "naming", "opened", "read_text", "same"]

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileError(UserError, ValueError):
    """Something that is no file, or no text; the message names the path."""


def check_file(path: Path) -> None:
    """Whether a file stands there. Opening a pipe would wait for somebody to write into it, for ever.

    Raises:
        OSError: as opening it would, with its name.
        FileError: a pipe, a socket or a device.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise FileError(f"{path} is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, no file: give a file")


def check_target(path: Path) -> None:
    """Whether a file can stand there: what is there already, if anything, is one.

    Raises:
        OSError, FileError: as `check_file`.
    """
    if is_there(path):
        check_file(path)


def is_there(path: Path) -> bool:
    """As `Path.exists`, which takes a name too long and a link to itself for nothing too, and goes on.

    Raises:
        OSError: any but that nothing is there.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read as bytes; raises as `check_file`, and what reading it raises has its name."""
    check_file(path)
    with naming(path), path.open("rb") as file:
        yield file


def read_text(path: Path) -> str:
    """What a file of UTF-8 holds.

    Raises:
        OSError, FileError: as `check_file`; or it is not UTF-8.
    """
    with opened(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 (byte {error.start}): write it again as UTF-8") from error


def same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place, also where nothing is there yet."""
    return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def naming(path: Path, instead_of: Path | None = None) -> Iterator[None]:
    """An error of the file system inside that names no file names this path; one that names `instead_of`, or
    what is in there, names it by this path."""
    try:
        yield
    except OSError as error:
        name = "" if error.filename is None else str(error.filename)
        if error.errno is not None and (not name or (instead_of and name.startswith(str(instead_of)))):
            error.filename, error.filename2 = f"{path}{name.removeprefix(str(instead_of))}", None
        raise
