"""Past seasons: what each sees of the configuration, and what cannot fit."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from oso_pipeline.config.check import check_paths
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import past_config, perennial_codes, target_config
from oso_pipeline.core.errors import ConfigError

SOURCES = """
  sources:
    - {path: fields_2017.gpkg, year: 2017}
    - {path: fields_2015.gpkg, year: 2015, classes: [11, 211]}
    - {path: forests.gpkg, year: 2012, classes: [31, 32]}
    - {path: clc.gpkg, kind: clc, year: 2006}
"""
ANNUAL = {11, 12}


def config_of(
    folder: Path, adaptation: str = "", reference: str = SOURCES, year: int = 2018
) -> Config:
    """Return a configuration with past seasons 2017 and 2015 unless told otherwise."""
    for name in ("now", "past", "2015"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("fields_2017.gpkg", "fields_2015.gpkg", "forests.gpkg", "clc.gpkg"):
        (folder / name).touch()
    (folder / "own.csv").write_text("code,name_fr\n1,blé\n2,bois\n", encoding="utf-8")
    given = adaptation or (
        "{sources: [{year: 2017, imagery: {paths: [past]}},"
        " {year: 2015, imagery: {paths: ['2015']}}]}"
    )
    path = folder / "mine.yaml"
    path.write_text(
        f"year: {year}\n"
        f"season: {{start: {year - 1}-11-29, end: {year}-10-15}}\n"
        "imagery: {paths: [now], tiles: [31TCJ]}\n"
        f"reference:{reference}"
        f"adaptation: {given}\n",
        encoding="utf-8",
    )
    return load_config(path, (), {})


def found(config: Config) -> list[tuple[str, str]]:
    return [(problem.code, problem.message) for problem in check_paths(config).errors]


def codes_by_source(config: Config) -> dict[str, set[int] | None]:
    return {
        source.path.stem: None if source.classes is None else set(source.classes)
        for source in config.reference.sources
        if getattr(source, "labels", True)
    }


def test_labels_hold_in_their_season_perennial_ones_for_years(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert found(config) == []
    perennial = set(perennial_codes(config))
    assert perennial == {31, 32, 34, 36, 41, 42, 43, 44, 45, 46, 51, 53, 211, 221, 222}
    # 4 years by default: the forests of 2012 hold up to 2016.
    assert codes_by_source(target_config(config)) == {
        "fields_2017": perennial,
        "fields_2015": {211},
    }
    assert codes_by_source(past_config(config, 2017)) == {
        "fields_2017": None,
        "fields_2015": {211},
    }
    assert codes_by_source(past_config(config, 2015)) == {
        "fields_2017": perennial,
        "fields_2015": {11, 211},
        "forests": {31, 32},
    }


def test_old_land_cover_labels_nothing_but_still_tells_buildings_apart(tmp_path: Path) -> None:
    (clc,) = [s for s in target_config(config_of(tmp_path)).reference.sources if s.kind == "clc"]
    assert not clc.labels


def test_a_past_season_has_its_images_and_dates_and_all_else_of_the_map(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    past = past_config(config, 2017)
    assert (past.year, past.imagery.paths) == (2017, (tmp_path / "past",))
    assert past.season.start == date(2016, 11, 29)
    assert len(past.season.grid) == len(config.season.grid)
    assert past.imagery.bands == config.imagery.bands
    assert past.learning == config.learning
    assert past.adaptation is None


def test_a_leap_year_moves_no_date_of_the_season(tmp_path: Path) -> None:
    config = config_of(tmp_path, "{sources: [{year: 2016, imagery: {paths: [past]}}]}")
    here, past = config.season.grid, past_config(config, 2016).season.grid
    assert (here.days - here.days[0]).tolist() == (past.days - past.days[0]).tolist()
    assert any(day.month == 2 and day.day == 29 for day in past.dates) or len(past) == len(here)


def test_without_adaptation_the_run_is_the_same_as_ever(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    plain = config.model_copy(update={"adaptation": None})
    assert "adaptation" not in plain.science()
    assert target_config(plain) is plain
    assert config.science()["adaptation"]["sources"][0]["imagery"]["paths"] == ["past"]


@pytest.mark.parametrize(
    ("adaptation", "message"),
    [
        ("year: 2018, imagery: {paths: [past]}", "the year of the map itself"),
        (
            "year: 2017, imagery: {paths: [past]}, season: {start: 2017-06-01}",
            "no common dates",
        ),
        (
            "year: 2017, imagery: {paths: [past]}, season: {start: 2016-11-29, end: 2017-05-01}",
            "has 16 dates every 10 days, `season` (2017-11-29 to 2018-10-15) has 33",
        ),
    ],
)
def test_seasons_that_do_not_fit(tmp_path: Path, adaptation: str, message: str) -> None:
    ((code, text),) = found(config_of(tmp_path, f"{{sources: [{{{adaptation}}}]}}"))
    assert code == "E-SEASON-DATES"
    assert text.startswith("adaptation.sources[0].")
    assert message in text


def test_a_season_may_begin_some_days_earlier_or_later(tmp_path: Path) -> None:
    shifted = "{sources: [{year: 2017, imagery: {paths: [past]}, season: {start: 2016-12-09}}]}"
    config = config_of(tmp_path, shifted)
    assert found(config) == []
    assert past_config(config, 2017).season.grid.dates[0] == date(2016, 12, 9)


def test_labels_missing_in_a_season_or_without_year_are_all_named(tmp_path: Path) -> None:
    past = "imagery: {paths: [past]}"
    three = f"{{sources: [{{year: 2016, {past}}}, {{year: 2014, {past}}}]}}"
    assert [code for code, _ in found(config_of(tmp_path, three))] == ["E-SEASON-NO-LABELS"] * 2
    nameless = "\n  sources: [{path: fields_2017.gpkg}, {path: forests.gpkg}]\n"
    assert found(config_of(tmp_path, reference=nameless)) == [
        (
            "E-SOURCE-YEAR",
            f"reference.sources[{n}].year: is missing; with `adaptation` every source of labels "
            "says which year it describes",
        )
        for n in (0, 1)
    ]
    old = "\n  sources: [{path: fields_2017.gpkg, year: 2017, classes: [11, 12]}]\n"
    config = config_of(tmp_path, "{sources: [{year: 2017, imagery: {paths: [past]}}]}", old)
    assert found(config) == []
    (warning,) = check_paths(config).warnings
    assert warning.code == "W-SEASON-NO-LABELS"
    assert "no label holds in 2018" in warning.message
    assert "nothing evaluates the map unless validation.independent" in warning.message


def test_perennial_classes_must_be_known(tmp_path: Path) -> None:
    one = "sources: [{year: 2017, imagery: {paths: [past]}}]"
    ((code, text),) = found(config_of(tmp_path, f"{{{one}, perennial_classes: [31, 99]}}"))
    assert code == "E-CLASS-PERENNIAL"
    assert "99 is not a class of the nomenclature oso17" in text
    own = SOURCES + "nomenclature: own.csv\n"
    ((code, text),) = found(config_of(tmp_path, f"{{{one}}}", own))
    assert code == "E-CLASS-PERENNIAL"
    assert "is not given" in text


def test_folders_of_past_images_are_tried_like_all_others(tmp_path: Path) -> None:
    config = config_of(tmp_path, "{sources: [{year: 2017, imagery: {paths: [nowhere]}}]}")
    ((code, text),) = found(config)
    assert code == "E-PATH-MISSING"
    assert text.startswith("adaptation.sources[0].imagery.paths[0]: there is nothing at")


@pytest.mark.parametrize(
    ("adaptation", "key"),
    [
        ("{method: student}", "adaptation.sources"),
        ("{sources: [{year: 2017, imagery: {paths: [past]}}], method: coral}", "method"),
        ("{sources: [{year: 2017, imagery: {paths: [p], bands: [B4]}}]}", "bands"),
        ("{sources: [{year: 2017, imagery: {paths: [p]}}], gate: on}", "gate"),
        (
            "{sources: [{year: 2017, imagery: {paths: [p]}}], target_sample_size: 40}",
            "target_sample_size",
        ),
    ],
)
def test_mistakes_are_found_with_their_place(tmp_path: Path, adaptation: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, adaptation)
    (problem,) = caught.value.problems
    assert key in problem.message
    assert problem.where is not None
    assert "mine.yaml:" in problem.where


def test_a_year_is_listed_once(tmp_path: Path) -> None:
    item = "{year: 2017, imagery: {paths: [past]}}"
    with pytest.raises(ConfigError, match="sources name the year 2017 more than once"):
        config_of(tmp_path, f"{{sources: [{item}, {item}]}}")
