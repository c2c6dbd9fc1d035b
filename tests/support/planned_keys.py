"""Keys of the tasks that configurations of 0.1 plan, with inputs that never change.

The keys in ``tests/data/keys`` were written by the code of 0.1 (commit fba1a48), installed in an
environment of its own, with this very file::

    PYTHONPATH=tests path/to/0.1/bin/python -m support.planned_keys tests/data/keys

Those of Flanders were recorded again when names and colours of a user's own classes left the keys
of models: their tasks of `train`, and what follows, have other keys since.

A later change that is to outdate results raises the version of the stage, records the keys again
with this command and its own code, and says so in the CHANGELOG.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.stages import STAGES
from support import TESTS
from support.fixed_world import write_fixed_world

CONFIGS = TESTS / "data" / "0.1" / "configs"
RECORDED = TESTS / "data" / "keys"
AFTER_PREDICT = frozenset({"cells", "mosaic", "validate", "independent", "report"})
"""Stages whose keys may change: tags of the map hold an id of the whole configuration."""
ADDED = frozenset({"draw", "pixels", "past_draw", "past_pixels"})
"""Stages that 0.1 did not have; the keys of what is made from them do not follow theirs."""

_TRUTH = "validation.independent.path={root}/demo/world/truth/fields.geojson"
_PARCELS = "reference.sources.0.path={{root}}/shared/data/flanders_{}/reference/parcels.geojson"
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "demo": ("demo/demo.yaml", (_TRUTH,)),
    "one_year": ("demo/one_year.yaml", (_TRUTH,)),
    "past_forest": ("demo/past_forest.yaml", ()),
    "two_seasons": ("demo/two_seasons.yaml", ()),
    "flanders_2018": ("project/configs/flanders_2018.yaml", (_PARCELS.format(2018),)),
    "flanders_2019": ("project/configs/flanders_2019.yaml", (_PARCELS.format(2019),)),
    "regional": ("project/configs/regional.yaml", ()),
    "national": (
        "project/configs/national.yaml",
        ("imagery.tiles=[31TCJ, 31TDJ]", "strata.path={root}/nation/regions.geojson"),
    ),
}
"""By name: the configuration below the folder of `lay_out`, and what is set in it."""


def lay_out(root: Path) -> None:
    """Write the fixed inputs, and the configurations of 0.1 beside them."""
    write_fixed_world(root)
    for name in ("demo", "project/configs"):
        shutil.copytree(CONFIGS / name, root / name, dirs_exist_ok=True)


def config_of(root: Path, name: str, *more: str) -> Config:
    """Return the configuration of one of `RUNS`, with `more` settings."""
    path, settings = RUNS[name]
    placed = [setting.format(root=root) for setting in settings]
    return load_config(root / path, [*placed, *more], {"OSO_DATA": str(root / "nation")})


def planned_keys(root: Path, name: str, *more: str) -> dict[str, str]:
    """Return the key of every task of one of `RUNS`, by ``stage/name``."""
    planner = Planner(config_of(root, name, *more), STAGES)
    tasks = [task for stage in STAGES for task in planner.tasks(stage.name)]
    return {f"{task.stage}/{task.name}": task.key for task in tasks}


def record(folder: Path) -> None:
    """Write the keys of all `RUNS`, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        lay_out(Path(root))
        for name in RUNS:
            keys = planned_keys(Path(root), name)
            text = json.dumps(keys, indent=0, sort_keys=True)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=record.__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=RECORDED)
    record(parser.parse_args().folder)
