"""Measures what reading costs by family of products: ``python -m bench.readers``.

The same scenes are written as products of each family. One process reads all blocks of the tile
with one thread, the families in turn, round by round. Of families whose images are copied before
they are read, the copying is measured once, and the reading of the copies in the same rounds.
``--table`` writes the table of docs/formats.md again from
``results/readers.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench import PROJECT
from bench.figures import RoundStatistics, ratio
from bench.machine import describe
from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import blocks_of
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.cache.copies import Copies, copied_assets
from oso_pipeline.imagery.cache.sources import fetch
from oso_pipeline.imagery.image_kinds import IN_PLACE, kind_of
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.inventory_builder import InventoryBuilder
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import period_of
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.scene import Painter
from oso_pipeline.simulation.world.schedule import main_orbit, orbit_number, overpasses
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.eopf import write_eopf
from oso_pipeline.simulation.writers.l3a import write_synthesis
from oso_pipeline.simulation.writers.muscate import Make, product_id, write_product
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts
from oso_pipeline.simulation.writers.safe import write_safe
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts
from oso_pipeline.simulation.writers.stac import write_item
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec

RESULTS = PROJECT / "bench" / "results" / "readers.json"
PAGE = PROJECT / "docs" / "formats.md"
BEGIN = "<!-- readers: written by python -m bench.readers -->"
END = "<!-- end of readers -->"

TILE = "31UCU"
SIZE, DATES, ROUNDS = 2048, 6, 5
FAMILIES = {
    "muscate": "Theia/MUSCATE, deflated TIFF in tiles",
    "safe": "SAFE, JPEG 2000 in blocks of 1024",
    "eopf": "EOPF Zarr, zstd in chunks of a quarter tile at most",
    "stac": "STAC, Cloud Optimized GeoTIFF in blocks of 512",
    "l3a": "Theia L3A, deflated TIFF in tiles",
}
GOLDEN = {
    "muscate": ("`tests/imagery/test_muscate_files.py`", "`tests/imagery/test_bad_products.py`"),
    "safe": ("`tests/imagery/test_safe_metadata.py`", "`tests/imagery/test_safe_products.py`"),
    "eopf": ("`tests/imagery/test_eopf_metadata.py`", "`tests/imagery/test_eopf_products.py`"),
    "stac": ("`tests/imagery/test_stac_items.py`", "`tests/imagery/test_stac_products.py`"),
    "l3a": ("`tests/imagery/test_l3a_metadata.py`", "`tests/imagery/test_l3a_products.py`"),
}
"""Tests of each reader: against files or rules not of our making, and of bad input."""


def main() -> None:
    """Measure, or only write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--size", type=int, default=SIZE, help="side of the tile, pixels")
    parser.add_argument("--work", type=Path, default=PROJECT / "bench" / "work" / "readers")
    options = parser.parse_args()
    if not options.table:
        measured = measure(options.work, options.size)
        RESULTS.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    write_table(json.loads(RESULTS.read_text(encoding="utf-8")))


