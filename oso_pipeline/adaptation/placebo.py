"""What the gate sees where nothing differs: halves of the past years, cut by polygon.

The past years are compared with themselves, many times over. Each time, a random half of their
polygons trains a small forest and the other half plays the mapped year. Such a pair differs in
its fields and in nothing else, so what the statistics reach there is what chance gives them: a
placebo. The other half has labels as well, which show how many more errors the forest would make
if the season moved by the shift that was found.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.comparison import compare
from oso_pipeline.adaptation.domains import Domains, Features, Labelled, Trainer, shares_of
from oso_pipeline.adaptation.gate import Placebo, Spread
from oso_pipeline.adaptation.signals import LEAST_PER_CLASS
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.forest.forest import Forest

HALVINGS = 12
"""Few: the limits know how little they say of a standard deviation."""
_LEAST_HALVINGS = 8
_MOST_IN_HALF, _TREES = 1000, 48
"""Small forests of few samples scatter more than the real ones: the placebo errs towards shut."""


def placebo(domains: Domains, shift_days: float, trainer: Trainer) -> Placebo | None:
    """Compare halves of the past years.

    Parameters
    ----------
    domains
        Samples of the past years, and which classes stay.
    shift_days
        Shift found in the mapped year, for what it would cost.
    trainer
        Settings of the forests, which have at most 48 trees here.

    Returns
    -------
    placebo
        None where fewer than eight halves can train a forest of two classes.
    """
    source = domains.source
    rng, polygons = trainer.rng("placebo"), np.unique(source.polygons)
    few = trainer.settings.model_copy(update={"n_trees": min(_TREES, trainer.settings.n_trees)})
    seen, errors = [], []
    for number in range(HALVINGS):
        first = np.isin(source.polygons, rng.permutation(polygons)[: len(polygons) // 2])
        past = source.where(first).at_most(_MOST_IN_HALF, rng)
        other = source.where(~first).at_most(_MOST_IN_HALF, rng)
        if len(np.unique(past.codes)) < 2 or not len(other):
            continue
        small = replace(
            trainer, settings=few, seed=derived_seed(trainer.seed, "placebo", number), threads=1
        )
        taught = small.bagged("baseline", past.features, past.codes)
        found = compare(past, taught, other.features, other.polygons, small, LEAST_PER_CLASS // 2)
        seen.append((found.shift.mean, found.discrepancy, found.confidence_drop))
        crops = ~domains.is_perennial(other.codes)
        moved = small.space.shift(other.features, shift_days)
        wrong = [_wrong(taught.forest, table, other) for table in (other.features, moved)]
        errors.append([_share(one, rows) for rows in (crops | True, crops) for one in wrong])
    if len(seen) < _LEAST_HALVINGS:
        return None
    shift, discrepancy, drop = (Spread.of(column) for column in np.array(seen).T)
    all_now, all_moved, crops_now, crops_moved = (_mean(column) for column in np.array(errors).T)
    if all_now is None or all_moved is None:
        return None
    return Placebo(len(seen), shift, discrepancy, drop, all_now, all_moved, crops_now, crops_moved)


def _wrong(forest: Forest, features: Features, truth: Labelled) -> npt.NDArray[np.bool_]:
    """Return which samples the forest gives another class than theirs."""
    return np.asarray(forest.classes[shares_of(forest, features).argmax(axis=1)] != truth.codes)


def _share(wrong: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_]) -> float:
    return float(wrong[rows].mean()) if rows.any() else np.nan


def _mean(shares: npt.NDArray[np.float64]) -> float | None:
    """Return the mean of those that are known; None where none is."""
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if len(known) else None
