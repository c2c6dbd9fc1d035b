"""One number per object of a source, the same in every cell, run and machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def polygon_ids(source: str, source_ids: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return a positive 63-bit number per object; equal numbers are one unit of the split.

    The number is the beginning of a BLAKE2b hash (RFC 7693) of the name of the source and
    of the identifier of the object. With ten million objects the chance that any two of
    them share a number is 5e-6; they would then merely go to the same side of the split.

    Parameters
    ----------
    source
        Name of the source, unique within a run.
    source_ids
        Identifiers within the source.

    Examples
    --------
    >>> polygon_ids("RPG 2019", ["11", "12"]).tolist()
    [91587895045036908, 6522668771535617763]
    """
    start = hashlib.blake2b(f"{source}\0".encode(), digest_size=8)

    def of(identifier: str) -> bytes:
        whole = start.copy()
        whole.update(identifier.encode())
        return whole.digest()

    joined = b"".join(map(of, source_ids))
    return (np.frombuffer(joined, dtype=">u8") >> np.uint64(1)).astype(np.int64)
