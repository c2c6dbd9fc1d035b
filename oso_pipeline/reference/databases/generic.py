"""Polygons of any vector file, labelled by a column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sides import SIDES
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
from oso_pipeline.vectors.values import normal_value
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.window import Window

_SHOWN = 10


@dataclass(frozen=True)
class GenericVectorSource:
    """Polygons of any vector file, labelled by a column.

    Parameters
    ----------
    source
        File, layer, column and crosswalk.
    labelling
        What holds for all sources.
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

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return all features that have a code.

        Problems found: those of `VectorFile.read` and `read_crosswalk`, geometries that are
        no polygons (``E-INPUT-037``), values without a class (``E-INPUT-042``) or absent
        values (``E-INPUT-043``), sides other than train and validation (``E-INPUT-049``).
        """
        before = len(problems.errors)
        crosswalk = read_crosswalk(self.source.crosswalk, self.labelling.nomenclature, problems)
        check_chosen(self.source, self.labelling.nomenclature, problems)
        crosswalk_is_good = len(problems.errors) == before
        frame = self.vector.read(self._columns, problems, window)
        if frame is None:
            return None
        _refuse_other_than_polygons(frame, self.source.path, problems)
        sides = self._sides(frame, problems)
        if not crosswalk_is_good:
            return None
        codes = CodeTable.of(self.labelling.nomenclature, crosswalk).codes(
            frame[self.source.code_field]
        )
        self._report_values(frame[self.source.code_field], codes, problems)
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

    def _report_values(
        self, values: pd.Series, codes: npt.NDArray[np.int32], problems: Problems
    ) -> None:
        """Report what has no class, as errors or as warnings."""
        report = problems.error if self.labelling.unknown_codes == "error" else problems.warn
        letter = "E" if self.labelling.unknown_codes == "error" else "W"
        column, path = self.source.code_field, self.source.path
        unknown = np.flatnonzero(codes == UNKNOWN)
        if unknown.size:
            first: dict[str, int] = {}
            for row in unknown:
                first.setdefault(normal_value(values.iloc[row]) or "", int(row))
            shown = ", ".join(f"{v!r} (feature {row})" for v, row in [*first.items()][:_SHOWN])
            more = f" and {len(first) - _SHOWN} more" if len(first) > _SHOWN else ""
            message = (
                f"{unknown.size} features have {len(first)} values of {column!r} that no class "
                f"of {self.labelling.nomenclature.name} belongs to: {shown}{more}; "
                "features count from 0"
            )
            hint = "map them with `crosswalk`, or leave them out with `unknown_codes: drop`"
            report(f"{letter}-INPUT-042", message, path, hint)
        absent = np.flatnonzero(codes == ABSENT)
        if absent.size:
            shown = ", ".join(map(str, absent[:_SHOWN].tolist()))
            message = (
                f"{absent.size} features have no value in {column!r}, "
                f"the first of them (counted from 0): {shown}"
            )
            hint = "fill in the column, or leave them out with `unknown_codes: drop`"
            report(f"{letter}-INPUT-043", message, path, hint)

    def _sides(self, frame: geopandas.GeoDataFrame, problems: Problems) -> npt.NDArray[Any]:
        """Return train, validation or empty text per feature."""
        if self.labelling.side_column is None:
            return np.full(len(frame), "", dtype=object)
        values = [normal_value(value) for value in frame[self.labelling.side_column]]
        sides = np.array([(value or "").lower() for value in values], dtype=object)
        wrong = sorted({side for side in sides if side not in SIDES})
        if wrong:
            count = int(np.isin(sides, wrong).sum())
            shown = ", ".join(repr(value) for value in wrong[:_SHOWN])
            message = f"column {self.labelling.side_column!r} holds {shown} in {count} features"
            hint = "every feature needs train or validation there"
            problems.error("E-INPUT-049", message, self.source.path, hint)
        return sides


def _refuse_other_than_polygons(
    frame: geopandas.GeoDataFrame, path: Path, problems: Problems
) -> None:
    types = shapely.get_type_id(np.asarray(frame.geometry))
    empty = shapely.is_empty(np.asarray(frame.geometry))
    flat = np.isin(types, (3, 6, 7)) | (types < 0) | empty  # polygons, collections, nothing
    if flat.all():
        return
    names, counts = np.unique(frame.geom_type[~flat].astype(str), return_counts=True)
    found = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    message = f"polygons are expected, but the file holds {found} among {len(frame)} features"
    problems.error("E-INPUT-037", message, path, "buffer them to polygons, or remove them")
