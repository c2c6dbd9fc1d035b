"""What a task of stage ``samples`` knows of the pixels that it draws by area."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config, Strata
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import sha256_file
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.sampling.by_area import AreaDraw, AreaLimits
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons
from oso_pipeline.tasks.task import Task
from oso_pipeline.vectors.strata import strata_names, stratum_labels

FOLDER = "samples/unlabelled"


@dataclass(frozen=True)
class UnlabelledParts:
    """Parts of the task; all empty where nothing is drawn by area.

    Parameters
    ----------
    params, inputs, options
        What is added to those of the task.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> UnlabelledParts:
        """Return what a configuration asks for: nothing without ``adaptation``."""
        if config.adaptation is None:
            return cls()
        strata = config.strata
        regions = None if strata is None else {"layer": strata.layer, "field": strata.field}
        drawn = {
            "size": config.adaptation.target_sample_size,
            "strata": list(strata_names(config)),
            "regions": regions,
        }
        return cls(
            {"unlabelled": drawn},
            {} if strata is None else {"strata": sha256_file(strata.path)},
            {} if strata is None else {"strata": str(strata.path)},
        )

    def outputs(self, tile: str) -> tuple[str, ...]:
        """Return the files that are made of a tile, besides the labelled samples."""
        return (f"{FOLDER}/{tile}.parquet",) if self.params else ()


def area_draw(task: Task, finder: CandidateFinder, polygons: Polygons) -> AreaDraw | None:
    """Return the draw by area that a task asks for; None without one."""
    params = task.params
    drawn = params.get("unlabelled")
    if drawn is None:
        return None
    limits = AreaLimits(
        tuple(params["variants"]),
        tuple(sorted(drawn["strata"])),
        drawn["size"],
        _seed(params["seed"], params["tile"]),
    )
    regions = drawn["regions"]
    if regions is None:
        return AreaDraw(finder, polygons, _everywhere, limits)
    strata = Strata(path=Path(task.options["strata"]), **regions)
    epsg = Ownership.from_json(params["ownership"]).epsg

    def strata_of(block: Block) -> npt.NDArray[np.int32]:
        return stratum_labels(strata, task.inputs["strata"], epsg, finder.grid, block)

    return AreaDraw(finder, polygons, strata_of, limits)


def _everywhere(block: Block) -> npt.NDArray[np.int32]:
    return np.zeros((block.height, block.width), np.int32)


def _seed(seed: int, tile: str) -> int:
    text = f"{seed}/unlabelled/{tile}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
