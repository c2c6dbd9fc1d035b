"""Stage ``quicklooks``: two small pictures of each image that is used, where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from oso_pipeline.config import Config
from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.cache.copies import folder_of
from oso_pipeline.imagery.cache.reading import refuse_others
from oso_pipeline.imagery.cache.stage import copies_of_images
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.products_of_images import Products, images_used, products_found
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.quicklook import BANDS, make_quicklooks
from oso_pipeline.imagery.stage import InventoryJob
from oso_pipeline.tasks.job import Input, Inputs, Job, follows, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task

_VERSION = 1
_MEMORY_BYTES, _SECONDS, _BYTES_WRITTEN = 250_000_000, 0.5, 60_000
"""Of a product of Sentinel-2: 0.13 s were measured for files in strips, 2.8 s in tiles."""


@dataclass(frozen=True, kw_only=True)
class QuicklookJob(Job):
    """The pictures of an image.

    Parameters
    ----------
    product_id
        Name of the product.
    request
        How the reader reads it.
    clear
        Which rule hides a pixel; it decides the clear share.
    product
        The product, by its path below the folders of the configuration.
    inventory
        The inventory of the tile. What it says of the product follows from the rest of the key, so
        another product leaves the picture as it is.
    copies
        Folder of the copies of the image; None where pictures are made from the product itself.
    """

    product_id: str
    request: Request
    clear: ClearPolicy
    product: Mapping[str, Input] = reads()
    inventory: Inputs = follows()
    copies: Input | None = follows(default=None)


class QuicklookStage(StageBase):
    """Plans one task per image where ``report.quicklooks`` is set, else none."""

    name = "quicklooks"
    makes = Makes("quicklooks")
    optional = True
    plans_from = ("inventory",)
    section = "oso_pipeline.imagery.quicklook_section:quicklooks_section"
    disk_hint = "set report.quicklooks: false"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the images that the committed inventories use, or else all that were found."""
        if not context.config.report.quicklooks:
            return []
        return [
            task
            for inventory in context.tasks("inventory")
            for task in _tasks_of(context, inventory)
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Count the pictures."""
        made = summaries(tasks)
        summary = {"images": len(made), "bytes": sum(one["bytes"] for one in made)}
        return Gathered(summary, headline=f"pictures of {len(made)} of {len(tasks)} images")


STAGE = QuicklookStage()


def make_pictures(job: QuicklookJob, task: Task) -> Summary:
    """Write the natural-colour and the false-colour picture of an image.

    Returns
    -------
    dict
        ``tile``, ``product_id``, ``acquired``, ``shown_percent`` and ``clear_percent`` of the tile,
        ``natural`` and ``false_colour`` with the paths of the pictures, and their ``bytes``.
    """
    inventory = read_inventory(task.run_dir / job.inventory.paths[0])
    used = (one for one in inventory.acquisitions if one.product_id == job.product_id)
    item = next(used, None)
    if item is None:
        raise InputDataError(
            Problem(
                "E-IMAGE-CHANGED",
                f"the inventory does not use {job.product_id} any more",
                f"tile {inventory.tile}",
                "run `oso run` again, it plans the pictures of the images that are used",
            )
        )
    if job.copies is not None:
        refuse_others([item], job.copies)
    rows, columns = inventory.grid.shape
    made = make_quicklooks(item, (rows, columns))
    publish_bytes(task.output(0), made.natural)
    publish_bytes(task.output(1), made.false_colour)
    return {
        "tile": inventory.tile,
        "product_id": item.product_id,
        "acquired": item.acquired.isoformat(),
        "shown_percent": round(made.shown_percent, 1),
        "clear_percent": round(made.clear_percent, 1),
        "natural": task.outputs[0],
        "false_colour": task.outputs[1],
        "bytes": len(made.natural) + len(made.false_colour),
    }


def _tasks_of(context: PlanContext[Config], inventory: Task) -> Iterator[Task]:
    """Yield a task for each image of a tile."""
    config = context.config
    copies = copies_of_images(context)
    for product_id, products in _images_of(config, inventory):
        families = {candidate.family for candidate in products}
        stem = f"quicklooks/{folder_of(inventory.name, product_id)}"
        # What else is read of a product changes no picture.
        request = replace(
            Request.of(config, inventory.name, families), bands=BANDS, incomplete="skip"
        )
        yield Task(
            stage=QuicklookStage.name,
            name=f"{inventory.name}/{product_id}",
            function="oso_pipeline.imagery.quicklook_stage:make_pictures",
            run_dir=context.run_dir,
            outputs=(f"{stem}_natural.jpg", f"{stem}_false.jpg"),
            version=_VERSION,
            job=QuicklookJob(
                product_id=product_id,
                request=request,
                clear=config.imagery.clear,
                product=dict(products.values()),
                inventory=Inputs.of((inventory,)),
                copies=copies.get(f"{inventory.name}/{product_id}"),
            ),
            cost=Cost(
                memory_bytes=_MEMORY_BYTES, core_seconds=_SECONDS, bytes_written=_BYTES_WRITTEN
            ),
        )


def _images_of(config: Config, inventory: Task) -> Iterator[tuple[str, Products]]:
    """Yield the name of each image, and of which products it is made."""
    if not isinstance(inventory.job, InventoryJob):
        return
    found = products_found(config, inventory.job)
    if inventory.commit_record() is None:
        yield from {one.product_id: {one: read} for one, read in found.items()}.items()
    else:
        yield from ((item.product_id, some) for item, some in images_used(inventory, found))
