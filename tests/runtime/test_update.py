"""``oso update``: what came since the last run, and the folder of another map is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.minimal_config import minimal_config
from support.toy_world import World

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.runtime.folder.ownership import dump
from oso_pipeline.runtime.update import configuration_before, find_update


def changed(config: Config, section: str, **values: Any) -> Config:
    content = config.model_dump()
    content[section].update(values)
    return Config.model_validate(content)


def test_the_same_map_with_other_images_and_machines_is_one_to_update(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    before = minimal_config(world.run_dir)
    config = changed(before, "imagery", as_of=before.season.start, paths=[tmp_path / "more"])
    config = changed(config, "runtime", workers=3, memory_per_worker_gb=7.5)
    assert configuration_before(config).seed == before.seed
    planner = world.planner()
    planner.config = config
    found = find_update(planner, before)
    assert found.settings[0] == f"imagery.as_of: not set -> {date.isoformat(before.season.start)}"
    assert [one.partition(":")[0] for one in found.settings[1:]] == [
        "imagery.paths",
        "runtime.memory_per_worker_gb",
    ]
    assert (found.plans, dict(found.products)) == ((), {})


def test_the_folder_of_another_map_is_refused_with_all_that_differs(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(InputDataError, match=r"E-RUN-NONE. there is nothing to update"):
        configuration_before(minimal_config(world.run_dir))
    world.run()
    config = minimal_config(world.run_dir, seed=1)
    config = changed(config, "learning", n_trees=7)
    with pytest.raises(ConfigError) as refused:
        configuration_before(config)
    (problem,) = refused.value.problems
    assert problem.code == "E-RUN-OTHER"
    assert "learning.n_trees: 100 -> 7; seed: 0 -> 1" in problem.message
    assert problem.where == str(world.run_dir / "config.yaml")
    (world.run_dir / "config.yaml").write_text(dump(config.model_dump(mode="json")))
    assert configuration_before(config).learning == config.learning
