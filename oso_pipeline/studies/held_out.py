"""Accuracy of a run on held-out polygons, and paired comparisons of runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import require_sound
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.reference.split.variants import map_variant, variants
from oso_pipeline.validation.exact_intervals import FEW_POLYGONS
from oso_pipeline.validation.intervals import UNDEFINED, Interval

Statistic = Callable[[npt.NDArray[np.float64]], float]
"""From right pixels and pixels of one run, then of the other, to a number; NaN if undefined."""
_HeldOutT = TypeVar("_HeldOutT", bound="HeldOut")


@dataclass(frozen=True)
class HeldOut:
    """How right a run is on its held-out polygons.

    Parameters
    ----------
    overall
        Overall accuracy, 0 to 1, with its interval as in ``accuracy.json``.
    right, pixels
        Of each polygon: pixels that are right, and all of them.
    """

    overall: dict[str, float | None]
    right: dict[int, int]
    pixels: dict[int, int]


@dataclass(frozen=True)
class Resampling:
    """How intervals are found.

    Parameters
    ----------
    replicates
        Resamples of the polygons.
    level
        Of confidence, 0 to 1.
    seed
        Of the configuration.
    """

    replicates: int
    level: float
    seed: int

    @classmethod
    def of(cls, config: Config) -> Resampling:
        """Return what the configuration asks for."""
        validation = config.validation
        return cls(validation.bootstrap, validation.confidence_level, config.seed)


def counting_variants(config: Config) -> Sequence[str]:
    """Return the variants that the overall accuracy is of: all folds, or the first split."""
    if config.validation.folds is None:
        return (map_variant(config),)
    return tuple(variants(config))


def read_held_out(run_dir: Path, variants: Sequence[str]) -> HeldOut:
    """Return what the validation of a run has committed, of the variants that count.

    Raises
    ------
    InputDataError
        If a file is not what was committed.
    """
    folder = run_dir / "validation"
    for name in ("accuracy.json", "polygons.csv"):
        require_sound(folder / name)
    accuracy = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
    right, pixels = dict[int, int](), dict[int, int]()
    with (folder / "polygons.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["variant"] in variants:
                polygon = int(row["polygon_id"])
                right[polygon] = right.get(polygon, 0) + int(row["right"])
                pixels[polygon] = pixels.get(polygon, 0) + int(row["pixels"])
    return HeldOut(accuracy["overall_accuracy"], right, pixels)


def paired_interval(
    one: HeldOut, other: HeldOut, statistic: Statistic, resampling: Resampling, *purpose: str
) -> Interval:
    """Return the interval of a comparison, by resampling whole polygons for both runs at once.

    Undefined with fewer than `FEW_POLYGONS` polygons: too few to estimate how polygons differ.

    Parameters
    ----------
    one, other
        The runs, which must have the same polygons.
    statistic
        Statistic to compare.
    resampling
        How the interval is found.
    purpose
        Words that the random numbers follow from.
    """
    polygons = sorted(one.pixels.keys() | other.pixels.keys())
    if len(polygons) < FEW_POLYGONS:
        return UNDEFINED
    columns = [one.right, one.pixels, other.right, other.pixels]
    counts = np.array([[column.get(p, 0) for p in polygons] for column in columns], np.float64)
    rng = np.random.default_rng(derived_seed(resampling.seed, *purpose))
    drawn = (rng.integers(0, len(polygons), len(polygons)) for _ in range(resampling.replicates))
    values = np.array([statistic(counts[:, one_draw].sum(axis=1)) for one_draw in drawn])
    values = values[np.isfinite(values)]
    if not values.size:
        return UNDEFINED
    low, high = np.quantile(values, [0.5 - resampling.level / 2, 0.5 + resampling.level / 2])
    return Interval(float(low), float(high))


def share_of(sums: npt.NDArray[np.float64]) -> float:
    """Return the first accuracy as a share of the second."""
    right, pixels, other_right, other_pixels = sums
    if not (pixels and other_pixels and other_right):
        return float("nan")
    return float((right / pixels) / (other_right / other_pixels))


def gain_of(sums: npt.NDArray[np.float64]) -> float:
    """Return the first accuracy less the second."""
    right, pixels, other_right, other_pixels = sums
    if not (pixels and other_pixels):
        return float("nan")
    return float(right / pixels - other_right / other_pixels)
