"""A run works only in a folder of its own, and removes only what runs made (2.6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.machine_tools import oso
from support.pipeline_tools import write_config
from support.toy_world import World

from oso_pipeline.core.commit import sweep_temporaries, temporary_beside
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder.ownership import check_own
from oso_pipeline.runtime.reuse import begin_with_preparation
from oso_pipeline.simulation import WorldSpec
from oso_pipeline.simulation.demo import ensure_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.yaml", "oso.yaml"])
def test_2_6_run_dir_beside_the_configuration_is_refused(
    small_world: Path, tmp_path: Path, name: str
) -> None:
    config = write_config(tmp_path, small_world, tiles="30UYD")
    mine = config.rename(tmp_path / name)
    mine.write_text("# my words\n" + mine.read_text())
    (tmp_path / ".notes.tmp").write_text("mine")
    before = contents(tmp_path)
    for command in ("check", "run"):
        ended = oso(command, mine, "--set", f"run_dir={tmp_path}")
        assert ended.returncode == 3, ended.stderr
        assert "E-RUN-FOREIGN" in ended.stderr
        assert name in ended.stderr
    assert contents(tmp_path) == before


def test_2_6_a_folder_of_somebody_is_refused_by_a_run_from_python(world: World) -> None:
    world.run_dir.mkdir()
    (world.run_dir / "thesis.docx").write_text("mine")
    with pytest.raises(ConfigError, match=r"thesis\.docx"):
        world.run()
    assert [path.name for path in world.run_dir.iterdir()] == ["thesis.docx"]


def test_2_6_a_run_folder_with_a_configuration_of_the_user_is_refused(world: World) -> None:
    world.run()
    dumped = (world.run_dir / "config.yaml").read_text()
    assert world.run().done == 0, "its own is not an obstacle"
    mine = "# with my words\n" + dumped
    (world.run_dir / "config.yaml").write_text(mine)
    with pytest.raises(ConfigError, match="a configuration that somebody wrote"):
        world.run()
    assert (world.run_dir / "config.yaml").read_text() == mine


@pytest.mark.parametrize("content", ["", "{", '{"run_id": "x"}', "[]"])
def test_2_6_a_run_folder_with_a_damaged_mark_is_one(world: World, content: str) -> None:
    world.run()
    (world.run_dir / "run.json").write_text(content)
    assert world.run().done == 0


def test_2_6_a_driver_that_was_killed_at_once_or_a_submission_is_no_obstacle(world: World) -> None:
    for name in ("activity", "batch", "jobs"):
        (world.run_dir / name).mkdir(parents=True)
    (world.run_dir / "run.lock").write_text("")
    (world.run_dir / ".run.json.host.1.0123abcd.tmp").write_text("")
    assert world.run().done == 5


def test_2_6_what_a_notebook_extracted_is_no_obstacle(world: World) -> None:
    (world.run_dir / "extracted" / "product").mkdir(parents=True)
    assert not check_own(world.run_dir).errors
    assert world.run().exit_code == 0


def test_2_6_a_run_that_begins_with_files_of_another_has_a_folder_of_its_own(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "other" / "samples").mkdir(parents=True)
    (tmp_path / "other" / "samples" / "31UCU.parquet").write_text("")
    assert begin_with_preparation(tmp_path / "other", world.run_dir) == 1
    assert not check_own(world.run_dir).errors
    assert world.run().done == 5


def test_2_6_only_temporary_files_of_runs_are_removed(world: World) -> None:
    world.run()
    ours = temporary_beside(world.run_dir / "total.txt")
    kept = [".notes.tmp", ".a.b.tmp", "plain.tmp", ".vim.1.tmp", ".x.host.1.xyz.tmp"]
    for name in (ours.name, *kept):
        (world.run_dir / name).write_text("")
    assert sweep_temporaries(world.run_dir) == 1
    assert not ours.exists()
    world.run()
    session.verify(world.run_dir, repair=True)
    assert all((world.run_dir / name).exists() for name in kept)


def test_2_6_repair_leaves_json_of_the_user_beside_a_file(world: World) -> None:
    world.run()
    (world.run_dir / "fields.geojson").write_text("mine")
    (world.run_dir / "fields.geojson.json").write_text(json.dumps({"mine": True}))
    session.verify(world.run_dir, repair=True)
    assert (world.run_dir / "fields.geojson.json").exists()


def test_2_6_a_folder_with_a_config_yaml_is_no_run_to_repair(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine: true")
    (tmp_path / "data.tif").write_text("mine")
    (tmp_path / "data.tif.json").write_text("mine")
    with pytest.raises(InputDataError, match=r"no run: the folder has no run\.json"):
        session.verify(tmp_path, repair=True)
    assert (tmp_path / "data.tif.json").exists()


def test_2_6_a_simulated_world_that_holds_more_is_not_replaced(tmp_path: Path) -> None:
    spec = WorldSpec()
    for content in ({"type": "FeatureCollection"}, {"identity": "older", "entries": ["products"]}):
        (tmp_path / "world.json").write_text(json.dumps(content))
        (tmp_path / "mine.gpkg").write_text("mine")
        with pytest.raises(InputDataError, match=r"not a simulated world: mine\.gpkg"):
            ensure_world(tmp_path, spec)
    assert (tmp_path / "mine.gpkg").exists()
