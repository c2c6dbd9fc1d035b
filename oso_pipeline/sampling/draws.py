"""The draws of a tile: labelled pixels, and with adaptation unlabelled ones; and their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.commit import verified
from oso_pipeline.sampling.by_area import AreaDraw, AreaLimits
from oso_pipeline.sampling.drawn import Drawn, Role
from oso_pipeline.sampling.labelled import LabelledDraw, SamplingLimits, draw_seed
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons
from oso_pipeline.tasks.job import Input
from oso_pipeline.vectors.strata import StrataOfTask, strata_names

if TYPE_CHECKING:
    from oso_pipeline.sampling.jobs import DrawJob, SampleJob

_PART = (512, 2048)
"""Rows and columns that are looked at at once; the draw does not depend on it."""
_ROW_GROUP = 65_536


class Draw(Protocol):
    """Populations of a tile to draw pixels from, with their roles."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles that take pixels."""
        ...

    @property
    def n_groups(self) -> int:
        """Groups are numbered from 0 to below this."""
        ...

    def find(self, block: Block) -> Drawn:
        """Return the pixels of a block that may be drawn."""
        ...


@dataclass(frozen=True)
class Unlabelled:
    """The pixels that are drawn by area.

    Parameters
    ----------
    size
        How many of a stratum.
    strata
        Names of all strata.
    regions
        Where they lie; None where there is one stratum.
    """

    size: int
    strata: tuple[str, ...]
    regions: StrataOfTask | None

    @classmethod
    def of(cls, config: Config) -> Unlabelled | None:
        """Return the settings of a configuration; None without ``adaptation``."""
        if config.adaptation is None:
            return None
        size, names = config.adaptation.target_sample_size, strata_names(config)
        return cls(size, names, StrataOfTask.of(config.strata))

    @property
    def file(self) -> Input | None:
        """The file of the regions as an input of the task."""
        return None if self.regions is None else self.regions.file

    @property
    def ordered_strata(self) -> tuple[str, ...]:
        """Names of the strata in the order of their numbers."""
        return tuple(sorted(self.strata))

    def to_json(self) -> dict[str, Any]:
        """Return what is drawn, as JSON values."""
        regions = None if self.regions is None else self.regions.to_json()
        return {"size": self.size, "strata": list(self.strata), "regions": regions}


def draws_of(
    job: DrawJob | SampleJob, finder: CandidateFinder, polygons: Polygons
) -> tuple[Draw, ...]:
    """Return the draw of labelled pixels, and that by area if the job requests it."""
    limits = SamplingLimits(
        job.variants,
        job.max_train,
        job.max_validation,
        draw_seed(job.seed, "samples", job.tile),
    )
    labelled = LabelledDraw(finder, polygons, limits)
    drawn = job.unlabelled
    if drawn is None:
        return (labelled,)
    seed = draw_seed(job.seed, "unlabelled", job.tile)
    area = AreaLimits(job.variants, drawn.ordered_strata, drawn.size, seed)
    regions = drawn.regions

    def strata_of(block: Block) -> npt.NDArray[np.int32]:
        if regions is None:
            return np.zeros((block.height, block.width), np.int32)
        return regions.labels(job.ownership.epsg, finder.grid, block)

    return labelled, AreaDraw(finder, polygons, strata_of, area)


def parts_of(finder: CandidateFinder) -> Iterator[Block]:
    """Yield the parts in which a tile is looked through."""
    rows, columns = finder.grid.shape
    yield from blocks_of(finder.tile, (int(rows), int(columns)), _PART)


def by_area_beside(path: str) -> str:
    """Return the file of the draw by area beside that of the labelled pixels.

    Examples
    --------
    >>> by_area_beside("past/2017/draws/31TCJ.parquet")
    'past/2017/draws/unlabelled/31TCJ.parquet'
    """
    folder, _, name = path.rpartition("/")
    return f"{folder}/unlabelled/{name}"


def write_drawn(path: Path, pixels: Drawn) -> None:
    """Publish drawn pixels, which are in order of row and column, as Parquet."""
    table = pa.table({one.name: getattr(pixels, one.name) for one in fields(Drawn)})

    def write(temporary: Path) -> None:
        pq.write_table(table, temporary, compression="zstd", row_group_size=_ROW_GROUP)

    def check(temporary: Path) -> None:
        if not pq.ParquetFile(temporary).read().equals(table):
            raise OSError(f"{path} does not read back as it was written; is the disk sound?")

    verified(write, check, path)


def read_drawn(path: Path) -> Drawn:
    """Return all pixels of a file of `write_drawn`."""
    with pq.ParquetFile(path) as source:
        table = source.read()
    return Drawn(*(table[one.name].to_numpy() for one in fields(Drawn)))


@dataclass(frozen=True, eq=False)
class Places:
    """Drawn pixels of a block: their numbers in the file of the draw, and their place in the tile.

    Parameters
    ----------
    number, row, column
        Arrays of one length, int64.
    """

    number: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)


def read_places(path: Path, block: Block) -> Places:
    """Return the drawn pixels of a block; of the file only the rows around it are read."""
    found: list[npt.NDArray[np.int64]] = [np.empty((0, 3), np.int64)]
    first = 0
    with pq.ParquetFile(path) as source:
        for index in range(source.num_row_groups):
            group = source.metadata.row_group(index)
            rows = group.column(0).statistics  # None where there is no row
            if rows and rows.min < block.row + block.height and rows.max >= block.row:
                table = source.read_row_group(index, ["row", "column"])
                row, column = (
                    table[name].to_numpy().astype(np.int64) for name in table.schema.names
                )
                down, across = row - block.row, column - block.column
                inside = (down >= 0) & (down < block.height) & (across >= 0)
                chosen = np.flatnonzero(inside & (across < block.width))
                found.append(np.stack([first + chosen, row[chosen], column[chosen]], axis=1))
            first += group.num_rows
    return Places(*np.concatenate(found).T)
