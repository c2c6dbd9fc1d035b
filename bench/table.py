"""Writes the results into README.md, between two markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN = "<!-- bench: begin, written by `make bench` -->"
END = "<!-- bench: end -->"


def table(results: dict[str, Any]) -> str:
    """Return the results as Markdown: machine, rows, exponents."""
    machine = results["machine"]
    lines = [
        _machine(machine, results["kind"]),
        "",
        "| what | times (least to greatest) | reach / aim | results |",
        "|---|---|---|---|",
    ]
    lines += [_row(row) for row in results["rows"]]
    if results.get("tile"):
        lines += _tile(results["tile"])
    growth = [
        f"{name.removeprefix('exponent of ')} {run['exponent']:.2f}"
        for name, run in results["contenders"].items()
        if name.startswith("exponent of") and run["status"] == "ok"
    ]
    if growth:
        lines += ["", f"Cost grows with a power of: {', '.join(growth)} (1 is linear)."]
    return "\n".join(lines)


def write(readme: Path, content: str) -> bool:
    """Put `content` between the markers; return whether the file changed.

    Raises
    ------
    ValueError
        If the file does not hold both markers once, in their order.
    """
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{readme} must hold {BEGIN!r} and, after it, {END!r}, once each")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    changed = f"{head}{BEGIN}\n{content}\n{END}{tail}"
    if changed == text:
        return False
    readme.write_text(changed, encoding="utf-8")
    return True


def _machine(machine: dict[str, Any], kind: str) -> str:
    load = machine["load_before"][0]
    quiet = "otherwise idle" if load < 0.3 * machine["cores"] else "**busy with other work**"
    changed = " with changes" if machine["uncommitted_changes"] else ""
    return (
        f"*{kind} bench of {machine['measured']} at commit `{machine['commit']}`{changed}: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, "
        f"{quiet} (load {load}). One thread each; processor time; medians of alternating rounds.*"
    )


def _row(row: dict[str, Any]) -> str:
    goal = "" if row["reach"] is None else f"{row['reach']:g}x / {row['aim']:g}x"
    times = row["times"]
    if times is None:
        return f"| {row['what']} | not measured: {_cell(row['status'])} | {goal} | |"
    figure = f"**{_number(times['median'])}x** ({_number(times['least'])} to "
    figure += f"{_number(times['greatest'])})"
    return f"| {row['what']} | {figure} | {goal} | {_cell(row['agreement'])} |"


def _tile(tile: dict[str, Any]) -> list[str]:
    """Return the rows of the end-to-end run of a tile."""
    rows = []
    size = f"{tile['rows']} x {tile['columns']} pixels, {tile['dates']} dates, deflate"
    one, two = (tile["runs"].get(n) for n in ("1", "2"))
    if one:
        cost = one["core_us_per_pixel"]["median"]
        rows.append(
            f"| tile with I/O, {size} | {cost:.2f} us per pixel and core "
            f"| 7 / 4.5 us | {one['peak_worker_memory_mb']} MB per worker |"
        )
    if one and two:
        gain = one["wall_s"]["median"] / two["wall_s"]["median"]
        wall = f"{one['wall_s']['median']:.0f} s and {two['wall_s']['median']:.0f} s"
        rows.append(
            f"| two workers against one, the same tile | {gain:.2f}x | 1.7x / 1.95x | {wall} |"
        )
    return rows


def _number(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}"


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:120]
