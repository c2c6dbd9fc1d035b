"""What is wrong with the parcels, before any series is made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.config.series import Parcels as ParcelsSection
from oso_pipeline.core.errors import Problems
from oso_pipeline.products.series.parcels_polygons import names_of, vector_of
from oso_pipeline.vectors.damage import UNREADABLE
from oso_pipeline.vectors.looks import column_pieces, extent_of, feature_boxes, meets
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.vector_schema import Schema
from oso_pipeline.vectors.whereabouts import Ground, Subject, box_text, elsewhere

_LOOKED_AT = 1000
_SHOWN = 5
_PARCELS = Subject(
    "the parcels lie",
    "they cover",
    "they meet",
    "choose tiles that the parcels meet (imagery.tiles), or correct series.parcels.path",
)


def check_parcels(config: Config, section: ParcelsSection) -> Problems:
    """Check that the parcels can be used and meet one of the tiles.

    Besides the problems of `VectorFile.check`: points or lines (``E-GEOMETRY-TYPE``), names that
    are missing or occur twice (``E-SERIES-PARCEL-ID``), a file outside all tiles
    (``E-PLACE-OUTSIDE``, ``E-PLACE-COORDINATES``).
    """
    problems, file = Problems(), vector_of(section)
    schema = file.check([section.id_field], problems)
    if schema is None or schema.crs is None:
        return problems
    kind = schema.geometry_type or ""
    if "Point" in kind or "Line" in kind:
        hint = "parcels need polygons: buffer points and lines"
        message = f"the features of series.parcels are of type {kind}, expected polygons"
        problems.error("E-GEOMETRY-TYPE", message, section.path, hint)
        return problems
    try:
        _check_names(file, schema, section, problems)
    except UNREADABLE:
        return problems  # reading the shapes reports it
    ground = Ground(config.imagery.tiles, config.map.epsg)
    if not meets(file, ground.boxes(schema.crs)):
        extent = extent_of(file)
        whole = None if extent is None else np.array([shapely.box(*extent)], dtype=object)
        some = shapely.box(*feature_boxes(file, most=_LOOKED_AT).T)
        if len(some):
            found = elsewhere(some, schema.crs, _PARCELS, ground, whole)
            problems.error(f"E-{found.code}", found.message, section.path, found.hint)
        else:
            problems.error("E-AREA-EMPTY", "the file of parcels holds no polygon", section.path)
    return problems


def repeated(ids: npt.NDArray[np.object_]) -> tuple[int, list[str]]:
    """Return how many names are missing, and those that occur more than once.

    Examples
    --------
    >>> repeated(np.array(["a", "b", "a", ""], object))
    (1, ['a'])
    """
    series = pd.Series(ids)
    twice = series[series.duplicated() & (series != "")]
    return int((series == "").sum()), sorted(set(twice))


def report_names(missing: int, twice: list[str], where: object, problems: Problems) -> None:
    """Report names that do not tell parcels apart (``E-SERIES-PARCEL-ID``)."""
    hint = "name a column whose values differ, as series.parcels.id_field"
    if missing:
        message = f"found {missing} parcels without a name, expected a name of each"
        problems.error("E-SERIES-PARCEL-ID", message, where, hint)
    if twice:
        names = ", ".join(twice[:_SHOWN])
        message = f"found {len(twice)} names of several parcels, expected distinct ones: {names}"
        problems.error("E-SERIES-PARCEL-ID", message, where, hint)


def report_outside(file: VectorFile, ground: Ground, used: int, problems: Problems) -> None:
    """Warn of parcels that lie outside of the tiles (``W-SERIES-OUTSIDE``), with both boxes."""
    schema, extent = file.schema(Problems()), extent_of(file)
    outside = file.count(Problems()) - used
    if outside <= 0 or schema is None or schema.crs is None or extent is None:
        return
    boxes = ground.boxes(schema.crs)
    message = f"{outside} of {outside + used} parcels lie outside the tiles: the file covers "
    message += f"{box_text([shapely.box(*extent)])}, the tiles {box_text(boxes)}"
    problems.warn("W-SERIES-OUTSIDE", message, file.path, _PARCELS.hint)


def _check_names(
    file: VectorFile, schema: Schema, section: ParcelsSection, problems: Problems
) -> None:
    """Look for names that occur twice; only 8 bytes of each are kept at a time."""
    missing, hashes = 0, [np.zeros(0, np.uint64)]
    for values in _columns(file, schema, section.id_field):
        missing += int((values == "").sum())
        hashes.append(pd.util.hash_array(values[values != ""], categorize=False))
    ordered = np.sort(np.concatenate(hashes))
    again = np.unique(ordered[1:][np.diff(ordered) == 0])
    twice: set[str] = set()
    if len(again):
        for values in _columns(file, schema, section.id_field):
            same = np.isin(pd.util.hash_array(values, categorize=False), again)
            twice |= set(values[same & (values != "")].tolist())
    report_names(missing, sorted(twice), section.path, problems)


def _columns(file: VectorFile, schema: Schema, name: str) -> Iterator[npt.NDArray[np.object_]]:
    """Yield the values of a column as text, piece by piece; no shape is read."""
    for piece in column_pieces(file, schema, name):
        yield names_of(piece)
