"""Stage ``cache``: copies of the images that are slow to read, one task per image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, UnknownName
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.cache.choice import SIZE_OF_COPY
from oso_pipeline.imagery.cache.copies import FOLDER, copied_assets, folder_of
from oso_pipeline.imagery.cache.from_web import addresses_of
from oso_pipeline.imagery.cache.reading import key_of
from oso_pipeline.imagery.cache.sources import fetch
from oso_pipeline.imagery.image_kinds import IN_PLACE, Kind, kind_of
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.products_of_images import Products, images_used, products_found
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.stage import InventoryJob
from oso_pipeline.tasks.job import Input, Inputs, Job, follows, place, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task, TaskState, tile_of

_VERSION = 1
_MEMORY_BYTES: Mapping[Kind, int] = {
    "jp2": 350_000_000, "zarr": 700_000_000, "remote": 400_000_000,
}  # fmt: skip
_SECONDS, _SECONDS_PER_BYTE = 0.2, {"jp2": 1.6e-7, "zarr": 3e-8, "remote": 3e-8}
"""Of a product, and of a byte of its source: decoded, compressed, read back. Measured as 217 and 21
(at 1.3 bytes per pixel) ns on a core that decodes TIFF at 0.72 of the speed of `NOMINAL`."""
_READERS = ("series", "quicklooks", "pixels", "samples", "predict")
"""Stages that read images."""


@dataclass(frozen=True, kw_only=True)
class CopyJob(Job):
    """Copy the images of a product.

    Parameters
    ----------
    product_id
        Name of the product.
    request
        How the reader reads it. Which of its images are copied is not a part of it: one that is
        missing has the product copied again.
    product
        The product, by its path below the folders of the configuration.
    inventory
        The inventory of the tile, which says where the images are. It follows from the rest of the
        key: another product leaves the copy as it is.
    kind
        Kind of the images.
    """

    product_id: str
    request: Request
    product: Mapping[str, Input] = reads()
    inventory: Inputs = follows()
    kind: Kind = place()


@dataclass(frozen=True)
class CopyTask(Task):
    """A task that counts as done once all that reads the copy is committed.

    So copies may be removed from a finished run.

    Parameters
    ----------
    needed
        Says whether a task that reads the copies of the tile is to do; None on a worker.
    """

    needed: Callable[[], bool] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only the plan knows."""
        return {**self.__dict__, "needed": None}

    def commit_record(self) -> dict[str, Any] | None:
        """Return the commit record, one without a summary where nothing needs the copy."""
        record = super().commit_record()
        if record is None and self.needed is not None and not self.needed():
            return {"key": self.key}
        return record

    def state(self) -> TaskState:
        """Compare what is committed with what the task would make, or see what needs it."""
        state = super().state()
        if state.status != "done" and self.needed is not None and not self.needed():
            return TaskState("done", "all that reads the copy is up to date")
        return state


class CacheStage(StageBase):
    """Plans one task per image that is copied: none for images in TIFF."""

    name = FOLDER
    makes = Makes(FOLDER)
    plans_from = ("inventory",)
    reusable = (f"{FOLDER}/**/*",)
    in_array = True
    disk_hint = "limit the copies by imagery.cache.max_gb; 0 copies no image in JPEG 2000"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the images that the committed inventories name copies of, or else all chosen."""
        return [
            task
            for inventory in context.tasks("inventory")
            for task in _tasks_of(context, inventory)
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Count images and bytes."""
        made = [summary for summary in summaries(tasks) if summary]
        size = sum(one["bytes"] for one in made)
        summary = {"images": len(made), "bytes": size}
        if not made:
            return Gathered(summary)
        return Gathered(summary, headline=f"{counted(len(made), 'image')}, {size / 1e9:.2f} GB")


STAGE = CacheStage()


def copy_image(job: CopyJob, task: Task) -> Summary:
    """Copy the images of a product that the inventory names copies of.

    Raises
    ------
    InputDataError
        If the inventory does not use the product any more, or a source cannot be read.
    """
    inventory = read_inventory(task.run_dir / job.inventory.paths[0])
    used = (one for one in inventory.acquisitions if one.product_id == job.product_id)
    item = next(used, None)
    assets = {} if item is None else {asset.path: asset for asset in copied_assets(item)}
    outputs = [task.output(number) for number in range(len(task.outputs))]
    if item is None or set(outputs) != assets.keys():
        raise InputDataError(
            Problem(
                "E-IMAGE-CHANGED",
                f"the inventory does not use {job.product_id} as it was planned",
                f"tile {inventory.tile}",
                "run `oso run` again, it plans the images that are used",
            )
        )
    is_remote = any(kind_of(asset.href) == "remote" for asset in assets.values())
    addresses = addresses_of(item, job.request) if is_remote else {}
    for output in outputs:
        asset = assets[output]
        fetch(asset, output, addresses.get(asset.href))
    return {
        "tile": inventory.tile,
        "product_id": job.product_id,
        "bytes": sum(output.stat().st_size for output in outputs),
        "source_bytes": sum(asset.size_bytes for asset in assets.values()),
    }


