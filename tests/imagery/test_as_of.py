"""Maps with the images of up to a day: what counts, what is made again, what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.inventories import Context, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Season
from oso_pipeline.config.seasons import past_config
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import check_products
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.runtime.update import Changes
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries import stack
from oso_pipeline.timeseries.feature_layout import FeatureLayout

NAME = "SENTINEL2A_2018{}-105435-457_L2A_T{}_C_V2-2"
JANUARY, MAY, JULY = "0105", "0510", "0720"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder with three products of a tile, the last of July."""
    folder = tmp_path / "images"
    for day in (JANUARY, MAY, JULY):
        Muscate(NAME.format(day, "31TCJ")).write(folder)
    return folder


def key(folder: Path, as_of: str | None = None) -> str:
    (task,) = STAGE.plan(Context(make_config(folder, as_of=as_of)))
    return task.key


def found(config: Config) -> list[tuple[str, str, str | None]]:
    problems = Problems()
    findings = find_products(config.imagery.paths, Readers.of(config.imagery.readers), problems)
    problems.extend(check_products(config, findings))
    return [(one.code, one.message, one.hint) for one in problems.errors]


def test_images_up_to_the_day_count_and_the_day_itself_does(images: Path) -> None:
    config = make_config(images.parent, as_of="2018-05-10")
    of_a_notebook = stack.inventory_to_open(config, "31TCJ")
    inventory, summary = run(config)
    assert inventory.acquisitions == of_a_notebook.acquisitions
    assert [a.product_id[11:19] for a in inventory.acquisitions] == ["20180105", "20180510"]
    assert summary["skipped"] == {"acquired_later": 1}
    assert summary["last"] == "2018-05-10"


def test_a_day_is_as_if_later_products_were_not_there(images: Path) -> None:
    whole, may = key(images.parent), key(images.parent, "2018-05-31")
    assert whole == key(images.parent, "2018-12-31")  # no product came since
    assert may == key(images.parent, "2018-05-10") != whole
    (images / NAME.format(JULY, "31TCJ")).rename(images.parent / "elsewhere")
    assert key(images.parent) == may


def test_features_have_the_same_dates_and_ids_stay_without_a_day(images: Path) -> None:
    whole, may = make_config(images.parent), make_config(images.parent, as_of="2018-05-31")
    assert FeatureLayout.of(may) == FeatureLayout.of(whole)
    assert "as_of" not in whole.science()["imagery"]
    assert may.run_id != whole.run_id
    assert may.recipe_id != whole.recipe_id


def test_a_day_before_the_first_image_names_the_first(images: Path) -> None:
    config = make_config(images.parent, as_of="2018-01-03")
    ((code, message, hint),) = found(config)
    assert code == "E-IMAGE-AS-OF"
    assert "from 2018-01-01 to 2018-01-03; the first is of 2018-01-05" in message
    assert hint is not None
    assert "imagery.as_of: 2018-01-05" in hint
    assert found(make_config(images.parent, as_of="2018-01-05")) == []


def test_a_tile_that_begins_later_is_named(images: Path) -> None:
    Muscate(NAME.format(JULY, "30TYP")).write(images)
    two: dict[str, Any] = {"tiles": ("31TCJ", "30TYP"), "as_of": "2018-05-31"}
    ((code, message, _),) = found(make_config(images.parent, **two))
    assert code == "E-IMAGE-AS-OF"
    assert "tile 30TYP has no image" in message
    assert "the first is of 2018-07-20" in message
    assert found(make_config(images.parent, **two, allow_missing_tiles=True)) == []


@pytest.mark.parametrize("day", ["2017-12-31", "2019-01-31"])
def test_a_day_outside_the_season_is_refused_with_its_days(tmp_path: Path, day: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "year: 2018\nseason: {start: 2018-01-01, end: 2018-12-31}\n"
        f"imagery:\n  paths: [.]\n  tiles: [31TCJ]\n  as_of: {day}\n"
        "reference: {sources: [{path: none.gpkg}]}\n"
    )
    with pytest.raises(ConfigError) as error:
        load_config(path, (), {})
    assert (
        f"E-CONFIG-VALUE] imagery.as_of: found {day}, allowed: a day of 2018-01-01 to 2019-01-30"
        in str(error.value)
    )
    assert "mine.yaml:6:" in str(error.value)


def test_past_seasons_end_on_the_same_day_of_theirs(tmp_path: Path) -> None:
    config = make_config(tmp_path, as_of="2018-07-31")
    past = {
        "sources": [
            {"year": 2017, "imagery": {"paths": [tmp_path]}},
            {"year": 2016, "imagery": {"paths": [tmp_path]}},
        ]
    }
    config = Config.model_validate({**config.model_dump(), "adaptation": past})
    assert past_config(config, 2017).imagery.as_of == date(2017, 7, 31)
    # As many days after the first: 2016 has a 29 February.
    assert past_config(config, 2016).imagery.as_of == date(2016, 7, 30)
    assert past_config(config, 2016).season == Season.model_construct(
        start=date(2016, 1, 1), end=date(2016, 12, 30), step_days=10
    )
    whole = config.model_copy(update={"imagery": config.imagery.model_copy(update={"as_of": None})})
    assert past_config(whole, 2017).imagery.as_of is None


def test_products_that_came_went_and_changed_are_distinguished(
    images: Path, tmp_path: Path
) -> None:
    homes, config = sorted(images.iterdir()), make_config(tmp_path)
    (task,) = STAGE.plan(Context(config))
    assert Changes.of(task).new == tuple(home.name for home in homes)
    assert do(task).status == "done"
    assert not Changes.of(task)
    came = Muscate(NAME.format("0801", "31TCJ")).write(images)
    homes[0].rename(tmp_path / "elsewhere")
    (metadata,) = homes[1].glob("*_MTD_ALL.xml")
    metadata.write_text(metadata.read_text().replace("</", " </", 1))
    (task,) = STAGE.plan(Context(config))
    assert Changes.of(task) == Changes((came.name,), (homes[0].name,), (homes[1].name,))
