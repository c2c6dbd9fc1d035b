"""The command of the bench: ``python -m bench`` measures and writes results and table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench import RESULTS, WORK, comparisons, environments, full_tile, series_tile, table
from bench.machine import describe, peer_versions
from bench.material import Size, material

COMPARISONS = RESULTS / "comparisons.json"
_STEPS = {
    "forests": comparisons.forests,
    "gap_filling": comparisons.gap_filling,
    "series": comparisons.series,
    "points": comparisons.points,
    "blocks": comparisons.blocks,
    "training": comparisons.training,
    "attention": comparisons.attention,
    "growth": comparisons.growth,
    "calibration": comparisons.calibration,
}
_QUICK = ("forests", "gap_filling", "blocks", "training")
_TILE_ROUNDS = 3


def main() -> int:
    """Run the requested comparisons; return 1 if results that must agree do not."""
    options = _options()
    started = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - started:6.0f} s] {text}", flush=True)

    if options.table:
        stored = _stored(COMPARISONS)
        if not stored:
            print(f"{COMPARISONS} is not there: nothing has been measured yet, run `make bench`")
            return 2
        table.write(table.PAGE, _table_of(stored))
        return 0
    machine = describe()
    environments.install(say, environments.SMALL if options.quick else None)
    machine["peers"] = peer_versions()
    peers = environments.peers()
    size = Size.quick() if options.quick else Size()
    made = material(size, say, with_otb=peers["otb"].python is not None)
    bench = comparisons.Bench(made, peers, say)
    results: dict[str, Any] = {
        "kind": "Quick" if options.quick else "Full",
        "machine": machine,
        "rows": [],
        "methods": {},
        "faults": [],
        "seconds": {"setup and training": round(time.perf_counter() - started)},
    }
    for name in options.only or (_QUICK if options.quick else _STEPS):
        before = time.perf_counter()
        outcome = comparisons.file_of(_STEPS[name](bench))
        results["rows"] += outcome["rows"]
        results["methods"] |= outcome["methods"]
        results["faults"] += outcome["faults"]
        results["seconds"][name] = round(time.perf_counter() - before)
    if not options.quick and not options.only:
        before = time.perf_counter()
        results["tile"] = full_tile.measure(full_tile.Part(rows=732, rounds=_TILE_ROUNDS), say)
        results["seconds"]["tile"] = round(time.perf_counter() - before)
    content = _table_of(results)
    target = COMPARISONS if not options.quick and not options.only else WORK / "quick.json"
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.add:
        joined = table.with_later(_stored(COMPARISONS), results)
        COMPARISONS.write_text(json.dumps(joined, indent=1) + "\n", encoding="utf-8")
        content = _table_of(joined)
    if options.publish:
        table.write(table.PAGE, content)
    say(f"results in {target}\n\n{content}\n")
    for fault in results["faults"]:
        say(f"FAULT: {fault}")
    return 1 if results["faults"] else 0


def _table_of(results: dict[str, Any]) -> str:
    return table.table(results, _stored(full_tile.RESULT), _stored(series_tile.RESULT))


def _stored(path: Path) -> dict[str, Any]:
    """Return what an earlier run measured, nothing if there was none."""
    if not path.exists():
        return {}
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, few peers")
    parser.add_argument("--only", nargs="+", choices=list(_STEPS), help="only these comparisons")
    parser.add_argument("--add", action="store_true", help="add what --only measured to results")
    parser.add_argument("--publish", action="store_true", help="write the table into the docs")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
