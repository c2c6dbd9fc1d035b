"""A product from outside: two stages in the list of stages, and nothing else had to change.

`Counts` is done per tile; `Sheet` puts its parts together to one national file.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from markupsafe import escape

from oso_pipeline.cli import status_text
from oso_pipeline.cli.progress import PlainProgress
from oso_pipeline.cli.terminal_tables import plan_table
from oso_pipeline.cli.warning_lines import SHOWN, WarningLines
from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.site import Site
from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.errors import ExitCode, InputDataError, Problems
from oso_pipeline.report.stage import ReportStage
from oso_pipeline.runtime import session
from oso_pipeline.runtime.batch import Submission
from oso_pipeline.runtime.events import Event, RunEnded, RunStarted, StageEnded, StageStarted
from oso_pipeline.runtime.executors import Executor, LocalExecutor, SerialExecutor
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.status import Watch
from oso_pipeline.runtime.folder.verification import verify_run
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.reuse import begin_with_preparation
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.job import Input, Job, reads
from oso_pipeline.tasks.past_seasons import PastStage
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.section import Section, Table
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, StageError, summaries
from oso_pipeline.tasks.task import Summary, Task

TILES = ("30TYP", "31TCJ", "31TDJ", "31UCU")
EVIL = "<script>alert('x')</script>"


def count(job: Job, task: Task) -> Summary:
    publish_bytes(task.output(), str(len(task.name)).encode())
    warnings = [f"warning[W-TOY] one for all {EVIL}", f"warning[W-TOY] one of {task.name}"]
    return {"tile": task.name, "length": len(task.name), "warnings": warnings}


@dataclass(frozen=True, kw_only=True)
class SheetJob(Job):
    """Add up the counts of all tiles."""

    parts: Mapping[str, Input] = reads()


def add_up(job: SheetJob, task: Task) -> Summary:
    total = sum(int(task.path_of(part).read_text()) for part in job.parts.values())
    publish_bytes(task.output(), str(total).encode())
    return {"total": total}


def sheet_section(files: RunFiles) -> Section | None:
    """Show what the counts reported; nothing where there is none."""
    found = files.summaries("counts")
    if not found:
        return None
    rows = tuple((one["tile"], one["length"], None) for one in found)
    return Section(f"Toy {EVIL}", ("Letters of tiles.",), (Table(("Tile", "n", "?"), rows),))


class Counts(StageBase):
    """A part for each tile."""

    name = "counts"
    in_array = True
    reusable = ("counts/*.txt",)
    unverified = ("drafts",)

    def check(self, config: Config) -> Problems:
        problems = Problems()
        if config.year == 2019:
            problems.error("E-TOY-YEAR", "2019 cannot be counted", None, "count another year")
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        return [
            Task(self.name, tile, f"{__name__}:count", context.run_dir, (f"counts/{tile}.txt",))
            for tile in context.config.imagery.tiles
        ]


class Sheet(StageBase):
    """One file of all parts."""

    name = "sheet"
    section = f"{__name__}:sheet_section"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        parts = context.tasks("counts")
        return [
            Task(
                *(self.name, "all", f"{__name__}:add_up", context.run_dir, ("sheet.txt",)),
                SheetJob(parts={part.name: Input.of(part) for part in parts}),
            )
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        total = sum(one["total"] for one in summaries(tasks))
        return Gathered({"total": total}, headline=f"{total} letters")


STAGES = (Counts(), Sheet(), ReportStage())


def write_config(folder: Path, year: int = 2018) -> Path:
    (folder / "products").mkdir(exist_ok=True)
    (folder / "reference.gpkg").touch()
    path = folder / "toy.yaml"
    path.write_text(
        f"year: {year}\n"
        f"season: {{start: {year}-01-01, end: {year}-12-31}}\n"
        f"imagery: {{paths: [products], tiles: [{', '.join(TILES)}]}}\n"
        "reference: {sources: [{path: reference.gpkg}]}\n"
        "runtime: {workers: 2}\n"
    )
    return path


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    return Planner(session.load(write_config(tmp_path), None, STAGES).config, STAGES)


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def notice(self, event: Event) -> None:
        self.events.append(event)


@contextmanager
def executor_of(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    yield SerialExecutor() if kind == "serial" else LocalExecutor(2, 60)


def sheet(planner: Planner) -> int:
    return int((planner.run_dir / "sheet.txt").read_text())


def finished(planner: Planner) -> Outcome:
    return run(planner, SerialExecutor(), [], Selection())


def test_check_is_requested_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="E-TOY-YEAR"):
        session.load(write_config(tmp_path, 2019), None, STAGES)


def test_plan_counts_it(planner: Planner) -> None:
    plans = [planner.plan(stage) for stage in planner.stages]
    todo = {one.name: len(one.todo) for one in plans}
    assert todo == {"counts": 4, "sheet": 1, "report": 1}
    assert plan_table(plans, session.forecast_of(planner.config)).row_count == 3


@pytest.mark.parametrize("kind", ["serial", "local"])
def test_it_runs_under_every_executor(
    planner: Planner, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with executor_of(kind, monkeypatch) as executor:
        outcome = run(planner, executor, [], Selection())
    assert (outcome.done, outcome.exit_code) == (6, ExitCode.OK), outcome.failures
    assert sheet(planner) == 20
    assert finished(planner).up_to_date == 6


def test_shards_make_the_national_file_without_a_driver(planner: Planner) -> None:
    owner = next(n for n in (1, 2) if Shard(n, 2).share(planner.tasks("sheet")))
    first = run(planner, SerialExecutor(), [], Selection(shard=Shard(owner, 2)))
    assert first.waiting == "stage sheet waits for counts of the other shards"
    other = run(planner, SerialExecutor(), [], Selection(shard=Shard(3 - owner, 2)))
    assert (first.done, other.done) == (2, 2)
    assert other.waiting == "stage report waits for sheet of the other shards"
    again = run(planner, SerialExecutor(), [], Selection(shard=Shard(owner, 2)))
    assert again.done >= 1
    assert sheet(planner) == 20
    assert finished(planner).failures == []


def test_submit_gives_it_an_array(planner: Planner) -> None:
    site = Site(system="slurm", jobs=7, python="python")
    jobs = Submission.of(planner, site, 0)
    assert [(one.name, one.elements, one.workers) for one in jobs.links] == [
        ("counts", 4, 1),
        ("finish", None, 1),
    ], "no more elements than tasks, and a core for each of these"
    assert "--stage counts" in jobs.text()


def test_status_and_verify_know_it(planner: Planner) -> None:
    finished(planner)
    lines = [*status_text.lines(Watch(planner).look(), why=True)]
    assert lines[0] == "counts     4 done, 0 new, 0 outdated"
    (planner.run_dir / "drafts").mkdir()
    (planner.run_dir / "drafts" / "one.txt").touch()
    assert not len(verify_run(planner.run_dir, STAGES).problems)
    assert verify_run(planner.run_dir, STAGES).sound == 6
    (planner.run_dir / "sheet.txt").write_text("21")
    found = session.verify(planner.run_dir, repair=True)
    assert [path.name for path in found.condemned] == ["sheet.txt.json"]
    assert finished(planner).done >= 1
    assert sheet(planner) == 20


def test_another_run_begins_with_what_it_calls_reusable(planner: Planner, tmp_path: Path) -> None:
    finished(planner)
    config = planner.config.model_copy(update={"run_dir": tmp_path / "other"})
    other = Planner(config, STAGES)
    assert begin_with_preparation(planner.run_dir, other.run_dir, STAGES) == 2 * len(TILES)
    assert finished(other).up_to_date == len(TILES)


def test_events_carry_headline_and_warnings_to_terminal_and_log(
    planner: Planner, capsys: pytest.CaptureFixture[str]
) -> None:
    stream, recorder = io.StringIO(), Recorder()
    planner.run_dir.mkdir(parents=True)
    log = LogFile(planner.run_dir)
    observers = [recorder, PlainProgress(stream), WarningLines(), log]
    run(planner, SerialExecutor(), observers, Selection())
    first, *_, last = recorder.events
    assert first == RunStarted(planner.run_dir, ("counts", "sheet", "report"))
    assert isinstance(last, RunEnded)
    assert last.outcome.done == 6
    begun = [event.plan.name for event in recorder.events if isinstance(event, StageStarted)]
    assert begun == ["counts", "sheet", "report"]
    ended = {e.plan.name: e.gathered for e in recorder.events if isinstance(e, StageEnded)}
    assert len(ended["counts"].warnings) == 1 + len(TILES), "what all say is said once"
    assert ended["sheet"] == Gathered({"total": 20}, headline="20 letters")
    assert ": 20 letters\n" in stream.getvalue()
    assert capsys.readouterr().err.count("W-TOY") == 1 + len(TILES)
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    told = {one["stage"]: one for one in entries if one["event"] == "stage_ends"}
    assert told["sheet"]["headline"] == "20 letters"
    assert told["counts"]["warnings"] == list(ended["counts"].warnings)


def test_2_21_each_warning_reaches_terminal_log_and_report_once_with_its_season(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path)
    season = "season: {start: 2017-01-01, end: 2017-12-31}"
    past = f"adaptation: {{sources: [{{year: 2017, {season}, imagery: {{paths: [products]}}}}]}}\n"
    path.write_text(path.read_text() + past)
    planner = Planner(load_config(path, (), {}), (Counts(), PastStage(Counts()), ReportStage()))
    planner.run_dir.mkdir(parents=True)
    stream, log = io.StringIO(), LogFile(planner.run_dir)
    outcome = run(
        planner, SerialExecutor(), [PlainProgress(stream), WarningLines(), log], Selection()
    )
    assert outcome.failures == []
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    ended = [one for one in entries if one["event"] == "stage_ends"]
    texts = [text for one in ended for text in one["warnings"] if "W-TOY" in text]
    assert len(texts) == len(set(texts)) == 2 * (1 + len(TILES)), "of each season, each once"
    said = capsys.readouterr().err
    page = (planner.run_dir / "report.html").read_text(encoding="utf-8")
    for year in (2017, 2018):
        assert f"season {year}: warning[W-TOY] one for all {EVIL}" in texts
    for text in texts:
        assert said.splitlines().count(text) == 1, text
        assert len(re.findall(rf"{re.escape(escape(text))}(?![\w/])", page)) == 1, text
    assert all(text.startswith("season 201") for text in texts)


def test_many_warnings_are_counted(
    planner: Planner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tuple(f"warning[W-TOY] number {n}" for n in range(SHOWN + 3))
    monkeypatch.setattr(Counts, "gather", lambda self, tasks: Gathered(warnings=texts))
    run(planner, SerialExecutor(), [WarningLines()], Selection())
    shown = capsys.readouterr().err
    assert shown.count("W-TOY") == SHOWN
    assert "and 3 more warnings" in shown


def test_the_report_has_its_section_and_its_warnings(planner: Planner) -> None:
    finished(planner)
    page = (planner.run_dir / "report.html").read_text(encoding="utf-8")
    for text in ("Letters of tiles.", "<td>31TCJ</td>", '<td class="n">5</td>', "<td>–</td>"):
        assert text in page, text
    assert "one of 31UCU" in page
    assert EVIL not in page


def test_what_does_not_obey_the_contract_is_named(planner: Planner) -> None:
    class Half:
        name = "half"
        check = gather = plan = lambda self: None

    with pytest.raises(StageError) as refused:
        Planner(planner.config, [Half(), Counts(), Counts()])
    said = str(refused.value)
    lacking = "reusable, unverified, makes, section, in_array, disk_hint, memory_hint, optional"
    assert f"E-STAGE-MEMBER] stage half lacks {lacking}" in said
    assert "test_toy_stage.test_what" in said
    assert "E-STAGE-NAME] two stages are called counts" in said


def test_a_stage_with_defaults_needs_name_and_plan_alone(planner: Planner) -> None:
    class Short(StageBase):
        name = "short"

        def plan(self, context: PlanContext[Config]) -> list[Task]:
            return []

    assert finished(Planner(planner.config, [Short()])).exit_code == ExitCode.OK
