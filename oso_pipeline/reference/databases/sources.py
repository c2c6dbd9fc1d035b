"""Protocol of sources of labelled polygons, and the polygons they return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.vectors.window import Window

NOT_CHOSEN = "class not taken from this source"
"""Why a feature is left out whose class is not among the `classes` of its source."""

Operation = Literal["erode", "buffer", "none"]
"""First operation on a geometry: shrink or enlarge it."""


@dataclass(frozen=True)
class LabelledPolygons:
    """Polygons of a source in a window, before any operation on the geometries.

    Parameters
    ----------
    name
        Of the source, for tables and messages.
    frame
        One row per labelled feature, in the coordinate system of the source:

        - ``source_id`` (text): identifier of the delivered object;
        - ``code`` (int32): class of the nomenclature;
        - ``year`` (Int32): year of the label;
        - ``rule`` (text): the rule or value that gave the class;
        - ``operation`` (text, see `Operation`) and ``metres`` (float64): operation on it;
        - ``area_ha`` (float64): of the whole delivered feature, hectares;
        - ``side`` (text): train, validation, or empty where the split decides;
        - ``geometry``: of any type, two-dimensional.
    n_features
        Features that the window owns (see `Window.owns`), those left out included.
    left_out
        How many of them were left out before they had a code, by reason.
    values
        Counts of values without a rule.
    value_hectares
        Hectares of the features with each of these values.
    """

    name: str
    frame: geopandas.GeoDataFrame
    n_features: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)
    value_hectares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Labelling:
    """Settings common to all sources.

    Parameters
    ----------
    nomenclature
        The classes.
    unknown_codes
        Whether a value that nothing is known about is an error or is left out.
    erosion_m
        Width removed inside the border where no rule says otherwise, metres.
    side_column
        Column that says train or validation, where the user dictates the split.
    """

    nomenclature: Nomenclature
    unknown_codes: Literal["error", "drop"] = "error"
    erosion_m: float = 10.0
    side_column: str | None = None


class ReferenceSource(Protocol):
    """A source of labelled polygons: a file of any kind, or a known national database."""

    @property
    def name(self) -> str:
        """Name for tables and messages: without folders, the same on every machine."""
        ...

    @property
    def priority(self) -> int:
        """Rank where polygons of several sources overlap; the lower one keeps the place."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file whose content determines what `read` returns."""
        ...

    def check(self, problems: Problems) -> None:
        """Look at layers, fields, coordinate systems and rules, without reading features.

        Everything that is wrong goes to `problems` at once.
        """
        ...

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return every labelled polygon that meets a window, whole or cut outside of it.

        Files that cannot be used are reported to `problems`, and None is returned.
        """
        ...


_TYPES: dict[str, Any] = {
    "source_id": object,
    "code": "int32",
    "year": "Int32",
    "rule": object,
    "operation": object,
    "metres": "float64",
    "area_ha": "float64",
    "side": object,
}


def labelled_frame(
    columns: Mapping[str, Any], geometry: npt.NDArray[np.object_], crs: object
) -> geopandas.GeoDataFrame:
    """Return the frame of `LabelledPolygons` in its order and types, one row per geometry.

    Values are arrays, or single ones that stand for all rows; ``side`` is empty by default.
    """
    given = {"side": "", **columns}
    rows = pd.RangeIndex(len(geometry))
    table = {name: pd.Series(given[name], rows, dtype=kind) for name, kind in _TYPES.items()}
    return geopandas.GeoDataFrame(table, geometry=geometry, crs=crs)
