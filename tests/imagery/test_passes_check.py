"""What is said of missing passes, and when it is a warning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from support.inventories import make_config

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.findings import Findings
from oso_pipeline.imagery.passes import Completeness, Pass
from oso_pipeline.imagery.passes_check import NOTE, Expected, described, note
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.season_check import check_products

YEAR = Expected(date(2018, 1, 1), date(2018, 12, 31))
MUSCATE = Expected(YEAR.first, YEAR.last, omits_cloudy=True)


def year(tile: str, without: Sequence[int] = (), every: int = 1) -> list[Pass]:
    """Return the passes of two satellites of a year but of some months."""
    start = datetime(2018, 1, 1, 10, 54, tzinfo=UTC)
    passes = [
        Pass(tile, f"S2{'AB'[number % 2]}", start + timedelta(days=5 * number))
        for number in range(73)
    ]
    return [one for one in passes if one.acquired.month not in without][::every]


def codes(expected: Expected, passes: Sequence[Pass]) -> list[str]:
    return [one.code for one in expected.problems(expected.compared(passes))]


def test_the_text_names_the_month_that_lacks_most() -> None:
    found = Completeness("31TCJ", {"2018-01": 70, "2018-03": 3}, {"2018-01": 3, "2018-03": 9})
    assert described(found) == "12 of 73 passes are missing, 9 of them in March 2018"
    found = Completeness("31TCJ", {"2018-01": 73}, {"2018-01": 1})
    assert described(found) == "1 of 73 passes is missing, in January 2018"
    assert described(Completeness("31TCJ", {"2018-01": 7}, {})) == "none of 7 passes is missing"


def test_one_line_speaks_of_all_tiles_and_names_the_worst() -> None:
    passes = [*year("31TCJ"), *year("31TDJ", without=(3, 4)), *year("31TEJ")[:1]]
    line = note(YEAR.compared(passes))
    assert line == (
        f"{NOTE} 12 of 146 passes are missing, 6 of them in March 2018; most in tile 31TDJ "
        "(12 of 73); not counted: 1 tile with too few or irregular dates"
    )
    assert note(YEAR.compared(year("31TCJ")[:1])).endswith("the dates are too few or irregular")
    assert note({}) == ""


@pytest.mark.parametrize(
    ("without", "complete", "cloudy_omitted"),
    [
        ((), [], []),
        ((1,), ["W-SEASON-PASSES"], []),
        ((5,), ["W-SEASON-PASSES"], ["W-SEASON-PASSES"]),
    ],
)
def test_an_empty_month_is_a_warning_but_not_a_winter_without_cloudy_scenes(
    without: tuple[int, ...], complete: list[str], cloudy_omitted: list[str]
) -> None:
    assert codes(YEAR, year("31TCJ", without)) == complete
    assert codes(MUSCATE, year("31TCJ", without)) == cloudy_omitted


def test_a_third_of_the_year_is_a_warning_and_half_where_cloudy_scenes_are_omitted() -> None:
    kept = [one for number, one in enumerate(year("31TCJ")) if number % 10 not in (3, 5, 7, 9)]
    assert (codes(YEAR, kept), codes(MUSCATE, kept)) == (["W-SEASON-PASSES"], [])
    kept = [one for number, one in enumerate(year("31TCJ")) if number % 10 < 4]
    assert codes(MUSCATE, kept) == ["W-SEASON-PASSES"]


def test_a_third_of_the_passes_is_many() -> None:
    """24 of 73, a little less than a third."""
    kept = [one for number, one in enumerate(year("31TCJ")) if number % 3 != 1]
    assert len(kept) == 49
    assert codes(YEAR, kept) == ["W-SEASON-PASSES"]


def test_many_tiles_make_one_warning() -> None:
    tiles = [f"31T{letter}J" for letter in "CDEFG"]
    passes = [one for tile in tiles for one in year(tile, without=(5,))]
    (problem,) = YEAR.problems(YEAR.compared(passes))
    assert "tile 31TCJ: 7 of 73, 7 of 7 in May 2018" in problem.message
    assert problem.message.endswith("and 2 more tiles")


def test_other_satellites_are_not_counted() -> None:
    assert (
        YEAR.compared([Pass("31TCJ", "LANDSAT8-OLITIRS-XS", one.acquired) for one in year("")])
        == {}
    )


def test_days_that_are_not_over_are_not_expected(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    config = make_config(tmp_path, as_of=date(2018, 6, 30))
    assert Expected.of(config) == Expected(
        config.season.start, date(2018, 6, 30), True, frozenset({"l3a"})
    )
    season = config.season.model_copy(update={"end": today + timedelta(days=100)})
    assert Expected.of(config.model_copy(update={"season": season})).last <= today


def found(folder: Path, passes: Sequence[Pass], family: str) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            folder / f"{number}_{one.tile}", family, "P", one.tile, one.acquired,
            (one.platform, str(one.acquired)), platform=one.platform,
        )
        for number, one in enumerate(passes)
    )  # fmt: skip


@pytest.mark.parametrize(("family", "warned"), [("muscate", []), ("safe", ["W-SEASON-PASSES"])])
def test_cloudy_scenes_are_missing_of_families_that_are_there(
    tmp_path: Path, family: str, warned: list[str]
) -> None:
    """The default readers include one of a family that lacks them."""
    candidates = found(tmp_path, year("31TCJ", without=(1,)), family)
    problems = check_products(make_config(tmp_path), Findings(candidates, ()))
    assert [one.code for one in problems.warnings] == warned


def test_images_of_a_single_day_are_no_season(tmp_path: Path) -> None:
    candidates = found(tmp_path, [*year("31TCJ")[20:21], *year("31TDJ")[20:22]], "safe")
    config = make_config(tmp_path, tiles=("31TCJ", "31TDJ"))
    problems = check_products(config, Findings(candidates, ()))
    (warning,) = problems.warnings
    assert warning.code == "W-SEASON-PASSES"
    assert "1 tile with images of one day in 425 days: T31TCJ (2018-04-11)" in warning.message
    assert "tile 31TCJ: 1 product of 2018-04-11 to 2018-04-11" in problems.notes
    season = config.season.model_copy(
        update={"start": date(2018, 4, 1), "end": date(2018, 4, 20), "step_days": 5}
    )
    short = make_config(tmp_path, tiles=("31TCJ", "31TDJ"), margin_days=0)
    short = short.model_copy(update={"season": season})
    warnings = check_products(short, Findings(candidates, ())).warnings
    assert not any("one day" in one.message for one in warnings)


def test_the_check_of_a_configuration_counts_products_of_its_tiles(tmp_path: Path) -> None:
    passes = [*year("31TCJ", without=(5,)), *year("31TDJ", without=(6,))]
    candidates = found(tmp_path, passes, "muscate")
    problems: Problems = check_products(make_config(tmp_path), Findings(candidates, ()))
    (line,) = [one for one in problems.notes if one.startswith(NOTE)]
    assert "7 of 73 passes are missing, all in May 2018" in line
    assert [one.code for one in problems.warnings] == ["W-SEASON-PASSES"]
