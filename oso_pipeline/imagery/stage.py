"""The stage `inventory`: one task per tile lists its products and checks their files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import rasterio

from oso_pipeline.config import Config
from oso_pipeline.core.commit import digest
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.imagery.cache.choice import Choice, Copied, choose
from oso_pipeline.imagery.cache.copies import FOLDER, Copies
from oso_pipeline.imagery.fetch_check import as_skipped, not_fetched, warning
from oso_pipeline.imagery.fetch_ledger import Record
from oso_pipeline.imagery.findings import Findings, Unknown
from oso_pipeline.imagery.header import INPUT_OPTIONS
from oso_pipeline.imagery.inventory import FORMAT, read_inventory, write_inventory
from oso_pipeline.imagery.inventory_builder import InventoryBuilder, Period
from oso_pipeline.imagery.protocol import Candidate, Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import check_products, period_of, report_missing
from oso_pipeline.imagery.tile_grid import TileLayout, peek_layout, shared_layout
from oso_pipeline.tasks.job import Input, Job, place, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Cost, Summary, Task, TaskState, tile_of

__all__ = [
    "STAGE", "InventoryJob", "InventoryStage", "InventoryTask", "label_of", "make_inventory",
    "tile_layout",
]  # fmt: skip

VERSION = 1
LAYOUT = FORMAT
"""Inventories of another format are made again under the same key."""
EXTRACTED = "extracted"
"""Folder of the run that takes the files of archives."""

_JUST_FOUND: dict[str, tuple[Findings, Problems]] = {}
"""Findings of a check, and the problems of its search, for the plan that follows at once: on a
network disk a search through the products of a country takes a minute. The next plan searches
again."""
_MEMORY_BYTES, _MEMORY_OF_STORES = 400_000_000, 800_000_000
"""Of a task, most of it for windows of 120 products; of one that reads windows of products in Zarr,
whose chunks have 60 MB."""
_HEADER_BYTES = 64 * 1024  # read of each raster to see that it is whole
_OPENED_S, _COMPARED_S = 0.05, 0.25  # of a product: its headers; its windows, if of whole size
_WHOLE_BYTES = 500e6  # images of a product of whole size, at least
_COMPARED = 0.02  # of the bytes of its images: 1,000 rows of blue where files are in strips


@dataclass(frozen=True, kw_only=True)
class InventoryJob(Job):
    """List the products of a tile.

    Parameters
    ----------
    request
        Requested parts of them.
    first, last
        Days between which images serve, both included.
    as_of
        Last day of which images are used; None for all. The remaining products identify it.
    may_be_empty
        Accept a tile of which no product can be used.
    products
        The products of these days, by their path below the folders of the configuration.
    candidates, unrecognised
        Everything that was found for the tile: products, and what no reader recognises.
    copied
        The products that are read from copies, which the inventory names.
    not_fetched
        Products that are missing, as the ledger of `oso fetch` says; they are listed.
    listing
        Digest of what was found and where, of what is copied, and of what hides a pixel: its rules
        stand in the inventory, and what is read by them has the policy in its own key.
    """

    request: Request
    first: date
    last: date
    may_be_empty: bool
    products: Mapping[str, Input] = reads()
    as_of: date | None = place()
    candidates: tuple[Candidate, ...] = place()
    unrecognised: tuple[Unknown, ...] = place()
    listing: str = place()
    copied: tuple[Copied, ...] = place(default=())
    not_fetched: tuple[Record, ...] = place(default=())


@dataclass(frozen=True)
class InventoryTask(Task):
    """A task whose output also lists what determines no result.

    The key holds the products of the season and their files. Where these lie, and which
    other things were found, is listed in the inventory but must not outdate the maps: when
    only that changes, the inventory alone is made again, under the same key.
    """

    def commit_record(self) -> dict[str, Any] | None:
        """Return the commit record if it is current and lists what is there now."""
        record = super().commit_record()
        return None if record is None or self._changed(record) else record

    def state(self) -> TaskState:
        """Compare what is committed with what the task would make."""
        state = super().state()
        record = super().commit_record()
        if state.status == "done" and record is not None and (why := self._changed(record)):
            return TaskState("outdated", why)
        return state

    def _changed(self, record: dict[str, Any]) -> str | None:
        summary = record.get("summary") or {}
        if isinstance(self.job, InventoryJob) and summary.get("listing") != self.job.listing:
            return (
                "the images have moved, others were found, are copied or are missing, or "
                "imagery.clear has changed"
            )
        if not all(_is_committed(Path(folder)) for folder in summary["extracted"]):
            return "extracted files are gone"
        return None


class InventoryStage(StageBase):
    """Lists the products of each tile."""

    name = "inventory"
    makes = Makes("inventory", folders=(EXTRACTED,))
    plans_from = ()
    disk_hint = "extract the archives of products yourself"

    def check(self, config: Config) -> Problems:
        """Find tiles without products and a season without images, by the names of products."""
        problems = Problems()
        readers = Readers.of(config.imagery.readers)
        findings = find_products(config.imagery.paths, readers, problems)
        _JUST_FOUND[config.imagery.model_dump_json()] = findings, Problems(problems)
        problems.extend(check_products(config, findings))
        if not problems.errors:
            products = {tile: findings.of_tile(tile) for tile in config.imagery.tiles}
            problems.extend(choose(config, readers, products).problems())
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """Plan one task per tile that has products.

        Raises
        ------
        InputDataError
            If a folder is missing, a tile has no product and the configuration does not
            allow that, or the cache is too small for images that can only be read from a copy.
        """
        config, problems = context.config, Problems()
        readers = Readers.of(config.imagery.readers)
        if just_found := _JUST_FOUND.pop(config.imagery.model_dump_json(), None):
            findings, problems = just_found
        else:
            findings = find_products(config.imagery.paths, readers, problems)
        products = {tile: findings.of_tile(tile) for tile in config.imagery.tiles}
        report_missing(config, products, findings, problems)
        problems.raise_errors(InputDataError)
        choice = choose(config, readers, products)
        choice.problems().raise_errors(InputDataError)
        missing = not_fetched(config, period_of(config), findings.candidates)
        return [
            _plan_tile(
                context,
                readers,
                tile,
                Found(
                    some,
                    findings.unrecognised_of(tile, is_first=index == 0),
                    choice,
                    missing.of_tile(tile),
                ),
            )
            for index, (tile, some) in enumerate(products.items())
            if some
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Sum up counts and warnings of all tiles."""
        tiles = {summary["tile"]: summary for summary in summaries(tasks)}
        skipped: Counter[str] = Counter()
        for summary in tiles.values():
            skipped.update(summary["skipped"])
        summary = {
            "tiles": tiles,
            "found": sum(s["found"] for s in tiles.values()),
            "used": sum(s["used"] for s in tiles.values()),
            "skipped": dict(sorted(skipped.items())),
            "bytes": sum(s["bytes"] for s in tiles.values()),
        }
        headline = _headline(summary["used"], summary["found"], len(tiles), skipped)
        return Gathered(summary, warnings_of(tiles.values()), headline)


