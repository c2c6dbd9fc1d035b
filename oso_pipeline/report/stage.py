"""Stage ``report``: one page that shows what a run made and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pkgutil import resolve_name

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import digest, publish_bytes
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.report.page import render
from oso_pipeline.tasks.job import Inputs, Job, place, reads
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task


@dataclass(frozen=True, kw_only=True)
class ReportJob(Job):
    """What the page shows.

    Parameters
    ----------
    name, year
        Name of the run and year of the map.
    tiles
        The tiles asked for, whether they have products or not.
    nomenclature
        Classes of the map.
    config
        Digest of the settings that decide what a run makes.
    stages
        What the stages before made, by name of the stage.
    sections
        Functions that make the sections of the stages, as ``package.module:function``.
    """

    name: str
    year: int
    tiles: tuple[str, ...]
    nomenclature: Nomenclature
    config: str
    stages: Mapping[str, Inputs] = reads()
    sections: tuple[str, ...] = place(default=())


class ReportStage(StageBase):
    """Plans one task: the page."""

    name = "report"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the one task; it shows what all stages before it committed."""
        config = context.config
        before = [*takewhile(lambda stage: stage.name != self.name, context.stages)]
        upstream = {s.name: tasks for s in before if (tasks := context.tasks(s.name))}
        task = Task(
            stage=self.name,
            name="report",
            function="oso_pipeline.report.stage:make_report",
            run_dir=context.run_dir,
            outputs=("report.html",),
            job=ReportJob(
                name=config.name,
                year=config.year,
                tiles=tuple(config.imagery.tiles),
                nomenclature=load_nomenclature(config.nomenclature),
                config=digest(config.science()),
                stages={name: Inputs.of(tasks) for name, tasks in upstream.items()},
                sections=tuple(s.section for s in before if s.section and s.name in upstream),
            ),
            cost=Cost(memory_bytes=400_000_000, core_seconds=5.0),
        )
        return [task]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return where the page is."""
        page = next(iter(summaries(tasks)), None)
        return Gathered() if page is None else Gathered(page, headline=str(page["path"]))


STAGE = ReportStage()


def make_report(job: ReportJob, task: Task) -> Summary:
    """Write the page.

    What is missing in the run folder is missing in the page; it never stops the report. The
    stages are named by the plan alone: this room knows those that it shows in a way of its own.
    """
    files = RunFiles(
        folder=task.run_dir,
        name=job.name,
        year=job.year,
        nomenclature=job.nomenclature,
        outputs={stage: made.paths for stage, made in job.stages.items()},
        tiles=job.tiles,
    )
    found = [resolve_name(function)(files) for function in job.sections]
    page = render(files, [section for section in found if section is not None])
    publish_bytes(task.output(), page.encode())
    return {"path": task.outputs[0], "bytes": len(page.encode())}
