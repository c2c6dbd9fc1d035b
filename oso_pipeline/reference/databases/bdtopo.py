"""BD TOPO: vegetation, water, buildings, zones of activity and roads of one or many departments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from pyproj import CRS

from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.reference.databases.closing import BuiltUp, Closing, LandCover, whole_squares
from oso_pipeline.reference.databases.deliveries import (
    DeliveryLayer,
    check_departments,
    find_layers,
    layers_there,
)
from oso_pipeline.reference.databases.kinds import BdTopoSource
from oso_pipeline.reference.databases.labelling import Labels, report_unknown
from oso_pipeline.reference.databases.layer_check import check_layers, check_presence, check_systems
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling, ReferenceSource
from oso_pipeline.reference.databases.vector_features import ID, Reach, read_features
from oso_pipeline.reference.rules.files import packaged_rules
from oso_pipeline.reference.rules.rule_set import NO_RULE, RuleSet, load_rules
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.window import Window

EDITIONS = ("v2", "v3")


@dataclass(frozen=True)
class BdTopo:
    """A delivery of BD TOPO, as folder of departments, GeoPackage or both.

    Parameters
    ----------
    source
        Section of the configuration.
    labelling
        Settings common to all sources.
    land_cover
        Land cover that separates dense from diffuse built-up land; None without one.
    """

    source: BdTopoSource
    labelling: Labelling
    land_cover: LandCover | None = None

    bytes_per_polygon: ClassVar[int] = 20_000
    """Of the files, for each polygon that is left: most are buildings, joined to units."""

    @property
    def name(self) -> str:
        """``BD TOPO v3``, from the layers."""
        found = self._content.edition
        return f"BD TOPO {found}" if found else "BD TOPO"

    @property
    def priority(self) -> int:
        """Rank among the sources."""
        return self.source.rank

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the layers that rules look at, and the rules."""
        content = self._content
        layers = (one for some in content.layers.values() for one in some)
        rules = content.rules.files if content.rules else ()
        return (*(file for layer in layers for file in layer.file.files), *rules)

    @property
    def vectors(self) -> tuple[VectorFile, ...]:
        """The layers that labels come from."""
        content = self._content
        if content.rules is None:
            return ()
        used = content.used(Labels(self.source, self.labelling))
        return tuple(layer.file for some in used.values() for layer in some)

    def beside(self, others: Sequence[ReferenceSource]) -> BdTopo:
        """Return the source with the first land cover among others."""
        found = next((one for one in others if isinstance(one, LandCover)), None)
        return replace(self, land_cover=found)

    def check(self, problems: Problems) -> None:
        """Check departments, layers, fields, coordinate systems, rules and the land cover.

        Problems found: nothing of BD TOPO is there, or both versions (``E-DELIVERY-EMPTY``),
        departments are missing (``E-DELIVERY-DEPARTMENT``) or delivered twice
        (``E-DELIVERY-TWICE``), layers are missing (``W-DELIVERY-LAYER``), fields
        (``E-VECTOR-COLUMN``), tables (``E-VECTOR-TABLE``) or coordinate systems (``E-CRS-MISSING``)
        are missing, systems differ (``W-CRS-SEVERAL``), no land cover classifies built-up units
        (``E-LAND-COVER-MISSING``), and those of `load_rules`.
        """
        content = self._content
        problems.extend(content.problems)
        if content.rules is None:
            return
        every = [layer for some in content.layers.values() for layer in some]
        check_departments(every, self._departments, self.source.path, problems)
        labels = Labels(self.source, self.labelling)
        used = content.used(labels)
        whole = check_layers(used, content.rules, self._skips, problems)
        check_presence(used, content.taken(labels), problems)
        check_systems([layer for some in used.values() for layer in some], problems)
        self._check_land_cover({layer.name for layer in whole}, content.rules, problems)

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        """Return labelled features and built-up units; problems as in `check`."""
        before = len(problems.errors)
        content = self._content
        problems.extend(content.problems)
        if content.rules is None:
            return None
        labels = Labels(self.source, self.labelling)
        used = content.used(labels)
        found = Problems()
        whole = check_layers(used, content.rules, self._skips, found)
        self._check_land_cover({layer.name for layer in whole}, content.rules, found)
        problems.extend(found.errors)
        if found.errors:
            return None
        built_up = BuiltUp(window, self.source.year)
        for name, layers in used.items():
            rules = content.rules.of_layer(name)
            present = [layer for layer in layers if layer in whole]
            self._read_layer(present, rules, (labels, built_up), problems)
        units, outside = built_up.units(self.land_cover, problems)
        labels.frames += units
        labels.left_out.update(outside)
        if len(problems.errors) > before:
            return None
        result = labels.result(self.name, _common_system(labels, window))
        report_unknown(result, self.source, self.labelling, problems)
        return None if len(problems.errors) > before else result

    def _read_layer(
        self,
        layers: list[DeliveryLayer],
        rules: RuleSet,
        into: tuple[Labels, BuiltUp],
        problems: Problems,
    ) -> None:
        labels, built_up = into
        closes = any(rule.operation.kind == "close" for rule in rules.rules)
        read = whole_squares(built_up.window) if closes else built_up.window
        if not layers:
            return
        reach = Reach(built_up.window, read)
        features = read_features(layers, rules.fields, reach, problems)
        if features is None or not len(features):
            return
        match = rules.first_match({name: features.table[name] for name in (ID, *rules.fields)})
        labels.add(features, rules, match)
        for position in np.unique(match[match != NO_RULE]):
            rule = rules.rules[position]
            taken = labels.taken(rule, rules)
            if taken and rule.operation.kind == "close":
                built_up.add(features.take(match == position), Closing.of(taken))

    @property
    def _departments(self) -> tuple[str, ...]:
        return tuple(str(one) for one in self.source.departments)

    @property
    def _skips(self) -> bool:
        return self.source.incomplete == "skip"

    def _check_land_cover(self, layers: set[str], rules: RuleSet, problems: Problems) -> None:
        labels = Labels(self.source, self.labelling)
        wanting = (rule for rule in rules.rules if rule.inside and rule.layer in layers)
        missing = {rule.code for rule in wanting if labels.takes(rule)}
        if not missing or self.land_cover is not None:
            return
        codes = ", ".join(str(code) for code in sorted(missing, key=str))
        message = (
            f"classes {codes} are buildings inside classes of Corine Land Cover, "
            "and no source of kind clc is configured"
        )
        hint = (
            "add a source of kind clc (with labels: false it serves this purpose only), "
            "or name the other classes as `classes` of BD TOPO"
        )
        problems.error("E-LAND-COVER-MISSING", message, self.source.path, hint)

    @cached_property
    def _content(self) -> _Content:
        problems = Problems()
        names = {edition: _layer_names(edition) for edition in EDITIONS}
        every = [name for some in names.values() for name in some]
        layers = find_layers(self.source.path, every, self.source.crs, problems)
        edition = self._edition(layers, names, problems)
        if edition is None:
            return _Content(None, None, {}, tuple(problems))
        rules = load_rules(self.source, edition, self.labelling.nomenclature, problems)
        own = () if rules is None else {rule.layer for rule in rules.rules if rule.layer}
        if set(own) - set(every):
            layers = find_layers(self.source.path, [*own], self.source.crs, Problems())
        by_name: dict[str, list[DeliveryLayer]] = defaultdict(list)
        for layer in layers:
            by_name[layer.name].append(layer)
        ordered = {name: tuple(by_name[name]) for name in own if name in by_name}
        return _Content(edition, rules, dict(sorted(ordered.items())), tuple(problems))

    def _edition(
        self, layers: tuple[DeliveryLayer, ...], names: Mapping[str, set[str]], problems: Problems
    ) -> str | None:
        present = {
            edition: sorted({layer.delivery for layer in layers if layer.name in some})
            for edition, some in names.items()
        }
        found = [edition for edition in EDITIONS if present[edition]]
        if self.source.version in found:
            return self.source.version
        if len(found) == 1 and self.source.version == "auto":
            return found[0]
        if problems.errors:
            return None
        path = self.source.path
        if len(found) == 2:
            message = "; ".join(f"{edition}: {', '.join(present[edition])}" for edition in found)
            hint = "make two sources of them, or say which one with `version`"
            problems.error("E-DELIVERY-EDITION", f"two versions of BD TOPO: {message}", path, hint)
        elif found:
            message = f"the layers are those of BD TOPO {found[0]}, not {self.source.version}"
            problems.error(
                "E-DELIVERY-EDITION", message, path, "correct `version`, or leave it out"
            )
        else:
            message = f"there is no layer of BD TOPO; found: {layers_there(path)}"
            hint = "expected layers like BATIMENT (v3) or BATI_INDIFFERENCIE (v2), .shp or .gpkg"
            problems.error("E-DELIVERY-EMPTY", message, path, hint)
        return None


