"""What a task of stage ``samples`` knows of the pixels that it draws by area."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.sampling.by_area import AreaDraw, AreaLimits
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons
from oso_pipeline.tasks.job import Input
from oso_pipeline.vectors.strata import StrataOfTask, strata_names

if TYPE_CHECKING:
    from oso_pipeline.sampling.job import SampleJob


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
        """Return what a configuration asks for: None without ``adaptation``."""
        if config.adaptation is None:
            return None
        size, names = config.adaptation.target_sample_size, strata_names(config)
        return cls(size, names, StrataOfTask.of(config.strata))

    @property
    def file(self) -> Input | None:
        """The file of the regions as an input of the task."""
        return None if self.regions is None else self.regions.file

    def to_json(self) -> dict[str, Any]:
        """Return what is drawn, as JSON values."""
        regions = None if self.regions is None else self.regions.to_json()
        return {"size": self.size, "strata": list(self.strata), "regions": regions}


def area_draw(job: SampleJob, finder: CandidateFinder, polygons: Polygons) -> AreaDraw | None:
    """Return the draw by area that a job asks for; None without one."""
    drawn = job.unlabelled
    if drawn is None:
        return None
    strata = tuple(sorted(drawn.strata))
    limits = AreaLimits(job.variants, strata, drawn.size, _seed(job.seed, job.tile))
    regions = drawn.regions
    if regions is None:
        return AreaDraw(finder, polygons, _everywhere, limits)

    def strata_of(block: Block) -> npt.NDArray[np.int32]:
        return regions.labels(job.ownership.epsg, finder.grid, block)

    return AreaDraw(finder, polygons, strata_of, limits)


def _everywhere(block: Block) -> npt.NDArray[np.int32]:
    return np.zeros((block.height, block.width), np.int32)


def _seed(seed: int, tile: str) -> int:
    text = f"{seed}/unlabelled/{tile}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
