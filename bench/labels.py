"""Wrong labels planted in real sets, and how many of them the check of the labels lists.

``python -m bench.labels`` plants wrong labels by polygon in the parcels of France 2023 and the
fields of Central Asia 2018: 20 % and 5 %, to any other class alike, or to those classes that the
forest itself takes the polygon's class for. It writes bench/results/labels.json and the table
of docs/reference_databases.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.accuracy.central_asia import central_asia
from bench.accuracy.france import france
from oso_pipeline.learning.label_check import LabelAssessment, check_labels
from oso_pipeline.learning.label_stage import FoldForest
from oso_pipeline.learning.training_set import TrainingSet

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results" / "labels.json"
PAGE = ROOT / "docs" / "reference_databases.md"
BEGIN, END = "<!-- labels: written by python -m bench.labels -->", "<!-- end of labels -->"
LEAST = 20
"""Polygons of a class that is used."""
GOALS = {"uniform 20 %": (0.85, 0.80), "confusions 20 %": (0.75, 0.70)}
"""Recall and precision; with 5 %, a precision of 0.5 at a recall of 0.7."""
_RECALL_OF_FEW, _PRECISION_OF_FEW = 0.7, 0.5
_YEAR = "2018"
_FOLDS = 4


@dataclass(frozen=True)
class Planted:
    """A set with wrong labels.

    Parameters
    ----------
    known
        A row per polygon, labels as planted.
    wrong
        Which rows, shape ``(row,)``.
    """

    known: TrainingSet
    wrong: npt.NDArray[np.bool_]


def real_sets(data: Path) -> dict[str, TrainingSet]:
    """Return one sample of each polygon of the classes with enough of them."""
    found = {}
    for name, samples in (
        ("France 2023", france(data).samples),
        (_ASIA, central_asia(data).samples),
    ):
        rows = np.arange(len(samples.codes))
        if name == _ASIA:
            rows = np.flatnonzero(samples.columns["year"] == _YEAR)
        rows = rows[np.unique(samples.polygons[rows], return_index=True)[1]]
        codes, counts = np.unique(samples.codes[rows], return_counts=True)
        rows = rows[np.isin(samples.codes[rows], codes[counts >= LEAST])]
        places = np.arange(len(rows), dtype=np.int64)
        found[name] = TrainingSet(samples.features[rows], samples.codes[rows], places)
    return found


_ASIA = "Central Asia 2018"


def plant(known: TrainingSet, share: float, confusion: Any, seed: int) -> Planted:
    """Give a share of the polygons the label of another class.

    Parameters
    ----------
    known
        The set.
    share
        Of the polygons.
    confusion
        Weight of each class as the wrong label, shape ``(class, class)``.
    seed
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    classes, place = np.unique(known.codes, return_inverse=True)
    rows = rng.choice(len(place), round(share * len(place)), replace=False)
    codes = known.codes.copy()
    for row in rows:
        weight = confusion[place[row]].astype(float)
        weight[place[row]] = 0
        if not weight.any():
            weight = np.arange(len(classes)) != place[row]
        codes[row] = rng.choice(classes, p=weight / weight.sum())
    wrong = np.zeros(len(place), bool)
    wrong[rows] = True
    return Planted(TrainingSet(known.features, codes, known.polygon_id), wrong)


def assessed(known: TrainingSet, seed: int, share: float | None = None) -> LabelAssessment:
    """Return the check of a set as the chain makes it."""
    nothing = TrainingSet(known.features[:0], known.codes[:0], known.polygon_id[:0])
    return check_labels(known, nothing, _FOLDS, seed, FoldForest(50, 1), share)


def confusions(known: TrainingSet, seed: int) -> npt.NDArray[np.int64]:
    """Return how often the forest takes a class for another, shape ``(class, class)``."""
    classes, place = np.unique(known.codes, return_inverse=True)
    found = assessed(known, seed, 0.49)  # the most probable other class of each polygon
    other = np.searchsorted(classes, found.likely_code)
    taken = found.likely > found.given
    table = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(table, (place[taken], other[taken]), 1)
    return table


def measured(known: TrainingSet, seeds: Iterable[int], name: str) -> list[dict[str, Any]]:
    """Return recall and precision of each kind of wrong labels and seed."""
    rows = []
    for seed in seeds:
        table = confusions(known, seed)
        for how, weights in (("uniform", np.ones_like(table)), ("confusions", table)):
            for share in (0.2, 0.05):
                planted = plant(known, share, weights, seed)
                one, two = assessed(planted.known, seed), assessed(planted.known, seed, share)
                rows.append(
                    {
                        "data": name,
                        "polygons": len(planted.wrong),
                        "planted": f"{how} {share:.0%}".replace("%", " %"),
                        "seed": seed,
                        "by doubt": _scores(one.doubted, planted.wrong),
                        "share given": _scores(two.doubted, planted.wrong),
                        "precision at recall 0.7": _precision_at(two, planted, seed, share),
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    return rows


def _scores(listed: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> list[float]:
    both = int((listed & wrong).sum())
    return [round(both / int(wrong.sum()), 3), round(both / max(1, int(listed.sum())), 3)]


def _precision_at(two: LabelAssessment, planted: Planted, seed: int, share: float) -> float:
    """Return the precision of the shortest list with enough recall, of this or a larger share."""
    for more in (1.0, 1.5, 2.2, 3.0):
        found = two if more == 1 else assessed(planted.known, seed, min(0.49, more * share))
        order = np.argsort(np.where(found.doubted, found.given - found.likely, np.inf))
        hits = np.cumsum(planted.wrong[order[: int(found.doubted.sum())]])
        if hits[-1] >= _RECALL_OF_FEW * planted.wrong.sum():
            first = int(np.argmax(hits >= _RECALL_OF_FEW * planted.wrong.sum()))
            return round(float(hits[first] / (first + 1)), 3)
    return 0.0


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the page: means and the range over the seeds, goals beside."""
    lines = [
        "| data (polygons), labels planted | by doubt: recall / precision "
        "| share given: recall / precision | precision at recall 0.7 | goal |",
        "|---|---:|---:|---:|---:|",
    ]
    for data, planted in dict.fromkeys((row["data"], row["planted"]) for row in rows):
        own = [row for row in rows if (row["data"], row["planted"]) == (data, planted)]
        cells = [
            " / ".join(_spread([row[key][side] for row in own]) for side in (0, 1))
            for key in ("by doubt", "share given")
        ]
        goal = GOALS.get(planted)
        aim = f"{_PRECISION_OF_FEW} at recall {_RECALL_OF_FEW}"
        if goal is not None:
            aim = f"{goal[0]:.0%} / {goal[1]:.0%}".replace("%", " %")
        at = _spread([row["precision at recall 0.7"] for row in own])
        lines.append(
            f"| {data} ({own[0]['polygons']}), {planted} | {' | '.join(cells)} | {at} | {aim} |"
        )
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean, low, high = (round(100 * float(f(values))) for f in (np.mean, np.min, np.max))
    return f"{mean} ({low} to {high})"


def publish(rows: list[dict[str, Any]]) -> None:
    """Write the results, and the table into the page between its markers."""
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(
        f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{rest.split(END)[1]}", encoding="utf-8"
    )


def main() -> None:
    """Measure, print and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    rows = [
        row
        for name, known in real_sets(options.data).items()
        for row in measured(known, range(options.seeds), name)
    ]
    publish(rows)


if __name__ == "__main__":
    main()