def copies_of_tiles(context: PlanContext[Config]) -> dict[str, Input]:
    """Return the folder of the copies of each tile that has any, for jobs that follow them."""
    by_tile: dict[str, list[Task]] = {}
    for task in context.tasks(FOLDER):
        by_tile.setdefault(tile_of(task), []).append(task)
    return {
        tile: Input(
            key_of([task.key for task in some]),
            str(PurePosixPath(some[0].outputs[0]).parents[1]),
        )
        for tile, some in by_tile.items()
    }


def copies_of_images(context: PlanContext[Config]) -> dict[str, Input]:
    """Return the folder of the copies of each image that can be read in no other way, by task."""
    return {
        task.name: Input(key_of([task.key]), str(PurePosixPath(task.outputs[0]).parent))
        for task in context.tasks(FOLDER)
        if isinstance(task.job, CopyJob) and task.job.kind not in IN_PLACE
    }


@dataclass(frozen=True)
class _Image:
    """An image that is copied: as the inventory lists it, or as far as its product is known."""

    product_id: str
    outputs: tuple[str, ...]
    products: Products
    kind: Kind
    source_bytes: int


@dataclass
class Needed:
    """Whether a task that reads the copies of a tile is to do; looked at once, when it is needed.

    The stages that read are planned after this one, so they are looked at later.
    """

    context: PlanContext[Config]
    tile: str
    _found: bool | None = None

    def __call__(self) -> bool:
        """Return whether a task that reads the copies is to do."""
        if self._found is None:
            self._found = any(
                task.commit_record() is None for name in _READERS for task in self._tasks(name)
            )
        return self._found

    def _tasks(self, stage: str) -> list[Task]:
        try:
            tasks = self.context.tasks(stage)
        except (UnknownName, InputDataError, ConfigError):
            # Nothing is predicted of a past season; `oso series` needs no labels.
            return []
        return [task for task in tasks if tile_of(task) == self.tile]


def _tasks_of(context: PlanContext[Config], inventory: Task) -> Iterator[Task]:
    """Yield a task for each image of a tile that is copied."""
    config, job, tile = context.config, inventory.job, tile_of(inventory)
    if not isinstance(job, InventoryJob) or not job.copied:
        return
    first = CopyTask(
        stage=FOLDER,
        name="",
        function="oso_pipeline.imagery.cache.stage:copy_image",
        run_dir=context.run_dir,
        outputs=(),
        version=_VERSION,
        needed=Needed(context, tile),
    )
    for image in _images(config, inventory, job):
        families = {one.family for one in image.products}
        request = Request.of(config, tile, families)
        yield replace(
            first,
            name=f"{tile}/{image.product_id}",
            outputs=image.outputs,
            job=CopyJob(
                product_id=image.product_id,
                request=replace(request, bands=(), incomplete="skip", clear="oso"),
                product=dict(image.products.values()),
                inventory=Inputs.of((inventory,)),
                kind=image.kind,
            ),
            cost=_cost(image.kind, image.source_bytes),
        )


def _images(config: Config, inventory: Task, job: InventoryJob) -> Iterator[_Image]:
    """Yield what is copied, by the committed inventory or else by the products chosen."""
    found = products_found(config, job)
    if inventory.commit_record() is None:
        # Of a product in several formats, the inventory uses one.
        for name, one in {one.candidate.product_id: one for one in job.copied}.items():
            folder = f"{FOLDER}/{folder_of(tile_of(inventory), name)}"
            outputs = tuple(f"{folder}/{band}.tif" for band in job.request.bands)
            products = {one.candidate: found[one.candidate]}
            yield _Image(name, outputs, products, one.kind, one.source_bytes)
        return
    for item, products in images_used(inventory, found):
        if assets := copied_assets(item):
            outputs = tuple(_relative(asset.path) for asset in assets)
            size = sum(asset.size_bytes for asset in assets)
            yield _Image(item.product_id, outputs, products, kind_of(assets[0].href), size)


def _relative(path: Path) -> str:
    """Return the place of a copy, relative to the folder of a run or a past season."""
    return PurePosixPath(*path.parts[-4:]).as_posix()


def _cost(kind: Kind, source_bytes: int) -> Cost:
    seconds = _SECONDS_PER_BYTE[kind] * source_bytes
    return Cost(
        bytes_read=source_bytes,
        memory_bytes=_MEMORY_BYTES[kind],
        core_seconds=_SECONDS + seconds,
        decode_seconds=seconds,
        bytes_written=int(SIZE_OF_COPY[kind] * source_bytes),
    )
