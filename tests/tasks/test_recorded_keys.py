"""Keys up to predict are those that 0.1 gave: its results stay valid.

How they were recorded is said in `planned_keys`, which both sides share: the inputs are written
byte for byte by `fixed_world`, so neither files nor versions of libraries matter.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.planned_keys import (
    ADDED,
    AFTER_PREDICT,
    RECORDED,
    RUNS,
    config_of,
    lay_out,
    planned_keys,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fixed")
    lay_out(folder)
    return folder


def up_to_predict(keys: dict[str, str]) -> dict[str, str]:
    """Return the keys of the stages that 0.1 had, up to predict."""
    others = AFTER_PREDICT | ADDED
    return {name: key for name, key in keys.items() if name.split("/")[0] not in others}


def stages_that_differ(recorded: dict[str, str], planned: dict[str, str]) -> list[str]:
    """Return the stages with another key, or other tasks, in the order of the flow."""
    names = [*planned, *(name for name in recorded if name not in planned)]
    changed = (name for name in names if recorded.get(name) != planned.get(name))
    return list(dict.fromkeys(name.split("/")[0] for name in changed))


@pytest.mark.parametrize("name", RUNS)
def test_keys_are_as_recorded(root: Path, name: str) -> None:
    recorded = up_to_predict(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")))
    planned = up_to_predict(planned_keys(root, name))
    assert stages_that_differ(recorded, planned) == []
    assert {"inventory", "polygons", "reference", "samples", "train", "predict"} <= {
        task.split("/")[0] for task in recorded
    }


def test_a_change_is_seen_from_the_stage_on_that_it_concerns(root: Path) -> None:
    recorded = up_to_predict(json.loads((RECORDED / "two_seasons.json").read_text()))
    planned = up_to_predict(planned_keys(root, "two_seasons", "learning.max_depth=24"))
    assert stages_that_differ(recorded, planned) == ["train", "predict"]


def test_3_2_names_and_colours_of_classes_outdate_no_pixel(tmp_path: Path) -> None:
    lay_out(tmp_path)
    before = planned_keys(tmp_path, "flanders_2018")
    table = Path(config_of(tmp_path, "flanders_2018").nomenclature)
    text = table.read_text(encoding="utf-8")
    name = text.splitlines()[1].split(",")[1]
    table.write_text(text.replace(name, f"another {name}"), encoding="utf-8")
    after = planned_keys(tmp_path, "flanders_2018")
    assert stages_that_differ(up_to_predict(before), up_to_predict(after)) == []
    assert stages_that_differ(before, after)[0] == "mosaic"


def test_how_images_are_fetched_is_in_no_key(root: Path) -> None:
    changes = ("retrieval.max_gb=5", "retrieval.providers=[geodes]", "retrieval.keep_free_gb=1")
    assert planned_keys(root, "demo", *changes) == planned_keys(root, "demo")
