"""Damaged products up to the inventory: each is used, or named with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq

from fuzz import deliveries
from fuzz.case import Case
from fuzz.command import run_until
from fuzz.ground import Ground
from fuzz.outcome import (
    OTHER,
    REPORTED,
    SAME,
    Outcome,
    changed,
    crash,
    forbidden,
    is_reported,
    refused,
    snapshot,
)
from fuzz.whole import TARGETS, names_of

_FILES = ("image", "mask", "metadata", "archive")

SYSTEM = "[E-SYSTEM]"
"""Code of what the system refuses; damage must not end in it, as it would stop the season."""


@dataclass(frozen=True)
class DamagedProduct:
    """A file of a product is damaged, or how products lie; then the inventory is made."""

    weight: float
    is_whole: bool = False
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        **{target: tuple(TARGETS[target][1]) for target in _FILES},
        "delivery": tuple(deliveries.ODDITIES),
    }

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Damage, make the inventory, and count the products."""
        config = ground.copy(folder)
        if case.target == "delivery":
            names = deliveries.ODDITIES[case.damage](config.parent / "products", case.draw())
        else:
            names = _damage(case, config.parent)
        is_other = case.target == "delivery" and deliveries.has_other_tile(
            config.parent / "products"
        )
        return evaluated(config, names, "inventory", len(used(ground.done / "run")), is_other)


def evaluated(
    config: Path, names: set[str], until: str, n_expected: int, is_other: bool = False
) -> Outcome:
    """Run a season with a damaged product up to a stage, and count the products that are used.

    Of what `is_other`, another number is right.
    """
    before = snapshot(config.parent)
    ended = run_until(config, until)
    if (found := crash(ended) or changed(before, snapshot(config.parent))) is not None:
        return Outcome(found.kind, found.why, found.said or ended.said[-3000:])
    if SYSTEM in ended.said:
        return forbidden("damage is taken for a fault of the system", ended)
    if ended.code != 0:
        return refused(ended, names)
    n_used = len(used(config.parent / "run"))
    if n_used == n_expected:
        return Outcome(SAME)
    if is_other:
        return Outcome(OTHER)
    told = is_reported(ended, names)
    return Outcome(REPORTED) if told else forbidden(f"{n_used} products used, no word", ended)


def _damage(case: Case, world: Path) -> set[str]:
    of_case: Callable[[Case], str]
    of_case, damages = TARGETS[case.target]
    inside = of_case(case)
    file = world / inside
    file.write_bytes(damages[case.damage](file.read_bytes(), case.draw()))
    return names_of(inside)


def used(run_dir: Path) -> list[str]:
    """Return the products that the inventories of a run use."""
    found: list[str] = []
    for path in (run_dir / "inventory").glob("*.parquet"):
        rows = pq.read_table(path).to_pylist()
        found += [row["product_id"] for row in rows if row["status"] == "used"]
    return found
