"""``oso evaluate-season``: days, shares of the final accuracy with intervals, and what is said."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.minimal_config import minimal_config

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.studies.held_out import Resampling
from oso_pipeline.studies.season.result import (
    DayAccuracy,
    Row,
    SeasonSummary,
    as_markdown,
    found_in_words,
    share_interval,
    summarise,
    write,
)
from oso_pipeline.studies.season.study import SeasonRequest, evaluate_season, month_ends
from oso_pipeline.validation.intervals import UNDEFINED, Interval

EVIL = "<b>evil</b>"


def config_of(**changes: Any) -> Config:
    season = {"start": "2017-11-15", "end": "2018-04-15"}
    return minimal_config(**{"run_dir": Path("run"), "season": season, **changes})


def accuracy(day: str | None, right: list[int], pixels: list[int]) -> DayAccuracy:
    share = sum(right) / sum(pixels)
    overall: dict[str, float | None] = {"estimate": share, "low": share - 0.1, "high": share + 0.1}
    of_each = [dict(enumerate(numbers)) for numbers in (right, pixels)]
    return DayAccuracy(overall, *of_each, date.fromisoformat(day) if day else None, 3)


def test_months_end_within_the_season_and_before_the_day_that_is_set() -> None:
    ends = [str(day) for day in month_ends(config_of())]
    assert ends == ["2017-11-30", "2017-12-31", "2018-01-31", "2018-02-28", "2018-03-31"]
    imagery = {"paths": ["none"], "tiles": ["31TCJ"], "as_of": "2018-01-31"}
    assert str(month_ends(config_of(imagery=imagery))[-1]) == "2018-01-31"


def test_the_interval_of_a_share_is_that_of_a_paired_bootstrap() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(5, 40, 60)
    final = rng.binomial(pixels, 0.9)
    early = rng.binomial(final, 0.8)  # what is right early is right in the end
    one, whole = accuracy("2018-03-31", [*early], [*pixels]), accuracy(None, [*final], [*pixels])
    found = share_interval(one, whole, Resampling(1500, 0.95, 0))
    share = early.sum() / final.sum()
    # The delta method for a ratio of sums over polygons.
    error = np.sqrt(len(pixels) * np.var(early - share * final, ddof=1)) / final.sum()
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(share - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(share + 1.96 * error, abs=0.2 * error)
    assert share_interval(whole, whole, Resampling(50, 0.95, 0)) == Interval(1.0, 1.0)
    few = accuracy("2018-03-31", [1] * 9, [2] * 9)
    assert share_interval(few, few, Resampling(50, 0.95, 0)) == UNDEFINED


def summary_of(*shares: tuple[str, float, float | None]) -> SeasonSummary:
    overall: dict[str, float | None] = {"estimate": 0.9, "low": 0.8, "high": 1.0}
    rows = [
        Row(day, 1, overall, share, UNDEFINED if low is None else Interval(low, 1.1))
        for day, share, low in shares
    ]
    final = Row(None, 2, overall, 1.0, UNDEFINED)
    return SeasonSummary(EVIL, 2018, 0.95, 0.95, (*rows, final))


def test_the_first_day_is_named_the_certain_one_and_those_that_fall_back() -> None:
    days = summary_of(
        ("2018-03-31", 0.8, 0.7),
        ("2018-04-30", 0.95, 0.9),
        ("2018-05-31", 0.94, 0.9),
        ("2018-06-30", 0.99, 0.96),
    )
    assert (days.earliest, days.certain, days.below_again) == (
        "2018-04-30",
        "2018-06-30",
        ("2018-05-31",),
    )
    text = found_in_words(days)
    assert "2018-04-30 is the first day that reaches 95% of the final accuracy" in text
    assert "2018-06-30 is the first whose whole 95% interval does" in text
    assert "Below again: 2018-05-31." in text
    never = summary_of(("2018-03-31", 0.8, None))
    assert never.earliest is None
    assert found_in_words(never).startswith("No day before the end of the season reaches 95%")
    assert "of no day the whole 95% interval does" in found_in_words(
        summary_of(("2018-03-31", 0.96, 0.9))
    )


def test_files_hold_every_day_and_the_page_escapes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    days = [
        accuracy(day, [*rng.integers(10, 18, 20)], [20] * 20)
        for day in ("2018-03-31", "2018-04-30")
    ]
    whole = accuracy(None, [18] * 20, [20] * 20)
    summary = summarise([*days, whole], (EVIL, 2018), 0.95, Resampling(50, 0.95, 0))
    paths = write(summary, tmp_path)
    assert [path.name for path in paths] == ["season.json", "season.md", "season.html"]
    content = json.loads(paths[0].read_text())
    assert [row["day"] for row in content["rows"]] == ["2018-03-31", "2018-04-30", None]
    assert content["rows"][2]["share"] == 1
    assert content["rows"][0]["interval"]["low"] < content["rows"][0]["share"]
    assert as_markdown(summary).count("| 3 |") == 3
    page = paths[2].read_text(encoding="utf-8")
    assert EVIL not in page
    assert page.count("<polyline") == 4
    assert "the whole season" in page


def test_a_map_that_nothing_evaluates_is_refused_before_work(tmp_path: Path) -> None:
    given = config_of(
        run_dir=tmp_path / "run",
        imagery={"paths": [tmp_path], "tiles": ["31TCJ"], "allow_missing_tiles": True},
        learning={"model": tmp_path},
    )
    with pytest.raises(ConfigError, match="E-SEASON-LABELS"):
        evaluate_season(given, SeasonRequest())
    assert not (tmp_path / "run").exists()
