"""Runs on JPEG 2000: images are copied once, and the map is the same with and without copies."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.families import write_families
from support.pipeline_tools import digests, oso, stdout_of, write_config
from support.two_seasons import write_two_seasons
from typer.testing import CliRunner

from oso_pipeline.cli import app

pytestmark = pytest.mark.slow
TILE = "31UCU"
EXTRA = "label_check: {enabled: false}\n"


@pytest.fixture(scope="module")
def world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile of the small world as SAFE products, with its polygons."""
    folder = tmp_path_factory.mktemp("safe_world")
    write_families(small_world / "products" / f"T{TILE}", folder, ("safe",))
    (folder / "safe").rename(folder / "products")
    shutil.copy(small_world / "reference.gpkg", folder)
    return folder


@pytest.fixture(scope="module")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with copies of all images."""
    config = write_config(tmp_path_factory.mktemp("copies"), world, EXTRA, TILE)
    oso("run", config)
    return config


@pytest.fixture
def run_again(finished: Path, tmp_path: Path) -> Path:
    """The same run in a folder of its own, finished, to be changed."""
    config = tmp_path / finished.name
    shutil.copytree(finished.parent / "run", tmp_path / "run")
    text = finished.read_text().replace(str(finished.parent / "run"), str(tmp_path / "run"))
    config.write_text(text)
    oso("run", config, "--until", "inventory")  # it names the folder of its run
    return config


def stages(config: Path, *arguments: str) -> dict[str, dict[str, int]]:
    plan = json.loads(stdout_of("plan", config, "--json", *arguments))
    return {one["stage"]: one for one in plan}


def copies(config: Path) -> dict[str, int]:
    """Times of the last change of committed copies."""
    found = (config.parent / "run" / "cache").rglob("*.tif.json")
    return {str(path): path.stat().st_mtime_ns for path in found}


def test_the_plan_states_time_and_size_before_there_is_an_inventory(
    world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, world, EXTRA, TILE)
    planned = stages(config)["cache"]
    assert planned["tasks"] == len(list((world / "products").iterdir()))
    assert planned["core_hours"] > 0
    source = sum(path.stat().st_size for path in (world / "products").rglob("*.jp2"))
    assert planned["bytes_to_read"] == source
    assert source < planned["bytes_to_write"] < 2 * source
    some = ("--set", f"imagery.cache.max_gb={0.6 * planned['bytes_to_write'] / 1e9}")
    assert 0 < stages(config, *some)["cache"]["tasks"] < planned["tasks"]
    assert "W-CACHE-SIZE" in oso("plan", config, *some)
    assert "cache" not in stages(config, "--set", "imagery.cache.max_gb=0")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_map_does_not_depend_on_copies(
    finished: Path, world: Path, tmp_path: Path, share: float
) -> None:
    whole = stages(finished)["cache"]
    assert whole["done"] == whole["tasks"]
    config = write_config(tmp_path, world, EXTRA, TILE)
    limit = share * stages(config)["cache"]["bytes_to_write"] / 1e9
    oso("run", config, "--set", f"imagery.cache.max_gb={limit}")
    made = {Path(path).parent for path in copies(config)}
    assert len(made) < whole["tasks"]
    assert bool(made) == (share > 0)
    assert sum(path.stat().st_size for one in made for path in one.glob("*.tif")) <= limit * 1e9
    for pattern in ("maps/*", "samples/*"):
        assert digests(tmp_path / "run", pattern) == digests(finished.parent / "run", pattern)


def test_a_second_run_copies_nothing(finished: Path) -> None:
    before = copies(finished)
    assert "nothing had to be redone" in oso("run", finished)
    assert copies(finished) == before


def test_a_run_killed_while_it_copies_goes_on(finished: Path, world: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, world, EXTRA, TILE)
    command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(copies(config)) < 30:  # of three images
        assert process.poll() is None, "ended before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    plan = stages(config)["cache"]
    assert 0 < plan["done"] < plan["tasks"]
    whole = {path for path in copies(config) if len(list(Path(path).parent.glob("*.json"))) == 11}
    before = {path: when for path, when in copies(config).items() if path in whole}
    oso("run", config)
    assert {path: when for path, when in copies(config).items() if path in whole} == before
    assert digests(tmp_path / "run") == digests(finished.parent / "run")
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_damaged_copy_is_found_and_made_again_where_it_is_read(
    run_again: Path, finished: Path
) -> None:
    run = run_again.parent / "run"
    before = copies(run_again)
    copy = sorted((run / "cache").rglob("B4.tif"))[0]
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    oso("clean", run, "--kind", "blocks")
    failed = CliRunner().invoke(app, ["run", str(run_again)])
    assert failed.exit_code == 4
    assert "E-IMAGE-CUT" in failed.output
    assert str(copy) in failed.output
    assert "oso verify RUN --repair" in failed.output
    found = CliRunner().invoke(app, ["verify", str(run)])
    assert found.exit_code != 0
    assert "E-VERIFY-CONTENT" in found.output
    oso("verify", run, "--repair")
    oso("run", run_again)
    changed = {
        Path(path).parent for path, when in copies(run_again).items() if before[path] != when
    }
    assert changed == {copy.parent}
    assert digests(run) == digests(finished.parent / "run")


def test_a_finished_run_does_not_miss_its_copies(run_again: Path) -> None:
    run = run_again.parent / "run"
    assert "cache" in oso("clean", run, "--kind", "cache")
    assert not (run / "cache").exists()
    assert "nothing had to be redone" in oso("run", run_again)
    assert not (run / "cache").exists()
    assert stages(run_again)["cache"]["done"] > 0
    changed = stages(run_again, "--set", "learning.n_trees=21")
    assert changed["cache"]["new"] == changed["cache"]["tasks"]
    assert changed["samples"]["done"] == 1


def test_images_of_past_seasons_have_copies_of_their_own(two_years: Path, tmp_path: Path) -> None:
    for name in ("products", "products_2017"):
        write_families(two_years / name / f"T{TILE}", tmp_path / name, ("safe",))
    config = write_two_seasons(tmp_path, two_years, ("[30UYD, 31UCU]", f"[{TILE}]"))
    text = config.read_text().replace(f"{two_years}/products", f"{tmp_path}/products")
    config.write_text(
        text.replace("/products]", "/products/safe]").replace("_2017]", "_2017/safe]")
    )
    planned = stages(config)
    one = planned["past_cache"]["bytes_to_write"] / planned["past_cache"]["tasks"] / 1e9
    limited = stages(config, "--set", f"imagery.cache.max_gb={8 * one}")
    for stage in ("cache", "past_cache"):  # each has half of the limit
        assert 0 < limited[stage]["bytes_to_write"] <= 4 * one * 1e9
    oso("run", config)
    with_copies = digests(tmp_path / "run")
    assert list((tmp_path / "run" / "past" / "2017" / "cache").rglob("*.tif"))
    assert "nothing had to be redone" in oso("run", config)
    (tmp_path / "run").rename(tmp_path / "run_with_copies")
    oso("run", config, "--set", "imagery.cache.max_gb=0")
    assert digests(tmp_path / "run") == with_copies


def test_features_are_read_from_the_products_where_there_are_no_copies(run_again: Path) -> None:
    import oso_pipeline as oso_package

    config = oso_package.load_config(run_again)
    pixels = {"x": slice(0, 8), "y": slice(0, 8)}
    before = oso_package.open_stack(config, TILE, flat=True).isel(pixels).to_numpy()
    shutil.rmtree(run_again.parent / "run" / "cache")
    after = oso_package.open_stack(config, TILE, flat=True).isel(pixels).to_numpy()
    assert (before == after).all()
