"""Reading files that may be none: a device or a pipe under the name of a file never ends."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path | str) -> BufferedReader:
    """Open a file to read its bytes.

    Raises
    ------
    OSError
        As ``open`` does; and with EINVAL where the path leads to a device, a pipe or a socket.
    """
    # Without O_NONBLOCK, opening a pipe waits until somebody writes into it.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path | str) -> bytes:
    """Return the bytes of a file; OSError as `open_regular`."""
    with open_regular(path) as stream:
        return stream.read()


def is_odd(path: Path) -> bool:
    """Return whether there is something at `path` that is neither a file nor a folder."""
    return path.exists() and not path.is_file() and not path.is_dir()


def real_place(path: Path) -> Path:
    """Return where a path leads through all links; of links in a circle, the path itself.

    ``Path.resolve`` raises RuntimeError there.
    """
    return Path(os.path.realpath(path))
