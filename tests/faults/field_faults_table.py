"""Faults that users and real deliveries showed, and the tests that hold what is right.

``python tests/faults/field_faults_table.py`` writes the table into docs/reliability.md. A test
belongs to an item by its name: ``test_1_4_...`` to item 1.4, ``test_5_...`` to section 5.
"""

from __future__ import annotations

import ast
import re
from functools import cache

from fault_table import PAGE, ROOT, replaced

BEGIN = "<!-- field faults: begin, written by `make fault-table` -->"
END = "<!-- field faults: end -->"

ITEMS = {
    "1.1": "several products in one folder or zip",
    "1.2": "products deeper than three folders",
    "1.3": "a product in a folder of its own name",
    "1.4": "files that macOS adds",
    "1.5": "a user without a home, a read-only installation",
    "1.6": "PROJ and GDAL data of another installation",
    "1.7": "packed deliveries",
    "1.8": "dates left out without a message",
    "1.9": "nodata stored as 0 with empty masks",
    "1.10": "`crs` that has no effect",
    "1.11": "vector files that refer to other files",
    "1.12": "unusable coordinates and coordinate systems",
    "1.13": "limits of a container",
    "1.14": "shared memory, accents, tables of QGIS, WAL GeoPackages",
    "2.1": "another user of the machine enters the scheduler",
    "2.2": "a vector file makes GDAL read URLs and other files",
    "2.3": "a configuration is code",
    "2.4": "changed extracted images",
    "2.5": "a damaged .prj moves polygons",
    "2.6": "the user's files in a run folder",
    "2.7": "one damaged product stops everything",
    "2.8": "unclosed rings",
    "2.9": "too few file descriptors",
    "2.10": "thousands of classes without colours",
    "2.11": "odd texts and sizes in configurations",
    "2.12": "control characters in names",
    "2.13": "HOME unset, no entry in passwd",
    "2.14": "damaged cache of compiled code",
    "2.15": "PID namespaces and stepped clocks",
    "2.16": "odd JSON in files of a run",
    "2.17": "status and report of another user's run",
    "2.18": "closed standard output",
    "2.19": "a run id that depends on names",
    "2.20": "shards with another configuration",
    "2.21": "warnings that `oso run` does not print",
    "3.1": "the national plan is refused",
    "3.2": "a changed colour outdates a map",
    "3.3": "models that cannot be applied or kept",
    "3.4": "mistakes in the data that `oso check` does not find",
    "3.5": "classes that adaptation maps, reported as absent",
    "3.6": "other product families",
    "3.7": "classes without validation polygons",
    "3.8": "intervals without width",
    "3.9": "an optional part suppresses the report",
    "3.10": "the printed report",
    "3.11": "notebooks full of progress bars",
    "3.12": "batch scripts that request what `plan` refuses",
    "3.13": "polygons outside the tiles, reported without boxes",
    "3.14": "mosaic with a forecast of zero",
    "3.15": "counts of polygons that do not add up",
    "3.16": "charts without units",
    "3.17": "labels of QGIS in one language",
    "3.18": "small flaws of the command line",
    "4.1": "tables with unsorted or fractional dates",
    "4.2": "a transposed array",
    "4.3": "the estimator and `vote`, NaN",
    "4.4": "one warning per value",
    "5": "RPG since 2023",
}
_NAME = re.compile(r"test_(?:(5)|(\d+)_(\d+)(?:_and_(\d+)_(\d+))?)_[a-z]")


@cache
def tests_by_item() -> dict[str, list[str]]:
    """Return the tests of each item, as ``file name``, in the order of the files."""
    found: dict[str, list[str]] = {item: [] for item in ITEMS}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (name := _NAME.match(node.name)):
                where = f"`{file.relative_to(ROOT / 'tests').as_posix()}`"
                for item in _items(name):
                    found.setdefault(item, []).append(f"{where} {node.name}")
    return found


def _items(name: re.Match[str]) -> list[str]:
    if name[1]:
        return [name[1]]
    second = [f"{name[4]}.{name[5]}"] if name[4] else []
    return [f"{name[2]}.{name[3]}", *second]


def table() -> str:
    """Return the table in Markdown; an item without a test is for later."""
    lines = ["| item | seen | tests |", "|---|---|---|"]
    for item, seen in ITEMS.items():
        tests = tests_by_item()[item]
        shown = "; ".join(tests[:3]) + (f"; {len(tests) - 3} more" if len(tests) > 3 else "")
        lines.append(f"| {item} | {seen} | {shown or 'later'} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table into the docs."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, BEGIN, END, table()), encoding="utf-8")


if __name__ == "__main__":
    main()
