"""Stage ``report``: one page that shows what a run made and how good it is."""

from __future__ import annotations

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import digest, publish_bytes
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.report.page import render
from oso_pipeline.report.run_files import RunFiles
from oso_pipeline.tasks.stage import PlanContext, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task

_UPSTREAM = (
    "inventory", "reference", "samples", "labels", "train", "predict", "mosaic", "validate",
    "independent",
)  # fmt: skip
_PAST = ("past_inventory", "past_reference", "past_samples")


class ReportStage:
    """Plans one task: the page."""

    name = "report"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the one task; it shows what all stages before it committed."""
        config = context.config
        stages = _UPSTREAM if config.adaptation is None else (*_UPSTREAM, *_PAST)
        upstream = {name: context.tasks(name) for name in stages}
        task = Task(
            stage=self.name,
            name="report",
            function="oso_pipeline.report.stage:make_report",
            run_dir=context.run_dir,
            outputs=("report.html",),
            params={
                "name": config.name,
                "year": config.year,
                "tiles": list(config.imagery.tiles),
                "nomenclature": load_nomenclature(config.nomenclature).to_json(),
                "config": digest(config.science()),
            },
            # One digest per stage keeps the task small, whatever the number of tiles.
            inputs={name: digest([task.key for task in tasks]) for name, tasks in upstream.items()},
            options={name: [task.outputs[0] for task in tasks] for name, tasks in upstream.items()},
            cost=Cost(memory_bytes=400_000_000, core_seconds=5.0),
        )
        return [task]

    def gather(self, tasks: tuple[Task, ...]) -> Summary:
        """Return where the page is."""
        return next(iter(summaries(tasks)), {})


STAGE = ReportStage()


def make_report(task: Task) -> Summary:
    """Write the page.

    What is missing in the run folder is missing in the page; it never stops the report.
    """
    files = RunFiles(
        folder=task.run_dir,
        name=task.params["name"],
        year=task.params["year"],
        nomenclature=Nomenclature.from_json(task.params["nomenclature"]),
        outputs={stage: tuple(paths) for stage, paths in task.options.items()},
        tiles=tuple(task.params["tiles"]),
    )
    page = render(files)
    publish_bytes(task.output(), page.encode())
    return {"path": task.outputs[0], "bytes": len(page.encode())}
