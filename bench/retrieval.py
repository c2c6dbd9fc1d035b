"""Measures `oso fetch` against a portal that lies: ``python -m bench.retrieval``.

Three parts, which write the table of goals into docs/retrieval.md: the 18 faults at each provider,
a campaign of 10,000 products with kills, and the best-known client of the field on the same server
(from the package registry, in an environment of its own; the rows are left as they are without it).
All on loopback; the portal is that of the tests. A short campaign only prints.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import PROJECT, RESULTS, WORK

sys.path.insert(0, str(PROJECT / "tests"))

from bench import retrieval_campaign, retrieval_faults
from bench.machine import describe
from bench.retrieval_campaign import Scale
from bench.retrieval_table import MOST_TWICE, PAGE, write

RESULT = RESULTS / "retrieval.json"
PARTS = ("faults", "campaign", "client")


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the table."""
    usual = Scale()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=usual.products)
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--kills", type=int, default=usual.kills)
    parser.add_argument("--share", type=float, default=usual.share)
    parser.add_argument("--most-bytes", type=int, default=usual.most_bytes)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--publish", action="store_true", help="write the table into the docs")
    parser.add_argument("--keep", action="store_true", help="keep what was fetched")
    given = parser.parse_args(arguments)
    scale = Scale(
        given.products, given.seconds, given.kills, given.share, given.seed, given.most_bytes
    )
    results: dict[str, Any] = {}
    if given.publish and RESULT.exists():
        results = json.loads(RESULT.read_text(encoding="utf-8"))
    results["machine"] = describe()
    for part in given.parts.split(","):
        results |= _measured(part, scale, given.keep)
    if given.publish:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1, sort_keys=True)
        RESULT.write_text(text + "\n", encoding="utf-8")
        write(PAGE, results)
    return 1 if _faults_in(results) else 0


def _measured(part: str, scale: Scale, keeps: bool) -> dict[str, Any]:
    if part == "faults":
        return {"faults": retrieval_faults.ours(_say)}
    if part == "campaign":
        folder = WORK / "retrieval"
        shutil.rmtree(folder, ignore_errors=True)
        found = retrieval_campaign.measure(folder, scale, _say)
        if not keeps:
            shutil.rmtree(folder, ignore_errors=True)
        _say(json.dumps(found, indent=1))
        return {"campaign": found | {"scale": asdict(scale)}}
    with tempfile.TemporaryDirectory() as folder:
        python = retrieval_faults.installed(Path(folder) / "client")
        if python is None:
            _say(f"{retrieval_faults.CLIENT} cannot be installed here: its rows are not measured")
            return {}
        cases = retrieval_faults.theirs(python, _say)
        return {"client": {"version": retrieval_faults.version_of(python), "cases": cases}}


def _faults_in(results: dict[str, Any]) -> list[str]:
    """Return which goals are not reached."""
    found = [
        f"fault {one['fault']} at {one['protocol']}: {one['wrong']} wrong, {one['lost']} lost"
        for one in results.get("faults", [])
        if one["wrong"] or one["lost"]
    ]
    if (campaign := results.get("campaign")) is not None:
        for name, most in (("wrong", 0), ("missing", 0), ("twice_percent", MOST_TWICE)):
            if campaign[name] > most:
                found.append(f"campaign: {name} {campaign[name]}, at most {most}")
        if any(number > 3 for number in campaign["at_once"].values()):
            found.append(f"campaign: connections {campaign['at_once']}")
    for one in found:
        _say(f"GOAL MISSED: {one}")
    return found


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
