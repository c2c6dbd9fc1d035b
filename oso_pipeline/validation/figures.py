"""The content of ``accuracy.json`` as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from oso_pipeline.core.commit import require_sound
from oso_pipeline.core.coverage import covered_in_words
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.regular_files import read_regular

_SCORES = ("precision", "recall", "f_score")
_REPAIR = "`oso verify RUN --repair`, then run again: it is made again"


class Estimate(NamedTuple):
    """A score and the ends of its interval; None where it is undefined."""

    estimate: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """Return the score with its interval, as ``0.912 (0.881 to 0.940)``."""
        if self.estimate is None:
            return "undefined"
        if self.low is None or self.high is None:
            return f"{self.estimate:.3f}"
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Accuracy of a map, measured with a set of polygons or points.

    Parameters
    ----------
    content
        The content of ``accuracy.json``, or its part on the coarser classes.
    """

    content: Mapping[str, Any]

    def __str__(self) -> str:
        """Return overall accuracy and kappa, and which classes they cover."""
        covered = covered_in_words(self.content)
        return f"overall accuracy {self.overall_accuracy}, kappa {self.kappa} {covered}"

    def __repr__(self) -> str:
        """Return the text for people, with the type."""
        return f"<Accuracy: {self}>"

    @property
    def overall_accuracy(self) -> Estimate:
        """Share of the pixels whose class is right, 0 to 1."""
        return _estimate(self.content["overall_accuracy"])

    @property
    def kappa(self) -> Estimate:
        """Cohen's kappa."""
        return _estimate(self.content["kappa"])

    @property
    def classes(self) -> pd.DataFrame:
        """A row per class, by code: names, pixels, polygons, scores and their intervals.

        Columns ``name_en, name_fr, pixels, polygons, predicted_pixels``, then ``precision``,
        ``recall`` and ``f_score`` (0 to 1), each followed by ``_low`` and ``_high``; NaN where a
        score is not defined.
        """
        found = {int(code): _row(one) for code, one in self.content["classes"].items()}
        table = pd.DataFrame.from_dict(found, orient="index").rename_axis("code").sort_index()
        scores = [name for name in table.columns if name.startswith(_SCORES)]
        return table.astype(dict.fromkeys(scores, float))

    @property
    def confusion(self) -> pd.DataFrame:
        """Pixels by class of the reference (rows) and class of the map (columns)."""
        found = self.content["confusion"]
        codes = [int(code) for code in found["codes"]]
        rows, columns = (pd.Index(codes, name=found[side]) for side in ("rows", "columns"))
        return pd.DataFrame(found["counts"], rows, columns)

    @property
    def level1(self) -> Accuracy | None:
        """The same for the parents of the classes; None where there is one level only."""
        coarser = self.content.get("level1")
        return None if coarser is None else Accuracy(coarser)

    @property
    def compared_maps(self) -> pd.DataFrame:
        """A row per other map evaluated with the same polygons, by its name; may be empty.

        Columns ``pixels``, ``run`` and ``other`` (overall accuracies on these pixels, 0 to 1) and
        ``difference`` (run minus other) with ``difference_low`` and ``difference_high``.
        """
        rows = {one["name"]: _compared(one) for one in self.content.get("compared_maps", ())}
        columns = ["pixels", "run", "other", "difference", "difference_low", "difference_high"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("map")


def read_accuracy(path: Path) -> Accuracy:
    """Read ``accuracy.json``.

    Raises
    ------
    InputDataError
        If the file cannot be read, or is not what was committed.
    """
    require_sound(path)
    try:
        content = json.loads(read_regular(path))
        found = Accuracy(content)
        str(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"the accuracy cannot be read: {error!r}"
        raise InputDataError(Problem("E-RUN-DAMAGED", message, str(path), _REPAIR)) from error
    return found


def _estimate(content: Mapping[str, Any]) -> Estimate:
    return Estimate(content["estimate"], content["low"], content["high"])


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: one[name] for name in ("name_en", "name_fr")}
    row |= {name: one[name] for name in ("pixels", "polygons", "predicted_pixels")}
    for name in _SCORES:
        ends = one["intervals"][name]
        row |= {name: one[name], f"{name}_low": ends["low"], f"{name}_high": ends["high"]}
    return row


def _compared(one: Mapping[str, Any]) -> dict[str, Any]:
    gain, both = one["difference"], one["overall_accuracy"]
    ends = {"difference_low": gain["low"], "difference_high": gain["high"]}
    scores = {"run": both["run"], "other": both["other"], "difference": gain["estimate"]}
    return {"pixels": one["pixels"], **scores, **ends}
