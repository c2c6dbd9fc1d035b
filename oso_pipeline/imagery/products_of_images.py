"""Of which products each image of a tile is made, for the keys of tasks per image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from oso_pipeline.config import Config
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.stage import InventoryJob, label_of
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task

Products = dict[Candidate, tuple[str, Input]]
"""Products by candidate, each with its label in keys."""


def products_found(config: Config, job: InventoryJob) -> Products:
    """Return the products of the season that were found for a tile."""
    sharing = Counter(candidate.path for candidate in job.candidates)
    labels = {one: label_of(one, config, sharing[one.path]) for one in job.candidates}
    return {
        one: (label, job.products[label]) for one, label in labels.items() if label in job.products
    }


def images_used(inventory: Task, found: Products) -> Iterator[tuple[Acquisition, Products]]:
    """Yield each image of a committed inventory, and of which products it is made."""
    for item in read_inventory(inventory.output()).acquisitions:
        here = {one: read for one, read in found.items() if one.path.absolute() == item.path}
        # Metadata may name a product otherwise; where several share a place, all of them count.
        own = {one: read for one, read in here.items() if one.product_id == item.product_id}
        yield item, own or here or found
