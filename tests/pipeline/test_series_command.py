"""`oso series` on a small simulated world, without labels: numbers, resuming, executors, disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from support.machine_tools import files_of_at_most
from typer.testing import CliRunner

import oso_pipeline
from oso_pipeline.cli import app
from oso_pipeline.core.errors import OsoError
from oso_pipeline.timeseries.series_block_file import read_series_block, read_series_layout

CONFIG = """\
year: 2018
run_dir: {run_dir}
season: {{start: 2018-01-01, end: 2018-12-31, step_days: 20}}
imagery:
  paths: [{world}/products]
  tiles: [31UCU]
series:
  variables: [NDVI, B5, LAI]
  formats: []
runtime: {{block_pixels: 4096, cluster: {{kind: serial}}}}
"""


@pytest.fixture
def config(small_world: Path, tmp_path: Path) -> Path:
    path = tmp_path / "series.yaml"
    path.write_text(CONFIG.format(run_dir=tmp_path / "run", world=small_world))
    return path


def digests_of(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("series/blocks/*/*.arrow"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def oso(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(found.exception, OsoError):  # the console turns it into this code
        return int(found.exception.exit_code), str(found.exception)
    return found.exit_code, found.output + str(found.exception or "")


@pytest.mark.slow
def test_series_equal_the_stack_resume_and_do_not_depend_on_the_executor(
    config: Path, tmp_path: Path
) -> None:
    code, text = oso("plan", config)
    assert code == 0, text
    assert "series" in text
    assert "angles" in text
    assert "train" not in text
    code, text = oso("series", config)
    assert code == 0, text
    run = tmp_path / "run"
    blocks = sorted(run.glob("series/blocks/31UCU/*.arrow"))
    assert len(blocks) > 1
    stack = oso_pipeline.open_stack(config, "31UCU").compute()
    for path in blocks:
        layout, block = read_series_layout(path)
        found = read_series_block(path).values
        window = {
            "y": slice(block.row, block.row + block.height),
            "x": slice(block.column, block.column + block.width),
        }
        for name in ("NDVI", "B5"):
            np.testing.assert_array_equal(found[name], stack[name].isel(window).values)
        lai = layout["LAI"].physical(found["LAI"])
        assert 0 <= np.nanmin(lai) <= np.nanmax(lai) <= 8
    code, text = oso("series", config)
    assert code == 0, text
    assert "never made" not in text
    assert "outdated" not in text
    first = digests_of(run)
    blocks[0].unlink()
    code, text = oso("series", config, "--workers", 2, "--set", "runtime.cluster={kind: local}")
    assert code == 0, text
    assert digests_of(run) == first
    other = tmp_path / "other"
    for shard in ("1/2", "2/2"):
        code, text = oso("series", config, "--set", f"run_dir={other}", "--shard", shard)
        assert code in (0, 75), text
    for shard in ("1/2", "2/2"):
        code, text = oso("series", config, "--set", f"run_dir={other}", "--shard", shard)
        assert code in (0, 75), text
    assert digests_of(other) == first
    code, text = oso("train", config)
    assert code == 4, text
    assert "E-NAME-STAGE" in text


@pytest.mark.slow
def test_a_full_disk_leaves_what_the_same_command_continues(config: Path, tmp_path: Path) -> None:
    code, text = oso("run", config, "--until", "angles")
    assert code == 0, text
    with files_of_at_most(100_000):
        code, text = oso("series", config)
    assert code in (5, 6), text
    assert "E-DISK" in text
    run = tmp_path / "run"
    assert not [path for path in run.rglob(".*.tmp") if path.is_file()]
    code, text = oso("series", config)
    assert code == 0, text
    assert digests_of(run)


def test_without_the_section_the_command_says_so(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    text = CONFIG.format(run_dir=tmp_path / "run", world=tmp_path)
    kept = text.partition("series:")[0]
    path.write_text(kept + "reference: {sources: [{path: reference.gpkg}]}\n")
    code, text = oso("series", path)
    assert code == 3
    assert "E-SERIES-NONE" in text


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{variables: [EVI]}", "EVI"),
        ("{variables: [NDVI, NDVI]}", "more than once"),
        ("{dates: raw, phenology: {}}", "dates: raw"),
        ("{variables: [B4], phenology: {}}", "phenology.variable"),
        ("{variables: [NDWI], phenology: {variable: NDWI}}", "NDVI, LAI, FAPAR"),
        ("{phenology: {least_amplitude: 0}}", "least_amplitude"),
        ("{smoothing: {kind: savitzky_golay, window: 4}}", "odd"),
    ],
)
def test_a_section_with_mistakes_is_refused(tmp_path: Path, section: str, said: str) -> None:
    config = tmp_path / "series.yaml"
    config.write_text(CONFIG.format(run_dir=tmp_path / "run", world=tmp_path))
    code, text = oso("series", config, "--set", f"series={section}")
    assert code == 3
    assert said in text
