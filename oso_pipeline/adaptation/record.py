"""Record of an adaptation, for the model file and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from oso_pipeline.adaptation.gate import GateStatistics


@dataclass(frozen=True)
class GateRecord:
    """The decision of the gate.

    Parameters
    ----------
    mode
        ``auto``, ``always`` or ``never``.
    adapted
        Whether the method was applied.
    reason
        Why, in a sentence.
    shift_days, discrepancy, confidence_drop
        The statistics; None where there was no target to look at. They are not estimates of
        accuracy.
    min_shift_days, min_discrepancy, min_confidence_drop
        The thresholds; the second and third count together.
    large_discrepancy
        Discrepancy that opens the gate alone.
    source_polygons, min_source_polygons
        Polygons of past years, None where there was no target, and how many are needed.
    """

    mode: str
    adapted: bool
    reason: str
    shift_days: float | None
    discrepancy: float | None
    confidence_drop: float | None
    min_shift_days: float
    min_discrepancy: float
    min_confidence_drop: float
    large_discrepancy: float
    source_polygons: int | None
    min_source_polygons: int

    @property
    def statistics(self) -> GateStatistics | None:
        """Statistics of the gate; None without a target."""
        if (
            self.shift_days is None
            or self.discrepancy is None
            or self.confidence_drop is None
            or self.source_polygons is None
        ):
            return None
        return GateStatistics(
            self.shift_days, self.discrepancy, self.confidence_drop, self.source_polygons
        )


@dataclass(frozen=True)
class ShiftRecord:
    """The delay of the target year.

    Parameters
    ----------
    mean_days, sd_days
        Mean and standard deviation; positive where the target is later.
    days, weight
        The delays tried and the probability of each.
    """

    mean_days: float
    sd_days: float
    days: tuple[float, ...]
    weight: tuple[float, ...]


@dataclass(frozen=True)
class Profiles:
    """Mean series of one band or index, in the units of the table, for a picture.

    Parameters
    ----------
    name
        Band or index.
    days
        Days of the dates since the first.
    source, aligned, target
        Mean over the samples of the past years, of these moved by the mean shift, and of the
        target year.
    """

    name: str
    days: tuple[int, ...]
    source: tuple[float, ...]
    aligned: tuple[float, ...]
    target: tuple[float, ...]


@dataclass(frozen=True)
class AdaptationRecord:
    """Statistics, decisions and actions of an adaptation.

    Parameters
    ----------
    method
        Requested method.
    gate
        Whether it was applied, and why.
    source_samples, target_samples, anchor_samples
        How many there were.
    shift
        None without a target.
    agreement
        Share of the target samples on whose class two views agree; None if not computed.
    proportions_before, proportions_after
        Share of the target samples by predicted class, baseline and result.
    total_variation
        Half the sum of the differences between these, 0 to 1.
    pseudo_labels
        Target samples that taught, by class.
    perennial_from_target, perennial_with_past
        Perennial classes with anchors: learnt from the target year alone, or with past years.
    never_predicted
        Classes of the target year that the forest was not trained on.
    profiles
        Mean series.
    warnings
        Warnings for the user, in sentences.
    """

    method: str
    gate: GateRecord
    source_samples: int
    target_samples: int
    anchor_samples: int
    shift: ShiftRecord | None = None
    agreement: float | None = None
    proportions_before: Mapping[str, float] = field(default_factory=dict)
    proportions_after: Mapping[str, float] = field(default_factory=dict)
    total_variation: float | None = None
    pseudo_labels: Mapping[str, int] = field(default_factory=dict)
    perennial_from_target: tuple[str, ...] = ()
    perennial_with_past: tuple[str, ...] = ()
    never_predicted: tuple[str, ...] = ()
    profiles: tuple[Profiles, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AdaptationRecord:
        """Return the record that :meth:`to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not one.
        """
        values = dict(content)
        values["gate"] = GateRecord(**values["gate"])
        if values.get("shift") is not None:
            values["shift"] = ShiftRecord(**_tuples(values["shift"]))
        values["profiles"] = tuple(Profiles(**_tuples(p)) for p in values["profiles"])
        return cls(**_tuples(values))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, GateRecord | ShiftRecord | Profiles):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
