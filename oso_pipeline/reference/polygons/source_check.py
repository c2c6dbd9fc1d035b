"""Checks of the sources before any cell is prepared, from headers and columns."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.config.reference import Source
from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.databases.catalogue import open_sources, original
from oso_pipeline.reference.databases.generic import GenericVectorSource
from oso_pipeline.reference.databases.sources import ReferenceSource
from oso_pipeline.reference.polygons.cells import MARGIN_M, cells_of
from oso_pipeline.reference.polygons.small_polygons import Erosion, find_small
from oso_pipeline.vectors.looks import extent_of, feature_boxes, meets
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.whereabouts import Elsewhere, Ground, Subject, elsewhere
from oso_pipeline.vectors.window import Window

_LOOKED_AT = 1000
_LARGER = "give larger polygons, or lower reference.erosion_m and reference.min_area_m2"
_POLYGONS = Subject(
    "the polygons lie",
    "they cover",
    "they meet",
    "choose tiles that the polygons meet (imagery.tiles), or give polygons of these tiles",
)


@dataclass(frozen=True)
class _Loss:
    """Why nothing of a source can serve: a finding, an error or a warning as the others decide."""

    code: str
    message: str
    where: object
    hint: str


def check_sources(config: Config, nomenclature: Nomenclature) -> Problems:
    """Find what is wrong with the sources of a season, each looked at by itself.

    Besides what each source finds in `check` and `look`: polygons outside all tiles
    (``PLACE-OUTSIDE``, ``PLACE-COORDINATES``) or too small (``POLYGON-SMALL``). These are
    errors where no other source has polygons that serve, else warnings.
    """
    problems, losses, serving = Problems(), list[_Loss](), 0
    looking = _Looking(config, Ground(config.imagery.tiles, config.map.epsg), windows_of(config))
    sources = open_sources(config.reference, nomenclature)
    for source, section in zip(sources, config.reference.sources, strict=True):
        found = Problems()
        source.check(found)
        lost = looking.at(source, section, found) if section.gives_labels else []
        losses += lost
        if section.gives_labels and not lost and not found.errors:
            serving += 1
            found.notes.append(f"{source.name}: {_described(source)}")
        problems.extend(found)
    letter = "W" if serving else "E"
    problems.extend(
        Problem(f"{letter}-{one.code}", one.message, str(one.where), one.hint) for one in losses
    )
    return problems


def windows_of(config: Config) -> tuple[Window, ...]:
    """Return the parts of the map for which polygons are read."""
    epsg = config.map.epsg
    cells = cells_of(config.imagery.tiles, epsg)
    return tuple(Window(*cell.bounds, epsg, MARGIN_M) for cell in cells)


@dataclass(frozen=True)
class _Looking:
    """Looks at sources, each for itself."""

    config: Config
    ground: Ground
    windows: tuple[Window, ...]

    def at(self, source: ReferenceSource, section: Source, problems: Problems) -> list[_Loss]:
        """Return why nothing of a source can serve; report what is wrong with its values."""
        own, losses = original(source), list[_Loss]()
        if away := _away(vectors_of(source), self.ground):
            losses.append(_Loss(away.code, away.message, section.path, away.hint))
        if isinstance(own, GenericVectorSource):
            own.look(self.windows, problems)
            rules = self.config.reference
            erosion = Erosion(rules.erosion_m, rules.min_area_m2, self.ground)
            if (small := find_small(own.vector, erosion, problems)) is not None:
                losses.append(_Loss("POLYGON-SMALL", small, section.path, _LARGER))
        return losses


def vectors_of(source: ReferenceSource) -> tuple[VectorFile, ...]:
    """Return the layers that labels of a source come from; none if they are unknown."""
    own = original(source)
    # A look at the class only: whether there are layers may mean to read files.
    if inspect.getattr_static(own, "vectors", None) is None:
        return ()
    layers: tuple[VectorFile, ...] = own.vectors  # type: ignore[attr-defined]
    return layers


def _away(layers: Sequence[VectorFile], ground: Ground) -> Elsewhere | None:
    """Return where layers lie that meet no tile, None if one does or this is unknown."""
    placed = [(layer, schema) for layer in layers if (schema := layer.schema(Problems()))]
    known = [(layer, schema.crs) for layer, schema in placed if schema.crs is not None]
    if not known or len(known) < len(layers):
        return None
    if any(meets(layer, ground.boxes(crs)) for layer, crs in known):
        return None
    first = known[0][1]
    alike = [layer for layer, crs in known if crs == first]
    boxes = [box for layer in alike if (box := extent_of(layer)) is not None]
    if not boxes:
        return None
    shapes = shapely.box(*np.asarray(boxes).T)
    # The box around scattered polygons meets what none of them meets.
    some = feature_boxes(alike[0], most=_LOOKED_AT)
    return elsewhere(shapely.box(*some.T), first, _POLYGONS, ground, shapes)


def _described(source: ReferenceSource) -> str:
    """Return what a source holds, as text."""
    layers = vectors_of(source)
    schemas = [schema for layer in layers if (schema := layer.schema(Problems()))]
    counts = [schema.n_features for schema in schemas if schema.n_features >= 0]
    names = {layer.path.name for layer in layers}
    said = f"{sum(counts)} features" if counts else "features"
    said += f" in {len(names)} files" if len(names) > 1 else ""
    own = original(source)
    if isinstance(own, GenericVectorSource):
        said += f", classes in column {own.source.code_field!r}"
    return said
