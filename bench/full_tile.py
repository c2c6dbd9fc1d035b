"""A tile from products to map, end to end: time, memory and bytes.

``python -m bench.full_tile --rows 10980`` writes a tile of full size (about 40 GB), maps it
with one and with two workers, reports, and deletes it. Less rows serve for quick figures; the
comparison of one worker with two is then repeated in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import PROJECT, RESULTS, WORK
from bench.figures import RoundStatistics
from bench.machine import describe
from bench.processes import Watch
from oso_pipeline.simulation.writers.full_tile import FullTile, FullTileSpec, write_full_tile

Say = Callable[[str], None]
_SPARE_BYTES = 5e9
RESULT = RESULTS / "full_tile.json"
"""What the last run of a whole tile measured."""


@dataclass(frozen=True)
class Part:
    """What is written and how often it is mapped.

    Parameters
    ----------
    rows, columns
        Size in pixels of 10 m; a whole tile has 10980 of each.
    dates
        Acquisitions.
    rounds
        How often each number of workers maps it, in turn.
    workers
        Numbers of workers.
    keep
        Leave the products and the run there.
    """

    rows: int = 10_980
    columns: int = 10_980
    dates: int = 40
    rounds: int = 1
    workers: tuple[int, ...] = (1, 2)
    keep: bool = False

    @property
    def pixels(self) -> int:
        """Pixels of 10 m."""
        return self.rows * self.columns


def measure(part: Part, say: Say) -> dict[str, Any]:
    """Write a tile, map it and return what that took; the tile is deleted afterwards."""
    folder = WORK / "tile"
    shutil.rmtree(folder, ignore_errors=True)
    needed = part.pixels * part.dates * 9 + _SPARE_BYTES
    free = shutil.disk_usage(WORK).free
    if free < needed:
        message = f"{needed / 1e9:.0f} GB of disk are needed, {free / 1e9:.0f} GB are free"
        say(f"tile left out: {message}")
        return {"status": message, "rows": part.rows, "columns": part.columns, "runs": {}}
    try:
        return _measured(part, folder, say)
    finally:
        if not part.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _measured(part: Part, folder: Path, say: Say) -> dict[str, Any]:
    started = time.perf_counter()
    spec = FullTileSpec(rows=part.rows, columns=part.columns, dates=part.dates)
    tile = write_full_tile(folder, spec)
    wrote = time.perf_counter() - started
    say(f"tile of {part.rows} x {part.columns} pixels, {part.dates} dates: "
        f"{tile.bytes_written / 1e9:.1f} GB written in {wrote:.0f} s")  # fmt: skip
    before, _ = run_oso(tile, "run", "--until", "train")
    say(f"inventory, reference, samples, train: {before:.0f} s")
    predictions: dict[int, list[dict[str, Any]]] = {count: [] for count in part.workers}
    for _ in range(part.rounds):
        for count in part.workers:
            predictions[count].append(_predict(tile, count, part))
            say(f"predict, {count} workers: {_line(predictions[count][-1])}")
    after, _ = run_oso(tile, "run")
    say(f"mosaic, validate, report: {after:.0f} s")
    stages = _stages(folder / "run" / "log.jsonl")
    for name, one in stages.items():
        say(f"{name}: {one['core_s']:.1f} s of a core, {one['expected_core_s']:.1f} s expected")
    fastest = min(figures["command_wall_s"] for each in predictions.values() for figures in each)
    return {
        "status": "ok",
        **asdict(part),
        "bytes_on_disk": tile.bytes_written,
        "bytes_of_pixels": tile.bytes_of_pixels,
        "fits_page_cache": fits_cache(tile.bytes_written),
        "forest_nodes": _nodes(folder / "run"),
        "write_s": round(wrote, 1),
        "until_train_s": round(before, 1),
        "after_predict_s": round(after, 1),
        "end_to_end_s": round(before + fastest + after, 1),
        "stages": stages,
        "runs": {str(count): _summed(figures) for count, figures in predictions.items()},
    }


def _predict(tile: FullTile, workers: int, part: Part) -> dict[str, Any]:
    """Predict all blocks again and return what it took."""
    run = tile.config.parent / "run"
    shutil.rmtree(run / "blocks", ignore_errors=True)
    # A worker reads ahead in a thread: without a core of its own, one would use two.
    cores = sorted(os.sched_getaffinity(0))[:workers]
    options = ("--stage", "predict", "--workers", str(workers))
    wall, watch = run_oso(tile, "run", *options, cores=cores)
    begun, ended, tasks = stage_of(run / "log.jsonl", "predict")
    pixels = sum(summary["pixels"] for summary in _summaries((run / "blocks").rglob("*.tif.json")))
    core = sum(task["cpu_seconds"] for task in tasks)
    return {
        "command_wall_s": wall,
        "command_core_s": watch.core_seconds,
        "wall_s": (ended - begun).total_seconds(),
        "task_core_s": core,
        "pixels": pixels,
        "core_us_per_pixel": 1e6 * watch.core_seconds / pixels,
        "task_core_us_per_pixel": 1e6 * core / pixels,
        "peak_worker_memory": watch.peak_of_children,
        "bytes_read": watch.bytes_read,
        "blocks": len(tasks),
    }


def run_oso(
    tile: FullTile, command: str, *arguments: str, cores: Iterable[int] | None = None
) -> tuple[float, Watch]:
    """Run a command on some cores; return the wall seconds and what its processes took."""
    allowed = os.sched_getaffinity(0) if cores is None else set(cores)
    words = [sys.executable, "-m", "bench.full_tile", "--oso", command, str(tile.config)]
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    log = WORK / "tile.log"
    started = time.perf_counter()
    cpu = _children_seconds()
    with log.open("a") as stream:
        process = subprocess.Popen(
            [*words, *arguments],
            stdout=stream, stderr=stream, cwd=PROJECT, env={**os.environ, "PYTHONPATH": path},
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )  # fmt: skip
        watch = Watch(process.pid)
        while process.poll() is None:
            watch.look()
            time.sleep(0.5)
    if process.returncode:
        raise RuntimeError(f"oso {command} ended with code {process.returncode}; see {log}")
    watch.core_seconds = _children_seconds() - cpu
    return time.perf_counter() - started, watch


def _children_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def stage_of(log: Path, stage: str) -> tuple[datetime, datetime, list[dict[str, Any]]]:
    """Return begin, end and tasks of the last run of a stage."""
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    first = max(
        n for n, event in enumerate(events)
        if event["event"] == "stage_begins" and event["stage"] == stage
    )  # fmt: skip
    events = [event for event in events[first:] if event.get("stage") == stage]
    tasks = [event for event in events if event["event"] == "task_ended"]
    ended = next(event for event in events if event["event"] == "stage_ends")
    begun, last = (datetime.fromisoformat(event["ts"]) for event in (events[0], ended))
    return begun, last, tasks


def _stages(log: Path) -> dict[str, dict[str, Any]]:
    """Return what each stage took and was expected to take, the first time that it was done."""
    found: dict[str, dict[str, Any]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        for name, needs in event["stages"].items() if event["event"] == "needs" else ():
            actual, expected = needs["actual"], needs["expected"]
            if actual["tasks"] == expected["tasks"]:
                values = {"expected_core_s": expected["core_seconds"]}
                found.setdefault(name, {"core_s": actual["core_seconds"], **values})
    return found


def _summaries(sidecars: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8"))["summary"] for path in sidecars]


def _nodes(run: Path) -> int:
    sidecars = run.glob("models/run0/*/model.json.json")
    return sum(summary["facts"]["nodes"] for summary in _summaries(sidecars))


def _summed(figures: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("wall_s", "command_wall_s", "core_us_per_pixel", "task_core_us_per_pixel")
    return {
        **{name: RoundStatistics.of([f[name] for f in figures]).to_json() for name in names},
        "peak_worker_memory_mb": round(max(f["peak_worker_memory"] for f in figures) / 1e6),
        "bytes_read": max(f["bytes_read"] for f in figures),
        "pixels": figures[0]["pixels"],
        "blocks": figures[0]["blocks"],
    }


def _line(figures: dict[str, Any]) -> str:
    return (
        f"{figures['wall_s']:.1f} s for {figures['pixels'] / 1e6:.1f} million pixels, "
        f"{figures['core_us_per_pixel']:.2f} us per pixel and core "
        f"({figures['task_core_us_per_pixel']:.2f} in tasks), "
        f"{figures['peak_worker_memory'] / 1e6:.0f} MB per worker, "
        f"{figures['bytes_read'] / 1e9:.1f} GB read"
    )


def fits_cache(size: int) -> bool:
    """Whether files of so many bytes stay in the memory of the machine."""
    return size < 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def main() -> int:
    """Measure the requested tile, print the figures and save them as ``full_tile.json``."""
    if sys.argv[1:2] == ["--oso"]:
        from oso_pipeline.cli import main as oso

        sys.argv = ["oso", *sys.argv[2:]]
        oso()
        return 0
    parser = argparse.ArgumentParser(prog="python -m bench.full_tile", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_980)
    parser.add_argument("--columns", type=int, default=10_980)
    parser.add_argument("--dates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--keep", action="store_true", help="do not delete the tile")
    options = vars(parser.parse_args())
    part = Part(**{**options, "workers": tuple(options["workers"])})
    WORK.mkdir(parents=True, exist_ok=True)
    machine = describe()
    result = measure(part, lambda text: print(text, flush=True))
    whole = (part.rows, part.columns) == (10_980, 10_980)
    target = RESULT if whole else WORK / "part.json"
    content = {"machine": machine, **result}
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: {target}")
    return 0 if result["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
