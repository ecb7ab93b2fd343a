"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tw_plugins.storage.files import check_target, naming

__all__ = ["whole", "write_text"]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write a file or folder at, which takes its name in the end.

    Makes the folders above. A link stays one: what it leads to is written. Where the block fails, ``path``
    stays as it was and nothing is left beside it.

    Raises:
        OSError: with the name of ``path``, or of a folder above it; a folder is there.
        FileError: a pipe or a device is there.
    """
    check_target(path)
    target = _led_to(path)
    unfinished = target.with_name(f".{target.name}.unfinished")
    with naming(path, unfinished):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(unfinished)  # of a process that was killed
        try:
            yield unfinished
            unfinished.replace(target)
        except BaseException:
            _remove(unfinished)
            raise


def write_text(path: Path, text: str) -> None:
    """Writes a file and the folders above it; whoever reads it sees the old text or the new one.

    Half of a surrogate pair, which UTF-8 does not have, is written as JSON and Python do, ``\\ud800``.
    """
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def _led_to(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
