"""The table of an experiment: accuracy with intervals, time and cost of each variant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oso_pipeline.studies.experiment.page import page_of
from oso_pipeline.studies.experiment.times import Cost
from oso_pipeline.studies.result_files import write_results
from oso_pipeline.validation.intervals import UNDEFINED, Interval

if TYPE_CHECKING:
    import pandas as pd

DESIGN = (
    "Each variant trains and is measured on the held-out polygons of its own split; no map is "
    "made. Intervals resample whole polygons. A difference is that to the first variant; its "
    "interval resamples the same polygons for both, so it is given only where both have the same "
    "polygons, and at least ten. Time and core time are measured. They count every task that a "
    "variant needs, also those that it shares with others and that were done once; `shared` is "
    "that part of the time. Time is that of one worker. The core time of the map is estimated; a "
    "price is that of the time and of the map."
)
_HEADINGS = ("variant", "overall accuracy", "difference", "time", "shared", "core time", "map")


@dataclass(frozen=True)
class Row:
    """A variant.

    Parameters
    ----------
    name, settings
        As in the file of the experiment.
    run_dir
        Its run folder.
    overall
        Overall accuracy, 0 to 1: ``estimate``, ``low``, ``high``; None if its run has failed.
    difference
        Overall accuracy less that of the first variant; None for the first, and where one of both
        has failed.
    same_polygons
        Whether the polygons are those of the first variant.
    interval
        Of the difference; undefined where the polygons are not the same, or fewer than ten.
    cost
        Time and cost of its tasks.
    map_core_seconds
        Expected processor time of the stages from the models to the map; None where they cannot
        be planned.
    """

    name: str
    settings: Mapping[str, Any]
    run_dir: Path
    overall: dict[str, float | None] | None = None
    difference: float | None = None
    same_polygons: bool = True
    interval: Interval = UNDEFINED
    cost: Cost = field(default_factory=Cost)
    map_core_seconds: float | None = None

    @property
    def settings_in_words(self) -> str:
        """Settings of the variant, in one line."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items()) or "as the base"

    def price(self, per_core_hour: float | None) -> float | None:
        """Return what time and map cost, None where a part of it is not known."""
        if per_core_hour is None or self.map_core_seconds is None or self.cost.unknown:
            return None
        return per_core_hour * (self.cost.held_seconds + self.map_core_seconds) / 3600


@dataclass(frozen=True)
class ExperimentResult:
    """Results of an experiment.

    Parameters
    ----------
    name
        Of the experiment.
    rows
        The variants, in the order of the file.
    price_per_core_hour
        In any currency; None where it is not given.
    files
        JSON, Markdown and HTML.
    """

    name: str
    rows: tuple[Row, ...]
    price_per_core_hour: float | None = None
    files: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return all of it in types that JSON knows."""
        return {
            "name": self.name,
            "price_per_core_hour": self.price_per_core_hour,
            "variants": [
                {
                    **asdict(row),
                    "run_dir": str(row.run_dir),
                    "price": row.price(self.price_per_core_hour),
                }
                for row in self.rows
            ],
            "design": DESIGN,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row per variant.

        Accuracies are between 0 and 1; times are in seconds, ``price`` in the currency that it was
        given in. Unknown values are NaN.
        """
        import pandas as pd

        rows = [
            {
                "variant": row.name,
                "overall_accuracy": (row.overall or {}).get("estimate"),
                "low": (row.overall or {}).get("low"),
                "high": (row.overall or {}).get("high"),
                "difference": row.difference,
                "difference_low": row.interval.low,
                "difference_high": row.interval.high,
                "worker_seconds": row.cost.held_seconds,
                "shared_seconds": row.cost.shared_seconds,
                "core_seconds": row.cost.core_seconds,
                "map_core_seconds": row.map_core_seconds,
                "price": row.price(self.price_per_core_hour),
            }
            for row in self.rows
        ]
        return pd.DataFrame(rows).set_index("variant").astype(float)


def as_markdown(result: ExperimentResult) -> str:
    """Return the table as a page."""
    headings, *rows = cells(result)
    lines = [
        f"# Experiment {result.name}",
        "",
        _line(headings),
        _line(["---", "---", "---", *("---:" for _ in headings[3:])]),
        *map(_line, rows),
        "",
        "| variant | settings |",
        "|---|---|",
        *(_line([row.name, f"`{row.settings_in_words}`"]) for row in result.rows),
        "",
        DESIGN,
    ]
    return "\n".join(lines) + "\n"


def write(result: ExperimentResult, folder: Path) -> list[Path]:
    """Write the table as JSON, Markdown and HTML, committed."""
    content = result.to_json()
    texts = as_markdown(result), page_of(result, [*cells(result)], DESIGN)
    return write_results(folder, "experiment", "experiment", content, *texts)


def cells(result: ExperimentResult) -> Iterator[list[str]]:
    """Yield the table as texts: the headings, then a row per variant."""
    priced = result.price_per_core_hour is not None
    yield [*_HEADINGS, *(["price"] if priced else [])]
    for row in result.rows:
        least = "at least " if row.cost.unknown else ""
        price = row.price(result.price_per_core_hour)
        yield [
            row.name,
            _accuracy(row),
            _difference(row),
            f"{least}{_duration(row.cost.held_seconds)}",
            _duration(row.cost.shared_seconds),
            f"{least}{_duration(row.cost.core_seconds)}",
            "-" if row.map_core_seconds is None else _duration(row.map_core_seconds),
            *(["-" if price is None else f"{price:.2f}"] if priced else []),
        ]


def _accuracy(row: Row) -> str:
    if row.overall is None:
        return "failed"
    estimate, low, high = (row.overall[name] for name in ("estimate", "low", "high"))
    if estimate is None:
        return "-"
    return f"{estimate:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")


def _difference(row: Row) -> str:
    if row.difference is None:
        return "-"
    low, high = row.interval.low, row.interval.high
    ends = "too few polygons" if row.same_polygons else "other polygons"
    if low is not None:
        ends = f"{low:+.3f} to {high:+.3f}"
    return f"{row.difference:+.3f} ({ends})"


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(text.replace("|", r"\|") for text in texts) + " |"
