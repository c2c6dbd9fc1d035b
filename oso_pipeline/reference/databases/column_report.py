"""Messages about the values of a label column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sides import SIDES
from oso_pipeline.reference.databases.kinds import VectorSource
from oso_pipeline.reference.databases.sources import Labelling
from oso_pipeline.reference.rules.codes import ABSENT, UNKNOWN, CodeTable
from oso_pipeline.vectors.looks import Value
from oso_pipeline.vectors.values import normal_value

_SHOWN = 10


def report_codes(
    values: Sequence[Value],
    table: CodeTable,
    source: VectorSource,
    labelling: Labelling,
    problems: Problems,
) -> None:
    """Report values without a class (``CLASS-UNKNOWN``) and missing values (``CLASS-MISSING``).

    They are errors, or warnings where the configuration drops them.
    """
    stops = labelling.unknown_codes == "error"
    report, letter = (problems.error, "E") if stops else (problems.warn, "W")
    column, path = source.code_field, source.path
    marked = [(value, table.code(value.value)) for value in values]
    unknown = [value for value, code in marked if code == UNKNOWN]
    if unknown:
        first: dict[str, int] = {}
        for value in sorted(unknown, key=lambda one: one.first):
            first.setdefault(normal_value(value.value) or "", value.first)
        shown = ", ".join(f"{v!r} (feature {row})" for v, row in [*first.items()][:_SHOWN])
        more = f" and {len(first) - _SHOWN} more" if len(first) > _SHOWN else ""
        message = (
            f"{_total(unknown)} features have {len(first)} values of {column!r} that no class "
            f"of {labelling.nomenclature.name} belongs to: {shown}{more}; features count from 0"
        )
        hint = "map them with `crosswalk`, or leave them out with `unknown_codes: drop`"
        report(f"{letter}-CLASS-UNKNOWN", message, path, hint)
    absent = [value for value, code in marked if code == ABSENT]
    if absent:
        message = (
            f"{_total(absent)} features have no value in {column!r}, "
            f"the first of them (counted from 0): {min(value.first for value in absent)}"
        )
        hint = "fill in the column, or leave them out with `unknown_codes: drop`"
        report(f"{letter}-CLASS-MISSING", message, path, hint)


def report_sides(
    values: Sequence[Value], column: str, source: VectorSource, problems: Problems
) -> None:
    """Report values of the column of the split that are not sides (``E-SPLIT-COLUMN``)."""
    counts: Counter[str] = Counter()
    for value in values:
        counts[side_of(value.value)] += value.count
    wrong = sorted(side for side in counts if side not in SIDES)
    if wrong:
        shown = ", ".join(repr(value) for value in wrong[:_SHOWN])
        count = sum(counts[side] for side in wrong)
        message = f"column {column!r} holds {shown} in {count} features"
        hint = "every feature needs train or validation there"
        problems.error("E-SPLIT-COLUMN", message, source.path, hint)


def side_of(value: object) -> str:
    """Return the side that a value of the column of the split names; empty where none."""
    return (normal_value(value) or "").lower()


def _total(values: Sequence[Value]) -> int:
    return sum(value.count for value in values)
