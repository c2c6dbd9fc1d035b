"""A tiny season of each family of Sentinel-2 beside MUSCATE."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from support import eopf_factory, l3a_factory, safe_factory, stac_factory
from support.safe_factory import FACTS

N_PRODUCTS = 3


def write_families(folder: Path) -> None:
    """Write a season of each family: two products as folders and one zip, where it comes so."""
    days = [FACTS.sensed + timedelta(days=5 * number) for number in range(N_PRODUCTS)]
    for number, day in enumerate(days):
        changes = {"sensed": day, "generated": day + timedelta(hours=2)}
        as_zip = number == 1
        safe_factory.write(folder / "safe", as_zip=as_zip, **changes)
        eopf_factory.write(folder / "eopf", as_zip=as_zip, **changes)
        stac_factory.write(folder / "stac", **changes)
        name = l3a_factory.OCTOBER.replace("201810", f"20180{number + 1}")
        synthesis = l3a_factory.synthesis(name)
        (folder / "l3a").mkdir(parents=True, exist_ok=True)
        (synthesis.write_zip if as_zip else synthesis.write)(folder / "l3a")
