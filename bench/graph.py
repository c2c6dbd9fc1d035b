"""How large the dask graph of a run is, and how long a scheduler takes to receive it.

``python -m bench.graph CONFIG --tiles 1,10,89`` plans the first tiles of a configuration, as far as
it can be planned without looking at images again, builds the graph of all that is to do and hands
it to a scheduler without workers. Every size is measured in a process of its own. The table goes
into docs/performance.md by hand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psutil
from distributed import Client, LocalCluster

from oso_pipeline.config.loader import load_config
from oso_pipeline.runtime.executors.packed_task import PackedTask
from oso_pipeline.runtime.graph import nodes_of
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.ready_tasks import makers_of
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.file_digests import StateDigests

LEFT_OUT = ("inventory", "report")
"""They are in graphs of their own: plans follow from the one, and all from the other."""


def measure(path: Path, tiles: int) -> str:
    """Return a row of the table for the first `tiles` tiles of a configuration."""
    config = load_config(path)
    imagery = config.imagery.model_copy(update={"tiles": config.imagery.tiles[:tiles]})
    planner = Planner(config.model_copy(update={"imagery": imagery}), STAGES, StateDigests())
    plans = [planner.plan(stage) for stage in STAGES if stage.name not in LEFT_OUT]
    with LocalCluster(n_workers=0, dashboard_address=None) as cluster, Client(cluster) as client:
        before, started = psutil.Process().memory_info().rss, time.perf_counter()
        nodes = nodes_of(plans)
        built_s = time.perf_counter() - started
        futures = client.compute(nodes)
        while len(cluster.scheduler.tasks) < len(futures):
            time.sleep(0.01)
        submitted_s = time.perf_counter() - started - built_s
        grown_mb = (psutil.Process().memory_info().rss - before) / 1e6
    tasks = [task for plan in plans for task in plan.todo]
    edges = sum(map(len, makers_of(tasks)))
    sent_mb = sum(len(PackedTask.of(task).content) for task in tasks) / 1e6
    return (
        f"| {tiles} | {len(nodes):,} | {edges:,} | {sent_mb:.1f} | {built_s:.1f} | "
        f"{submitted_s:.1f} | {grown_mb:.0f} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.graph")
    parser.add_argument("config", type=Path)
    parser.add_argument("--tiles", default="1,10", help="sizes, as 1,10,89")
    arguments = parser.parse_args(arguments)
    print("| tiles | nodes | edges | MB sent | s to build | s to submit | MB of memory |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for tiles in map(int, arguments.tiles.split(",")):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(measure, arguments.config, tiles).result(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
