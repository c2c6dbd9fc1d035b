"""Telling damaged files from a system that is in trouble.

The exceptions of parsers on damaged files cannot be listed in full, so all are findings. A full
disk, a missing permission or too little memory is none of the product's: were it taken for damage,
dates would go missing from the map without need.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_OF_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW, errno.ELOOP, errno.EISDIR)
"""Numbers of system errors that offsets and sizes in a damaged file lead to, and links that lead
to themselves or to a folder."""


class UnreadableRaster(ValueError):
    """A raster that cannot be read; the text says why."""


@contextmanager
def damage_as(kind: type[ValueError], what: str) -> Iterator[None]:
    """Turn whatever a parser raises into an error of `kind` that begins with `what`."""
    try:
        yield
    except (kind, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in _OF_CONTENT:
            raise
        raise kind(f"{what}: {error or type(error).__name__}") from error
