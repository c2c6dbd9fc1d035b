"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from oso_pipeline.core.plain_text import plain
from oso_pipeline.core.wording import counted, duration
from oso_pipeline.learning.model_bank import origin_of
from oso_pipeline.learning.model_description import Description
from oso_pipeline.runtime.folder.cleaning import Found
from oso_pipeline.runtime.forecast import Compared, Forecast
from oso_pipeline.runtime.planner import StagePlan

_NOT_LOST = ("read", "kept", "repaired")


def plan_table(plans: Sequence[StagePlan], forecast: Forecast) -> Table:
    """Return one row per stage: tasks by state, and what the missing ones need."""
    table = _table(
        "stage", "tasks", "new", "done", "outdated", "read", "written", "core time", "memory"
    )
    for plan in plans:
        needs = forecast.needs(plan.todo)
        read = sum(task.cost.bytes_read for task in plan.todo)
        written = sum(task.cost.bytes_written for task in plan.todo)
        table.add_row(
            plan.name,
            str(len(plan.tasks)),
            *(str(plan.count(state)) for state in ("new", "done", "outdated")),
            f"{read / 1e9:.2f} GB",
            f"{written / 1e9:.2f} GB",
            duration(needs.core_seconds),
            f"{needs.memory_bytes / 1e9:.2f} GB",
        )
    return table


def time_and_cost(plans: Sequence[StagePlan], forecast: Forecast, price: float | None) -> list[str]:
    """Return text on how long what is to do takes, and what it costs.

    Parameters
    ----------
    plans
        The stages.
    forecast
        Expected time, memory and disk.
    price
        Price of a core-hour, in any currency; None for no estimate.
    """
    wall, core = forecast.wall_seconds(plans), forecast.core_seconds(plans)
    workers = counted(forecast.workers, "worker")
    ideal = duration(core / forecast.workers)
    lines = [
        f"about {duration(wall)} with {workers} as fast as {forecast.speed.machine}; "
        f"{ideal} if all were busy to the end"
    ]
    if price is not None:
        held = forecast.core_hours_held(plans)
        lines.append(
            f"about {price * held:.2f} at {price:g} a core-hour: {held:.3g} core-hours of workers, "
            f"{core / 3600:.3g} of them at work"
        )
    return lines


def models_table(models: Iterable[tuple[Path, Description]]) -> Table:
    """Return one row per model: season, area, and the accuracy of the map of its run.

    The season is its first date, the number of dates and the days between them; the bands stand
    before the indices.
    """
    table = _table("stratum", "variant", "year", "season", "bands", "classes", "pixels", "accuracy")
    for column in table.columns:
        column.justify = "left"
    for folder, model in models:
        origin, grid = origin_of(folder), model.grid
        table.add_row(
            *map(escape, map(plain, (model.stratum, model.variant))),
            "-" if origin.year is None else str(origin.year),
            f"{grid.start} {len(grid)} x {grid.step_days} d",
            "; ".join(f"{len(g.bands)} + {len(g.indices)}" for g in model.layout.groups),
            str(len(model.counts)),
            f"{sum(model.counts.values())}",
            "-" if origin.overall_accuracy is None else f"{origin.overall_accuracy:.3f}",
        )
    return table


def needs_table(needs: Mapping[str, Compared]) -> Table:
    """Return one row per stage that ran: expected and actual core time and memory."""
    table = _table("stage", "tasks", "core time", "expected", "peak memory", "expected")
    for stage, compared in needs.items():
        actual, expected = compared.actual, compared.expected
        table.add_row(
            stage,
            str(actual.tasks),
            duration(actual.core_seconds),
            duration(expected.core_seconds),
            f"{actual.memory_bytes / 1e9:.2f} GB",
            f"{expected.memory_bytes / 1e9:.2f} GB",
        )
    return table


def reference_table(summary: Mapping[str, Any]) -> Table:
    """Return one row per class and source: polygons read and kept, hectares, losses by reason."""
    lost_in_part = "lost all or a part"
    table = _table("class", "source", "read", "kept", "hectares", lost_in_part)
    for name in ("class", "source", lost_in_part):
        next(column for column in table.columns if column.header == name).justify = "left"
    for code, one in summary["classes"].items():
        for source, reasons in one["sources"].items():
            kept = reasons.get("kept", {"count": 0, "hectares": 0.0})
            lost = [f"{r} {n['count']}" for r, n in reasons.items() if r not in _NOT_LOST]
            table.add_row(
                f"{code} {one['name']}",
                source,
                str(reasons.get("read", {"count": 0})["count"]),
                str(kept["count"]),
                f"{kept['hectares']:.1f}",
                ", ".join(lost),
            )
    return table


def books_table(summary: Mapping[str, Any]) -> Table:
    """Return the books of the polygons line by line, from what was read to the two sides."""
    table = _table("step", "polygons", "hectares", "lost a part")
    for one in summary["books"]:
        in_part = str(one["in_part"]) if one["in_part"] else ""
        table.add_row(one["step"], str(one["polygons"]), f"{one['hectares']:.2f}", in_part)
    for column, sides in summary["splits"].items():
        for side, n in sides.items():
            table.add_row(f"{column}: {side}", str(n["polygons"]), f"{n['hectares']:.2f}", "")
    return table


def kinds_table(kinds: Mapping[str, Found], chosen: Collection[str], done: str) -> Table:
    """Return one row per kind of files of a run folder, and what becomes of them."""
    table = _table("kind", "files", "size", "")
    table.columns[-1].justify = "left"
    for name, found in kinds.items():
        if found.files or name in chosen:
            becomes = "stays" if name not in chosen else done if found.files else ""
            table.add_row(name, str(len(found.files)), f"{found.n_bytes / 1e6:.1f} MB", becomes)
    return table


def pace(done: int, seconds: float) -> str:
    """Return how fast tasks end, in the unit in which that is a number one can read.

    Examples
    --------
    >>> pace(50, 10), pace(1, 45), pace(3, 9)
    ('5.0 tasks/s', 'a task every 45 s', 'a task every 3.0 s')
    """
    if done > seconds:
        return f"{done / max(seconds, 1e-3):.1f} tasks/s"
    return f"a task every {duration(seconds / max(done, 1))}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table
