"""What is found before a run: nothing twice, nothing hidden, the kind that users mend first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.minimal_config import MINIMAL, minimal_config

from oso_pipeline.core.commit import publish_bytes, write_sidecar
from oso_pipeline.core.errors import (
    ConfigError,
    EnvironmentFailure,
    ExitCode,
    InputDataError,
    OsoError,
    Problem,
    Problems,
)
from oso_pipeline.runtime.checks.everything import (
    Part,
    find_everything,
    find_everything_unread,
)
from oso_pipeline.runtime.checks.findings import Findings
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.tasks import file_digests
from oso_pipeline.tasks.job import Input, Job, reads
from oso_pipeline.tasks.stage import PlanContext, StageBase
from oso_pipeline.tasks.task import Cost, Task

KINDS: dict[str, type[OsoError]] = {
    "config": ConfigError,
    "input": InputDataError,
    "machine": EnvironmentFailure,
}
EXIT_CODES = {"config": 3, "input": 4, "machine": 6}
"""As the documentation of the command promises them, the first one first."""


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from("EW"), st.integers(0, 3)),
        max_size=12,
    )
)
def test_findings_are_raised_once_each_as_the_first_kind_to_mend(
    drawn: list[tuple[str, str, int]],
) -> None:
    found = Findings()
    for kind, level, number in drawn:
        found.add([Problem(f"{level}-{kind.upper()}", f"fault {number}")], KINDS[kind])
    distinct = list(dict.fromkeys(drawn))
    errors = [one for one in distinct if one[1] == "E"]
    warnings = [one for one in distinct if one[1] == "W"]
    if not errors:
        found.raise_errors()
        assert len(found.warnings) == len(warnings)
        return
    with pytest.raises(OsoError) as raised:
        found.raise_errors()
    expected = [f"{level}-{kind.upper()} fault {n}" for kind, level, n in [*errors, *warnings]]
    assert [f"{one.code} {one.message}" for one in raised.value.problems] == expected
    assert raised.value.exit_code == min(EXIT_CODES[kind] for kind, _, _ in errors)


def test_a_file_that_cannot_be_used_is_named_once() -> None:
    found = Findings()
    code = "E-PATH-MISSING"
    found.add([Problem(code, "no such file", "a.gpkg"), Problem(code, "not there", "b.gpkg")])
    found.add(
        [Problem(code, "cannot be opened", "a.gpkg"), Problem("E-DELIVERY-TWICE", "x", "a.gpkg")]
    )
    assert [(one.message, one.where) for one in found.errors] == [
        ("no such file", "a.gpkg"),
        ("not there", "b.gpkg"),
        ("x", "a.gpkg"),
    ]


def test_a_finding_is_of_the_kind_that_it_was_first() -> None:
    found = Findings()
    for kind in (InputDataError, ConfigError):
        found.add([Problem("E-DELIVERY-TWICE", "x", "a.gpkg")], kind)
    with pytest.raises(InputDataError):
        found.raise_errors()


def test_notes_are_kept_beside_what_is_wrong() -> None:
    problems = Problems()
    problems.notes.append("12 products of 2018")
    found = Findings()
    found.add(problems)
    assert (found.notes, found.errors) == (["12 products of 2018"], [])


class Stage(StageBase):
    """A stage that finds, and plans, what a test says."""

    def __init__(
        self,
        name: str,
        check: Callable[[], Sequence[Problem]] = tuple,
        plan: Callable[[PlanContext], list[Task]] = lambda _: [],
    ) -> None:
        self.name = name
        self._check, self._plan = check, plan

    def check(self, config) -> Problems:
        return Problems(self._check())

    def plan(self, context: PlanContext) -> list[Task]:
        return self._plan(context)


def refuse(kind: type[OsoError], *problems: Problem) -> Callable[..., list]:
    def refused(*_: object) -> list:
        raise kind(*problems)

    return refused


MIXED_UP = Problem("E-PLACE-COORDINATES", "longitude and latitude are mixed up", "a.gpkg")
NO_CLASS = Problem("E-CLASS-UNKNOWN", "no class of the nomenclature", "a.gpkg")
NO_IMAGE = Problem("E-IMAGE-RENAMED", "no image of the tile", "products")
TOO_FINE = Problem("E-CONFIG-BLOCKS", "blocks are smaller than a pixel", "mine.yaml")


def codes(tmp_path: Path, *stages: Stage, in_jobs: bool = False) -> list[str]:
    (tmp_path / "products").mkdir()
    (tmp_path / "reference.gpkg").write_bytes(b"x")
    imagery = {**MINIMAL["imagery"], "paths": [tmp_path / "products"]}
    reference = {"sources": [{"path": tmp_path / "reference.gpkg"}]}
    config = minimal_config(tmp_path / "run", imagery=imagery, reference=reference)
    found = find_everything(Planner(config, stages), Part(stages, in_jobs=in_jobs))
    return [problem.code for problem in found.errors]


def test_findings_of_one_stage_hide_none_of_another(tmp_path: Path) -> None:
    first = Stage("first", check=refuse(InputDataError, MIXED_UP, NO_CLASS))
    second = Stage("second", check=lambda: [NO_IMAGE])
    assert codes(tmp_path, first, second) == [MIXED_UP.code, NO_CLASS.code, NO_IMAGE.code]


def test_a_plan_that_fails_for_what_was_reported_says_nothing_more(tmp_path: Path) -> None:
    """What the stage itself found wrong is told by its check, and hinders the stages after it."""
    cut = Problem("E-POLYGON-NONE", "no polygon is left", "a.gpkg")
    first = Stage("first", check=lambda: [MIXED_UP], plan=refuse(InputDataError, cut))
    second = Stage("second", plan=refuse(InputDataError, cut))
    assert codes(tmp_path, first, second) == [MIXED_UP.code]


@pytest.mark.parametrize(
    "check", [lambda: [MIXED_UP], refuse(InputDataError, MIXED_UP)], ids=["told", "raised"]
)
def test_what_hinders_a_plan_after_bad_input_is_told_of_no_later_stage(
    tmp_path: Path, check: Callable[[], Sequence[Problem]]
) -> None:
    first = Stage("first", check=check, plan=refuse(ConfigError, TOO_FINE))
    second = Stage("second", plan=refuse(ConfigError, TOO_FINE))
    third = Stage("third", plan=refuse(InputDataError, NO_IMAGE))
    assert codes(tmp_path, second, first, third) == [MIXED_UP.code]


def test_mistakes_in_the_configuration_come_to_light_beside_bad_input(tmp_path: Path) -> None:
    first = Stage("first", check=lambda: [MIXED_UP])
    second = Stage("second", plan=refuse(ConfigError, TOO_FINE))
    assert codes(tmp_path, first, second) == [MIXED_UP.code, TOO_FINE.code]


def test_with_sound_checks_what_a_plan_finds_in_the_input_is_reported(tmp_path: Path) -> None:
    assert codes(tmp_path, Stage("only", plan=refuse(InputDataError, NO_IMAGE))) == [NO_IMAGE.code]


def test_paths_that_are_missing_are_input_and_others_configuration(tmp_path: Path) -> None:
    config = minimal_config(tmp_path / "run")  # its paths do not exist
    found = find_everything(Planner(config, []), Part([]))
    with pytest.raises(InputDataError) as raised:
        found.raise_errors()
    assert raised.value.exit_code == ExitCode.INPUT
    assert {Path(str(one.where)).name for one in found.errors} == {"products", "reference.gpkg"}


@dataclass(frozen=True, kw_only=True)
class TableJob(Job):
    """Reads a file of the user."""

    table: Input = reads()


def test_work_that_is_done_already_is_refused_by_no_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first look reads no large file and cannot tell what is done; a second one does."""
    monkeypatch.setattr(file_digests, "LARGE_BYTES", 4)
    table = tmp_path / "table"
    table.write_bytes(b"a large file")

    def plan(context: PlanContext) -> list[Task]:
        job = TableJob(table=Input.file(table, context.digests.of(table)))
        cost = Cost(memory_bytes=10**12)
        return [Task("greedy", "one", "os:getcwd", context.run_dir, ("out.txt",), job, cost=cost)]

    config = minimal_config(tmp_path / "run")
    stages = [Stage("greedy", plan=plan)]
    config.run_dir.mkdir()
    refused = find_everything_unread(config, stages, Part(stages))
    assert "E-RUN-MEMORY" in {one.code for one in refused.errors}
    (task,) = Planner(config, stages).tasks("greedy")
    publish_bytes(task.output(), b"done")
    write_sidecar(task.output(), {"key": task.key, "recipe": task.recipe, "summary": {}})
    found = find_everything_unread(config, stages, Part(stages))
    assert "E-RUN-MEMORY" not in {one.code for one in found.errors}
