"""France rehearsed: ``python -m bench.rehearsal`` (``make rehearsal``).

Writes the inputs of 89 true tiles with 12 dates each (`simulation/national`), and goes from the
plan to the national map, its validation and the report with ``configs/national.yaml``: on this
machine, and a part of the blocks in two shards. The same command goes on after an interruption.
What each stage took goes into docs/operations.md; a rehearsal of fewer tiles (``--tiles``) prints
it only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bench import PROJECT, RESULTS, WORK
from bench.machine import describe
from bench.rehearsal_checks import examined
from bench.rehearsal_figures import size_of, stages_of
from bench.rehearsal_run import Say, Steps
from oso_pipeline.simulation.national.nation import NationSpec, ground
from oso_pipeline.simulation.national.write_nation import REGIONS, write_nation

NATIONAL = PROJECT / "configs" / "national.yaml"
RESULT = RESULTS / "rehearsal.json"
PAGE = PROJECT / "docs" / "operations.md"
BEGIN, END = "<!-- rehearsal: written by make rehearsal -->", "<!-- end of rehearsal -->"
PLANNING_S, PLANNING_MB = 60, 1000
"""Most that planning all tiles may take."""
_MIDDLE = "31TCL"
_TILES_PER_SHARDED_TILE = 9


def specification(count: int | None = None) -> NationSpec:
    """Return all of France, or so many tiles around one, with less in each."""
    tiles = tuple(YAML(typ="safe").load(NATIONAL)["imagery"]["tiles"])
    if count is None or count >= len(tiles):
        return NationSpec(tiles)
    middles = {tile: ground(NationSpec((tile,)).patch(tile)).centroid for tile in tiles}
    near = sorted(tiles, key=lambda tile: middles[tile].distance(middles[_MIDDLE]))
    return NationSpec(tuple(sorted(near[:count])), patch_px=256, departments=1, squares=8)


def configuration(spec: NationSpec, is_whole: bool) -> dict[str, Any]:
    """Return ``configs/national.yaml`` for the inputs of a rehearsal."""
    content: dict[str, Any] = YAML(typ="safe").load(NATIONAL)
    content["imagery"] = {"paths": ["inputs/products"], "tiles": [*spec.tiles]}
    sources = [s for s in content["reference"]["sources"] if s["kind"] != "randolph"]
    for source in sources:
        source["path"] = f"inputs/{source['kind']}"
    content["reference"]["sources"] = sources
    content["strata"]["path"] = f"inputs/{REGIONS}"
    # The patches hold fewer pixels than France, and samples of all tiles must fit in 15 GB.
    pixels = 3_000 if is_whole else 300
    content["sampling"] |= {"max_train_pixels": pixels, "max_validation_pixels": pixels // 2}
    content["learning"]["n_trees"] = 100 if is_whole else 30
    return {**content, "name": "rehearsal", "run_dir": "run"}


def rehearse(folder: Path, spec: NationSpec, workers: int, is_whole: bool, say: Say) -> dict:
    """Do what is left of a rehearsal and return what all of it took."""
    folder.mkdir(parents=True, exist_ok=True)
    config, run_dir, inputs = folder / "rehearsal.yaml", folder / "run", folder / "inputs"
    with config.open("w", encoding="utf-8") as stream:
        YAML().dump(configuration(spec, is_whole), stream)
    steps, at, work = Steps(folder, say), str(config), ("--workers", str(workers))

    def write() -> None:
        parts = list(write_nation(inputs, spec, workers))
        say(f"{len(parts)} parts of the inputs written")

    sharded = ",".join(spec.tiles[::_TILES_PER_SHARDED_TILE])
    shards = [
        ("run", at, "--stage", "predict", "--tiles", sharded, "--shard", f"{n}/2", "--workers", "1")
        for n in (1, 2)
    ]
    steps.call("inputs", write)
    steps.oso("check", ["check", at])
    steps.oso("plan", ["plan", at])
    steps.oso("until train", ["run", at, "--until", "train", *work])
    steps.oso("predict in two shards", *shards)
    steps.oso("the rest", ["run", at, *work])
    steps.oso("plan, all done", ["plan", at])
    steps.oso("verify", ["verify", str(run_dir)])
    found: dict[str, Any] = {}
    products = inputs / "products"
    steps.call("look at the map", lambda: found.update(examined(run_dir, products, spec)))
    return {
        "tiles": len(spec.tiles),
        "workers": workers,
        "steps": {name: asdict(took) for name, took in steps.took.items()},
        "stages": stages_of(run_dir),
        "inputs": dict(zip(("files", "size"), size_of(inputs), strict=True)),
        "run": dict(zip(("files", "size"), size_of(run_dir), strict=True)),
        "found": found or examined(run_dir, products, spec),
    }


def table(content: dict[str, Any]) -> str:
    """Return what a rehearsal took as Markdown."""
    machine, found = content["machine"], content["found"]
    lines = [
        f"Measured {machine['measured']}, {machine['processor']}, {content['workers']} workers"
        f"{'' if machine['otherwise_idle'] else ', busy with other work'}: "
        f"{content['tiles']} tiles, "
        f"{content['inputs']['size'] / 1e9:.1f} GB of inputs in {content['inputs']['files']:,} "
        f"files, {content['run']['size'] / 1e9:.1f} GB of run folder in "
        f"{content['run']['files']:,} files, a map of {found['map_pixels'] / 1e9:.1f}e9 pixels. "
        f"{100 * found['true_share']:.1f} % of the clear pixels have their true class.",
        "",
        "| step | wall time | core time | memory of the largest process |",
        "|---|---:|---:|---:|",
    ]
    for name, took in content["steps"].items():
        core = f"{took['core_s']:,.0f} s" if took["core_s"] else ""
        peak = f"{took['peak_mb'] / 1000:.2f} GB" if took["peak_mb"] else ""
        lines.append(f"| {name} | {took['wall_s']:,.0f} s | {core} | {peak} |")
    lines += [
        "",
        "| stage | tasks | core time | longest task | peak memory | files | bytes |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{name}` | {stage['tasks']:,} | {stage['core_s']:,.0f} s | {stage['longest_s']:.1f} s "
        f"| {stage['peak_mb'] / 1000:.2f} GB | {stage['files']:,} | {stage['size'] / 1e6:,.1f} MB |"
        for name, stage in content["stages"].items()
    ]
    return "\n".join(lines)


def write(content: dict[str, Any]) -> None:
    """Keep the figures of all tiles, and put the tables between the marks of the page."""
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(content)}\n\n{END}{after}", encoding="utf-8")


def too_much(content: dict[str, Any]) -> list[str]:
    """Return what exceeds the limits of a rehearsal, and which tasks failed."""
    faults = [f"{s['failed']} tasks of {name} failed" for name, s in content["stages"].items()
              if s["failed"]]  # fmt: skip
    for name, took in content["steps"].items():
        if name.startswith("plan") and (
            took["wall_s"] > PLANNING_S or took["peak_mb"] > PLANNING_MB
        ):
            faults.append(f"{name} took {took['wall_s']:.0f} s and {took['peak_mb']} MB")
    for name, most in (("inputs", 12e9), ("run", 15e9)):
        if content[name]["size"] > most:
            faults.append(f"{name}: {content[name]['size'] / 1e9:.1f} GB")
    return faults


def keep_map(folder: Path) -> Path:
    """Put the map, its validation and the report aside; return where they are."""
    kept = folder.with_name(f"{folder.name}_map")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for name in ("maps", "validation", "report.html"):
        (folder / "run" / name).rename(kept / name)
    return kept


def main() -> int:
    """Run the requested rehearsal and print its time and cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.rehearsal", description=__doc__)
    parser.add_argument("--tiles", type=int, help="only so many tiles, with less in each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the map and the report")
    options = parser.parse_args()
    spec = specification(options.tiles)
    is_whole = options.tiles is None or spec == specification()
    folder = WORK / f"rehearsal_{len(spec.tiles)}"
    machine = describe()
    content = {"machine": machine}
    content |= rehearse(
        folder, spec, options.workers, is_whole, lambda text: print(text, flush=True)
    )
    print(table(content))
    faults = too_much(content)
    if is_whole:
        write(content)
    if faults:
        print("\n".join(["Not as it should be:", *faults]))
        return 1
    if options.keep:
        print(f"the map: {keep_map(folder)}")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
