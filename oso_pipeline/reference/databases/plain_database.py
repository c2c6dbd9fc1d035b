"""Databases with one kind of layer and one rule per value: BD Forêt, Randolph, land cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oso_pipeline.config.reference import Database
from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.reference.databases.deliveries import DeliveryLayer, all_layers
from oso_pipeline.reference.databases.labelling import Labels, report_unknown
from oso_pipeline.reference.databases.layer_check import check_systems
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling
from oso_pipeline.reference.databases.vector_features import (
    ALIASES,
    ID,
    Names,
    Reach,
    VectorFeatures,
    read_features,
)
from oso_pipeline.reference.rules.rule_set import RuleSet, load_rules
from oso_pipeline.vectors.field_names import find_field
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.vector_schema import Schema
from oso_pipeline.vectors.window import Window

_SHOWN = 5
_FLAT = ("Polygon", "Unknown", "Collection", "Surface")


@dataclass(frozen=True)
class Kind:
    """How a database is recognised.

    Parameters
    ----------
    title
        Its name in tables and messages.
    marks
        By edition, the fields of which a layer has at least one; no field stands for any layer.
    names
        By what names its fields go.
    """

    title: str
    marks: Mapping[str, tuple[str, ...]]
    names: Names

    def edition_of(self, schema: Schema) -> str | None:
        """Return the edition that a layer of polygons belongs to, None if to none."""
        if not any(word in (schema.geometry_type or "") for word in _FLAT):
            return None
        for edition, fields in self.marks.items():
            known = [name for field in fields for name in self.names.get(field, (field,))]
            if not fields or find_field(known, schema.fields):
                return edition
        return None


@dataclass(frozen=True)
class Content:
    """Content of the path: layers of one edition, its rules, and problems."""

    edition: str | None
    layers: tuple[DeliveryLayer, ...]
    rules: RuleSet | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class PlainDatabase:
    """A database of polygons that rules label.

    Parameters
    ----------
    source
        Section of the configuration.
    labelling
        Settings common to all sources.
    kind
        How its layers are recognised.
    """

    source: Database
    labelling: Labelling
    kind: Kind

    @property
    def name(self) -> str:
        """Title and edition."""
        edition = self.content.edition
        return f"{self.kind.title} {edition}" if edition in ("v1", "v2") else self.kind.title

    @property
    def priority(self) -> int:
        """Rank among the sources."""
        return self.source.rank

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all layers, and the rules."""
        content = self.content
        rules = content.rules.files if content.rules else ()
        return (*(file for layer in content.layers for file in layer.file.files), *rules)

    @property
    def vectors(self) -> tuple[VectorFile, ...]:
        """The layers that are read."""
        return tuple(layer.file for layer in self.content.layers)

    def check(self, problems: Problems) -> None:
        """Check files, fields, coordinate systems and rules.

        Problems found: no layer has the fields (``E-DELIVERY-FIELDS``), layers of several editions
        (``E-DELIVERY-EDITION``), no coordinate system (``E-CRS-MISSING``) or several
        (``W-CRS-SEVERAL``), and those of `load_rules`.
        """
        content = self.content
        problems.extend(content.problems)
        for layer in content.layers:
            layer.file.check([], problems)
        check_systems(content.layers, problems)

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return labelled features; problems as in `check`, and values without a rule."""
        before = len(problems.errors)
        content = self.content
        problems.extend(content.problems)
        features = self.features(window, problems)
        if features is None or content.rules is None or len(problems.errors) > before:
            return None
        labels = Labels(self.source, self.labelling)
        fields = (ID, *content.rules.fields)
        match = content.rules.first_match({name: features.table[name] for name in fields})
        labels.add(features, content.rules, match)
        found = labels.result(self.name, features.crs)
        report_unknown(found, self.source, self.labelling, problems)
        return None if len(problems.errors) > before else found

    def features(self, window: Window, problems: Problems) -> VectorFeatures | None:
        """Return all features that meet a window."""
        content = self.content
        if content.rules is None or not content.layers:
            return None
        reach = Reach(window, window)
        fields = content.rules.fields
        return read_features(content.layers, fields, reach, problems, self.kind.names)

    @cached_property
    def content(self) -> Content:
        """Content of the path; read once."""
        return self.found()

    def found(self) -> Content:
        """Look for layers, their edition and its rules."""
        problems = Problems()
        schemas = self._schemas(problems)
        editions = {layer: self.kind.edition_of(schema) for layer, schema in schemas.items()}
        found = sorted({edition for edition in editions.values() if edition is not None})
        requested = getattr(self.source, "version", "auto")
        wanted = [edition for edition in found if requested in ("auto", edition)]
        if len(wanted) != 1:
            self._report(wanted or found, schemas, problems)
            return Content(None, (), None, tuple(problems))
        layers = tuple(layer for layer, edition in editions.items() if edition == wanted[0])
        rules = load_rules(self.source, wanted[0], self.labelling.nomenclature, problems)
        return Content(wanted[0], layers, rules, tuple(problems))

    def _schemas(self, problems: Problems) -> dict[DeliveryLayer, Schema]:
        layers = all_layers(self.source.path, self.source.crs, problems)
        requested = getattr(self.source, "layer", None)
        if requested is not None and layers:
            layers = tuple(layer for layer in layers if requested in (layer.name, layer.file.layer))
            if not layers:
                message = f"layer {requested!r} is not there"
                problems.error("E-VECTOR-LAYER", message, self.source.path, "correct `layer`")
        read = {layer: layer.file.schema(problems) for layer in layers}
        return {layer: schema for layer, schema in read.items() if schema is not None}

    def _report(
        self, found: list[str], schemas: Mapping[DeliveryLayer, Schema], problems: Problems
    ) -> None:
        path, title = self.source.path, self.kind.title
        if len(found) > 1:
            message = f"{title} in several editions: {', '.join(found)}"
            hint = "make a source of each, or say which one with `version`"
            problems.error("E-DELIVERY-EDITION", message, path, hint)
        elif found:
            message = f"the fields are those of {title} {found[0]}"
            problems.error(
                "E-DELIVERY-EDITION", message, path, "correct `version`, or leave it out"
            )
        elif not problems.errors:
            marks = [name for fields in self.kind.marks.values() for name in fields]
            known = [name for mark in marks for name in self.kind.names.get(mark, (mark,))]
            there = "; ".join(
                f"{layer.file.name} ({schema.geometry_type}): {', '.join(schema.fields) or 'none'}"
                for layer, schema in list(schemas.items())[:_SHOWN]
            )
            message = (
                f"no layer of polygons has a field of {title} ({', '.join(known) or 'any'}); "
                f"found: {there or 'no .shp and no .gpkg'}"
            )
            problems.error(
                "E-DELIVERY-FIELDS", message, path, "check that it is this database, and complete"
            )


BDFORET = Kind("BD Forêt", {"v2": ("TFV_G11",), "v1": ("NOM_TYPN", "TYPN")}, ALIASES)
RANDOLPH = Kind("Randolph", {"all": ()}, ALIASES)


def bdforet(source: Database, labelling: Labelling) -> PlainDatabase:
    """Return BD Forêt as a source."""
    return PlainDatabase(source, labelling, BDFORET)


def randolph(source: Database, labelling: Labelling) -> PlainDatabase:
    """Return the Randolph Glacier Inventory as a source."""
    return PlainDatabase(source, labelling, RANDOLPH)
