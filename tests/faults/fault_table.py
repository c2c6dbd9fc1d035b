"""The fault matrix as a table, from the marks on the tests: ``python tests/faults/fault_table.py``.

A row stands on tests that carry its mark. The marks are read from the source of the tests, and a
test asserts that the table in the docs is the current one, so it says what the tests do. That they
pass is for the tests to say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- fault table: begin, written by `make fault-table` -->"
END = "<!-- fault table: end -->"

ROWS = {
    1: "worker killed in a task",
    2: "killed while writing a raster",
    3: "killed between file and commit",
    4: "driver killed",
    5: "scheduler killed",
    6: "SIGTERM, Ctrl-C",
    7: "random deaths of workers",
    8: "native crash in one task",
    9: "worker hangs or stops",
    10: "straggler",
    11: "worker beyond its memory",
    12: "limit of the process on memory",
    13: "disk full",
    14: "disk full under threads of GDAL",
    15: "folder for temporary files full",
    16: "too many files",
    17: "read-only output",
    18: "output folder removed",
    19: "image deleted during the run",
    20: "image changed during the run",
    21: "truncated image",
    22: "empty file or HTML as image",
    23: "bit flipped in the input",
    24: "bit flipped in our own files",
    25: "archive truncated or with a wrong CRC",
    26: "server stalls",
    27: "server sends a byte now and then",
    28: "connection lost within the body",
    29: "short body, wrong Content-Length",
    30: "500, 502, 503, then good",
    31: "429 with Retry-After",
    32: "401, 403, redirections in circles",
    33: "200 with an error in HTML or JSON",
    34: "pages of a catalogue contradict each other",
    35: "search never answers",
    36: "portals down all the time",
    37: "server ignores Range",
    38: "checksum changed at the server",
    39: "two runs in one folder",
    40: "lock of a process that has ended",
    41: "two workers in one task",
    42: "clocks, time zones, times of files",
    43: "parameters changed between runs",
    44: "commit record damaged",
    45: "commit record of another version",
    46: "model file truncated or poisoned",
    47: "workers, threads, order",
    48: "error that cannot be pickled",
    49: "standard output closed",
    50: "locale and odd paths",
    51: "network file system: ESTALE",
    52: "fork and threads",
    53: "download continued by another process",
    54: "GDAL without a required driver",
}


@dataclass(frozen=True, order=True)
class Entry:
    """A test that holds a row."""

    row: int
    path: str
    name: str
    injected: str
    outcome: str
    kind: str


@cache
def entries() -> list[Entry]:
    """Return the marks of all tests, sorted."""
    found = []
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        whole = "hpc" if "pytest.mark.hpc" in file.read_text(encoding="utf-8") else ""
        for node in ast.walk(tree):  # methods of classes too
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                kinds = {ast.unparse(one).split("(")[0] for one in node.decorator_list}
                kind = "slow" if "pytest.mark.slow" in kinds else whole
                where = file.relative_to(ROOT).as_posix()
                for values in _marks(node):
                    text = (str(values[name]) for name in ("injected", "outcome"))
                    found.append(Entry(int(values["row"]), where, node.name, *text, kind))
    return sorted(found)


def _marks(node: ast.FunctionDef) -> Iterator[dict[str, object]]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            yield {str(k.arg): ast.literal_eval(k.value) for k in decorator.keywords}


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| row | fault | injected | outcome | test |", "|---|---|---|---|---|"]
    by_row: dict[int, list[Entry]] = {}
    for entry in entries():
        by_row.setdefault(entry.row, []).append(entry)
    for row in sorted(ROWS):
        for entry in by_row.get(row, []):
            name = f"`{entry.path.removeprefix('tests/')}` {entry.name.removeprefix('test_')}"
            kind = f" ({entry.kind})" if entry.kind else ""
            cells = (str(row), ROWS[row], entry.injected, entry.outcome, name + kind)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def replaced(page: str, begin: str, end: str, content: str) -> str:
    """Return a page with what stands between two marks replaced."""
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


def main() -> None:
    """Write the table into the docs."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, BEGIN, END, table()), encoding="utf-8")


if __name__ == "__main__":
    main()
