"""Samples of several seasons for one forest: labelled ones of the past, both kinds of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.lowest_draws import LowestOfParts
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.learning.training_set import (
    Choice,
    TrainingSet,
    read_features,
    read_training_set,
)
from oso_pipeline.reference.split.variants import validation_rows
from oso_pipeline.timeseries.feature_layout import FeatureLayout


@dataclass(frozen=True)
class SeasonFiles:
    """Files of samples of one season.

    Parameters
    ----------
    samples
        Labelled samples of the tiles.
    layout
        Their features, named by the dates of that season. Seasons are aligned by position:
        the n-th date is the same day of each.
    """

    samples: tuple[Path, ...]
    layout: FeatureLayout


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Pixels drawn by area.

    Parameters
    ----------
    features
        int16, shape ``(pixel, feature)``.
    polygon_id
        Polygon of the reference that each lies in, negative for none, shape ``(pixel,)``.
    """

    features: npt.NDArray[np.int16]
    polygon_id: npt.NDArray[np.int64]


def read_pooled(seasons: Mapping[int, SeasonFiles], choice: Choice) -> TrainingSet:
    """Return the labelled samples of past seasons that train a variant, as one set.

    The cap of `choice` counts per class and season. Fields whose ground evaluates the map train
    no variant that it evaluates; the split ensures that. For all labels of a
    season, on any side of the split, give a choice of the variant ``map``.

    Raises
    ------
    ValueError
        If the seasons differ in bands, indices, derived features or number of dates.
    """
    groups = [s.layout.series for s in seasons.values()]
    kinds = {(g.bands, g.indices, g.defined, g.derived, len(g.days)) for g in groups}
    if len(kinds) > 1:
        raise ValueError("seasons differ in bands, indices, derived features or number of dates")
    sets = [read_training_set(s.samples, choice, s.layout) for s in seasons.values()]
    return TrainingSet(
        np.concatenate([one.features for one in sets]),
        np.concatenate([one.codes for one in sets]),
        np.concatenate([one.polygon_id for one in sets]),
    )


def read_anchors(files: SeasonFiles, choice: Choice, perennial: Sequence[int]) -> TrainingSet:
    """Return the training samples of the season of the map that have a perennial class."""
    chosen = read_training_set(files.samples, choice, files.layout)
    kept = np.isin(chosen.codes, perennial)
    return replace(
        chosen,
        features=chosen.features[kept],
        codes=chosen.codes[kept],
        polygon_id=chosen.polygon_id[kept],
    )


def read_unlabelled(
    paths: Sequence[Path],
    layout: FeatureLayout,
    choice: Choice,
    held_out: npt.NDArray[np.int64],
    size: int,
) -> Unlabelled:
    """Return the pixels drawn by area in a stratum, over all tiles.

    Parameters
    ----------
    paths
        Files ``samples/unlabelled/<tile>.parquet``.
    layout
        Their features.
    choice
        Names the stratum.
    held_out
        Polygons that evaluate the variant; no pixel of theirs is taken.
    size
        Most pixels taken; those with the lowest numbers are.
    """
    drawn, ids = LowestOfParts(size), []
    for path in paths:
        table = pq.read_table(path, columns=["polygon_id", "stratum", "draw"])
        ids.append(table["polygon_id"].to_numpy())
        here = (np.asarray(table["stratum"]) == choice.stratum) & ~np.isin(ids[-1], held_out)
        drawn.add(table["draw"].to_numpy(), np.where(here, 0, -1))
    rows = drawn.rows()
    polygons = [part[own] for part, own in zip(ids, rows, strict=True)]
    return Unlabelled(read_features(paths, layout, rows), np.concatenate(polygons))


def held_out_polygons(reference: Path, choice: Choice) -> npt.NDArray[np.int64]:
    """Return the polygons of the season of the map that evaluate a variant, ascending."""
    found = [np.empty(0, np.int64)]
    for piece in pieces(reference, ["polygon_id", *choice.columns]):
        ids = piece["polygon_id"].to_numpy()
        found.append(np.unique(ids[validation_rows(piece, choice.variant)]))
    return np.unique(np.concatenate(found))


def refuse_shared_polygons(anchors: TrainingSet, held_out: npt.NDArray[np.int64]) -> None:
    """Raise InputDataError (``E-SPLIT-OVERLAP``) if a polygon that evaluates is an anchor."""
    shared = np.intersect1d(anchors.polygon_id, held_out)
    problems = Problems()
    if len(shared):
        problems.error(
            "E-SPLIT-OVERLAP",
            f"{len(shared)} polygons evaluate the map and are anchors of it: "
            f"{', '.join(map(str, shared[:10]))}",
            "samples/*.parquet",
            "run the reference stage again",
        )
    problems.raise_errors(InputDataError)
