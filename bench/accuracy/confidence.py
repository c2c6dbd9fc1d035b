"""Calibration, class sets and unknown ground on real data: ``python -m bench.accuracy.confidence``.

Whole polygons are held out, 30 of 100 of each class, in 20 splits. Tables are fitted as the stage
`train` does. See docs/confidence.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import PROJECT, RESULTS
from bench.accuracy.central_asia import central_asia
from bench.accuracy.confidence_tables import write_page
from bench.accuracy.flanders import YEARS, flanders, prepare
from bench.accuracy.france import france
from bench.accuracy.peers_of_calibration import OTHERS
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.forest.learner import LEARNER
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.protocol import Classifier, TrainingData
from oso_pipeline.learning.confidence.calibration import calibration_table, percent_of
from oso_pipeline.learning.confidence.class_sets import LEVELS, OWN, scores, set_thresholds
from oso_pipeline.learning.confidence.out_of_domain import entropy, entropy_quantiles, strangeness
from oso_pipeline.learning.confidence.out_of_fold import OutOfFold, cross_fit
from oso_pipeline.learning.confidence.tables import LEAST_POLYGONS
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.validation.calibration import Forecasts, reliability

SPLITS, UNKNOWN_SPLITS, SHARE, FOLDS, LEVEL = 20, 2, 0.3, 4, 90
_SIMULATED = 200
_FIGURES = RESULTS / "confidence.json"
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What models say of held-out pixels, and of their own pixels out of fold."""

    known: OutOfFold
    new: OutOfFold


