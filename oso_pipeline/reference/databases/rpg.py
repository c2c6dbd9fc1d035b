"""RPG, the register of agricultural land, in both of its forms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.deliveries import DeliveryLayer
from oso_pipeline.reference.databases.kinds import RpgSource
from oso_pipeline.reference.databases.labelling import Labels, report_unknown
from oso_pipeline.reference.databases.layer_check import check_systems
from oso_pipeline.reference.databases.rpg_files import (
    CODE_FIELD,
    ILOTS,
    PARCELS,
    Generation,
    RpgFile,
    check_content,
    find_files,
    generation_of,
    normal_codes,
    normal_numbers,
    report_contradiction,
)
from oso_pipeline.reference.databases.rpg_ilots import groups_path, read_groups
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling
from oso_pipeline.reference.databases.vector_features import ID, VectorFeatures
from oso_pipeline.reference.rules.rule_set import RuleSet, load_rules
from oso_pipeline.vectors.field_names import find_field, nearest
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.window import Window

NOT_DECLARED = "no crop declared"


@dataclass(frozen=True)
class Rpg:
    """The RPG of one year: blocks with a group of crops up to 2014, parcels with a crop since.

    Identifiers are those of the blocks and parcels, with the region before them where the names
    of the delivery state it. Surfaces declared are not used: they are rounded to 100 m2, so that
    slivers have 0, and the geometry is more precise.

    Parameters
    ----------
    source
        Section of the configuration.
    labelling
        Settings common to all sources.
    """

    source: RpgSource
    labelling: Labelling

    @property
    def name(self) -> str:
        """``RPG 2019``."""
        return f"RPG {self.source.year}"

    @property
    def priority(self) -> int:
        """Rank among the sources."""
        return self.source.rank

    @property
    def files(self) -> tuple[Path, ...]:
        """Blocks or parcels with their companions, tables of groups, and the rules."""
        problems = Problems()
        found = [path for file in self._found(problems) for path in file.vector.files]
        if self._needs_groups:
            tables = [groups_path(file) for file in self._found(problems)]
            found += [table for table in tables if table is not None]
        rules = self._rules(problems)
        return (*found, *(rules.files if rules else ()))

    @property
    def vectors(self) -> tuple[VectorFile, ...]:
        """The layers of blocks or parcels."""
        return tuple(file.vector for file in self._found(Problems()))

    def check(self, problems: Problems) -> None:
        """Check files, fields, coordinate systems, generation, tables of groups and rules.

        Problems found: those of `find_files`, `check_content`, `VectorFile.check`, `load_rules`,
        `check_systems`, and for blocks those of `read_groups`.
        """
        self._rules(problems)
        found = self._found(problems)
        check_systems([self._layer(file) for file in found], problems)
        for file in found:
            fields = self._fields(file, problems)
            if fields is None:
                continue
            check_content(file, self.source, fields.code, problems)
            if self._needs_groups:
                read_groups(file, problems)

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return labelled blocks or parcels; problems as in `check`, and unknown codes."""
        before = len(problems.errors)
        rules = self._rules(problems)
        read = [self._read(file, window, problems) for file in self._found(problems)]
        if rules is None or len(problems.errors) > before:
            return None
        labels = Labels(self.source, self.labelling)
        usable = [one for one in read if one is not None]
        for crops in usable:
            _label(crops, rules, labels)
        found = labels.result(self.name, _common_system(usable, window))
        report_unknown(found, self.source, self.labelling, problems)
        return None if len(problems.errors) > before else found

    def _layer(self, file: RpgFile) -> DeliveryLayer:
        return DeliveryLayer(
            file.region or file.vector.name, None, self._generation.layer, file.vector
        )

    @property
    def _generation(self) -> Generation:
        return generation_of(self.source)

    @property
    def _needs_groups(self) -> bool:
        return self._generation is ILOTS and self.source.purity == "pure"

    def _found(self, problems: Problems) -> tuple[RpgFile, ...]:
        return find_files(self.source, problems)

    def _rules(self, problems: Problems) -> RuleSet | None:
        edition = self._generation.edition
        return load_rules(self.source, edition, self.labelling.nomenclature, problems)

    def _fields(self, file: RpgFile, problems: Problems) -> _Fields | None:
        """Return what the fields are called in a file; other cases than the official count."""
        schema = file.vector.check([], problems)
        if schema is None:
            return None
        if re.search("Point|Line", schema.geometry_type or ""):
            message = f"polygons are expected, but the file holds {schema.geometry_type}"
            hint = "use the delivery as it is; centres of parcels cannot be used"
            problems.error("E-GEOMETRY-TYPE", message, file.vector.path, hint)
        number = find_field([self._generation.identifier], schema.fields)
        code = find_field([CODE_FIELD], schema.fields)
        if code is not None:
            return _Fields(number, code)
        other = PARCELS if self._generation is ILOTS else ILOTS
        hint = nearest(CODE_FIELD, schema.fields)
        if find_field([other.identifier], schema.fields):
            hint = f"{other.identifier} is of an RPG {other.years}: is `year` right?"
        fields = ", ".join(schema.fields) or "none"
        message = f"column {CODE_FIELD!r} is not in the file; its columns: {fields}"
        problems.error("E-VECTOR-COLUMN", message, file.vector.path, hint)
        return None

    def _read(self, file: RpgFile, window: Window, problems: Problems) -> _Crops | None:
        fields = self._fields(file, problems)
        if fields is None:
            return None
        frame = file.vector.read(fields.names, problems, window)
        if frame is None or report_contradiction(frame[fields.code], file, self.source, problems):
            return None
        numbers = _numbers(frame, fields.number)
        codes = normal_codes(frame[fields.code])
        why = np.full(len(frame), "", dtype=object)
        if self._needs_groups and len(frame):
            groups = read_groups(file, problems)
            if groups is None:
                return None
            codes, why = groups.evaluated(numbers, codes)
        why[pd.isna(codes) & (why == "")] = NOT_DECLARED
        table = pd.DataFrame({ID: file.prefix + numbers, CODE_FIELD: codes}, dtype=object)
        geometries = np.asarray(frame.geometry)
        owned = window.owns(geometries, frame.crs)
        return _Crops(VectorFeatures(table, geometries, frame.crs, owned), why)


