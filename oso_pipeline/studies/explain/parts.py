"""The parts of an explanation, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from oso_pipeline.core.sensors import SENTINEL2


@dataclass(frozen=True)
class Place:
    """Where the pixel lies.

    Parameters
    ----------
    x, y
        Centre of the pixel of the map, metres, in the system `epsg` of the map.
    epsg
        The coordinate system of the map.
    longitude, latitude
        The same place in degrees (WGS 84).
    map_row, map_column
        The pixel in the file of the map; None before there is one.
    tile
        The tile that the map takes the place from.
    row, column
        The pixel in the 10 m grid of the tile.
    block
        Name of the block, ``r00128c00000``; empty where it is not there any more.
    """

    x: float
    y: float
    epsg: int
    longitude: float
    latitude: float
    map_row: int | None
    map_column: int | None
    tile: str
    row: int
    column: int
    block: str


@dataclass(frozen=True)
class Label:
    """A class by code and English name; code 0 stands for no class."""

    code: int
    name: str

    def __str__(self) -> str:
        return f"{self.code} {self.name}" if self.code else "no class"


@dataclass(frozen=True)
class Answer:
    """What the map says of the pixel.

    Parameters
    ----------
    label
        The class.
    confidence
        Of the class, percent.
    validity
        Number of clear dates.
    """

    label: Label
    confidence: int
    validity: int


@dataclass(frozen=True)
class ClassVotes:
    """What a class got.

    Parameters
    ----------
    label
        The class.
    votes
        Number of trees; None of a model whose trees do not have one vote each.
    share
        Probability of the class, 0 to 1.
    """

    label: Label
    votes: int | None
    share: float


@dataclass(frozen=True)
class ModelUsed:
    """The model of the pixel.

    Parameters
    ----------
    stratum, variant
        Which model it is.
    kind
        Kind of its learner.
    facts
        Numbers about it, such as its trees.
    confidence
        What its confidence means.
    given
        Whether another run has trained it (``learning.model``).
    """

    stratum: str
    variant: str
    kind: str
    facts: Mapping[str, Any]
    confidence: str
    given: bool


@dataclass(frozen=True)
class ImageUse:
    """An image of the tile, and whether the series of the pixel uses it.

    Parameters
    ----------
    product_id
        Name of the product.
    day
        Day of the acquisition, UTC; None where it is not known.
    platform
        The satellite.
    used
        Whether the date counts.
    reason
        ``clear``, or why the date is hidden: ``cloud``, ``outside the swath``, ``no data`` ...
    detail
        What the reason stands on: the mask and its number.
    """

    product_id: str
    day: date | None
    platform: str
    used: bool
    reason: str
    detail: str


@dataclass(frozen=True)
class ClassSeries:
    """Mean series of the training samples of a class.

    Parameters
    ----------
    label
        The class.
    samples
        Number of samples.
    mean, deviation
        Per date of the grid, in stored units.
    """

    label: Label
    samples: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class VariableSeries:
    """The series of a band or an index.

    Parameters
    ----------
    name
        For example ``B4`` or ``NDVI``.
    scale
        From stored numbers to reflectance or index.
    observed
        Stored numbers on `PixelSeries.observed_days`.
    filled
        Stored numbers on `PixelSeries.days`, as the model sees them.
    classes
        Mean series of the class of the pixel, then of the runner-up.
    """

    name: str
    scale: float
    observed: tuple[int, ...]
    filled: tuple[int, ...]
    classes: tuple[ClassSeries, ...]


@dataclass(frozen=True)
class PixelSeries:
    """The series of the pixel before and after gaps are filled.

    Parameters
    ----------
    days
        The dates of the grid.
    observed_days
        The clear dates.
    variables
        Bands and indices.
    """

    days: tuple[date, ...]
    observed_days: tuple[date, ...]
    variables: tuple[VariableSeries, ...]

    @property
    def main(self) -> VariableSeries:
        """NDVI, else the first index, else the first band."""
        by_name = {one.name: one for one in self.variables}
        indices = [one for one in self.variables if one.name not in SENTINEL2.names]
        return by_name.get("NDVI") or [*indices, *self.variables][0]


@dataclass(frozen=True)
class NearPolygon:
    """A reference polygon near the pixel.

    Parameters
    ----------
    polygon_id
        Its number, for ``oso reference CONFIG --explain ID``.
    distance_m
        From the centre of the pixel, metres; 0 inside.
    label
        Its class.
    side
        ``train``, ``validation``, ``unused``, or ``excluded`` by the check of labels.
    source
        The source that it comes from.
    doubted
        Class that the check of labels finds more likely; None where it does not doubt the label.
    """

    polygon_id: int
    distance_m: float
    label: Label
    side: str
    source: str
    doubted: Label | None


@dataclass(frozen=True)
class Flag:
    """Something to know before the class is trusted: a code, and a sentence."""

    code: str
    text: str