RAW = np.arange(101) / 100
"""Vote shares taken as probabilities."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on all real sets and write the results and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "accuracy")
    parser.add_argument("--splits", type=int, default=SPLITS)
    options = parser.parse_args(arguments)
    if not (options.work / "flanders_2019" / "samples").is_dir():
        prepare(options.data, options.work)
    sets = [france(options.data), central_asia(options.data)]
    sets += [flanders(options.data, options.work, year) for year in YEARS]
    result: dict[str, Any] = {"splits": options.splits, "level": LEVEL, "sets": {}}
    for one in sets:
        least = 2 if one.samples.name.startswith("Flanders") else 10
        samples = one.samples.with_polygons(least)
        result["sets"][samples.name] = measured(samples, options.splits)
        print(samples.name, flush=True)
        _FIGURES.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_page(result)


def measured(samples: LabelledSamples, splits: int) -> dict[str, Any]:
    """Return all figures of a set; of one with too few polygons those of unknown ground alone."""
    polygons = len(np.unique(samples.polygons))
    size = {"polygons": polygons, "samples": len(samples)}
    if polygons * (1 - SHARE) < LEAST_POLYGONS:
        return {**size, "unknown": unknown(samples)}
    outcomes = [outcome(samples, held_out(samples, seed), seed) for seed in range(splits)]
    return {
        **size,
        "calibration": calibration(outcomes),
        "sets": coverage(outcomes),
        "unknown": unknown(samples),
        "elsewhere": [
            elsewhere(name, samples, rows) for name, rows in regions(samples) if rows.sum() > 60
        ],
    }


def held_out(samples: LabelledSamples, seed: int) -> Mask:
    """Return which samples lie in a random 30 of 100 polygons of each class."""
    polygons, first = np.unique(samples.polygons, return_index=True)
    rng = np.random.default_rng(derived_seed(seed, "confidence split"))
    chosen = np.zeros(len(polygons), bool)
    for code in np.unique(samples.codes):
        members = rng.permutation(np.flatnonzero(samples.codes[first] == code))
        chosen[members[: max(1, round(SHARE * len(members)))]] = True
    return np.isin(samples.polygons, polygons[chosen])


def outcome(samples: LabelledSamples, out: Mask, seed: int) -> Outcome:
    """Train on the others and predict what is held out."""
    settings = ForestSettings()
    data = TrainingData(samples.features[~out], samples.codes[~out], samples.layout)

    def fit(part: TrainingData, own: int) -> Classifier:
        return LEARNER.fit(part, settings, own)

    known = cross_fit(data, samples.polygons[~out], FOLDS, derived_seed(seed, "folds"), fit)
    final = fit(data, derived_seed(seed, "train"))
    shares = final.probabilities(np.ascontiguousarray(samples.features[out].T)).T
    found = OutOfFold(shares, final.classes, samples.codes[out], samples.polygons[out])
    return Outcome(known, found)


def calibration(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return calibration error, floor and Brier score of each method, means over the splits."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in outcomes:
        _, share, right = _forecast(one.known)
        tables = {"Venn-Abers": calibration_table(one.known) / 100, "vote share": RAW}
        tables |= {name: method(share, right) for name, method in OTHERS.items()}
        _, share, right = _forecast(one.new)
        for name, table in tables.items():
            forecasts = Forecasts(table[share], right, one.new.polygon_id)
            found.setdefault(name, []).append(reliability(forecasts, 0))
    keys = ("error", "floor", "floor_high", "brier", "mean_probability", "right")
    result: dict[str, Any] = {}
    for name, each in found.items():
        result[name] = {key: float(np.mean([one[key] for one in each])) for key in keys}
        above = [one["error"] - one["floor"] for one in each]
        result[name]["above"] = float(np.mean(above))
        result[name]["above_se"] = float(np.std(above, ddof=1) / np.sqrt(len(above)))
    return result


def coverage(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return coverage pooled over the splits with its exact interval, and each class's chance.

    The interval is what exchangeable polygons with scores of no ties give in the same splits.
    """
    classes, number = outcomes[0].new.classes, LEVELS.index(LEVEL)
    inside, sizes = [], []
    for one in outcomes:
        reached = scores(one.new.shares) >= set_thresholds(one.known)[:, number] - 1e-9
        inside.append(reached[np.arange(len(reached)), one.new.column])
        sizes.append(reached.sum(axis=1))
    pooled, by_class = _covered(outcomes, inside, len(classes))
    rng = np.random.default_rng(0)
    drawn = [_simulated(outcomes, rng) for _ in range(_SIMULATED)]
    all_pooled = np.array([one[0] for one in drawn])
    chance = (np.array([one[1] for one in drawn]) <= by_class + 1e-9).mean(axis=0)
    return {
        "coverage": pooled,
        "low": float(np.quantile(all_pooled, 0.025)),
        "high": float(np.quantile(all_pooled, 0.975)),
        "mean_size": float(np.mean(np.concatenate(sizes))),
        "empty": float(np.mean(np.concatenate(sizes) == 0)),
        "classes": {
            str(code): {"coverage": float(by_class[at]), "chance": float(chance[at])}
            for at, code in enumerate(classes)
        },
    }


def unknown(samples: LabelledSamples) -> dict[str, Any]:
    """Return the area under the curve for each class that is left out of training."""
    from sklearn.metrics import roc_auc_score

    areas, flagged = {}, {}
    for code in np.unique(samples.codes):
        found = []
        for seed in range(UNKNOWN_SPLITS):
            out = held_out(samples, seed) & (samples.codes != code)
            rest = samples.take(samples.codes != code)
            if len(np.unique(rest.codes)) < 2:
                continue
            one = outcome(rest, out[samples.codes != code], seed)
            known, odd = one.new.shares, _odd(samples, code, rest, out, seed)
            quantiles = entropy_quantiles(one.known)
            label = np.repeat([0, 1], [len(known), len(odd)])
            values = np.concatenate([entropy(known), entropy(odd)])
            strange = strangeness(odd, quantiles) >= 95
            found.append((roc_auc_score(label, values), strange.mean()))
        if found:
            areas[str(code)], flagged[str(code)] = np.mean(found, axis=0).tolist()
    return {"auroc": areas, "mean": float(np.mean(list(areas.values()))), "flagged": flagged}


