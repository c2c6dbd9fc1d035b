"""A season or region with its series, labels and polygons: source or target of adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.adaptation.space import SeriesSpace

Rows = npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Domain:
    """Labelled samples of one season and region.

    Parameters
    ----------
    name
        How it is shown, for example ``Fergana 2016``.
    space
        Meaning of the columns of `features`.
    features
        int16, shape ``(sample, feature)``.
    labels
        Code of the class of each sample, int32, shape ``(sample,)``.
    polygons
        Number of the polygon of each sample, int64, shape ``(sample,)``; the same number in
        two domains is the same polygon.
    outlines
        Outline of the polygon of each sample, shapely objects of one coordinate system, shape
        ``(sample,)``; None where only the numbers are known.

    Raises
    ------
    ValueError
        If lengths differ.
    """

    name: str
    space: SeriesSpace
    features: npt.NDArray[np.int16]
    labels: npt.NDArray[np.int32]
    polygons: npt.NDArray[np.int64]
    outlines: npt.NDArray[np.object_] | None = None

    def __post_init__(self) -> None:
        columns: list[npt.NDArray[Any]] = [self.features, self.labels, self.polygons]
        if self.outlines is not None:
            columns.append(self.outlines)
        if len({len(column) for column in columns}) != 1:
            raise ValueError(f"{self.name}: columns of {[len(c) for c in columns]} samples")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Rows, name: str | None = None) -> Domain:
        """Return some of the samples, under another name if one is given."""
        return replace(
            self,
            name=name or self.name,
            features=self.features[rows],
            labels=self.labels[rows],
            polygons=self.polygons[rows],
            outlines=None if self.outlines is None else self.outlines[rows],
        )

    def meets(self, other: Domain) -> npt.NDArray[np.bool_]:
        """Return which samples lie in polygons that are, or touch, polygons of `other`."""
        shared = np.isin(self.polygons, other.polygons)
        if self.outlines is None or other.outlines is None or not len(self):
            return shared
        _, first, of_sample = np.unique(self.polygons, return_index=True, return_inverse=True)
        others = other.outlines[np.unique(other.polygons, return_index=True)[1]]
        pairs = shapely.STRtree(others).query(self.outlines[first], predicate="intersects")
        touching = np.zeros(len(first), np.bool_)
        touching[pairs[0]] = True
        return shared | touching[of_sample]

    def apart_from(self, other: Domain) -> Domain:
        """Return the samples of polygons that are not, and do not touch, polygons of `other`."""
        return self.take(~self.meets(other))

    def counts(self) -> dict[int, int]:
        """Return the number of samples per code, ascending."""
        codes, counts = np.unique(self.labels, return_counts=True)
        return {int(code): int(count) for code, count in zip(codes, counts, strict=True)}


def pooled(domains: Sequence[Domain]) -> Domain:
    """Return the samples of several seasons together, in their order.

    Raises
    ------
    ValueError
        If there is no domain, or their features differ.
    """
    first = domains[0]
    if any(one.space != first.space for one in domains):
        raise ValueError(f"features differ among {', '.join(one.name for one in domains)}")
    outlines: Any = [one.outlines for one in domains]
    return Domain(
        " + ".join(one.name for one in domains),
        first.space,
        np.concatenate([one.features for one in domains]),
        np.concatenate([one.labels for one in domains]),
        np.concatenate([one.polygons for one in domains]),
        None if any(one is None for one in outlines) else np.concatenate(outlines),
    )
