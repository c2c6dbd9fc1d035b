"""Stage ``cache_check``: what the pixels of images from the web show, once these are copied.

Images on this machine are checked when the inventory is made, those of the web cannot be read then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from oso_pipeline.config import Config
from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.imagery.cache.copies import FOLDER
from oso_pipeline.imagery.cache.stage import CopyJob, CopyTask, Needed
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.pixel_check import check_pixels
from oso_pipeline.tasks.job import Input, Inputs, Job, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Cost, Summary, Task, tile_of

_VERSION = 1
_MEMORY_BYTES, _SECONDS_PER_IMAGE = 600_000_000, 0.1


@dataclass(frozen=True, kw_only=True)
class CheckJob(Job):
    """Check the images of a tile by windows of their pixels.

    Parameters
    ----------
    inventory
        The inventory of the tile: scales, offsets and rules.
    copies
        The copies of its images.
    """

    inventory: Input = reads()
    copies: Inputs = reads()


class CheckStage(StageBase):
    """Plans one task per tile that has images of the web, else none.

    Its output lies beside the copies, so that all that follows the copies of a tile also waits for
    their check.
    """

    name = "cache_check"
    makes = Makes(FOLDER)
    plans_from = ("inventory",)
    reusable = (f"{FOLDER}/*/check.json",)
    disk_hint = ""

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tiles of which an image is copied from the web."""
        copies: dict[str, list[Task]] = {}
        for task in context.tasks(FOLDER):
            copies.setdefault(tile_of(task), []).append(task)
        inventories = {tile_of(task): task for task in context.tasks("inventory")}
        return [
            _task_of(context, inventories[tile], some)
            for tile, some in copies.items()
            if any(isinstance(one.job, CopyJob) and one.job.kind == "remote" for one in some)
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Collect the warnings of all tiles."""
        made = [summary for summary in summaries(tasks) if summary]
        return Gathered({"tiles": [one["tile"] for one in made]}, warnings_of(made))


STAGE = CheckStage()


def check_copies(job: CheckJob, task: Task) -> Summary:
    """Check the images of a tile.

    Returns
    -------
    dict
        ``tile``, ``images`` that were compared, and ``warnings``.

    Raises
    ------
    InputDataError
        If offsets of reflectance are missing or applied twice (``E-IMAGE-OFFSET``).
    """
    inventory, problems = read_inventory(task.path_of(job.inventory)), Problems()
    check_pixels(inventory.acquisitions, inventory.grid, inventory.tile, problems)
    problems.raise_errors(InputDataError)
    found = {
        "tile": inventory.tile,
        "images": len(inventory.acquisitions),
        "warnings": [str(problem) for problem in problems.warnings],
    }
    publish_bytes(task.output(), json.dumps(found, indent=1).encode())
    return found


def _task_of(context: PlanContext[Config], inventory: Task, copies: Sequence[Task]) -> Task:
    return CopyTask(
        stage=CheckStage.name,
        name=inventory.name,
        function="oso_pipeline.imagery.cache.check_stage:check_copies",
        run_dir=context.run_dir,
        outputs=(f"{FOLDER}/{inventory.name}/check.json",),
        version=_VERSION,
        needed=Needed(context, inventory.name),
        job=CheckJob(inventory=Input.of(inventory), copies=Inputs.of(copies)),
        cost=Cost(memory_bytes=_MEMORY_BYTES, core_seconds=_SECONDS_PER_IMAGE * len(copies)),
    )
