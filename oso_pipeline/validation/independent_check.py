"""Checks of an independent validation set before the map is made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import shapely

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.reference.rules.codes import LEFT_OUT, CodeTable, read_crosswalk
from oso_pipeline.validation.other_maps import check_maps
from oso_pipeline.vectors.looks import Value, distinct_values, extent_of, feature_boxes, meets
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.whereabouts import Ground, Subject, elsewhere

_LOOKED_AT = 1000
_SHOWN = 10
_SET = Subject(
    "the independent set lies",
    "it covers",
    "it meets",
    "give points or polygons of the tiles, or take validation.independent out",
)


def check_independent(config: Config) -> Problems:
    """Check file, layer, columns, coordinate system, place and classes of the set.

    Problems found: those of `VectorFile.check` and `read_crosswalk`, lines (``E-GEOMETRY-TYPE``),
    values without a class (``E-CLASS-UNKNOWN``), a place outside all tiles (``E-PLACE-OUTSIDE``,
    ``E-PLACE-COORDINATES``), and those of `check_maps`.
    """
    problems, rules = Problems(), config.validation.independent
    if rules is None:
        return problems
    file = file_of(rules)
    if rules.path.exists():
        file.check([rules.code_field], problems)
        _check_place(file, Ground(config.imagery.tiles, config.map.epsg), problems)
        with suppress(ConfigError):  # reported by the check of paths
            _check_classes(file, rules, load_nomenclature(config.nomenclature), problems)
    check_maps(rules.compare, problems)
    return problems


def file_of(rules: IndependentSet) -> VectorFile:
    """Return the vector file of a set."""
    return VectorFile(rules.path, rules.layer, rules.crs)


def report_unknown(
    values: Sequence[Value], table: CodeTable, rules: IndependentSet, name: str, problems: Problems
) -> None:
    """Report values that no class of the nomenclature `name` belongs to (``E-CLASS-UNKNOWN``)."""
    unknown = [one for one in values if (code := table.code(one.value)) < 0 and code != LEFT_OUT]
    if unknown:
        shown = ", ".join(sorted({repr(one.value) for one in unknown})[:_SHOWN])
        count = sum(one.count for one in unknown)
        message = f"{count} features have no class of {name}: {shown}"
        problems.error("E-CLASS-UNKNOWN", message, rules.path, "map them with `crosswalk`")


def _check_classes(
    file: VectorFile, rules: IndependentSet, nomenclature: Nomenclature, problems: Problems
) -> None:
    crosswalk = read_crosswalk(rules.crosswalk, nomenclature, problems)
    if crosswalk or rules.crosswalk is None:
        values = distinct_values(file, rules.code_field)
        table = CodeTable.of(nomenclature, crosswalk)
        report_unknown(values, table, rules, nomenclature.name, problems)


def _check_place(file: VectorFile, ground: Ground, problems: Problems) -> None:
    schema = file.schema(Problems())
    if schema is None:
        return
    kind = schema.geometry_type or ""
    if "Line" in kind or "MultiPoint" in kind:
        message = f"points or polygons are expected, the file holds {kind}"
        problems.error("E-GEOMETRY-TYPE", message, file.path, "take multipoints apart, drop lines")
    if schema.crs is None or meets(file, ground.boxes(schema.crs)):
        return
    if (extent := extent_of(file)) is None:
        return
    whole = np.array([shapely.box(*extent)], dtype=object)
    some = shapely.box(*feature_boxes(file, most=_LOOKED_AT).T)
    found = elsewhere(some, schema.crs, _SET, ground, whole)
    problems.error(f"E-{found.code}", found.message, file.path, found.hint)
