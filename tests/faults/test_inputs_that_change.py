"""Images that vanish or change between inventory and use: no mixed result, the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from support.pipeline_tools import write_config

from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import ExitCode
from oso_pipeline.runtime.events import Event, StageStarted
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Outcome, Selection, run
from oso_pipeline.runtime.stages import STAGES


def vanish(band: Path) -> None:
    band.unlink()


def change(band: Path) -> None:
    with rasterio.open(band) as source:
        pixels, profile = source.read(), source.profile
    with rasterio.open(band, "w", **{**profile, "compress": "lzw"}) as target:
        target.write(pixels // 2)


def cut(band: Path) -> None:
    content = band.read_bytes()
    band.write_bytes(content[: len(content) // 2])


class Saboteur:
    """Does something to one band of a tile when the samples begin to be drawn."""

    def __init__(self, products: Path, act: Callable[[Path], None]) -> None:
        self.act = act
        self.band = next(
            path for path in sorted(products.rglob("*T30UYD*_FRE_B4.tif")) if path.is_file()
        )

    def notice(self, event: Event) -> None:
        if isinstance(event, StageStarted) and event.plan.name == "pixels":
            self.act(self.band)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "code"),
    [
        pytest.param(vanish, "E-IMAGE-VANISHED", id="vanished", marks=pytest.mark.slow),
        pytest.param(change, "E-IMAGE-CHANGED", id="changed"),
        pytest.param(cut, "E-IMAGE-CHANGED", id="cut", marks=pytest.mark.slow),
    ],
)
@pytest.mark.fault(
    row=19,
    injected="a band deleted between inventory and use",
    outcome="its task fails with the file and exit 4, the other tile continues",
)
@pytest.mark.fault(
    row=20,
    injected="a band rewritten or truncated between inventory and use",
    outcome="noticed by its size; its task fails, nothing is mixed; the next run uses the new file",
)
def test_an_image_that_is_not_as_it_was(
    small_world: Path, tmp_path: Path, act: Callable[[Path], None], code: str
) -> None:
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    config = load_config(write_config(tmp_path, world), ())
    saboteur = Saboteur(world / "products", act)
    first = run_until_samples(config, [saboteur])
    assert first.exit_code == ExitCode.INPUT
    assert {failure.name.split("/")[0] for failure in first.failures} == {"30UYD"}
    assert code in (first.failures[0].error or "")
    assert saboteur.band.parent.name in (first.failures[0].error or "")
    assert list((tmp_path / "run" / "pixels" / "31UCU").glob("*.parquet.json"))
    assert not list((tmp_path / "run" / "pixels" / "30UYD").glob("*.parquet"))
    assert (tmp_path / "run" / "samples" / "31UCU.parquet.json").exists()
    assert not (tmp_path / "run" / "samples" / "30UYD.parquet").exists()
    # Now the inventory meets the product as it is, and leaves the date out where it must.
    assert run_until_samples(config, []).exit_code == ExitCode.OK


def run_until_samples(config: object, observers: list[Saboteur]) -> Outcome:
    planner = Planner(config, STAGES)  # type: ignore[arg-type]
    return run(planner, SerialExecutor(), observers, Selection(until="samples"))
