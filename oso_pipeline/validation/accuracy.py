"""From predicted validation pixels to the accuracy of a map.

The result says what it is worth: polygons of databases held out from training are not a
probability sample of the territory, so the figures describe how well the map reproduces such
polygons, and usually exceed the accuracy at random points.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.coverage import NO_VALIDATION_POLYGON, coverage, named
from oso_pipeline.core.nomenclature import LandCoverClass, Nomenclature
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.validation.confusion import Confusion, Scores
from oso_pipeline.validation.exact_intervals import FEW_POLYGONS, RULE, score_intervals
from oso_pipeline.validation.intervals import (
    UNDEFINED,
    ClusteredPairs,
    Interval,
    ScoreIntervals,
    student_interval,
)

DESIGN = (
    "Hold-out of whole database polygons, unweighted pixels. This is not a probability sample "
    "of the territory: the figures say how well held-out polygons of the same databases are "
    "recognised, and are usually higher than a blind check of random points."
)
UNDEFINED_RULE = (
    "null means not evaluated or undefined: all scores of a class without validation polygon, "
    "precision where the class was never predicted, an interval with fewer than two polygons, "
    "and one over splits that all give the same."
)


@dataclass(frozen=True)
class Predictions:
    """Validation pixels of one variant of the model, with what the model says.

    Parameters
    ----------
    variant
        Name of the variant, for example ``run0`` or ``fold3``.
    polygon_id, code, predicted
        Polygon, class of the reference and predicted class, int64, shape ``[pixel]``.
    excluded
        Pixels left out, by reason.
    forecast
        Vote share of the predicted class and its calibrated probability, in percent, int64, shape
        ``(2, pixel)``; None without calibrated models.
    """

    variant: str
    polygon_id: npt.NDArray[np.int64]
    code: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    excluded: Mapping[str, int]
    forecast: npt.NDArray[np.int64] | None = None

    def pairs(self, nomenclature: Nomenclature) -> ClusteredPairs:
        """Count the pixels, polygon by polygon."""
        return ClusteredPairs.of(nomenclature.codes, self.polygon_id, self.code, self.predicted)


@dataclass(frozen=True)
class Method:
    """How accuracy is measured.

    Parameters
    ----------
    nomenclature
        Classes of the map.
    replicates
        Resamples of the bootstrap.
    level
        Level of the intervals, for example 0.95.
    seed
        Seed of the run.
    folds
        Whether the variants are folds, which are pooled. Otherwise they are repeated splits,
        and the first one, which made the map, gives the estimates.
    """

    nomenclature: Nomenclature
    replicates: int
    level: float
    seed: int
    folds: bool


def assess(
    predictions: Sequence[Predictions], method: Method, mapped: Collection[int] | None = None
) -> dict[str, Any]:
    """Return the content of ``accuracy.json``.

    Parameters
    ----------
    predictions
        One entry per variant; the one that made the map first.
    method
        Classes, bootstrap, and whether the variants are folds.
    mapped
        Codes of the classes that the map can have; None for all of the nomenclature.
    """
    headline = pooled(predictions) if method.folds else predictions[0]
    pairs = headline.pairs(method.nomenclature)
    result = {
        **_level(pairs, method.nomenclature.classes, method, "classes", mapped),
        "level1": _level1(pairs, method, mapped),
        "excluded": dict(headline.excluded),
        "confidence_level": method.level,
        "bootstrap": {"unit": "polygon", "replicates": method.replicates, "kind": "percentile"},
        "intervals": RULE,
        "design": DESIGN,
        "undefined": UNDEFINED_RULE,
    }
    if method.folds:
        result["folds"] = _folds(predictions, method)
    elif len(predictions) > 1:
        result["runs"] = _runs(predictions, method)
    return {**result, "warnings": _warnings(result)}


def pooled(predictions: Sequence[Predictions]) -> Predictions:
    """Put the folds together: every polygon was held out exactly once."""
    reasons = sorted({reason for one in predictions for reason in one.excluded})
    forecasts = [one.forecast for one in predictions if one.forecast is not None]
    return Predictions(
        "pooled",
        np.concatenate([one.polygon_id for one in predictions]),
        np.concatenate([one.code for one in predictions]),
        np.concatenate([one.predicted for one in predictions]),
        {reason: sum(one.excluded.get(reason, 0) for one in predictions) for reason in reasons},
        np.hstack(forecasts) if len(forecasts) == len(predictions) else None,
    )


def _level1(
    pairs: ClusteredPairs, method: Method, mapped: Collection[int] | None
) -> dict[str, Any] | None:
    """Return the same figures after aggregation; None where there is one level only."""
    mapping = method.nomenclature.level1_mapping
    if set(mapping) != set(pairs.codes):
        return None
    parents = method.nomenclature.level1_classes
    on_map = None if mapped is None else {mapping[code] for code in mapped if code in mapping}
    return _level(pairs.aggregated(mapping), parents, method, "level1", on_map)


def _level(
    pairs: ClusteredPairs,
    classes: Sequence[LandCoverClass],
    method: Method,
    purpose: str,
    mapped: Collection[int] | None,
) -> dict[str, Any]:
    seed = derived_seed(method.seed, "validate", "bootstrap", purpose)
    intervals = score_intervals(pairs, method.replicates, method.level, seed)
    confusion = pairs.confusion
    found = confusion.scores
    polygons = pairs.polygons_per_class
    by_code = {one.code: one for one in classes}
    entries: dict[str, Any] = {}
    for index, code in enumerate(pairs.codes):
        entries[str(code)] = {
            "name_fr": by_code[code].name_fr,
            "name_en": by_code[code].name_en,
            "pixels": int(confusion.counts[index].sum()),
            "polygons": int(polygons[index]),
            "predicted_pixels": int(confusion.counts[:, index].sum()),
            **_class_scores(found, intervals, index, evaluated=bool(polygons[index])),
        }
    return {
        "overall_accuracy": _estimate(found.overall_accuracy, intervals.overall_accuracy),
        "kappa": _estimate(found.kappa, intervals.kappa),
        "covers": coverage(entries, mapped),
        "classes": entries,
        "pixels": confusion.total,
        "polygons": len(pairs.polygon_ids),
        "confusion": {
            "rows": "reference",
            "columns": "prediction",
            "codes": list(pairs.codes),
            "counts": confusion.counts.tolist(),
        },
    }


def _class_scores(
    found: Scores, intervals: ScoreIntervals, index: int, evaluated: bool
) -> dict[str, Any]:
    names = ("precision", "recall", "f_score")
    if not evaluated:
        # Precision would be 0: of others' pixels that were predicted as it none can be right.
        none = {name: _ends(UNDEFINED) for name in names}
        return {"not_judged": NO_VALIDATION_POLYGON, **dict.fromkeys(names), "intervals": none}
    estimates = {name: number_or_none(getattr(found, name)[index]) for name in names}
    ends = {}
    for name in names:
        defined = estimates[name] is not None
        ends[name] = _ends(getattr(intervals, name)[index] if defined else UNDEFINED)
    return {**estimates, "intervals": ends}


def _runs(predictions: Sequence[Predictions], method: Method) -> dict[str, Any]:
    """Return means and intervals over repeated splits, by Student's t."""
    each = [one.pairs(method.nomenclature).confusion for one in predictions]
    codes = each[0].codes
    by_class = {
        str(code): {
            name: _over_runs([_score_of(one, name, index) for one in each], method.level)
            for name in ("precision", "recall", "f_score")
        }
        for index, code in enumerate(codes)
    }
    return {
        "n": len(predictions),
        "variants": [one.variant for one in predictions],
        "overall_accuracy": _over_runs([one.scores.overall_accuracy for one in each], method.level),
        "kappa": _over_runs([one.scores.kappa for one in each], method.level),
        "classes": by_class,
        "note": (
            "The interval (Student's t) "
            "says how much the choice of the split matters; all splits share one set of polygons."
        ),
    }


