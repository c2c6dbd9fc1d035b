"""Writes the results into docs/performance.md, between two markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import PROJECT

PAGE = PROJECT / "docs" / "performance.md"
BEGIN = "<!-- bench: begin, written by `make bench` -->"
END = "<!-- bench: end -->"


def table(
    results: dict[str, Any],
    whole_tile: dict[str, Any] | None = None,
    series_tile: dict[str, Any] | None = None,
) -> str:
    """Return the results as Markdown.

    Parameters
    ----------
    results
        Machine, rows, part of a tile and exponents: ``bench/results/comparisons.json``.
    whole_tile
        What ``bench/results/full_tile.json`` holds, if there is one.
    series_tile
        What ``bench/results/series_tile.json`` holds, if there is one.
    """
    lines = [
        _machine(results["machine"], f"{results['kind']} bench"),
        "Times: CPU time of the other program divided by ours, for the same work with one thread "
        "each; medians of alternating rounds.",
        "",
        *_rows(results["rows"]),
    ]
    for later in results.get("later", ()):
        heading = _machine(later["machine"], "Added by a later run")
        lines += ["", heading, "", *_rows(later["rows"])]
    if results.get("tile"):
        lines += ["", *_tile(results["tile"])]
    growth = [
        f"{name.removeprefix('exponent of ')} {run['exponent']:.2f}"
        for name, run in results["methods"].items()
        if name.startswith("exponent of") and run["status"] == "ok"
    ]
    if growth:
        lines += ["", f"Cost grows with a power of: {', '.join(growth)} (1 is linear)."]
    if whole_tile:
        lines += ["", _machine(whole_tile["machine"], "Whole tile"), "", *_tile(whole_tile)]
    if series_tile:
        heading = _machine(series_tile["machine"], "Series of a tile")
        lines += ["", heading, "", *_series_tile(series_tile)]
    return "\n".join(lines)


def with_later(results: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return results with what a later run measured of some comparisons, in place of the same.

    It keeps its own machine, date and commit, which the table names.
    """
    named = {row["what"] for row in later["rows"]}
    kept = [row for row in results["rows"] if row["what"] not in named]
    others = [
        {**one, "rows": rows}
        for one in results.get("later", ())
        if (rows := [row for row in one["rows"] if row["what"] not in named])
    ]
    added = {key: later[key] for key in ("machine", "rows", "methods")}
    return {**results, "rows": kept, "later": [*others, added]}


def write(page: Path, content: str) -> bool:
    """Put `content` between the markers; return whether the file changed.

    Raises
    ------
    ValueError
        If the file does not hold both markers once, in their order.
    """
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{page} must hold {BEGIN!r} and, after it, {END!r}, once each")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    changed = f"{head}{BEGIN}\n{content}\n{END}{tail}"
    if changed == text:
        return False
    page.write_text(changed, encoding="utf-8")
    return True


def _machine(machine: dict[str, Any], kind: str) -> str:
    quiet = "otherwise idle" if machine["otherwise_idle"] else "**busy with other work**"
    changed = " with changes" if machine["uncommitted_changes"] else ""
    return (
        f"*{kind}, {machine['measured']} at commit `{machine['commit']}`{changed}: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, "
        f"{quiet} (load {machine['load_before'][0]}).*"
    )


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "| what | times (least to greatest) | reach / aim | ours | peak memory, ours / theirs "
        "| results |",
        "|---|---|---|---|---|---|",
        *(_row(row) for row in rows),
    ]


def _row(row: dict[str, Any]) -> str:
    goal = "" if row["reach"] is None else f"{row['reach']:g}x / {row['aim']:g}x"
    times, memory = row["times"], row["memory_mb"]
    figure = f"not measured: {_cell(row['status'])}"
    if times is not None:
        figure = f"**{_number(times['median'])}x** ({_number(times['least'])} to "
        figure += f"{_number(times['greatest'])})"
    cells = [
        row["what"], figure, goal, row["ours"],
        "" if memory is None else f"{memory[0]} / {memory[1]} MB", _cell(row["agreement"]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _tile(tile: dict[str, Any]) -> list[str]:
    """Return the table of the end-to-end run of a tile."""
    if tile["status"] != "ok":
        return [f"Tile: not measured: {tile['status']}."]
    cached = "fits" if tile["fits_page_cache"] else "does not fit"
    lines = [
        f"A tile of {tile['rows']} x {tile['columns']} pixels, {tile['dates']} dates, "
        f"{tile['bytes_on_disk'] / 1e9:.1f} GB of deflated strips, which {cached} the page cache; "
        f"forest of {tile['forest_nodes']} nodes. Goal: 7 us per pixel and core (aim 4.5), two "
        "workers 1.7 times as fast as one (aim 1.95), at most 1500 MB per worker.",
        "",
        "| workers | predict, wall | us per pixel and core | of which in tasks "
        "| peak memory per worker | read |",
        "|---|---|---|---|---|---|",
    ]
    for workers, run in tile["runs"].items():
        lines.append(
            f"| {workers} | {run['wall_s']['median']:.0f} s "
            f"| **{run['core_us_per_pixel']['median']:.2f}** "
            f"| {run['task_core_us_per_pixel']['median']:.2f} "
            f"| {run['peak_worker_memory_mb']} MB | {run['bytes_read'] / 1e9:.1f} GB |"
        )
    if {"1", "2"} <= tile["runs"].keys():
        one, two = (tile["runs"][n]["wall_s"]["median"] for n in ("1", "2"))
        speed = f"Two workers are **{one / two:.2f} times** as fast as one."
        lines += ["", f"{speed} From products to map and report: {tile['end_to_end_s']:.0f} s."]
    return lines


def _series_tile(tile: dict[str, Any]) -> list[str]:
    """Return the tables of reading, features and series of a tile, and of the stages."""
    cached = "fits" if tile["fits_page_cache"] else "does not fit"
    ratio = tile["ratio"]
    parts = [f"| {name} | {cost:.2f} |" for name, cost in tile["us_per_pixel"].items()]
    stages = [
        f"| {name} | {stage['tasks']} | {stage['wall_s']:.0f} s | {stage['task_core_s']:.0f} s "
        f"| {stage['peak_worker_memory_mb']} MB | {stage['bytes'] / 1e9:.2f} GB |"
        for name, stage in tile["stages"].items()
    ]
    return [
        f"A tile of {tile['rows']} x {tile['columns']} pixels, {tile['dates']} dates, "
        f"{tile['bytes_on_disk'] / 1e9:.1f} GB, which {cached} the page cache; series of NDVI and "
        "LAI, blocks of predict and of series in turn. Reading and series take "
        f"**{ratio['median']:.2f} times** ({ratio['least']:.2f} to {ratio['greatest']:.2f}, "
        f"{ratio['rounds']} rounds) reading and features; goal: at most 1.3.",
        "",
        "| part | core time, us per pixel |",
        "|---|---|",
        *parts,
        "",
        f"Stages of `oso series` with one worker; {tile['parcels']:,} parcels.",
        "",
        "| stage | tasks | wall | core | peak memory of the worker | written |",
        "|---|---|---|---|---|---|",
        *stages,
    ]


def _number(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}"


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:120]