@dataclass(frozen=True)
class _Content:
    """Edition, rules, and deliveries of every layer that the rules name."""

    edition: str | None
    rules: RuleSet | None
    layers: Mapping[str, tuple[DeliveryLayer, ...]]
    problems: tuple[Problem, ...]

    def taken(self, labels: Labels) -> set[str]:
        """Return the layers that rules take something from, there or not."""
        rules = self.rules.rules if self.rules else ()
        return {rule.layer for rule in rules if rule.layer and labels.takes(rule)}

    def used(self, labels: Labels) -> dict[str, tuple[DeliveryLayer, ...]]:
        """Return the deliveries of the layers that rules take something from."""
        taken = self.taken(labels)
        return {name: layers for name, layers in self.layers.items() if name in taken}


def _layer_names(edition: str) -> set[str]:
    """Return the layers that identify an edition: those that may give a class."""
    rules = packaged_rules("bdtopo", edition).rules
    return {rule.layer for rule in rules if rule.use != "exclude" and rule.layer}


def _common_system(labels: Labels, window: Window) -> CRS:
    """Return the coordinate system of all that was labelled, or that of the map."""
    systems = [frame.crs for frame in labels.frames]
    same = bool(systems) and all(crs == systems[0] for crs in systems)
    return systems[0] if same else CRS.from_epsg(window.epsg)