def _score_of(one: Confusion, name: str, index: int) -> float:
    """Return a score of a class; NaN where the split holds none of it out."""
    return float(getattr(one.scores, name)[index]) if one.counts[index].any() else float("nan")


def _over_runs(values: Sequence[Any], level: float) -> dict[str, Any]:
    over = student_interval([number_or_none(value) for value in values], level)
    return {
        "values": list(over.values),
        "mean": over.mean,
        **_ends(over.interval),
        "degrees_of_freedom": over.degrees_of_freedom,
    }


def _folds(predictions: Sequence[Predictions], method: Method) -> dict[str, Any]:
    each: list[Confusion] = [one.pairs(method.nomenclature).confusion for one in predictions]
    return {
        "n": len(predictions),
        "variants": [one.variant for one in predictions],
        "values": [number_or_none(one.scores.overall_accuracy) for one in each],
        "kappa": [number_or_none(one.scores.kappa) for one in each],
        "pixels": [one.total for one in each],
        "note": (
            "values are overall accuracies per fold; the estimates pool all folds. The map was "
            "made with a model that saw all polygons."
        ),
    }


def _warnings(result: Mapping[str, Any]) -> list[dict[str, str]]:
    def names(codes: Sequence[str]) -> str:
        return ", ".join(named(result, code) for code in codes)

    classes = result["classes"]
    unseen = [*result["covers"]["not_judged"]]
    never = [c for c, one in classes.items() if one["pixels"] and not one["predicted_pixels"]]
    few = [code for code, one in classes.items() if 0 < one["polygons"] < FEW_POLYGONS]
    found = [
        ("W-CLASS-NOT-EVALUATED", unseen, "not evaluated, as no validation polygon has them: "),
        ("W-CLASS-NOT-PREDICTED", never, "never predicted, so precision is undefined: "),
        (
            "W-CLASS-FEW-POLYGONS",
            few,
            f"fewer than {FEW_POLYGONS} validation polygons, weak evidence: ",
        ),
    ]
    warnings = [{"code": c, "message": text + names(codes)} for c, codes, text in found if codes]
    for reason, pixels in result["excluded"].items():
        if pixels:
            message = f"{pixels} validation pixels left out: {reason.replace('_', ' ')}"
            warnings.append({"code": "W-VALIDATION-LEFT-OUT", "message": message})
    return warnings


def number_or_none(value: Any) -> float | None:
    """Return a float, and None for NaN."""
    return None if np.isnan(value) else float(value)


def _estimate(value: Any, interval: Interval) -> dict[str, float | None]:
    estimate = number_or_none(value)
    return {"estimate": estimate, **_ends(interval if estimate is not None else UNDEFINED)}


def _ends(interval: Interval) -> dict[str, float | None]:
    return {"low": interval.low, "high": interval.high}
