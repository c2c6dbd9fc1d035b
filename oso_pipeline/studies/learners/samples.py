"""Labelled samples that learners are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout

Rows = npt.NDArray[np.intp] | npt.NDArray[np.bool_]
POSITION = "position"
"""Sensor that the coordinates have as features."""
_SPAN = 30_000


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Samples with features, class and polygon.

    Parameters
    ----------
    name
        How they are shown, for example ``France 2023``.
    layout
        Meaning of the features.
    features
        int16, shape ``(sample, feature)``.
    codes
        Class of each sample, at least 1, int32, shape ``(sample,)``.
    polygons
        Polygon of each sample, int64, shape ``(sample,)``; samples of one are never split.
    classes
        Name of each class by code.
    columns
        What samples may be left out by, for example region or year: text, shape ``(sample,)``.
    coordinates
        Place of each sample in any one system, float64, shape ``(sample, 2)``; None where it is
        not known.

    Raises
    ------
    ValueError
        If lengths differ.
    """

    name: str
    layout: FeatureLayout
    features: npt.NDArray[np.int16]
    codes: npt.NDArray[np.int32]
    polygons: npt.NDArray[np.int64]
    classes: Mapping[int, str]
    columns: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    coordinates: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.features.shape != (len(self.codes), self.layout.size):
            raise ValueError(f"{self.name}: features of shape {self.features.shape}")
        parts: list[npt.NDArray[Any]] = [self.polygons, *self.columns.values()]
        parts += [] if self.coordinates is None else [self.coordinates]
        if any(len(part) != len(self.codes) for part in parts):
            raise ValueError(f"{self.name}: columns of {[len(part) for part in parts]} samples")

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Rows) -> LabelledSamples:
        """Return some of the samples."""
        where = self.coordinates
        return replace(
            self,
            features=self.features[rows],
            codes=self.codes[rows],
            polygons=self.polygons[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
            coordinates=None if where is None else where[rows],
        )

    def with_polygons(self, least: int) -> LabelledSamples:
        """Return the samples of the classes that `least` polygons or more have."""
        pairs = np.unique(np.stack([self.codes, self.polygons]), axis=1)
        codes, counts = np.unique(pairs[0], return_counts=True)
        kept = {int(code) for code in codes[counts >= least]}
        classes = {code: name for code, name in self.classes.items() if code in kept}
        return replace(self.take(np.isin(self.codes, list(kept))), classes=classes)

    def with_coordinates(self) -> LabelledSamples:
        """Return the samples with their place as two features more.

        The extent of the samples is scaled to whole numbers from 0 to 30,000 on either axis.

        Raises
        ------
        ValueError
            If the place is not known.
        """
        if self.coordinates is None:
            raise ValueError(f"{self.name}: the samples have no coordinates")
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        scaled = np.rint((self.coordinates - low) / np.maximum(high - low, 1e-9) * _SPAN)
        group = FeatureGroup(POSITION, ("x", "y"), None)
        return replace(
            self,
            layout=FeatureLayout((*self.layout.groups, group)),
            features=np.hstack([self.features, scaled.astype(np.int16)]),
        )
