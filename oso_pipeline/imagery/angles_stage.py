"""Stage ``angles``: the directions of sun and sensor of each image, where networks need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.readers import ReaderSettings
from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.angles import Angles, StatesAngles, stated_angles
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.stage import InventoryJob
from oso_pipeline.tasks.job import Input, Job, place, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task

_VERSION = 1
_FORMAT = 1
_MEMORY_BYTES, _SECONDS, _BYTES = 400_000_000, 0.01, 200_000
"""Of a task; of a product: time to read its metadata, and bytes of these."""
_SHOWN = 3
_HINT = (
    "take these products out of imagery.paths, fetch them again with their metadata, or leave "
    "{variables} out of series.variables"
)


@dataclass(frozen=True, kw_only=True)
class AnglesJob(Job):
    """The angles of the images of a tile.

    Parameters
    ----------
    inventory
        The inventory of the tile; its key names the products by their content.
    variables
        Variables that need angles, for messages.
    readers
        Settings of the readers, which are part of the key of the inventory.
    """

    inventory: Input = reads()
    variables: tuple[str, ...] = place()
    readers: tuple[ReaderSettings, ...] = place()


class AnglesStage(StageBase):
    """Plans one small task per tile where ``series.variables`` has one of the networks, else none.

    Maps do not depend on it, so other stages go on where angles are missing.
    """

    name = "angles"
    makes = Makes("angles")
    optional = True
    plans_from = ()

    def check(self, config: Config) -> Problems:
        """Say that no family of products has angles, where a variable needs them."""
        problems, variables = Problems(), wanted(config)
        if not variables:
            return problems
        readers = Readers.of(config.imagery.readers)
        if not any(isinstance(reader, StatesAngles) for reader in readers.readers):
            families = ", ".join(readers.families)
            problems.extend(
                [_missing(f"products read as {families}", variables, "imagery.readers")]
            )
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """Plan a task per tile."""
        variables = wanted(context.config)
        if not variables:
            return []
        return [_task(context, inventory, variables) for inventory in context.tasks("inventory")]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Count the products."""
        made = summaries(tasks)
        products = sum(one["products"] for one in made)
        return Gathered(
            {"tiles": len(made), "products": products}, headline=f"angles of {products} products"
        )


STAGE = AnglesStage()


def wanted(config: Config) -> tuple[str, ...]:
    """Return the variables of the configuration that need angles."""
    return () if config.series is None else config.series.biophysical_variables


def make_angles(job: AnglesJob, task: Task) -> Summary:
    """Read the angles of the products of a tile, and publish them by the name of the product.

    Raises
    ------
    InputDataError
        If the metadata of a product state none (``E-SERIES-ANGLES``), for all such products at
        once, or if the inventory cannot be read.
    """
    inventory = read_inventory(task.path_of(job.inventory))
    readers = Readers.of(job.readers)
    found: dict[str, Angles] = {}
    lacking: list[str] = []
    for item in inventory.acquisitions:
        stated = stated_angles(readers[item.family], item)
        if stated is None or not stated.is_possible:
            lacking.append(item.product_id)
        else:
            found[item.product_id] = stated
    if lacking:
        few = ", ".join(lacking[:_SHOWN]) + (" ..." if len(lacking) > _SHOWN else "")
        named = f"{counted(len(lacking), 'product')} of {len(inventory.acquisitions)} ({few})"
        raise InputDataError(_missing(named, job.variables, f"tile {inventory.tile}"))
    products = {name: angles.to_json() for name, angles in sorted(found.items())}
    content = {"format": _FORMAT, "tile": inventory.tile, "angles": products}
    publish_json(task.output(), content)
    return {"tile": inventory.tile, "products": len(found)}


def read_angles(path: Path, products: Sequence[str]) -> tuple[Angles, ...]:
    """Return the angles of products from a file of this stage.

    Parameters
    ----------
    path
        The file.
    products
        Names of products, for example `BlockSeries.products`.

    Raises
    ------
    InputDataError
        If the file is damaged, or lacks a product (``E-SERIES-ANGLES``).
    """
    stated = read_object(path).get("angles")
    known: Mapping[str, dict[str, float]] = stated if isinstance(stated, dict) else {}
    try:
        return tuple(Angles.from_json(known[name]) for name in products)
    except (KeyError, TypeError) as error:
        raise InputDataError(
            Problem(
                "E-SERIES-ANGLES",
                f"the file of angles cannot be read, or lacks a product ({error})",
                str(path),
                "`oso verify RUN --repair`, then run again: it is made again",
            )
        ) from error


def _missing(products: str, variables: Sequence[str], where: str) -> Problem:
    names = ", ".join(variables)
    return Problem(
        "E-SERIES-ANGLES",
        f"{names} needs the directions of sun and sensor, which the metadata of {products} do "
        "not state",
        where,
        _HINT.format(variables=names),
    )


def _task(context: PlanContext[Config], inventory: Task, variables: tuple[str, ...]) -> Task:
    number = len(inventory.job.products) if isinstance(inventory.job, InventoryJob) else 0
    return Task(
        stage=AnglesStage.name,
        name=inventory.name,
        function="oso_pipeline.imagery.angles_stage:make_angles",
        run_dir=context.run_dir,
        outputs=(f"series/angles/{inventory.name}.json",),
        version=_VERSION,
        job=AnglesJob(
            inventory=Input.of(inventory),
            variables=variables,
            readers=context.config.imagery.readers,
        ),
        cost=Cost(
            memory_bytes=_MEMORY_BYTES,
            core_seconds=_SECONDS * number,
            bytes_read=_BYTES * number,
            bytes_written=200 * number,
        ),
    )