def regions(samples: LabelledSamples) -> Iterator[tuple[str, Mask]]:
    """Yield regions and years, and which samples lie in them, where others have the classes."""
    for column in ("region", "year"):
        values = samples.columns[column]
        for value in np.unique(values) if len(np.unique(values)) > 1 else ():
            inside = values == value
            shared = np.intersect1d(samples.codes[inside], samples.codes[~inside])
            if len(shared) > 1:
                yield f"{column} {value}", inside & np.isin(samples.codes, shared)


def elsewhere(name: str, samples: LabelledSamples, rows: Mask) -> dict[str, Any]:
    """Return calibration and coverage where no training polygon lies."""
    column, value = name.split(" ", 1)
    taken = samples.take(rows | (samples.columns[column] != value))
    one = outcome(taken, taken.columns[column] == value, 0)
    _, share, right = _forecast(one.new)
    table = calibration_table(one.known) / 100
    found = {
        key: reliability(Forecasts(values[share], right, one.new.polygon_id), 0)
        for key, values in (("raw", RAW), ("calibrated", table))
    }
    reached = scores(one.new.shares) >= set_thresholds(one.known)[:, LEVELS.index(LEVEL)] - 1e-9
    return {
        "name": name,
        "polygons": one.new.polygons,
        "right": float(right.mean()),
        "probability": found["calibrated"]["mean_probability"],
        "error_raw": found["raw"]["error"],
        "error": found["calibrated"]["error"],
        "floor": found["calibrated"]["floor"],
        "coverage": float(reached[np.arange(len(reached)), one.new.column].mean()),
    }


def _odd(
    samples: LabelledSamples, code: int, rest: LabelledSamples, out: Mask, seed: int
) -> npt.NDArray[np.float64]:
    """Return the probabilities of the pixels of the class that was left out."""
    kept = ~out[samples.codes != code]
    data = TrainingData(rest.features[kept], rest.codes[kept], rest.layout)
    final = LEARNER.fit(data, ForestSettings(), derived_seed(seed, "train"))
    features = np.ascontiguousarray(samples.features[samples.codes == code].T)
    return final.probabilities(features).T


def _forecast(known: OutOfFold) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64], Mask]:
    best = known.shares.argmax(axis=1)
    share = percent_of(known.shares[np.arange(len(best)), best])
    return best, share, known.classes[best] == known.codes


def _covered(
    outcomes: Sequence[Outcome], inside: Sequence[Mask], n_classes: int
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the share of covered pixels, all and by class; every polygon counts once."""
    weights = np.concatenate([one.new.weights for one in outcomes])
    column = np.concatenate([one.new.column for one in outcomes])
    covered = np.concatenate(inside) * weights
    by_class = np.bincount(column, covered, n_classes) / np.bincount(column, weights, n_classes)
    return float(covered.sum() / weights.sum()), by_class


def _simulated(
    outcomes: Sequence[Outcome], rng: np.random.Generator
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return coverage where the score of a polygon is a random number of its own."""
    first = outcomes[0]
    polygons = np.union1d(first.known.polygon_id, first.new.polygon_id)
    score = rng.random(len(polygons))
    inside = []
    for one in outcomes:
        own = score[np.searchsorted(polygons, one.known.polygon_id)]
        counts = np.bincount(one.known.column, minlength=len(one.known.classes))
        rare = counts[one.known.column] < OWN
        rare = rare if rare.sum() >= OWN else np.ones(len(rare), bool)
        least = np.array(
            [
                _rank(own[one.known.column == at] if count >= OWN else own[rare])
                for at, count in enumerate(counts)
            ]
        )
        new = score[np.searchsorted(polygons, one.new.polygon_id)]
        inside.append(new >= least[one.new.column])
    return _covered(outcomes, inside, len(first.known.classes))


def _rank(found: npt.NDArray[np.float64]) -> float:
    rank = (len(found) + 1) * (100 - LEVEL) // 100
    return -np.inf if rank < 1 else float(np.partition(found, rank - 1)[rank - 1])


if __name__ == "__main__":
    main()
