"""What a configuration needs to be fetched."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.minimal_config import MINIMAL, minimal_config

from oso_pipeline.retrieval.needs import needs_of
from oso_pipeline.retrieval.offers import Need

IMAGERY: dict[str, Any] = {"paths": ["products"], "tiles": ["31TCJ", "31TDJ"]}


def test_a_season_needs_its_margins_too(tmp_path: Path) -> None:
    (season,) = needs_of(minimal_config(tmp_path, imagery=IMAGERY))
    first, last = date(2017, 12, 2), date(2019, 1, 30)
    assert season.year == 2018
    assert season.paths == (Path("products"),)
    assert season.needs == (
        Need("muscate", "31TCJ", first, last),
        Need("muscate", "31TDJ", first, last),
    )


def test_nothing_after_the_day_of_a_provisional_map(tmp_path: Path) -> None:
    config = minimal_config(tmp_path, imagery={**IMAGERY, "as_of": "2018-06-30"})
    assert {need.last for need in needs_of(config)[0].needs} == {date(2018, 6, 30)}


@pytest.mark.parametrize(
    ("offered", "families"),
    [(None, ["muscate"]), (["stac", "safe"], ["safe"]), (["stac"], ["stac"]), ([], [])],
)
def test_readers_that_nobody_chose_count_for_one(
    tmp_path: Path, offered: list[str] | None, families: list[str]
) -> None:
    config = minimal_config(tmp_path)
    assert [need.family for need in needs_of(config, offered)[0].needs] == families


def test_chosen_readers_are_all_needed(tmp_path: Path) -> None:
    readers = [{"kind": "safe"}, {"kind": "l3a"}]
    config = minimal_config(tmp_path, imagery={**MINIMAL["imagery"], "readers": readers})
    assert [need.family for need in needs_of(config, ["muscate"])[0].needs] == ["safe", "l3a"]


def test_past_seasons_have_folders_and_days_of_their_own(tmp_path: Path) -> None:
    past = {"year": 2016, "imagery": {"paths": ["past/2016"]}}
    config = minimal_config(
        tmp_path,
        adaptation={"sources": [past]},
        reference={"sources": [{"path": "reference.gpkg", "year": 2016}]},
    )
    now, before = needs_of(config)
    assert (now.year, before.year) == (2018, 2016)
    assert before.paths == (Path("past/2016"),)
    assert before.needs == (Need("muscate", "31TCJ", date(2015, 12, 2), date(2017, 1, 29)),)
