"""From the values of a column to codes of the nomenclature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.csv_tables import read_rows
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.vectors.values import WHOLE_NUMBER, normal_value, written

Crosswalk = Mapping[str, int | None]
LEFT_OUT, UNKNOWN, ABSENT = -1, -2, -3
"""In place of a code: mapped to nothing, not known, no value at all."""


@dataclass(frozen=True)
class CodeTable:
    """Class of every value of a label column.

    Parameters
    ----------
    exact
        Code, or `LEFT_OUT`, by the value as written; consulted first.
    normal
        The same by `normal_value`.
    """

    exact: Mapping[str, int]
    normal: Mapping[str, int]

    @classmethod
    def of(cls, nomenclature: Nomenclature, crosswalk: Crosswalk | None) -> CodeTable:
        """Return the table of a crosswalk, or of the codes of the nomenclature themselves."""
        if crosswalk is None:
            crosswalk = {str(code): code for code in nomenclature.codes}
        exact = {written(v): LEFT_OUT if c is None else c for v, c in crosswalk.items()}
        return cls(exact, {normal_value(value) or "": code for value, code in exact.items()})

    def codes(self, values: pd.Series) -> npt.NDArray[np.int32]:
        """Return the code of each value, or `LEFT_OUT`, `UNKNOWN`, `ABSENT`; shape ``(n,)``."""
        positions, distinct = pd.factorize(values)
        meaning = [self.code(value) for value in distinct]
        return np.array([*meaning, ABSENT], dtype=np.int32)[positions]

    def code(self, value: object) -> int:
        """Return the code of one value, or `LEFT_OUT`, `UNKNOWN`, `ABSENT`."""
        normal = normal_value(value)
        if normal is None:
            return ABSENT
        return self.exact.get(written(value), self.normal.get(normal, UNKNOWN))


def read_crosswalk(
    crosswalk: Path | Mapping[str | int, int | None] | None,
    nomenclature: Nomenclature,
    problems: Problems,
) -> dict[str, int | None] | None:
    """Return a crosswalk from a mapping or from the first two columns of a CSV file.

    Problems found: a target that is not a whole number, a value given twice with different
    codes (``E-CROSSWALK``), a target that is not in the nomenclature (``E-CLASS-UNKNOWN``), and
    those of `read_rows`.
    """
    if crosswalk is None:
        return None
    where: object = "reference.sources.crosswalk"
    pairs: list[tuple[object, str, str]] = []
    if isinstance(crosswalk, Path):
        where = crosswalk
        columns, rows = read_rows(crosswalk, problems)
        if len(columns) < 2 and (rows or columns):
            message = f"a crosswalk has two columns, value and code; found {len(columns)}"
            problems.error("E-CROSSWALK", message, crosswalk, "separate them by comma or semicolon")
            return {}
        pairs = [(row.where, row.get(columns[0]), row.get(columns[1])) for row in rows]
    else:
        pairs = [(where, str(v), "" if c is None else str(c)) for v, c in crosswalk.items()]
    result: dict[str, int | None] = {}
    for place, value, target in pairs:
        if target and not WHOLE_NUMBER.fullmatch(target):
            message = f"code {target!r} of value {value!r} is not a whole number"
            problems.error("E-CROSSWALK", message, place, "leave it empty to leave the value out")
            continue
        code = int(target.split(".")[0]) if target else None
        if result.setdefault(value, code) != code:
            message = f"value {value!r} is mapped to {result[value]} and to {code}"
            problems.error("E-CROSSWALK", message, place, "keep one of the two")
    targets = {code for code in result.values() if code is not None}
    if unknown := sorted(targets - set(nomenclature.codes)):
        message = f"the crosswalk leads to codes that {nomenclature.name} lacks: {unknown}"
        known = ", ".join(map(str, nomenclature.codes))
        problems.error("E-CLASS-UNKNOWN", message, where, f"codes of the nomenclature: {known}")
    return result
