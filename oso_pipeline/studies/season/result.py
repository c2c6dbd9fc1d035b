"""Accuracies by day, how they compare with that of the whole season, and the files that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from oso_pipeline.studies.held_out import HeldOut, Resampling, paired_interval, share_of
from oso_pipeline.studies.result_files import write_results
from oso_pipeline.studies.season.page import page_of
from oso_pipeline.validation.intervals import UNDEFINED, Interval

DESIGN = (
    "Models are trained as if images after the day did not exist, and evaluated on the held-out "
    "polygons of the configured split; training and test polygons are the same for all days. "
    "Intervals resample whole polygons, those of a share of the final accuracy in pairs: the same "
    "polygons for the day and for the whole season. They do not apply to other years, whose clouds "
    "and weather differ."
)


@dataclass(frozen=True)
class DayAccuracy(HeldOut):
    """Accuracy of the map of a day.

    Parameters
    ----------
    overall, right, pixels
        As of `HeldOut`.
    day
        Up to which images count; None for the whole season.
    products
        Images used, of all tiles.
    """

    day: date | None
    products: int


@dataclass(frozen=True)
class Row:
    """A day beside the whole season.

    Parameters
    ----------
    day, products, overall
        See `DayAccuracy`; the day as YYYY-MM-DD, None for the whole season.
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
        """Return all of it as JSON types."""
        return {
            **asdict(self),
            "earliest": self.earliest,
            "earliest_certain": self.certain,
            "below_again": list(self.below_again),
            "design": DESIGN,
        }


def summarise(
    accuracies: Sequence[DayAccuracy], about: tuple[str, int], reach: float, resampling: Resampling
) -> SeasonSummary:
    """Compare the days with the whole season, which comes last.

    Parameters
    ----------
    accuracies
        By day.
    about
        Name of the run and year of the map.
    reach
        Share that is looked for.
    resampling
        How intervals are found.
    """
    final = accuracies[-1]
    whole = final.overall["estimate"] or float("nan")
    rows = []
    for one in accuracies:
        share = (one.overall["estimate"] or 0.0) / whole
        interval = UNDEFINED if one is final else share_interval(one, final, resampling)
        day = None if one.day is None else one.day.isoformat()
        rows.append(Row(day, one.products, one.overall, share, interval))
    return SeasonSummary(*about, reach, resampling.level, tuple(rows))


def share_interval(one: DayAccuracy, final: DayAccuracy, resampling: Resampling) -> Interval:
    """Return the interval of an accuracy as a share of the final one."""
    return paired_interval(one, final, share_of, resampling, "season", str(one.day))


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
    return write_results(
        folder,
        "season",
        "evaluate-season",
        summary.to_json(),
        as_markdown(summary),
        page_of(summary, found_in_words(summary), DESIGN),
    )


def _with_ends(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")