def measure(work: Path, size: int, dates: int = DATES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the cost of reading the same scenes from each family.

    Parameters
    ----------
    work
        Folder of the products; it is made and removed.
    size
        Side of the part of a tile, pixels.
    dates, rounds
        How many images there are, and how often all are read.
    """
    try:
        write_products(work, size, dates)
        inventories = {family: _inventory(work / family) for family in FAMILIES}
        copies = {family: _inventory(work / family, copied=True) for family in FAMILIES}
        us = 1e6 / (size * size * dates)
        once = {family: us * cost for family, some in copies.items() if (cost := _copy(some[0]))}
        in_place = {family: some for family, some in inventories.items() if _is_in_place(some[0])}
        read = {**in_place, **{_of_copies(family): copies[family] for family in once}}
        seconds: dict[str, list[float]] = {name: [] for name in read}
        for number in range(rounds + 1):
            for name, (inventory, spec) in read.items():
                cost = _read(inventory, spec)
                if number:  # the first round warms up
                    seconds[name].append(us * cost)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {
        "machine": describe(),
        "pixels": size * size,
        "dates": dates,
        "us_per_pixel_and_date": {f: RoundStatistics.of(s).to_json() for f, s in seconds.items()},
        "us_to_copy_once": {family: float(f"{cost:.3g}") for family, cost in once.items()},
        "times_muscate": {
            f: ratio(seconds["muscate"], s).to_json() for f, s in seconds.items() if f != "muscate"
        },
    }


def write_products(work: Path, size: int, dates: int) -> None:
    """Write the same scenes as products of each family."""
    world = World(WorldSpec(tiles=(TILE,), size_px=size, dates_per_orbit=max(10, dates)))
    painter = Painter(world, Phenology(world, world.year), TILE)
    make = Make(encoding="tiled", with_optional=False)
    for overpass in overpasses(world, main_orbit(world, TILE))[:dates]:
        overpass = replace(overpass, cloud_share=0.0)  # every pixel is read
        scene, orbit = painter.paint(overpass), orbit_number(overpass)
        muscate = ProductFacts(
            product_id(overpass.platform, overpass.acquired, TILE, make),
            TILE,
            overpass.acquired.replace(tzinfo=None),
            overpass.platform,
            orbit,
            world.grids[TILE],
            overpass.sun(),
            0,
            0,
        )
        write_product(work / "muscate", muscate, scene, make)
        safe = SafeFacts(
            TILE,
            overpass.acquired,
            overpass.acquired + timedelta(hours=2),
            overpass.platform.replace("SENTINEL2", "S2"),
            overpass.orbit,
            orbit,
            world.grids[TILE],
        )
        write_safe(work / "safe", safe, scene)
        write_item(work / "stac", safe, scene)
        write_eopf(work / "eopf", safe, scene)
        name = muscate.product_id.replace("_L2A_", "_L3A_")
        write_synthesis(work / "l3a", replace(muscate, product_id=name), scene, make)


def write_table(results: dict[str, Any], page: Path = PAGE) -> None:
    """Write the table into a page, between its markers."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def table(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    rounds = results["us_per_pixel_and_date"]["muscate"]["rounds"]
    lines = [
        f"One core of {results['machine']['processor']}: {results['dates']} dates of "
        f"{results['pixels']} pixels, {rounds} rounds.",
        "",
        "| family | CPU time per pixel and date | times MUSCATE (least to greatest) "
        "| copied once | copies read | compared with others' files or rules | bad input |",
        "|---|---|---|---|---|---|---|",
    ]
    for family, name in FAMILIES.items():
        once = results["us_to_copy_once"].get(family)
        copied = (
            "no | –" if once is None else f"{once:.3g} us | {_cost(results, _of_copies(family))}"
        )
        golden, traps = GOLDEN[family]
        lines.append(
            f"| {name} | {_cost(results, family, ' | ')} | {copied} | {golden} | {traps} |"
        )
    return "\n".join(lines)


def _cost(results: dict[str, Any], name: str, between: str = ", ") -> str:
    """Return the cost of reading, and how many times that of MUSCATE it is."""
    if name not in results["us_per_pixel_and_date"]:
        return f"copied first{between}–"
    cost = f"{results['us_per_pixel_and_date'][name]['median']:.3g} us"
    times = results["times_muscate"].get(name)
    if times is None:
        return f"{cost}{between}1"
    return f"{cost}{between}{times['median']:.1f} ({times['least']:.1f} to {times['greatest']:.1f})"


def _of_copies(family: str) -> str:
    return f"{family}, copies"


def _is_in_place(inventory: Inventory) -> bool:
    return all(
        kind_of(asset.href) in IN_PLACE for item in inventory.acquisitions for asset in item.assets
    )


def _inventory(folder: Path, copied: bool = False) -> tuple[Inventory, ReadSpec]:
    config = Config.model_validate(
        {
            "name": "readers",
            "run_dir": folder / "run",
            "year": 2018,
            "season": {"start": "2018-01-01", "end": "2018-12-31"},
            "imagery": {"paths": [folder], "tiles": [TILE]},
            "reference": {"sources": [{"path": "reference.gpkg"}]},
        }
    )
    found = find_products([folder], Readers.of(config.imagery.readers), Problems())
    copies = Copies(folder / "run" / "cache", frozenset(found.candidates if copied else ()))
    builder = InventoryBuilder(
        Request.of(config, TILE), period_of(config), folder / "extracted", copies=copies
    )
    return builder.build(found.candidates, (), may_be_empty=False), ReadSpec.of(config)


def _copy(inventory: Inventory) -> float:
    """Make the copies that an inventory names; return the CPU seconds, 0 where it names none."""
    began = time.process_time()
    assets = [asset for item in inventory.acquisitions for asset in copied_assets(item)]
    for asset in assets:
        fetch(asset, asset.path)
    return time.process_time() - began if assets else 0.0


def _read(inventory: Inventory, spec: ReadSpec) -> float:
    """Read all blocks and return the CPU seconds."""
    reader = BlockReader(inventory, spec)
    rows, columns = inventory.grid.shape
    began = time.process_time()
    for block in blocks_of(TILE, (rows, columns), (min(1024, rows), min(1024, columns))):
        series = reader.read(block)
        assert np.asarray(series.clear).any()
    return time.process_time() - began


if __name__ == "__main__":
    main()
