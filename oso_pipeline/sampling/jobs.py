"""The jobs of the stages ``draw``, ``pixels`` and ``samples``."""

from __future__ import annotations

from dataclasses import dataclass

from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.sampling.draws import Unlabelled
from oso_pipeline.tasks.job import Input, Inputs, Job, ReadingJob, decides, follows, place, reads
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.reader import ReadSpec

_NOTHING = Inputs("", ())
"""Of a task that is planned before its parts are."""


@dataclass(frozen=True, kw_only=True)
class DrawJob(Job):
    """Draw the pixels of a tile.

    Parameters
    ----------
    tile
        The tile.
    ownership
        How the tile and its neighbours share the map, with the 10 m grids.
    columns
        Columns of the split in the reference.
    variants
        Names of the models that the samples are for.
    max_train, max_validation
        Most pixels per class and stratum; None takes all.
    seed
        Seed of the run.
    unlabelled
        Pixels drawn by area, for adaptation.
    unlabelled_regions
        The file of the strata that these are drawn in.
    reference
        The polygons.
    """

    tile: str
    ownership: Ownership
    columns: tuple[str, ...]
    variants: tuple[str, ...]
    max_train: int | None
    max_validation: int | None
    seed: int
    unlabelled: Unlabelled | None = decides(if_set=True)
    unlabelled_regions: Input | None = reads("strata")
    reference: Input = reads()


@dataclass(frozen=True, kw_only=True)
class PixelJob(ReadingJob):
    """Read the drawn pixels of a block.

    Parameters
    ----------
    block
        Part of the tile.
    read
        Bands and quality layers to read from the images.
    layout
        Features of the samples.
    min_validity
        Least number of clear dates.
    inventory
        The images of the tile.
    draw, draw_by_area
        The pixels that are read; those by area with adaptation.
    copies
        Folder of the copies of the images; None where there are none.
    """

    block: Block
    read: ReadSpec
    layout: FeatureLayout
    min_validity: int
    inventory: Input = reads()
    draw: Input = reads()
    draw_by_area: Input | None = reads()
    copies: Input | None = follows(default=None)


@dataclass(frozen=True, kw_only=True)
class SampleJob(ReadingJob):
    """Put the samples of a tile together.

    Parameters
    ----------
    tile, grid
        The tile and its 10 m grid.
    ownership
        How the tile and its neighbours share the map.
    read
        Bands and quality layers to read from the images.
    layout
        Features of the samples.
    columns
        Columns of the split in the reference.
    variants
        Names of the models that the samples are for.
    max_train, max_validation
        Most pixels per class and stratum; None takes all.
    min_validity
        Least number of clear dates.
    seed
        Seed of the run.
    season
        Year of the season.
    unlabelled
        Pixels drawn by area, for adaptation.
    unlabelled_regions
        The file of the strata that these are drawn in.
    inventory, reference
        Bands and quality layers to read.
    block_shape
        Rows and columns read at once in a second round; the samples do not depend on it.
    draws
        Output of the draw of the tile. It follows from the other parts of the key, so neither this
        nor `parts` is.
    parts
        Files with the pixels read of each block of the tile, one path per block: labelled pixels.
    copies
        Folder of the copies of the images; None where there are none.
    """

    tile: str
    grid: GeoBox
    ownership: Ownership
    read: ReadSpec
    layout: FeatureLayout
    columns: tuple[str, ...]
    variants: tuple[str, ...]
    max_train: int | None
    max_validation: int | None
    min_validity: int
    seed: int
    season: int
    unlabelled: Unlabelled | None = decides(if_set=True)
    unlabelled_regions: Input | None = reads("strata")
    inventory: Input = reads()
    reference: Input = reads()
    block_shape: tuple[int, int] = place()
    draws: Inputs = follows(default=_NOTHING)
    parts: Inputs = follows(default=_NOTHING)
    copies: Input | None = follows(default=None)
