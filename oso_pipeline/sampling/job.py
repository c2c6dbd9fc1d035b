"""The job of stage ``samples``."""

from __future__ import annotations

from dataclasses import dataclass

from odc.geo.geobox import GeoBox

from oso_pipeline.core.ownership import Ownership
from oso_pipeline.sampling.area_parts import Unlabelled
from oso_pipeline.tasks.job import Input, ReadingJob, decides, place, reads
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.reader import ReadSpec


@dataclass(frozen=True, kw_only=True)
class SampleJob(ReadingJob):
    """Draw the samples of a tile.

    Parameters
    ----------
    tile, grid
        The tile and its 10 m grid.
    ownership
        How the tile and its neighbours share the map.
    read
        What is read from the images.
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
        What is read.
    block_shape
        Rows and columns read at once; the samples do not depend on it.
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
