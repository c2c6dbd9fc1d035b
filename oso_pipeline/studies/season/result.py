"""Accuracies by day, how they compare with that of the whole season, and the files that say so."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.commit import digest, publish_bytes, require_sound, write_sidecar
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.studies.season.page import page_of
from oso_pipeline.validation.exact_intervals import FEW_POLYGONS
from oso_pipeline.validation.intervals import UNDEFINED, Interval

DESIGN = (
    "Models are trained as if images after the day were not there, and judged by the polygons that "
    "the split of the configuration holds out; the same polygons train and judge on all days. "
    "Intervals resample whole polygons, those of a share of the final accuracy in pairs: the same "
    "polygons for the day and for the whole season. They say nothing of other years, whose clouds "
    "and weather differ."
)


@dataclass(frozen=True)
class Judged:
    """How right a map of a day is.

    Parameters
    ----------
    day
        Up to which images count; None for the whole season.
    products
        Images used, of all tiles.
    overall
        Overall accuracy, 0 to 1, with its interval as in ``accuracy.json``.
    right, pixels
        Of each held-out polygon: pixels that are right, and all of them.
    """

    day: date | None
    products: int
    overall: dict[str, float | None]
    right: dict[int, int]
    pixels: dict[int, int]


@dataclass(frozen=True)
class Row:
    """A day beside the whole season.

    Parameters
    ----------
    day, products, overall
        As of `Judged`; the day as YYYY-MM-DD, None for the whole season.
    share
        Overall accuracy as a share of the final one.
    interval
        Of the share.
    """

    day: str | None
    products: int
    overall: dict[str, float | None]
    share: float
    interval: Interval


@dataclass(frozen=True)
class SeasonSummary:
    """Accuracy by day.

    Parameters
    ----------
    name, year
        Of the run.
    reach, level
        Share of the final accuracy that is looked for, and level of the intervals, 0 to 1.
    rows
        By day; the whole season last.
    """

    name: str
    year: int
    reach: float
    level: float
    rows: tuple[Row, ...]

    @property
    def earliest(self) -> str | None:
        """The first day whose accuracy reaches the share; None where no day before the end does."""
        return next((r.day for r in self.rows if r.day and r.share >= self.reach), None)

    @property
    def certain(self) -> str | None:
        """The first day from which the whole interval lies above the share."""
        lows = [(r.day, r.interval.low) for r in self.rows]
        return next((d for d, low in lows if d and low is not None and low >= self.reach), None)

    @property
    def below_again(self) -> tuple[str, ...]:
        """Days after the first whose accuracy does not reach the share."""
        first = self.earliest
        later = [row for row in self.rows if first and row.day and row.day > first]
        return tuple(str(row.day) for row in later if row.share < self.reach)

    def to_json(self) -> dict[str, Any]:
        """Return all of it in types that JSON knows."""
        return {
            **asdict(self),
            "earliest": self.earliest,
            "earliest_certain": self.certain,
            "below_again": list(self.below_again),
            "design": DESIGN,
        }


def summarise(
    judged: Sequence[Judged], about: tuple[str, int], reach: float, sampling: tuple[int, float, int]
) -> SeasonSummary:
    """Compare the days with the whole season, which comes last.

    Parameters
    ----------
    judged
        By day.
    about
        Name of the run and year of the map.
    reach
        Share that is looked for.
    sampling
        Resamples, level and seed of the intervals.
    """
    final = judged[-1]
    whole = final.overall["estimate"] or float("nan")
    rows = []
    for one in judged:
        share = (one.overall["estimate"] or 0.0) / whole
        interval = UNDEFINED if one is final else share_interval(one, final, *sampling)
        day = None if one.day is None else one.day.isoformat()
        rows.append(Row(day, one.products, one.overall, share, interval))
    return SeasonSummary(*about, reach, sampling[1], tuple(rows))


def share_interval(
    one: Judged, final: Judged, replicates: int, level: float, seed: int
) -> Interval:
    """Return the interval of an accuracy as a share of the final one, by resampling polygons.

    Undefined with fewer than `FEW_POLYGONS` polygons: so few do not tell how polygons differ.
    """
    polygons = sorted(one.pixels.keys() | final.pixels.keys())
    if len(polygons) < FEW_POLYGONS:
        return UNDEFINED
    columns = [one.right, one.pixels, final.right, final.pixels]
    counts = np.array([[column.get(p, 0) for p in polygons] for column in columns], np.float64)
    rng = np.random.default_rng(derived_seed(seed, "season", str(one.day)))
    shares = np.array([_share(counts, rng) for _ in range(replicates)])
    shares = shares[np.isfinite(shares)]
    if not shares.size:
        return UNDEFINED
    low, high = np.quantile(shares, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high))


def _share(counts: npt.NDArray[np.float64], rng: np.random.Generator) -> float:
    """Return the share in one resample of the polygons, NaN where it is not defined."""
    drawn = rng.integers(0, counts.shape[1], counts.shape[1])
    right, pixels, final_right, final_pixels = counts[:, drawn].sum(axis=1)
    if not (pixels and final_pixels and final_right):
        return float("nan")
    return float((right / pixels) / (final_right / final_pixels))


def read_judged(run_dir: Path, day: date | None, products: int, variants: Sequence[str]) -> Judged:
    """Return what the validation of a run has committed, of the variants that count."""
    folder = run_dir / "validation"
    for name in ("accuracy.json", "polygons.csv"):
        require_sound(folder / name)
    accuracy = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
    right, pixels = dict[int, int](), dict[int, int]()
    with (folder / "polygons.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["variant"] in variants:
                polygon = int(row["polygon_id"])
                right[polygon] = right.get(polygon, 0) + int(row["right"])
                pixels[polygon] = pixels.get(polygon, 0) + int(row["pixels"])
    return Judged(day, products, accuracy["overall_accuracy"], right, pixels)


def as_markdown(summary: SeasonSummary) -> str:
    """Return the comparison as a page."""
    lines = [
        f"# {summary.name}, {summary.year}: accuracy by the day up to which images count",
        "",
        "| images up to | images | overall accuracy | share of the final one |",
        "|---|---:|---|---|",
    ]
    for row in summary.rows:
        overall = _with_ends(row.overall["estimate"], row.overall["low"], row.overall["high"])
        share = _with_ends(row.share, row.interval.low, row.interval.high)
        lines.append(f"| {row.day or 'the whole season'} | {row.products} | {overall} | {share} |")
    return "\n".join([*lines, "", found_in_words(summary), "", DESIGN]) + "\n"


def found_in_words(summary: SeasonSummary) -> str:
    """Return from which day on a map is nearly as accurate as the final one."""
    share = f"{summary.reach:.0%} of the final accuracy"
    if summary.earliest is None:
        return f"No day before the end of the season reaches {share}."
    text = f"{summary.earliest} is the first day that reaches {share}"
    if summary.certain is None:
        text += f"; of no day the whole {summary.level:.0%} interval does."
    elif summary.certain == summary.earliest:
        text += f", with the whole of its {summary.level:.0%} interval."
    else:
        text += f"; {summary.certain} is the first whose whole {summary.level:.0%} interval does."
    if summary.below_again:
        text += f" Below again: {', '.join(summary.below_again)}."
    return text


def write(summary: SeasonSummary, folder: Path) -> list[Path]:
    """Write the comparison as JSON, Markdown and a page with a figure, committed."""
    content = summary.to_json()
    files = {
        "season.json": json.dumps(content, indent=1, sort_keys=True) + "\n",
        "season.md": as_markdown(summary),
        "season.html": page_of(summary, found_in_words(summary), DESIGN),
    }
    paths = []
    for name, text in files.items():
        path = folder / name
        publish_bytes(path, text.encode())
        write_sidecar(path, {"stage": "evaluate-season", "key": digest(content)})
        paths.append(path)
    return paths


def _with_ends(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")
