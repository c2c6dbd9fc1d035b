"""Whether two years differ so much that adaptation is worth its risk, without labels.

Three signals, each against what it is between halves of the past years
(:mod:`oso_pipeline.adaptation.placebo`), and the errors that the shift would add.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import stdtrit

from oso_pipeline.adaptation.domains import Floats
from oso_pipeline.adaptation.options import AdaptationOptions

Gate = Literal["auto", "always", "never"]

_CLEAR, _WITHOUT_LABELS = 2, 1.5
_MUCH = 0.04
"""Errors that a shift adds and that count whatever their share: adaptation costs up to 0.03."""
_LEAST_ERROR = 0.02
"""A forest that errs less has nothing to gain."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a statistic over the halvings of a placebo."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """Return the spread of values, shape ``(halving,)``."""
        return cls(float(values.mean()), float(values.std(ddof=1)))

    def margin(self, n: int, chance: float) -> float:
        """Return how far above the mean one more value lies with a chance of at most `chance`.

        The limit of a prediction interval of normal values, ``t sd sqrt(1 + 1/n)``, one-sided.
        """
        return float(stdtrit(n - 1, 1 - chance)) * self.sd * math.sqrt(1 + 1 / n)


@dataclass(frozen=True)
class Placebo:
    """What the statistics are between halves of the past years, where nothing differs.

    Parameters
    ----------
    halvings
        How many there were.
    shift_days, discrepancy, confidence_drop
        Spread of each statistic over them.
    error, error_moved
        Share of the other half that a forest of one half gets wrong, as it is and moved by the
        shift of the mapped year.
    crop_error, crop_error_moved
        The same of annual classes (crops) alone; None without any.
    """

    halvings: int
    shift_days: Spread
    discrepancy: Spread
    confidence_drop: Spread
    error: float
    error_moved: float
    crop_error: float | None
    crop_error_moved: float | None

    def limits(self, level: float) -> tuple[float, float, float]:
        """Return what each statistic exceeds with a chance of `level` where nothing differs.

        Shifts count in both directions, about none; the others upwards.
        """
        n, shift = self.halvings, self.shift_days
        return (
            abs(shift.mean) + shift.margin(n, level / 2),
            self.discrepancy.mean + self.discrepancy.margin(n, level),
            self.confidence_drop.mean + self.confidence_drop.margin(n, level),
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Placebo:
        """Return the placebo of JSON types."""
        spreads = ("shift_days", "discrepancy", "confidence_drop")
        return cls(**{**content, **{name: Spread(**content[name]) for name in spreads}})

    @property
    def error_growth(self) -> float:
        """Growth of the errors of crops by the shift, as a share of them; of all without crops.

        Errors of less than 2 % count as 2 %: a share of nearly none says nothing.
        """
        return self.error_added / max(self._errors[0], _LEAST_ERROR)

    @property
    def error_added(self) -> float:
        """Share of crops that the shift makes the forest get wrong; of all without crops."""
        error, moved = self._errors
        return moved - error

    @property
    def _errors(self) -> tuple[float, float]:
        if self.crop_error is None or self.crop_error_moved is None:
            return self.error, self.error_moved
        return self.crop_error, self.crop_error_moved

    def is_surer(self, confidence_drop: float, level: float) -> bool:
        """Return whether the forest is surer of a target than chance allows."""
        drop = self.confidence_drop
        return confidence_drop < drop.mean - drop.margin(self.halvings, level)


@dataclass(frozen=True)
class GateStatistics:
    """Statistics for the decision of the gate.

    Parameters
    ----------
    shift_days
        Mean delay of the target.
    discrepancy
        See :func:`~oso_pipeline.adaptation.signals.class_discrepancy`.
    confidence_drop
        See :func:`~oso_pipeline.adaptation.signals.confidence_drop`.
    source_polygons
        Polygons of past years that the samples come from.
    placebo
        The same between halves of the past years; None where they could not be compared.
    has_labels
        Whether any label of the target is known.
    """

    shift_days: float
    discrepancy: float
    confidence_drop: float
    source_polygons: int
    placebo: Placebo | None = None
    has_labels: bool = True

    def decision(self, options: AdaptationOptions) -> tuple[bool, str]:
        """Return whether the gate opens, and why.

        A statistic counts from its least value on (`options`) if it also exceeds what halves of
        the past years show. The gate opens

        * at a large discrepancy;
        * at a discrepancy with a loss of confidence;
        * at twice the least discrepancy unless the forest is surer than of half of the past
          years, by more than a standard deviation;
        * at a discrepancy if the forest is not surer at all; without any label of the target
          only if there is a shift as well;
        * at a shift alone that would add enough errors, half as many again without any label,
          unless the forest is surer than chance allows.

        A forest that is nearly always right, as sure as it was, opens at none of the first four.
        """
        if self.source_polygons < options.min_source_polygons:
            return False, (
                f"past years have {self.source_polygons} polygons, fewer than "
                f"{options.min_source_polygons}: they describe these fields, not the season"
            )
        if self.placebo is None:
            return False, "past years have too few polygons to compare their halves"
        limits = self.placebo.limits(options.gate_level)
        shifted = abs(self.shift_days) >= max(options.gate_min_shift_days, limits[0])
        if self.discrepancy >= max(options.gate_min_discrepancy, limits[1]):
            reason = self._of_classes(self.placebo, shifted, limits[2], options)
            if reason:
                return True, reason
        if not shifted:
            return False, (
                "the target differs from the past years no more than their halves from each "
                "other, or too little to gain from it"
            )
        return self._of_shift(self.placebo, options)

    def _of_classes(
        self, placebo: Placebo, shifted: bool, drop_limit: float, options: AdaptationOptions
    ) -> str:
        """Return why the gate opens for classes that differ; empty if it does not."""
        classes = f"the series of the classes differ by {self.discrepancy:.2f} variances"
        usual, drop = placebo.confidence_drop, self.confidence_drop
        if placebo.error + max(drop, 0) < _LEAST_ERROR:
            return ""
        if self.discrepancy >= options.gate_large_discrepancy:
            return classes
        if drop >= max(options.gate_min_accuracy_drop, drop_limit):
            return f"{classes} and the forest of the past years is less sure"
        if (
            self.discrepancy >= _CLEAR * options.gate_min_discrepancy
            and drop >= usual.mean - usual.sd
        ):
            return f"{classes} and the forest is hardly surer for it"
        if drop < usual.mean:
            return ""
        if shifted:
            return f"{classes} and {self._season}"
        return f"{classes} and the forest is not surer for it" if self.has_labels else ""

    def _of_shift(self, placebo: Placebo, options: AdaptationOptions) -> tuple[bool, str]:
        """Return whether the errors that the shift would add open the gate, and why."""
        if placebo.is_surer(self.confidence_drop, options.gate_level):
            return False, f"{self._season}, but the forest of the past years is surer of it"
        growth = placebo.error_growth
        least = least_growth(options.gate_min_error_growth, self.has_labels)
        cost = (
            f"{self._season}, which changes the errors of the past years' forest in crops by "
            f"{100 * growth:+.0f} %"
        )
        if growth >= least or placebo.error_added >= least_growth(_MUCH, self.has_labels):
            return True, cost
        return False, f"{cost}, less than the {100 * least:+.0f} % from which adaptation pays"

    @property
    def _season(self) -> str:
        direction = "later" if self.shift_days > 0 else "earlier"
        return f"the season is {abs(self.shift_days):.1f} days {direction}"


def least_growth(least: float, has_labels: bool) -> float:
    """Return the growth of errors from which a shift counts, more without any label."""
    return least if has_labels else _WITHOUT_LABELS * least
