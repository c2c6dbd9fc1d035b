"""A small world of two years and the configuration that maps the later one."""

from __future__ import annotations

from pathlib import Path

CONFIG = """\
year: 2018
run_dir: {run_dir}
season: {{start: 2018-01-01, end: 2018-12-31, step_days: 20}}
imagery:
  paths: [{world}/products]
  tiles: [30UYD, 31UCU]
adaptation:
  target_sample_size: 400
  sources:
    - year: 2017
      imagery: {{paths: [{world}/products_2017]}}
reference:
  rare_classes: drop
  erosion_m: 5
  sources:
    - {{kind: rpg, path: {world}/rpg/RPG_1-0_SHP_LAMB93_R031-2017, year: 2017, form: ilots}}
    - {{path: {world}/reference.gpkg, code_field: code, year: 2018, priority: 2}}
sampling: {{max_train_pixels: 300, allow_missing_classes: true}}
label_check: {{enabled: false}}
learning: {{n_trees: 20}}
validation: {{bootstrap: 100}}
runtime: {{executor: serial}}
"""


def write_two_seasons(folder: Path, world: Path, *changes: tuple[str, str]) -> Path:
    """Write the configuration, with some of its text changed, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = CONFIG.format(run_dir=folder / "run", world=world)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "two.yaml"
    path.write_text(text, encoding="utf-8")
    return path
