"""Corine Land Cover: labels of large natural classes, and classes of built-up units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.closing import Zones
from oso_pipeline.reference.databases.kinds import ClcSource
from oso_pipeline.reference.databases.labelling import Labels
from oso_pipeline.reference.databases.plain_database import Content, Kind, PlainDatabase
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling
from oso_pipeline.reference.databases.vector_features import ALIASES, projected, resolved
from oso_pipeline.vectors.geometry import polygonal
from oso_pipeline.vectors.values import normal_text
from oso_pipeline.vectors.window import Window

CODE = "CODE"
_YEARS = ("18", "12", "06", "00", "90")
_NAMES = (*(f"CODE_{year}" for year in _YEARS), "CLC_CODE", "CODE_CLC", "CODE")
_OF_YEAR = re.compile(r"code_?(\d\d)$", re.IGNORECASE)


def kind_of(source: ClcSource) -> Kind:
    """Return how the layers of a source are recognised: by the field of the code."""
    names: tuple[str, ...] = (source.code_field,)
    if source.code_field == "auto":
        own = () if source.year is None else (f"CODE_{source.year % 100:02d}",)
        names = (*own, *_NAMES)
    return Kind("CLC", {"all": (CODE,)}, {**ALIASES, CODE: tuple(dict.fromkeys(names))})


@dataclass(frozen=True)
class Clc(PlainDatabase):
    """Corine Land Cover, as source of labels and as land cover for buildings."""

    source: ClcSource

    @classmethod
    def of(cls, source: ClcSource, labelling: Labelling) -> Clc:
        """Return the database of a section of the configuration."""
        return cls(source, labelling, kind_of(source))

    @property
    def name(self) -> str:
        """``CLC 2018``, from the name of the field."""
        year = next((match[1] for one in self._fields if (match := _OF_YEAR.match(one))), None)
        if year is None:
            return self.kind.title
        return f"{self.kind.title} {'19' if year == '90' else '20'}{year}"

    def found(self) -> Content:
        """Look for layers with codes of one year."""
        found = super().found()
        if len(self._fields_of(found)) < 2:
            return found
        problems = Problems(found.problems)
        shown = ", ".join(sorted(self._fields_of(found)))
        message = f"several editions of Corine Land Cover, with the codes {shown}"
        hint = "name the file of one of them as `path`, or its field as `code_field`"
        problems.error("E-DELIVERY-EDITION", message, self.source.path, hint)
        return Content(None, (), None, tuple(problems))

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return labelled polygons, none if the source only classifies built-up units."""
        if self.source.labels:
            return super().read(window, problems)
        return Labels(self.source, self.labelling).result(self.name, CRS.from_epsg(window.epsg))

    def zones(self, codes: Sequence[str], window: Window, problems: Problems) -> Zones | None:
        """Return the polygons of some classes that meet a window, on the map."""
        features = self.features(window, problems)
        if features is None:
            return None
        found = np.array([normal_text(value) for value in features.table[CODE]], dtype=object)
        chosen = np.isin(found, list(codes))
        target = CRS.from_epsg(window.epsg)
        shapes = projected(features.geometries[chosen], features.crs, target)
        crooked = ~shapely.is_valid(shapes)
        shapes[crooked] = polygonal(shapely.make_valid(shapes[crooked]))
        return Zones(found[chosen], shapes)

    @property
    def _fields(self) -> set[str]:
        return self._fields_of(self.content)

    def _fields_of(self, content: Content) -> set[str]:
        schemas = (layer.file.schema(Problems()) for layer in content.layers)
        names = (resolved(schema, [CODE], self.kind.names)[CODE] for schema in schemas if schema)
        return {name.upper() for name in names if name is not None}
