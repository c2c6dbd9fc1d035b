"""Stage ``report``: one page that shows what a run made and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import digest, publish_bytes, read_sidecar
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.imagery.passes_check import Expected
from oso_pipeline.report.page import Contributions, render
from oso_pipeline.tasks.job import Input, Inputs, Job, decides, place, reads
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Cost, Summary, Task

_EVALUATION = "evaluation/adaptation.json"
"""Where `oso evaluate-adaptation` leaves its results in a run folder."""

_MEMORY_BYTES, _SECONDS, _SECONDS_PER_BYTE = 500_000_000, 3.5, 2.6e-9
"""Of libraries and pictures, and for each byte of the reference, of which polygons are drawn."""


@dataclass(frozen=True, kw_only=True)
class ReportJob(Job):
    """Content of the page.

    Parameters
    ----------
    name, year
        Name of the run and year of the map.
    tiles
        The requested tiles, whether they have products or not.
    nomenclature
        Classes of the map.
    config
        Digest of the settings that decide what a run makes.
    stages
        Outputs of earlier stages, by name of the stage.
    sections
        Functions that make the sections of the stages, as ``package.module:function``.
    missing
        Outputs of optional stages that are not there, as their tasks failed or were not run; None
        for none. The page is made again when they are.
    evaluation
        What `oso evaluate-adaptation` found in the run folder, if it was run there.
    method
        Method of adaptation of the run, if there is one.
    as_of
        Day up to which images count, where the configuration sets one.
    expected
        Of which days images are expected.
    """

    name: str
    year: int
    tiles: tuple[str, ...]
    nomenclature: Nomenclature
    config: str
    stages: Mapping[str, Inputs] = reads()
    sections: tuple[str, ...] = place(default=())
    missing: tuple[str, ...] | None = decides(if_set=True, default=None)
    evaluation: Input | None = reads(default=None)
    method: str | None = decides(if_set=True, default=None)
    as_of: date | None = decides(if_set=True, default=None)
    expected: Expected | None = place(default=None)


class ReportStage(StageBase):
    """Plans one task: the page."""

    name = "report"
    makes = Makes("report", is_result=True)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the one task; it shows what all stages before it committed."""
        config = context.config
        before = [*takewhile(lambda stage: stage.name != self.name, context.stages)]
        upstream = {s.name: tasks for s in before if (tasks := context.tasks(s.name))}
        optional = [task for one in before if one.optional for task in upstream.get(one.name, ())]
        missing = [task.outputs[0] for task in optional if not _is_done(task)]
        evaluation = _evaluation(context.run_dir)
        polygons = sum(task.cost.bytes_written for task in upstream.get("reference", ()))
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
                missing=tuple(missing) or None,
                evaluation=evaluation,
                method=config.adaptation.method if config.adaptation and evaluation else None,
                as_of=config.imagery.as_of,
                expected=Expected.of(config),
            ),
            cost=Cost(
                memory_bytes=_MEMORY_BYTES,
                core_seconds=_SECONDS + _SECONDS_PER_BYTE * polygons,
            ),
        )
        return [task]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return where the page is, and which of its parts could not be made."""
        page = next(iter(summaries(tasks)), None)
        if page is None:
            return Gathered()
        return Gathered(page, warnings_of([page]), str(page["path"]))


STAGE = ReportStage()


def make_report(job: ReportJob, task: Task) -> Summary:
    """Write the page.

    Files missing in the run folder are missing in the page, and parts that cannot be shown say so
    there; it never stops the report. The stages are named by the plan alone: this package has those
    that it shows in a way of its own.
    """
    missing = frozenset(job.missing or ())
    files = RunFiles(
        folder=task.run_dir,
        name=job.name,
        year=job.year,
        nomenclature=job.nomenclature,
        # Of a task that failed the folder may hold what other settings made: not of this run.
        outputs={
            stage: tuple(path for path in made.paths if path not in missing)
            for stage, made in job.stages.items()
        },
        tiles=job.tiles,
        as_of=job.as_of,
    )
    evaluation = None if job.evaluation is None else job.evaluation.path
    page = render(files, Contributions(job.sections, evaluation, job.method, job.expected))
    content = page.text.encode()
    publish_bytes(task.output(), content)
    return {"path": task.outputs[0], "bytes": len(content), "warnings": [*page.warnings]}


def _is_done(task: Task) -> bool:
    return task.state().status == "done"


def _evaluation(run_dir: Path) -> Input | None:
    record = read_sidecar(run_dir / _EVALUATION)
    return None if record is None else Input(record["sha256"], _EVALUATION)
