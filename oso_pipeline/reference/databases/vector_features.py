"""Features of one layer from all its deliveries, with fields by the names of the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.deliveries import DeliveryLayer
from oso_pipeline.vectors.field_names import find_field
from oso_pipeline.vectors.vector_schema import Schema
from oso_pipeline.vectors.window import Window, transformer

ID = "ID"
Names = Mapping[str, tuple[str, ...]]
"""By what names a field goes, the preferred one first."""

ALIASES: Names = {
    ID: ("cleabs", "ID", "RGIId", "rgi_id"),
    "ETAT": ("ETAT", "etat_de_l_objet"),
    "LARGEUR": ("LARGEUR", "largeur_de_chaussee"),
    "LEGER": ("LEGER", "construction_legere"),
    "PERSISTANC": ("PERSISTANC", "persistance"),
    "POS_SOL": ("POS_SOL", "position_par_rapport_au_sol"),
    "USAGE1": ("USAGE1", "usage_1"),
}
"""Names of fields in shapefiles, in GeoPackages and from edition to edition, the preferred
one first; others have one name, up to case, underscores and the width of shapefiles."""


@dataclass(frozen=True)
class VectorFeatures:
    """Features of a layer in a window.

    Parameters
    ----------
    table
        The requested fields by the names of the rules, `ID` among them; one row per feature.
    geometries
        Two-dimensional, shape ``(n,)``.
    crs
        Their coordinate system.
    owned
        Which of them the window counts, shape ``(n,)``.
    n_doubles
        How many more the window counts that another delivery holds as well.
    """

    table: pd.DataFrame
    geometries: npt.NDArray[np.object_]
    crs: CRS
    owned: npt.NDArray[np.bool_]
    n_doubles: int = 0

    def __len__(self) -> int:
        return len(self.geometries)

    def take(self, chosen: npt.NDArray[np.bool_]) -> VectorFeatures:
        """Return the features of a mask, shape ``(n,)``."""
        table = self.table[chosen].reset_index(drop=True)
        return VectorFeatures(table, self.geometries[chosen], self.crs, self.owned[chosen])


def resolved(
    schema: Schema, fields: Sequence[str], names: Names = ALIASES
) -> dict[str, str | None]:
    """Return by what name a layer has each field, None where it has not."""
    return {field: find_field(names.get(field, (field,)), schema.fields) for field in fields}


@dataclass(frozen=True, slots=True)
class Reach:
    """Window to read, and window to count.

    Parameters
    ----------
    counted
        The requested window.
    read
        The window that is read, which may be larger.
    """

    counted: Window
    read: Window


def read_features(
    layers: Sequence[DeliveryLayer],
    fields: Sequence[str],
    reach: Reach,
    problems: Problems,
    names: Names = ALIASES,
) -> VectorFeatures | None:
    """Return the features of a layer that meet the window read, of all deliveries.

    Neighbouring departments both hold what lies on their border: a feature whose identifier
    an earlier delivery has is left out. A field that a layer lacks is None throughout; a layer
    without identifiers gets the numbers of its features. The coordinate system is that of the
    deliveries, or that of the map where they differ.

    Deliveries that the window misses are not opened: a nation has a hundred, a cell meets a few.

    Problems are those of `VectorFile.read`; None where anything could not be read.
    """
    schemas = {layer: layer.file.schema(problems) for layer in layers}
    known = {layer: schema for layer, schema in schemas.items() if schema is not None}
    met = [one for one, schema in known.items() if not one.file.misses(reach.read, schema)]
    found = [
        _read(layer, resolved(known[layer], [ID, *fields], names), reach.read, problems)
        for layer in met or list(known)[:1]
    ]
    frames = [frame for frame in found if frame is not None]
    if not frames or len(frames) < len(found) or len(known) < len(layers):
        return None
    crs = frames[0].crs
    if any(schema.crs != crs for schema in known.values()):
        crs = CRS.from_epsg(reach.read.epsg)
    geometries = [projected(np.asarray(frame.geometry), frame.crs, crs) for frame in frames]
    tables = [pd.DataFrame(frame.drop(columns="geometry"), dtype=object) for frame in frames]
    delivery = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    joined = np.concatenate(geometries)
    owned = reach.counted.owns(joined, crs)
    return _without_doubles(
        VectorFeatures(pd.concat(tables, ignore_index=True), joined, crs, owned), delivery
    )


def projected(
    geometries: npt.NDArray[np.object_], crs: CRS, target: CRS
) -> npt.NDArray[np.object_]:
    """Return geometries in another coordinate system, axes as in GIS."""
    if crs == target:
        return geometries
    there = transformer(crs, target)
    return np.asarray(shapely.transform(geometries, there.transform, interleaved=False))


def _read(
    layer: DeliveryLayer, names: Mapping[str, str | None], window: Window, problems: Problems
) -> geopandas.GeoDataFrame | None:
    present = dict.fromkeys(found for found in names.values() if found is not None)
    frame = layer.file.read(list(present), problems, window)
    if frame is None:
        return None
    columns: dict[str, Any] = {
        name: np.full(len(frame), None) if found is None else _plain(frame[found])
        for name, found in names.items()
    }
    if names[ID] is None:
        stem = layer.file.path.stem
        columns[ID] = np.array([f"{stem} {number}" for number in frame.index], dtype=object)
    return geopandas.GeoDataFrame(columns, geometry=np.asarray(frame.geometry), crs=frame.crs)


def _plain(values: pd.Series) -> npt.NDArray[np.object_]:
    """Return values as objects; booleans of GeoPackages are words in shapefiles."""
    plain = values.astype(object).where(values.notna(), None)
    if pd.api.types.infer_dtype(plain, skipna=True) == "boolean":
        plain = plain.map({True: "Oui", False: "Non"})
    return plain.to_numpy(dtype=object)


def _without_doubles(features: VectorFeatures, delivery: npt.NDArray[np.int_]) -> VectorFeatures:
    """Leave out features that an earlier delivery has; those of one delivery all stay."""
    if not len(features) or delivery[0] == delivery[-1]:
        return features
    names = features.table[ID].to_numpy()
    first = pd.Series(delivery).groupby(names, sort=False).transform("first").to_numpy()
    double = (first != delivery) & ~np.isnan(first.astype(float))
    return replace(features.take(~double), n_doubles=int((double & features.owned).sum()))
