"""Coarser legends of the map: classes of the nomenclature taken together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import GREATEST_CODE, LandCoverClass, Nomenclature

Groups = Literal["parents"] | Mapping[int, int]
"""Code in the legend by class of the nomenclature, or the parents that these have."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")


@dataclass(frozen=True)
class Legend:
    """A coarser legend.

    Parameters
    ----------
    name
        Its name.
    codes
        Its codes, ascending.
    rows
        For each of them, which classes of the nomenclature it consists of, by their place there.
    """

    name: str
    codes: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, name: str, groups: Groups, nomenclature: Nomenclature) -> Legend:
        """Return a legend in which `check_legend` found nothing wrong."""
        mapping = mapping_of(groups, nomenclature)
        codes = tuple(sorted(set(mapping.values())))
        rows = tuple(
            tuple(row for row, code in enumerate(nomenclature.codes) if mapping[code] == new)
            for new in codes
        )
        return cls(name, codes, rows)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"name": self.name, "codes": self.codes, "rows": self.rows}

    def nomenclature(self, below: Nomenclature) -> Nomenclature:
        """Return its classes with names and colours.

        Those of a parent where the code is one; otherwise the names of the classes that it consists
        of, and the colour of the first.
        """
        parents = {one.code: one for one in below.level1_classes}
        found = []
        for code, rows in zip(self.codes, self.rows, strict=True):
            parts = [below.classes[row] for row in rows]
            names = (" + ".join(one.name_fr for one in parts), " + ".join(o.name_en for o in parts))
            made = LandCoverClass(code, *names, parts[0].colour, None, f"C{code}")
            found.append(parents.get(code, made))
        return Nomenclature(f"{below.name} {self.name}", tuple(found))


def mapping_of(groups: Groups, nomenclature: Nomenclature) -> Mapping[int, int]:
    """Return the code in a legend by class of the nomenclature."""
    return nomenclature.level1_mapping if groups == "parents" else groups


def check_legend(name: str, groups: Groups, nomenclature: Nomenclature, problems: Problems) -> None:
    """Find what is wrong with a legend: its name, its codes, or the classes that it takes together.

    Adds ``E-LEGEND-NAME``, ``E-LEGEND-CODE``, ``E-LEGEND-PARENTS`` where the nomenclature has no
    parents, and ``E-LEGEND-CLASS``.
    """
    where = f"map.legends.{name}"
    if not _NAME.fullmatch(name):
        message = f"{name!r} cannot be the name of a file of the map"
        hint = "use at most 30 of a-z, 0-9 and _, a letter first"
        problems.error("E-LEGEND-NAME", message, where, hint)
    mapping, codes = mapping_of(groups, nomenclature), set(nomenclature.codes)
    if groups == "parents" and codes - set(mapping):
        message = f"the nomenclature {nomenclature.name} has classes without a parent"
        hint = "give the code of each class in the legend"
        problems.error("E-LEGEND-PARENTS", message, where, hint)
        return
    if wrong := sorted(code for code in mapping.values() if not 1 <= code <= GREATEST_CODE):
        message = f"found the code {wrong[0]}, allowed: 1 to {GREATEST_CODE}"
        problems.error("E-LEGEND-CODE", message, where, "0 is no data")
    for classes, what, hint in (
        (set(mapping) - codes, "are not in", "remove them"),
        (codes - set(mapping), "are not in the legend but in", "give them a code"),
    ):
        if classes:
            listed = ", ".join(map(str, sorted(classes)))
            message = f"classes {listed} {what} the nomenclature {nomenclature.name}"
            problems.error("E-LEGEND-CLASS", message, where, hint)
