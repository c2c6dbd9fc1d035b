"""From features and rules to labelled polygons, with what was left out and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import CRS

from oso_pipeline.config.reference import Database, Source
from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling, labelled_frame
from oso_pipeline.reference.databases.vector_features import ID, VectorFeatures, projected
from oso_pipeline.reference.rules.rule_set import NO_RULE, Rule, RuleSet
from oso_pipeline.vectors.areas import hectares

NOT_TAKEN = "class not taken from this source"
DOUBLE = "also in another delivery"
UNKNOWN = "unknown value"

_SHOWN = 10


@dataclass
class Labels:
    """Collects what a database yields in a window.

    Parameters
    ----------
    source
        Section of the configuration.
    labelling
        Settings common to all sources.
    frames
        Labelled features so far, as `labelled_frame` makes them.
    n_features, left_out, values, value_hectares
        As in `LabelledPolygons`.
    """

    source: Database
    labelling: Labelling
    frames: list[geopandas.GeoDataFrame] = field(default_factory=list)
    n_features: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    value_hectares: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def takes(self, rule: Rule) -> bool:
        """Whether a rule gives a class that is taken from this source."""
        classes = self.source.classes
        return rule.code is not None and (classes is None or rule.code in classes)

    def taken(self, rule: Rule, rules: RuleSet) -> tuple[Rule, ...]:
        """Return the rules with a class that is taken among those that look for the same."""
        alike = (one for one in rules.rules if one.tests == rule.tests)
        return tuple(one for one in alike if self.takes(one) and one.operation == rule.operation)

    def add(self, features: VectorFeatures, rules: RuleSet, match: npt.NDArray[np.int32]) -> None:
        """Label features by the position of their rule; closing is not done here."""
        self._count(features, rules, match)
        for position in np.unique(match[match != NO_RULE]):
            rule = rules.rules[position]
            if self.takes(rule) and rule.operation.kind != "close":
                self._label(features.take(match == position), rule)

    def result(self, name: str, crs: CRS) -> LabelledPolygons:
        """Return all that was added, in one coordinate system."""
        empty = labelled_frame({name: [] for name in _COLUMNS}, np.empty(0, dtype=object), crs)
        frames = [
            frame.set_geometry(projected(np.asarray(frame.geometry), frame.crs, crs), crs=crs)
            for frame in self.frames
        ]
        whole = pd.concat(frames, ignore_index=True) if frames else empty
        left_out = {reason: count for reason, count in self.left_out.items() if count}
        unknown = dict(self.values), dict(self.value_hectares)
        return LabelledPolygons(name, whole, self.n_features, left_out, *unknown)

    def _count(
        self, features: VectorFeatures, rules: RuleSet, match: npt.NDArray[np.int32]
    ) -> None:
        self.n_features += int(features.owned.sum()) + features.n_doubles
        self.left_out[DOUBLE] += features.n_doubles
        counts = Counter(match[features.owned].tolist())
        for position, count in counts.items():
            if position == NO_RULE:
                self.left_out[UNKNOWN] += count
                continue
            rule = rules.rules[position]
            if rule.code is None:
                self.left_out[f"{rule.why}: {rule.id}"] += count
            elif not self.taken(rule, rules):
                self.left_out[NOT_TAKEN] += count
        unknown = features.take((match == NO_RULE) & features.owned)
        described = _described(unknown.table, rules)
        self.values.update(described)
        areas = hectares(unknown.geometries, unknown.crs).tolist()
        for value, area in zip(described, areas, strict=True):
            self.value_hectares[value] += area

    def _label(self, features: VectorFeatures, rule: Rule) -> None:
        given = rule.operation.metres
        metres = self.labelling.erosion_m if given is None else given
        widths = None
        if rule.operation.half_of is not None:
            widths = _half_widths(features.table[rule.operation.half_of], metres)
        columns = {
            "source_id": features.table[ID].astype(str).to_numpy(),
            "code": rule.code,
            "year": self.source.year,
            "rule": rule.id,
            "operation": rule.operation.kind,
            "metres": metres if widths is None else widths,
            "area_ha": hectares(features.geometries, features.crs),
        }
        self.frames.append(labelled_frame(columns, features.geometries, features.crs))


def report_unknown(
    found: LabelledPolygons, source: Source, labelling: Labelling, problems: Problems
) -> None:
    """Report values without a rule, as error or warning (``CLASS-UNKNOWN``), with counts."""
    unknown = Counter(dict(found.values))
    if not unknown:
        return
    areas = found.value_hectares
    shown = [f"{v} ({n}, {areas.get(v, 0.0):.1f} ha)" for v, n in sorted(unknown.items())]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    message = (
        f"{unknown.total()} features of {found.name} have values without a rule: "
        f"{'; '.join(shown[:_SHOWN])}{more}"
    )
    hint = "map or exclude them with `rules`, or leave them out with `unknown_codes: drop`"
    if labelling.unknown_codes == "error":
        problems.error("E-CLASS-UNKNOWN", message, source.path, hint)
    else:
        problems.warn("W-CLASS-UNKNOWN", message, source.path, hint)


_COLUMNS: Sequence[str] = (
    "source_id", "code", "year", "rule", "operation", "metres", "area_ha", "side",
)  # fmt: skip


def _described(table: pd.DataFrame, rules: RuleSet) -> list[str]:
    """Return per feature the values that the rules looked at, as ``LAYER FIELD=value``."""
    fields = [name for name in rules.fields if any(name in rule.tests for rule in rules.rules)]
    layer = next((f"{rule.layer} " for rule in rules.rules if rule.layer), "")
    rows = table[fields].itertuples(index=False)
    return [
        layer + ", ".join(f"{name}={value}" for name, value in zip(fields, row, strict=True))
        for row in rows
    ]


def _half_widths(widths: pd.Series, otherwise: float) -> npt.NDArray[np.float64]:
    """Return half of each width in metres, and another number where none is given."""
    numbers = pd.to_numeric(widths, errors="coerce").to_numpy(dtype=np.float64)
    given = np.isfinite(numbers) & (numbers > 0)
    return np.where(given, numbers / 2, otherwise)
