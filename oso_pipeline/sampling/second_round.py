"""The second round: where clouds took more pixels than the margin of a draw holds.

All pixels of the classes concerned that were not drawn are read then, in one task, block after
block. So samples never depend on the margin, and a tile whose pixels are rarely clear costs what
reading it whole in one task costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.imagery.cache.reading import inventory_of
from oso_pipeline.sampling.chosen import Choice
from oso_pipeline.sampling.drawn import Drawn, Lowest
from oso_pipeline.sampling.jobs import SampleJob
from oso_pipeline.sampling.parts import Add, part_file
from oso_pipeline.sampling.pixel_features import Features, PixelRequest, Validity, read_features
from oso_pipeline.tasks.task import Task
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader


def read_more(job: SampleJob, task: Task, choices: Sequence[Choice], parts: Sequence[Path]) -> None:
    """Read the pixels that `choices` need beyond those drawn; nothing where they need none.

    Parameters
    ----------
    job, task
        The samples that are put together.
    choices
        What was chosen of each draw; takes the pixels.
    parts
        A file for each, written where pixels are needed: their features may exceed the memory.
    """
    short = [(choice, part) for choice, part in zip(choices, parts, strict=True) if choice.rest]
    if not short:
        return
    reader = BlockReader(inventory_of(task, job.inventory, job.copies), job.read)
    pieces = PieceReader(reader, job.memory_bytes)
    rows, columns = (int(size) for size in job.grid.shape)
    with ExitStack() as files:
        more = [
            More(choice, files.enter_context(part_file(part, job.layout.size)))
            for choice, part in short
        ]
        for block in blocks_of(job.tile, (rows, columns), job.block_shape):
            requests = [pixel_request(one, block, columns, job.min_validity) for one in more]
            read_features(pieces, block, requests, job.layout)
    for one, (choice, part) in zip(more, short, strict=True):
        choice.add(Drawn.concatenated(one.written), part)


@dataclass
class More:
    """Usable pixels of the second round, of which those are written that may yet be taken.

    Parameters
    ----------
    choice
        What was chosen of the draw.
    write
        Writes pixels; their numbers follow those of the drawn.
    """

    choice: Choice
    write: Add
    written: list[Drawn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lowest = Lowest(self.choice.rest, self.choice.draw.n_groups)
        self._next = len(self.choice.drawn)

    def add(self, pixels: Drawn, validity: Validity, features: Features) -> None:
        """Add usable pixels."""
        kept = self._lowest.add(pixels)
        self.write(self._next + np.arange(len(kept)), validity[kept], features[kept])
        self.written.append(pixels.take(kept))
        self._next += len(kept)


def pixel_request(more: More, block: Block, columns: int, min_validity: int) -> PixelRequest:
    """Return the pixels of a block that were not drawn though they may be needed.

    Parameters
    ----------
    more
        Takes the pixels.
    block
        Part of the tile.
    columns
        Columns of the tile.
    min_validity
        Least number of clear dates.
    """
    choice = more.choice
    pixels = choice.draw.find(block)
    needed = np.zeros(len(pixels), bool)
    for role in choice.rest:
        needed |= role.groups(pixels) >= 0
    needed &= ~np.isin(_codes(pixels, columns), _codes(choice.drawn, columns))
    pixels = pixels.take(np.flatnonzero(needed))

    def take(some: npt.NDArray[np.intp], validity: Validity, features: Features) -> None:
        choice.n_more += len(some)
        clear = np.flatnonzero(validity >= min_validity)
        more.add(pixels.take(some[clear]), validity[clear], features[clear])

    return PixelRequest(pixels.row, pixels.column, take)


def _codes(pixels: Drawn, columns: int) -> npt.NDArray[np.int64]:
    return pixels.row.astype(np.int64) * columns + pixels.column
