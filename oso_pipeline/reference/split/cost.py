"""Time and memory to join the polygons, for planning; from committed cells, else from sources.

Measured on cells of 75 thousand to 8.7 million pieces of a simulated RPG (``make bench-reference``
and copies of its cells with other numbers): 0.44 and 2.2 GB, 1 and 97 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.reference.databases.sources import ReferenceSource
from oso_pipeline.reference.polygons.by_object import AT_ONCE
from oso_pipeline.reference.polygons.inputs import bytes_of
from oso_pipeline.tasks.task import Cost, Task

BYTES_PER_POLYGON = 450
"""Of the files of a source, for each polygon that is left of it: parcels of an RPG."""

_BYTES, _BYTES_OF_PART = 420_000_000, 120
"""Of the libraries, and for each of the pieces that are worked on together."""
_PER_PIECE, _PER_OBJECT = 165, 25
"""Bytes held for each piece, and for each object that was read."""
_SECONDS, _SECONDS_PER_PIECE = 0.5, 1.1e-5


def joining_cost(cells: Sequence[Task], sources: Iterable[ReferenceSource] = ()) -> Cost:
    """Return what it takes to join `cells`, prepared from `sources`."""
    counted = _counted(cells)
    pieces, objects = counted if counted else (_expected(sources),) * 2
    return Cost(
        memory_bytes=_BYTES
        + _BYTES_OF_PART * min(pieces, AT_ONCE)
        + _PER_PIECE * pieces
        + _PER_OBJECT * objects,
        core_seconds=_SECONDS + _SECONDS_PER_PIECE * pieces,
        # The same polygons once more, in one file.
        bytes_written=sum(task.cost.bytes_written for task in cells),
    )


def _counted(cells: Sequence[Task]) -> tuple[int, int] | None:
    """Return pieces and objects of cells that are all committed, as their commits say."""
    records = [read_sidecar(task.output()) for task in cells]
    if not records or not all(records):
        return None
    found = [record["summary"] for record in records if record]
    objects = sum(sum(one["features"].values()) for one in found)
    objects -= sum(sum(lost.values()) for one in found for lost in one["left_out"].values())
    return sum(one["rows"] for one in found), max(0, objects)


def _expected(sources: Iterable[ReferenceSource]) -> int:
    """Return how many polygons the size of the files lets expect."""
    return sum(
        bytes_of(source.files) // getattr(source, "bytes_per_polygon", BYTES_PER_POLYGON)
        for source in sources
    )
