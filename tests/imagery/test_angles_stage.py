"""The stage that reads the angles of each image: when it is planned, what it writes, its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import safe_factory
from support.inventories import A, Context, make_config, run
from support.l3a_factory import synthesis
from support.minimal_config import minimal_config
from support.muscate_factory import Muscate

from oso_pipeline.config import Config
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.angles import Angles
from oso_pipeline.imagery.angles_stage import STAGE, AnglesJob, make_angles, read_angles
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do

WRITTEN = Angles(60.0, 160.0, 7.9, 104.9)


def with_series(folder: Path, *variables: str, **imagery: Any) -> Config:
    config = make_config(folder, **imagery)
    return minimal_config(
        config.run_dir,
        imagery=config.imagery.model_dump(),
        series={"variables": list(variables)} if variables else None,
    )


def plan(config: Config) -> list[Task]:
    return STAGE.plan(Context(config))


def test_a_file_per_tile_names_the_products(tmp_path: Path) -> None:
    product = safe_factory.write(tmp_path / "images")
    config = with_series(tmp_path, "LAI")
    run(config)
    (task,) = plan(config)
    assert task.outputs == ("series/angles/31TCJ.json",)
    assert do(task).status == "done"
    (found,) = read_angles(task.output(), [product.stem])
    assert found.to_json() == pytest.approx(WRITTEN.to_json())
    assert STAGE.gather((task,)).summary == {"tiles": 1, "products": 1}


def test_it_is_planned_only_where_a_network_is_asked_for(tmp_path: Path) -> None:
    Muscate(A).write(tmp_path / "images")
    assert plan(with_series(tmp_path)) == []
    assert plan(with_series(tmp_path, "NDVI", "B4")) == []
    assert len(plan(with_series(tmp_path, "NDVI", "FCOVER"))) == 1


def test_the_key_follows_the_products_not_the_variables(tmp_path: Path) -> None:
    safe_factory.write(tmp_path / "images")
    keys = {plan(with_series(tmp_path, name))[0].key for name in ("LAI", "FAPAR")}
    safe_factory.edit(
        next((tmp_path / "images").iterdir()), lambda t: t.replace("7.9", "8.1"), "MTD_TL.xml"
    )
    assert len(keys) == 1
    assert plan(with_series(tmp_path, "LAI"))[0].key not in keys


def test_products_without_angles_are_named_with_a_remedy(tmp_path: Path) -> None:
    Muscate(A).write(tmp_path / "images")
    safe_factory.write(tmp_path / "images", sensed=safe_factory.FACTS.sensed.replace(day=9))
    config = with_series(tmp_path, "LAI", "FAPAR")
    run(config)
    (task,) = plan(config)
    with pytest.raises(InputDataError) as raised:
        make_angles(task.job, task)
    (problem,) = raised.value.problems
    assert problem.code == "E-SERIES-ANGLES"
    assert f"1 product of 2 ({A})" in problem.message
    assert problem.message.startswith("LAI, FAPAR needs")
    assert "leave LAI, FAPAR out of series.variables" in problem.hint
    assert not task.output().exists()


def test_syntheses_alone_are_refused_before_any_work(tmp_path: Path) -> None:
    synthesis().write(tmp_path / "images")
    only = {"readers": [{"kind": "l3a"}]}
    (problem,) = STAGE.check(with_series(tmp_path, "LAI", **only)).errors
    assert problem.code == "E-SERIES-ANGLES"
    assert "l3a" in problem.message
    assert not STAGE.check(with_series(tmp_path, "NDVI", **only))
    assert not STAGE.check(with_series(tmp_path, "LAI"))


@pytest.mark.parametrize("text", ["", "{", '{"angles": []}', '{"angles": {"a": {"x": 1}}}'])
def test_a_damaged_file_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "31TCJ.json"
    path.write_text(text)
    with pytest.raises(InputDataError, match="E-SERIES-ANGLES"):
        read_angles(path, ["a"])
    path.write_text(json.dumps({"angles": {"a": WRITTEN.to_json()}}))
    assert read_angles(path, ["a", "a"]) == (WRITTEN, WRITTEN)


def test_the_job_survives_the_way_to_a_worker(tmp_path: Path) -> None:
    safe_factory.write(tmp_path / "images")
    (task,) = plan(with_series(tmp_path, "LAI"))
    assert isinstance(task.job, AnglesJob)
    assert list(task.inputs) == ["inventory"]
    assert task.params == {}
