"""The tables beside ``accuracy.json``, as CSV for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oso_pipeline.core.csv_tables import csv_text
from oso_pipeline.validation.accuracy import Predictions


def confusion_csv(level: Mapping[str, Any]) -> bytes:
    """Return the matrix of one level: a row per class of the reference, a column per prediction."""
    confusion = level["confusion"]
    codes = confusion["codes"]
    rows = ([code, *row] for code, row in zip(codes, confusion["counts"], strict=True))
    return csv_text(["reference\\prediction", *codes], rows).encode()


def classes_csv(levels: Mapping[int, Mapping[str, Any] | None]) -> bytes:
    """Return one row per level and class: names, support, scores, intervals, why not evaluated."""
    scores = ("precision", "recall", "f_score")
    header = ["level", "code", "name_fr", "name_en", "pixels", "polygons", "predicted_pixels"]
    header += [column for name in scores for column in (name, f"{name}_low", f"{name}_high")]
    header.append("not_judged")
    rows = []
    for level, content in levels.items():
        for code, one in (content or {"classes": {}})["classes"].items():
            row = [level, code, *(one[key] for key in header[2:7])]
            for name in scores:
                ends = one["intervals"][name]
                row += [_rounded(value) for value in (one[name], ends["low"], ends["high"])]
            rows.append([*row, one.get("not_judged", "")])
    return csv_text(header, rows).encode()


def polygons_csv(predictions: Sequence[Predictions]) -> bytes:
    """Return one row per variant and polygon: how many pixels, how many right, and as what.

    ``majority`` is the class predicted most often in the polygon, the lower code of equals.
    """
    header = ["variant", "polygon_id", "code", "pixels", "right", "share_right", "majority"]
    rows = (row for one in predictions for row in _polygon_rows(one))
    return csv_text(header, rows).encode()


def _polygon_rows(one: Predictions) -> Iterable[list[Any]]:
    if not one.polygon_id.size:
        return
    order = np.lexsort((one.predicted, one.code, one.polygon_id))
    polygon, code, predicted = (
        values[order] for values in (one.polygon_id, one.code, one.predicted)
    )
    changes = np.flatnonzero((np.diff(polygon) != 0) | (np.diff(code) != 0)) + 1
    starts = [0, *changes.tolist()]
    for start, end in zip(starts, [*starts[1:], polygon.size], strict=True):
        values, counts = np.unique(predicted[start:end], return_counts=True)
        right = int((predicted[start:end] == code[start]).sum())
        pixels = end - start
        majority = int(values[counts.argmax()])
        share = _rounded(right / pixels)
        yield [one.variant, polygon[start], code[start], pixels, right, share, majority]


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