@dataclass(frozen=True)
class _Fields:
    """Names of the fields; the field of numbers may be absent."""

    number: str | None
    code: str

    @property
    def names(self) -> list[str]:
        return [name for name in (self.number, self.code) if name is not None]


@dataclass(frozen=True)
class _Crops:
    """Features of one file with their crop, and why some have none (else empty)."""

    features: VectorFeatures
    why: npt.NDArray[np.object_]


def _numbers(frame: geopandas.GeoDataFrame, field: str | None) -> pd.Series:
    """Return the number of each feature; that in the file where none is declared."""
    in_file = pd.Series([f"feature {row}" for row in frame.index], dtype=object)
    if field is None:
        return in_file
    declared = normal_numbers(frame[field])
    return declared.where(declared.notna(), in_file)


def _label(crops: _Crops, rules: RuleSet, labels: Labels) -> None:
    features, without = crops.features, crops.why != ""
    counted = Counter(crops.why[without & features.owned].tolist())
    labels.left_out.update(counted)
    labels.n_features += sum(counted.values())
    rest = features.take(~without)
    labels.add(rest, rules, rules.first_match({CODE_FIELD: rest.table[CODE_FIELD]}))


def _common_system(crops: Sequence[_Crops], window: Window) -> CRS:
    """Return the coordinate system of all regions, or that of the map where they differ."""
    systems = {one.features.crs for one in crops}
    return systems.pop() if len(systems) == 1 else CRS.from_epsg(window.epsg)