STAGE = InventoryStage()


def make_inventory(job: InventoryJob, task: Task) -> Summary:
    """Read the products of a tile, check their files and publish the inventory."""
    extracted = task.run_dir / EXTRACTED
    copies = Copies(
        task.output().parents[1] / FOLDER, frozenset(one.candidate for one in job.copied)
    )
    period = Period(job.first, job.last, job.as_of)
    builder = InventoryBuilder(job.request, period, extracted, copies=copies)
    with rasterio.Env(**INPUT_OPTIONS):  # once, because entering it costs as much as opening
        inventory = builder.build(job.candidates, job.unrecognised, job.may_be_empty)
    inventory = inventory.listing(as_skipped(one) for one in job.not_fetched)
    write_inventory(task.output(), inventory)
    used = inventory.acquisitions
    sources = (Path(asset.href) for a in used for asset in a.assets)
    folders = {str(path.parent) for path in sources if extracted in path.parents}
    warnings = [*builder.problems.warnings]
    if job.not_fetched:
        warnings.append(warning(job.not_fetched))
    return {
        "tile": job.request.tile,
        **inventory.counts(),
        "first": used[0].acquired.date().isoformat() if used else None,
        "last": used[-1].acquired.date().isoformat() if used else None,
        "warnings": [str(problem) for problem in warnings],
        "listing": job.listing,
        "extracted": sorted(folders),
    }


def tile_layout(context: PlanContext[Config], tile: str) -> TileLayout:
    """Return grid and file blocks of a tile, for planning.

    From the committed inventory, or else from the first product that can be read, so that a
    fresh run can be planned before anything ran.
    """
    task = next((t for t in context.tasks("inventory") if tile_of(t) == tile), None)
    if task is None:
        return shared_layout((), tile)
    if task.commit_record() is not None:
        return read_inventory(task.output()).layout
    readers = Readers.of(context.config.imagery.readers)
    if not isinstance(task.job, InventoryJob):
        return peek_layout((), readers, tile)
    copied = {one.candidate for one in task.job.copied}
    return peek_layout(task.job.candidates, readers, tile, copied)


