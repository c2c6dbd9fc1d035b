"""Polygons of any vector file, labelled by a column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sides import SIDES
from oso_pipeline.reference.databases.column_report import report_codes, report_sides, side_of
from oso_pipeline.reference.databases.kinds import VectorSource
from oso_pipeline.reference.databases.sources import (
    NOT_CHOSEN,
    LabelledPolygons,
    Labelling,
    labelled_frame,
)
from oso_pipeline.reference.rules.codes import ABSENT, LEFT_OUT, UNKNOWN, CodeTable, read_crosswalk
from oso_pipeline.reference.rules.rule_set import check_chosen
from oso_pipeline.vectors.areas import hectares
from oso_pipeline.vectors.looks import Value, counted, distinct_values, distinct_values_in
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.vector_schema import Schema
from oso_pipeline.vectors.window import Window


@dataclass(frozen=True)
class GenericVectorSource:
    """Polygons of any vector file, labelled by a column.

    Parameters
    ----------
    source
        File, layer, column and crosswalk.
    labelling
        Settings common to all sources.
    """

    source: VectorSource
    labelling: Labelling

    @property
    def vector(self) -> VectorFile:
        """The file and layer."""
        return VectorFile(self.source.path, self.source.layer, self.source.crs)

    @property
    def name(self) -> str:
        """File name, and layer where one is given."""
        return self.vector.name

    @property
    def priority(self) -> int:
        """Rank among the sources."""
        return self.source.rank

    @property
    def files(self) -> tuple[Path, ...]:
        """The vector file with its companions, and the crosswalk where it is a file."""
        crosswalk = self.source.crosswalk
        return (*self.vector.files, *((crosswalk,) if isinstance(crosswalk, Path) else ()))

    @property
    def _columns(self) -> list[str]:
        named = (self.source.code_field, self.labelling.side_column)
        return list(dict.fromkeys(name for name in named if name is not None))

    def check(self, problems: Problems) -> None:
        """Check the crosswalk, and that the file has the columns and a coordinate system."""
        check_chosen(self.source, self.labelling.nomenclature, problems)
        read_crosswalk(self.source.crosswalk, self.labelling.nomenclature, problems)
        self.vector.check(self._columns, problems)

    @property
    def vectors(self) -> tuple[VectorFile, ...]:
        """The one layer that labels come from."""
        return (self.vector,)

    def look(self, windows: Sequence[Window], problems: Problems) -> None:
        """Look at the type of the layer, and at the columns of features that meet some windows.

        Where none does, the values of all features are looked at. Problems found: points or lines
        (``E-GEOMETRY-TYPE``), values without a class (``E-CLASS-UNKNOWN``), absent ones
        (``E-CLASS-MISSING``), sides other than train and validation (``E-SPLIT-COLUMN``); a
        missing column or crosswalk is reported by `check`.
        """
        schema = self.vector.schema(Problems())
        if schema is not None and not is_flat(schema):
            message = f"polygons are expected, but the file holds {schema.geometry_type}"
            hint = "buffer them to polygons, or remove them"
            problems.error("E-GEOMETRY-TYPE", message, self.source.path, hint)
        crosswalk = read_crosswalk(self.source.crosswalk, self.labelling.nomenclature, Problems())
        if crosswalk or self.source.crosswalk is None:
            table = CodeTable.of(self.labelling.nomenclature, crosswalk)
            column = self.source.code_field
            values: Sequence[Value] = distinct_values(self.vector, column)
            if any(table.code(value.value) in (UNKNOWN, ABSENT) for value in values):
                values = self._met(column, values, windows)
            report_codes(values, table, self.source, self.labelling, problems)
        if (column := self.labelling.side_column or "") and not self._sides_fit(column):
            values = self._met(column, distinct_values(self.vector, column), windows)
            report_sides(values, column, self.source, problems)

    def _sides_fit(self, column: str) -> bool:
        return all(side_of(one.value) in SIDES for one in distinct_values(self.vector, column))

    def _met(
        self, column: str, values: Sequence[Value], windows: Sequence[Window]
    ) -> Sequence[Value]:
        """Return the values of the features that meet some windows; all where none does."""
        schema = self.vector.schema(Problems())
        if schema is None or schema.crs is None:
            return values
        boxes = [window.bounds_in(schema.crs) for window in windows]
        near = distinct_values_in(self.vector, column, boxes)
        first = {repr(one.value): one.first for one in values}
        return [replace(one, first=first.get(repr(one.value), one.first)) for one in near] or values

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return all features that have a code.

        Problems found: those of `VectorFile.read` and `read_crosswalk`, geometries that are
        no polygons (``E-GEOMETRY-TYPE``), values without a class (``E-CLASS-UNKNOWN``) or absent
        values (``E-CLASS-MISSING``), sides other than train and validation (``E-SPLIT-COLUMN``).
        """
        before = len(problems.errors)
        crosswalk = read_crosswalk(self.source.crosswalk, self.labelling.nomenclature, problems)
        check_chosen(self.source, self.labelling.nomenclature, problems)
        crosswalk_is_good = len(problems.errors) == before
        frame = self.vector.read(self._columns, problems, window)
        if frame is None:
            return None
        refuse_other_than_polygons(np.asarray(frame.geometry), self.source.path, problems)
        sides = self._sides(frame, problems)
        if not crosswalk_is_good:
            return None
        values = frame[self.source.code_field]
        table = CodeTable.of(self.labelling.nomenclature, crosswalk)
        codes = table.codes(values)
        found = counted(values.reset_index(drop=True))
        report_codes(found, table, self.source, self.labelling, problems)
        if len(problems.errors) > before:
            return None
        owned = window.owns(np.asarray(frame.geometry), frame.crs)
        return LabelledPolygons(
            self.name,
            self._labelled(frame, codes, sides),
            int(owned.sum()),
            self._left_out(codes[owned]),
        )

    def _labelled(
        self, frame: geopandas.GeoDataFrame, codes: npt.NDArray[np.int32], sides: npt.NDArray[Any]
    ) -> geopandas.GeoDataFrame:
        kept = self._taken(codes)
        geometries = np.asarray(frame.geometry)[kept]
        return labelled_frame(
            {
                "source_id": frame.index.astype(str).to_numpy()[kept],
                "code": codes[kept],
                "year": self.source.year,
                "rule": frame[self.source.code_field].astype(str).to_numpy()[kept],
                "operation": "erode",
                "metres": self.labelling.erosion_m,
                "area_ha": hectares(geometries, frame.crs),
                "side": sides[kept],
            },
            geometries,
            frame.crs,
        )

    def _taken(self, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        chosen = self.source.classes
        return (codes > 0) if chosen is None else np.isin(codes, chosen)

    def _left_out(self, codes: npt.NDArray[np.int32]) -> dict[str, int]:
        names = {LEFT_OUT: "left out by the crosswalk", UNKNOWN: "unknown code", ABSENT: "no code"}
        counts = {name: int((codes == mark).sum()) for mark, name in names.items()}
        counts[NOT_CHOSEN] = int(((codes > 0) & ~self._taken(codes)).sum())
        return {name: count for name, count in counts.items() if count}

    def _sides(self, frame: geopandas.GeoDataFrame, problems: Problems) -> npt.NDArray[Any]:
        """Return train, validation or empty text per feature."""
        if self.labelling.side_column is None:
            return np.full(len(frame), "", dtype=object)
        values = frame[self.labelling.side_column]
        sides = np.array([side_of(value) for value in values], dtype=object)
        found = counted(values.reset_index(drop=True))
        report_sides(found, self.labelling.side_column, self.source, problems)
        return sides


def is_flat(schema: Schema) -> bool:
    """Return whether the type of a layer allows polygons; not of points or lines."""
    return re.search("Point|Line", schema.geometry_type or "") is None


def refuse_other_than_polygons(
    shapes: npt.NDArray[np.object_], path: Path, problems: Problems
) -> None:
    """Report shapes that are not polygons (``E-GEOMETRY-TYPE``), by their types."""
    types = shapely.get_type_id(shapes)
    # Polygons, collections, nothing.
    flat = np.isin(types, (3, 6, 7)) | (types < 0) | shapely.is_empty(shapes)
    if flat.all():
        return
    kinds = geopandas.GeoSeries(shapes[~flat]).geom_type.astype(str)
    names, counts = np.unique(kinds, return_counts=True)
    found = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    message = f"polygons are expected, but the file holds {found} among {len(shapes)} features"
    problems.error("E-GEOMETRY-TYPE", message, path, "buffer them to polygons, or remove them")
