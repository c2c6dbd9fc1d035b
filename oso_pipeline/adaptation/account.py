"""From what happened to the record of it, with its warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.diagnosis import Diagnosis, some_rows
from oso_pipeline.adaptation.domains import (
    Domains,
    Features,
    Floats,
    Labelled,
    Trainer,
    shares_of,
)
from oso_pipeline.adaptation.methods import Adapted, counts_of
from oso_pipeline.adaptation.record import (
    AdaptationRecord,
    GateRecord,
    Profiles,
    ShiftRecord,
)
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.wording import counted
from oso_pipeline.learners.forest.forest import Forest

MOST_VARIATION = 0.2
"""Proportions of the classes that move by a larger total variation raise a warning."""

_ENOUGH_TARGET, _LEAST_ANCHORS, _MOST_IN_PROFILE = 2000, 2, 20_000


@dataclass
class Notes:
    """Warnings, as they come up."""

    texts: list[str] = field(default_factory=list)

    def usable_anchors(self, anchors: Labelled, names: Mapping[int, str]) -> Labelled:
        """Return the anchors without classes that have fewer than two, and note these."""
        counts = counts_of(anchors.codes)
        few = sorted(code for code, n in counts.items() if n < _LEAST_ANCHORS)
        for code in few:
            self.texts.append(
                f"class {names[code]} has {counted(counts[code], 'anchor')} in the target year, "
                f"at least {_LEAST_ANCHORS} are needed: it is learnt from past years alone"
            )
        return anchors.where(~np.isin(anchors.codes, few))

    def can_look_at(self, domains: Domains, least: int) -> bool:
        """Return whether the target has enough samples, and note why not."""
        n, source = len(domains.target), domains.source.features
        if n < least:
            if n:
                self.texts.append(
                    f"only {counted(n, 'unlabelled sample')} of the target year, at least {least} "
                    "are needed: nothing was adapted"
                )
            return False
        if domains.target.shape == source.shape and np.array_equal(domains.target, source):
            self.texts.append(
                "the samples of the target year are those of the past years: nothing was adapted"
            )
            return False
        if n < _ENOUGH_TARGET:
            self.texts.append(
                f"{n} unlabelled samples of the target year are few, {_ENOUGH_TARGET} or more "
                "are better"
            )
        return True


@dataclass(frozen=True, eq=False)
class Account:
    """Events of the adaptation, in order."""

    method: str
    gate: str
    adapted: bool
    reason: str
    domains: Domains
    diagnosis: Diagnosis | None
    result: Adapted


def record_of(
    account: Account,
    trainer: Trainer,
    notes: Notes,
    names: Mapping[int, str],
    target_classes: npt.NDArray[Any],
) -> AdaptationRecord:
    """Return the record; `names` are the labels by code."""
    domains, diagnosis, result = account.domains, account.diagnosis, account.result
    known = {names[int(code)] for code in result.forest.classes}
    never = tuple(sorted({str(label) for label in target_classes} - known))
    if never:
        notes.texts.append(
            f"classes {', '.join(never)} of the target year are not among what the forest "
            "learnt: they are never predicted"
        )
    base = AdaptationRecord(
        method=account.method,
        gate=_gate_record(account, trainer),
        source_samples=len(domains.source),
        target_samples=len(domains.target),
        anchor_samples=len(domains.anchors),
        agreement=result.agreement,
        pseudo_labels={names[code]: n for code, n in result.pseudo_labels.items()},
        perennial_from_target=tuple(names[code] for code in result.without_past),
        perennial_with_past=tuple(names[code] for code in result.with_past),
        never_predicted=never,
        warnings=tuple(notes.texts),
    )
    if diagnosis is None:
        return base
    baseline = diagnosis.baseline.forest
    after = (
        shares_of(result.forest, domains.target)
        if result.forest is not baseline
        else diagnosis.target_shares
    )
    codes = sorted(names)
    before_share = _proportions(baseline, diagnosis.target_shares, codes)
    after_share = _proportions(result.forest, after, codes)
    variation = float(np.abs(before_share - after_share).sum() / 2)
    if variation > MOST_VARIATION:
        notes.texts.append(
            f"adaptation moved the proportions of the classes by a total variation of "
            f"{variation:.2f}, more than {MOST_VARIATION}: look at the map before you trust it"
        )
    shift = diagnosis.shift
    return AdaptationRecord(
        **{
            **base.__dict__,
            "shift": ShiftRecord(
                shift.mean, shift.sd, tuple(shift.days.tolist()), tuple(shift.weight.tolist())
            ),
            "proportions_before": _named(before_share, codes, names),
            "proportions_after": _named(after_share, codes, names),
            "total_variation": variation,
            "profiles": mean_profiles(domains, shift.mean, trainer),
            "warnings": tuple(notes.texts),
        }
    )


def mean_profiles(domains: Domains, delay: float, trainer: Trainer) -> tuple[Profiles, ...]:
    """Return the mean series of every band and index; none for a single date."""
    space = trainer.space
    if len(space.days) == 1:
        return ()
    rows = some_rows(len(domains.source), _MOST_IN_PROFILE, trainer.rng("profiles"))
    source = domains.source.features[rows]
    moved = space.shift(source, delay)
    means = [_mean_series(space, table) for table in (source, moved, domains.target)]
    return tuple(
        Profiles(name, space.days, *(tuple(mean[number].tolist()) for mean in means))
        for number, name in enumerate((*space.bands, *space.indices))
    )


def _mean_series(space: SeriesSpace, table: Features) -> Floats:
    """Return the mean of each band and index by date, shape ``(band or index, date)``."""
    mean, n_days = table.mean(axis=0), len(space.days)
    bands = mean[: space.n_series].reshape(n_days, len(space.bands)).T
    last = space.n_series + n_days * len(space.indices)
    indices = mean[space.n_series : last].reshape(len(space.indices), n_days)
    return np.concatenate([bands, indices]).round(3)


def _gate_record(account: Account, trainer: Trainer) -> GateRecord:
    options = trainer.options
    statistics = account.diagnosis and account.diagnosis.statistics
    return GateRecord(
        account.gate,
        account.adapted,
        account.reason,
        statistics.shift_days if statistics else None,
        statistics.discrepancy if statistics else None,
        statistics.confidence_drop if statistics else None,
        options.gate_min_shift_days,
        options.gate_min_discrepancy,
        options.gate_min_accuracy_drop,
        options.gate_large_discrepancy,
        statistics.source_polygons if statistics else None,
        options.min_source_polygons,
    )


def _proportions(forest: Forest, shares: Floats, codes: list[int]) -> Floats:
    predicted = forest.classes[shares.argmax(axis=1)]
    return np.array([(predicted == code).mean() for code in codes])


def _named(shares: Floats, codes: list[int], names: Mapping[int, str]) -> dict[str, float]:
    return {names[code]: float(share) for code, share in zip(codes, shares, strict=True)}
