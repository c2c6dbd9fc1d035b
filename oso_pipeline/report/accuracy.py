"""Accuracy on the report page: figures, covered classes, confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oso_pipeline.core.coverage import (
    NO_VALIDATION_POLYGON,
    counted_in_words,
    coverage_of,
    covered_in_words,
    not_evaluated_in_words,
)
from oso_pipeline.core.nomenclature import LandCoverClass, Nomenclature
from oso_pipeline.report.charts import Chart, line_chart
from oso_pipeline.tasks.run_files import RunFiles

_SCORES = (("precision", "Precision"), ("recall", "Recall"), ("f_score", "F-score"))
_MOST_EVALUATIONS = 3


def headline(files: RunFiles, evaluation: str | None, method: str | None) -> dict[str, Any]:
    """Return the figures at the top of the page, each with the classes that it covers."""
    accuracy = measured(files)
    return {
        "accuracy": accuracy,
        "counted": counted_in_words(accuracy) if accuracy else "",
        "not_evaluated": not_evaluated_in_words(accuracy) if accuracy else "",
        "levels": _levels(files.nomenclature, accuracy),
        "independent": independent(files),
        "evaluations": _evaluations(files.json(evaluation), method) if evaluation else [],
    }


def measured(files: RunFiles) -> dict[str, Any]:
    """Return the accuracy by held-out polygons; empty where there is none."""
    return files.json("validation/accuracy.json") if files.committed_files("validate") else {}


def accuracy_content(files: RunFiles) -> dict[str, Any]:
    """Return what the section on held-out polygons shows."""
    accuracy = measured(files)
    summary = next(iter(files.summaries("reference")), {})
    return {
        "accuracy": accuracy,
        "covered": covered_in_words(accuracy) if accuracy else "",
        "levels": _levels(files.nomenclature, accuracy),
        "reliability": reliability_chart(accuracy["calibration"])
        if "calibration" in accuracy
        else None,
        "failure": files.failure("validate"),
        "unlabelled": summary.get("polygons") == 0,
        "has_independent": bool(files.committed_files("independent")),
        "year": files.year,
    }


def reliability_chart(calibration: Mapping[str, Any]) -> Chart:
    """Return share of right pixels over probability, for calibrated probability and vote share."""
    curves = {
        name: {one["probability"]: one["right"] for one in calibration[key]["curve"]}
        for name, key in (("source", "share"), ("target", "probability"))
    }
    places = sorted({0.0, 1.0}.union(*curves.values()))
    series = {"aligned": places}
    series |= {
        name: [float(one) for one in np.interp(places, sorted(curve), ordered, np.nan, np.nan)]
        for name, curve in curves.items()
        for ordered in [[curve[place] for place in sorted(curve)]]
    }
    return line_chart("Share of right pixels over probability", places, series)


def independent_content(files: RunFiles) -> dict[str, Any]:
    """Return what the section on the independent set shows, or why there is nothing."""
    return {"independent": independent(files), "failure": files.failure("independent")}


def independent(files: RunFiles) -> dict[str, Any]:
    """Return the accuracy by a set of the user; empty where there is none."""
    done = files.committed_files("independent")
    content = files.json("validation/independent/accuracy.json") if done else {}
    if not content:
        return {}
    maps = content.get("compared_maps", [])
    classes = [
        {"class": one, "f_scores": [of["f_score"].get(str(one.code), {}) for of in maps]}
        for one in files.nomenclature.classes
        if content["classes"].get(str(one.code), {}).get("pixels")
    ]
    return {
        "content": content,
        "covered": covered_in_words(content),
        "counted": counted_in_words(content),
        "levels": _levels(files.nomenclature, content),
        "maps": maps,
        "classes": classes,
    }


def _evaluations(content: Mapping[str, Any], method: str | None) -> list[dict[str, Any]]:
    """Return what `oso evaluate-adaptation` found in this folder for the method of the run."""
    found = []
    for one in content.get("settings", ()):
        scores = one.get("methods", {}).get(method, {}).get("scores")
        if one.get("kind") != "year" or not scores:
            continue
        annual = scores.get("annual")
        crops = "" if annual is None else f"; annual classes alone {annual:.1f} %"
        words = f"{one['name']}, labels hidden, over all {len(one['classes'])} classes{crops}"
        overall = {"estimate": scores["overall"] / 100, "low": None, "high": None}
        found.append({"overall": overall, "words": words})
    return found[:_MOST_EVALUATIONS]


def _levels(nomenclature: Nomenclature, accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return rows and matrix of each level of classes, ready to be shown."""
    levels = [("Classes", accuracy, nomenclature.classes)] if accuracy else []
    if accuracy.get("level1"):
        levels.append(("Level 1", accuracy["level1"], nomenclature.level1_classes))
    return [_level(*one) for one in levels]


def _level(
    title: str, content: Mapping[str, Any], classes: Sequence[LandCoverClass]
) -> dict[str, Any]:
    covers = coverage_of(content)
    rows: list[dict[str, Any]] = []
    absent: list[LandCoverClass] = []
    not_mapped: list[LandCoverClass] = []
    for known in classes:
        one = content["classes"].get(str(known.code))
        if one is None:  # a parent without children
            continue
        if not one["pixels"] and not one["predicted_pixels"]:
            (not_mapped if str(known.code) in covers["not_mapped"] else absent).append(known)
            continue
        scores = [
            {"name": label, "value": one[key], **one["intervals"][key]} for key, label in _SCORES
        ]
        why = one.get("not_judged", NO_VALIDATION_POLYGON)
        rows.append({"class": known, "scores": scores, "why": why, **one})
    return {
        "title": title,
        "counted": counted_in_words(content),
        "rows": rows,
        "absent": absent,
        "not_mapped": not_mapped,
        "overall": content["overall_accuracy"],
        "kappa": content["kappa"],
        "matrix": _matrix(content["confusion"], [row["class"] for row in rows]),
    }


def _matrix(
    confusion: Mapping[str, Any], classes: Sequence[LandCoverClass]
) -> list[dict[str, Any]]:
    """Return the rows of the matrix with the share of the row that each cell holds."""
    places = [confusion["codes"].index(one.code) for one in classes]
    rows = []
    for one, row_place in zip(classes, places, strict=True):
        counts = [confusion["counts"][row_place][column] for column in places]
        total = sum(counts)
        cells = [
            {"count": n, "share": n / total if total else 0.0, "right": column == row_place}
            for n, column in zip(counts, places, strict=True)
        ]
        rows.append({"class": one, "cells": cells, "total": total})
    return rows
