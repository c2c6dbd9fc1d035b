"""From the section `reference` of a configuration to the sources that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oso_pipeline.config.reference import (
    BdForetSource,
    BdTopoSource,
    ClcSource,
    RandolphSource,
    Reference,
    RpgSource,
    VectorSource,
)
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.databases.bdtopo import BdTopo
from oso_pipeline.reference.databases.clc import Clc
from oso_pipeline.reference.databases.generic import GenericVectorSource
from oso_pipeline.reference.databases.plain_database import BDFORET, RANDOLPH, PlainDatabase
from oso_pipeline.reference.databases.rpg import Rpg
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling, ReferenceSource
from oso_pipeline.vectors.window import Window

_OPENERS: dict[type, Callable[[Any, Labelling], ReferenceSource]] = {
    VectorSource: GenericVectorSource,
    BdTopoSource: BdTopo,
    ClcSource: Clc.of,
    BdForetSource: lambda source, labelling: PlainDatabase(source, labelling, BDFORET),
    RandolphSource: lambda source, labelling: PlainDatabase(source, labelling, RANDOLPH),
    RpgSource: Rpg,
}
"""How a source of each kind is opened; opening reads nothing."""


def open_sources(reference: Reference, nomenclature: Nomenclature) -> tuple[ReferenceSource, ...]:
    """Return the sources in the order of the configuration, each with a name of its own.

    The first Corine Land Cover of the configuration tells the built-up units of BD TOPO apart.
    """
    labelling = Labelling(
        nomenclature, reference.unknown_codes, reference.erosion_m, reference.split.column
    )
    opened = [_OPENERS[type(source)](source, labelling) for source in reference.sources]
    land_cover = next((source for source in opened if isinstance(source, Clc)), None)
    opened = [
        replace(source, land_cover=land_cover) if isinstance(source, BdTopo) else source
        for source in opened
    ]
    seen: Counter[str] = Counter()
    named: list[ReferenceSource] = []
    for source in opened:
        seen[source.name] += 1
        number = seen[source.name]
        named.append(source if number == 1 else _Numbered(source, number))
    return tuple(named)


@dataclass(frozen=True)
class _Numbered:
    """One more source of the same name, told apart by a number."""

    source: ReferenceSource
    number: int

    @property
    def name(self) -> str:
        return f"{self.source.name} ({self.number})"

    @property
    def priority(self) -> int:
        return self.source.priority

    @property
    def files(self) -> tuple[Path, ...]:
        return self.source.files

    def check(self, problems: Problems) -> None:
        self.source.check(problems)

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        found = self.source.read(window, problems)
        return None if found is None else replace(found, name=self.name)
