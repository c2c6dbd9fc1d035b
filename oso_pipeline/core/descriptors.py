"""Errors of the system: what it refuses, and what libraries make of too few file descriptors.

Libraries report a file that they may not open as one that is damaged.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator

from oso_pipeline.core.errors import EnvironmentFailure, Problem

_WORDS = "Too many open files"  # of the C library; GDAL hands them on


def shortage(error: BaseException) -> EnvironmentFailure | None:
    """Return what is behind an error if that is a lack of file descriptors, None otherwise."""
    if not any(_is_shortage(one) for one in _chain(error)):
        return None
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    return EnvironmentFailure(
        Problem(
            "E-SYSTEM-FILES",
            f"{_WORDS}: a process may have {limit} open at a time",
            None,
            f"raise the limit (`ulimit -n 4096`; you may raise it to {highest}), then run again",
        )
    )


def refusal(error: OSError) -> Problem:
    """Return what to tell of an operation that the system refused."""
    return Problem(
        "E-SYSTEM",
        f"the system refuses an operation: {error.strerror or error}",
        None if error.filename is None else os.fsdecode(error.filename),
        "check that the file is there and may be read, and its disk; then run again",
    )


def _is_shortage(error: BaseException) -> bool:
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.EMFILE, errno.ENFILE) or _WORDS in str(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
