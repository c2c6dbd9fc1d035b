"""The second round: where clouds took more pixels than the margin of a draw holds.

All pixels of the classes concerned that were not drawn are read then, in one task, block after
block. So samples never depend on the margin, and a tile whose pixels are rarely clear costs what
reading it whole in one task costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.sampling.chosen import Choice
from oso_pipeline.sampling.drawn import Drawn
from oso_pipeline.sampling.jobs import SampleJob
from oso_pipeline.sampling.pixel_features import Features, PixelRequest, Validity, read_features
from oso_pipeline.tasks.task import Task
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader


def read_more(job: SampleJob, task: Task, choices: Sequence[Choice]) -> None:
    """Read the pixels that `choices` need beyond those drawn; nothing where they need none."""
    short = [choice for choice in choices if choice.more.roles]
    if not short:
        return
    reader = BlockReader(read_inventory(task.path_of(job.inventory)), job.read)
    pieces = PieceReader(reader, job.memory_bytes)
    rows, columns = (int(size) for size in job.grid.shape)
    for block in blocks_of(job.tile, (rows, columns), job.block_shape):
        requests = [pixel_request(choice, block, columns, job.min_validity) for choice in short]
        read_features(pieces, block, requests, job.layout)


def pixel_request(choice: Choice, block: Block, columns: int, min_validity: int) -> PixelRequest:
    """Return the pixels of a block that were not drawn though they may be needed.

    Parameters
    ----------
    choice
        Population to choose from, which takes the pixels.
    block
        Part of the tile.
    columns
        Columns of the tile.
    min_validity
        Least number of clear dates.
    """
    pixels = choice.draw.find(block)
    needed = np.zeros(len(pixels), bool)
    for role in choice.more.roles:
        needed |= role.groups(pixels) >= 0
    needed &= ~np.isin(_codes(pixels, columns), _codes(choice.drawn, columns))
    pixels = pixels.take(np.flatnonzero(needed))

    def take(some: npt.NDArray[np.intp], validity: Validity, features: Features) -> None:
        choice.more.read += len(some)
        clear = np.flatnonzero(validity >= min_validity)
        choice.more.add(pixels.take(some[clear]), validity[clear], features[clear])

    return PixelRequest(pixels.row, pixels.column, take)


def _codes(pixels: Drawn, columns: int) -> npt.NDArray[np.int64]:
    return pixels.row.astype(np.int64) * columns + pixels.column