def _headline(used: int, found: int, n_tiles: int, skipped: Mapping[str, int]) -> str:
    """Return how many products are used, and why others are not, the most frequent reason first."""
    tiles = f" of {n_tiles} tiles" if n_tiles > 1 else ""
    reasons = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    why = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in reasons if n)
    return f"{used} of {found} products{tiles} used" + (f"; left out: {why}" if why else "")


def _is_committed(folder: Path) -> bool:
    """Return whether a folder holds extracted files, each with its commit record."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return False
    files = {n for n in names if not n.endswith(".json") and not n.startswith(".")}
    return bool(files) and all(f"{name}.json" in names for name in files)


@dataclass(frozen=True)
class Found:
    """What was found of a tile, what is missing, and which products are copied, of all tiles."""

    candidates: Sequence[Candidate]
    unrecognised: Sequence[Unknown]
    choice: Choice
    not_fetched: tuple[Record, ...] = ()


def _plan_tile(
    context: PlanContext[Config], readers: Readers, tile: str, products_found: Found
) -> Task:
    config, candidates = context.config, products_found.candidates
    unrecognised, copied = products_found.unrecognised, products_found.choice.of_tile(candidates)
    period = period_of(config)
    sharing = Counter(c.path for c in candidates)
    products = {
        label_of(c, config, sharing[c.path]): Input.file(c.path, readers[c.family].digest(c))
        for c in candidates
        if c.acquired in period
    }
    request = Request.of(config, tile, {c.family for c in candidates})
    places = [str(path.absolute()) for path in (*config.imagery.paths, context.run_dir)]
    # Part of the keys of inventories: the names must stay.
    found = {
        "candidates": [c.to_json() for c in candidates],
        "strangers": [[str(one.path), one.detail] for one in unrecognised],
    }
    listed: list[Any] = [found, places, request.clear]
    if copied:
        listed.append([one.candidate.to_json() for one in copied])
    if missing := products_found.not_fetched:
        listed.append({"not_fetched": [[one.product_id, one.state, one.reason] for one in missing]})
    return InventoryTask(
        stage=InventoryStage.name,
        name=tile,
        function="oso_pipeline.imagery.stage:make_inventory",
        run_dir=context.run_dir,
        outputs=(f"inventory/{tile}.parquet",),
        version=VERSION,
        layout=LAYOUT,
        job=InventoryJob(
            request=request,
            first=period.first,
            last=period.last,
            may_be_empty=config.imagery.allow_missing_tiles,
            products=products,
            as_of=period.as_of,
            candidates=tuple(candidates),
            unrecognised=tuple(unrecognised),
            listing=digest(listed),
            copied=copied,
            not_fetched=products_found.not_fetched,
        ),
        cost=_cost(candidates, readers, period, context.run_dir / EXTRACTED),
    )


def _cost(
    candidates: Sequence[Candidate], readers: Readers, period: Period, extracted: Path
) -> Cost:
    """Return what reading takes: headers and windows of folders, archives whole and extracted."""
    read, written, seconds, memory = 0, 0, 0.0, _MEMORY_BYTES
    for candidate in candidates:
        if candidate.acquired in period:
            reader = readers[candidate.family]
            images = reader.size_bytes(candidate)
            is_store = getattr(reader, "cached", None) == "zarr"
            if is_store:
                memory = _MEMORY_OF_STORES
            if candidate.path.suffix.lower() == ".zip" and candidate.path.is_file():
                size = candidate.path.stat().st_size
                read += size
                seconds += size / 50e6  # inflate, checksum, write
                if not is_store and not (extracted / candidate.product_id).is_dir():
                    written += images
            else:
                read += min(images, 20 * _HEADER_BYTES + int(_COMPARED * images))
            seconds += _OPENED_S + _COMPARED_S * min(1.0, images / _WHOLE_BYTES)
    return Cost(bytes_read=read, memory_bytes=memory, core_seconds=seconds, bytes_written=written)


def label_of(candidate: Candidate, config: Config, n_sharing: int) -> str:
    """Return what a key calls a product: its path, and its stem where others share the path."""
    path = _below(candidate.path, config)
    return str(path) if n_sharing == 1 else f"{path}/{candidate.stem}"


def _below(path: Path, config: Config) -> Path:
    """Return `path` relative to the folder of the configuration that holds it."""
    for folder in config.imagery.paths:
        if path.is_relative_to(folder) and path != folder:
            return path.relative_to(folder)
    return Path(path.name)
