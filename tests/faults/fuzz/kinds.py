"""All kinds of cases."""

from __future__ import annotations

from fuzz.case import Kind
from fuzz.configurations import OddConfiguration, OddRun
from fuzz.databases import DamagedDatabase
from fuzz.families import DamagedFamily
from fuzz.inventories import DamagedProduct
from fuzz.run_files import LookedAt, RunOn
from fuzz.vectors import DamagedVectors
from fuzz.whole import DamagedInput, Rewritten

KINDS: dict[str, Kind] = {
    "whole run": DamagedInput(weight=6),
    "rewritten": Rewritten(weight=3),
    "odd run": OddRun(weight=2),
    "run on": RunOn(weight=4),
    "run looked at": LookedAt(weight=15),
    "products": DamagedProduct(weight=15),
    "families": DamagedFamily(weight=15),
    "vectors": DamagedVectors(weight=20),
    "databases": DamagedDatabase(weight=20),
    "configuration": OddConfiguration(weight=30),
}
