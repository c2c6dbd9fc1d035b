"""All checks of a run before it starts, for every command.

``oso check``, ``plan``, ``run`` and ``submit`` refuse for the same reasons with the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oso_pipeline.config import Config
from oso_pipeline.config.check import check_paths, check_writable
from oso_pipeline.core.errors import (
    ConfigError,
    EnvironmentFailure,
    InputDataError,
    OsoError,
    Problem,
    Problems,
)
from oso_pipeline.core.message_codes import PATH_CODES
from oso_pipeline.runtime.checks.cluster import key_problems, submission_problems
from oso_pipeline.runtime.checks.disk import disk_problems
from oso_pipeline.runtime.checks.drivers import driver_problems
from oso_pipeline.runtime.checks.findings import Findings
from oso_pipeline.runtime.checks.memory import memory_problems
from oso_pipeline.runtime.folder import ownership
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.tasks.file_digests import StateDigests
from oso_pipeline.tasks.stage import Stage


@dataclass(frozen=True)
class Part:
    """The part of a run to check.

    Parameters
    ----------
    stages
        Plan of the run.
    tiles
        Of these tiles alone; all of them where empty.
    in_jobs
        It is to begin in jobs of a batch system, not on this machine.
    """

    stages: Sequence[Stage]
    tiles: tuple[str, ...] = ()
    in_jobs: bool = False


def find_everything(planner: Planner, part: Part) -> Findings:
    """Find what is wrong with a run, all at once.

    Paths and the nomenclature, what each stage finds in its input, formats that GDAL lacks, the
    cluster, and what the plan of each stage needs of memory and disk. Findings of one stage hide
    none of another; a stage whose input is wrong cannot always be planned, so what it needs may
    come to light when that is fixed.
    """
    config, found = planner.config, Findings()
    _add_paths(check_writable(config), found)
    found.add(ownership.check_own(config.run_dir), ConfigError)
    add_paths(config, found)
    unsound = _add_checks(config, part, found)
    _add_plans(planner, part, unsound, found)
    found.add(memory_problems(planner, part.stages), ConfigError)
    found.add(driver_problems(), EnvironmentFailure)
    found.add(key_problems(config), EnvironmentFailure)
    if not part.in_jobs:
        found.add(submission_problems(config), EnvironmentFailure)
    found.add(disk_problems(planner, part.stages, part.tiles), EnvironmentFailure)
    return found


def find_everything_unread(config: Config, stages: Sequence[Stage], part: Part) -> Findings:
    """Find what `find_everything` finds, without reading large files for the plan.

    Where that would refuse the run for what tasks need, they are planned once more from the
    content of the files, which decides what is done already. `stages` are all of the run.
    """
    found = find_everything(Planner(config, stages, StateDigests()), part)
    refused = any(problem.code in ("E-RUN-MEMORY", "E-RUN-DISK") for problem in found.errors)
    if refused and config.run_dir.is_dir():  # else nothing can be done already
        return find_everything(Planner(config, stages), part)
    return found


def add_paths(config: Config, found: Findings) -> None:
    """Add what is wrong with the paths and the nomenclature that a configuration names."""
    _add_paths(check_paths(config), found)


def _add_paths(problems: Problems, found: Findings) -> None:
    # A file that is not there is missing input; everything else is a mistake in the config.
    found.add([one for one in problems if one.code in PATH_CODES], InputDataError)
    found.add([one for one in problems if one.code not in PATH_CODES], ConfigError)


def _add_checks(config: Config, part: Part, found: Findings) -> set[str]:
    """Add what each stage finds in its input, and return the names of those that find errors."""
    unsound = set()
    for stage in part.stages:
        try:
            problems = stage.check(config)
        except OsoError as error:
            found.add_error(error)
            unsound.add(stage.name)
            continue
        found.add(problems)
        if problems.errors:
            unsound.add(stage.name)
    return unsound


def _add_plans(planner: Planner, part: Part, unsound: set[str], found: Findings) -> None:
    """Add what only comes to light in planning.

    The input checks and the check of a stage report their own errors, so a plan that is missing
    because of them is not reported again.
    """
    is_input_good = not found.errors
    reported: set[Problem] = set()
    for stage in sorted(part.stages, key=lambda one: one.name not in unsound):
        try:
            planner.tasks(stage.name)
        except OsoError as error:
            if stage.name in unsound:
                reported.update(error.problems)
            elif is_input_good or not isinstance(error, InputDataError):
                found.add([one for one in error.problems if one not in reported], type(error))
