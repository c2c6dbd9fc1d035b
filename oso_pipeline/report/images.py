"""The section of the page on images: products, how they were made, and which passes are missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from oso_pipeline.imagery.fetch_check import NOTE
from oso_pipeline.imagery.fetch_check import described as described_missing
from oso_pipeline.imagery.passes import Pass
from oso_pipeline.imagery.passes_check import Expected, Found, described, note
from oso_pipeline.imagery.processing import COLUMNS, Processing
from oso_pipeline.tasks.run_files import RunFiles

_COLUMNS = [
    "product_id", "acquired", "status", "reason", "detail", "cloud_percent", "version", *COLUMNS,
]  # fmt: skip


def passes_of(files: RunFiles, expected: Expected | None) -> Found:
    """Return which passes of each tile are missing, of the season that is mapped."""
    if expected is None:
        return {}
    passes = []
    for path in files.committed_files("inventory"):
        table = pd.read_parquet(path, columns=["platform", "acquired", "family"])
        table = table[~table.family.isin(expected.composites)].dropna(
            subset=["platform", "acquired"]
        )
        passes += [
            Pass(path.stem, platform, moment.to_pydatetime())
            for platform, moment in zip(table.platform, table.acquired, strict=True)
        ]
    return expected.compared(passes)


def images_section(files: RunFiles, expected: Expected | None) -> dict[str, Any]:
    """Return the products of each tile and what became of each, missing passes, and warnings."""
    missing = passes_of(files, expected)
    own = [_tile(path, path.stem, missing) for path in files.committed_files("inventory")]
    past = [
        _tile(path, f"{path.stem}, past season {path.parents[1].name}", {})
        for path in files.committed_files("past_inventory")
    ]
    problems = [] if expected is None else expected.problems(missing)
    warnings = [str(problem) for problem in problems]
    reasons = [reason for tile in own for reason in tile["not_fetched"]]
    ledger = f"{NOTE} {described_missing(reasons)}" if reasons else ""
    return {
        "tiles": own + past,
        "passes": note(missing),
        "not_fetched": ledger,
        "warnings": warnings,
    }


def _tile(path: Path, name: str, missing: Found) -> dict[str, Any]:
    table = pd.read_parquet(path, columns=_COLUMNS).sort_values(["acquired", "product_id"])
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    rows = [{str(name): value for name, value in row.items()} for row in records]
    for row in rows:
        row["processing"] = _made(row)
    used = sum(row["status"] == "used" for row in rows)
    not_fetched = [row["detail"] for row in rows if row["reason"] == "not_fetched"]
    passes = None if (found := missing.get(path.stem)) is None else described(found)
    return {
        "tile": name,
        "rows": rows,
        "used": used,
        "skipped": len(rows) - used - len(not_fetched),
        "not_fetched": not_fetched,
        "passes": passes,
    }


def _made(row: Mapping[str, Any]) -> str:
    """Return how a product was made; with its version where no other one is known."""
    made, version = Processing.from_row(row), row["version"]
    known = made.processor_version or made.baseline or not version
    return ", ".join(filter(None, ("" if known else f"version {version}", made.described)))
