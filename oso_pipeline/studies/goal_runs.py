"""Runs that a study needs, each as far as one stage; what they have in common is done once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problem, RunFailed
from oso_pipeline.runtime import session
from oso_pipeline.runtime.events import Observer
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.reuse import begin_with_equal, begin_with_extracted
from oso_pipeline.runtime.selection import Selection

RunPlan = Callable[[Planner, Selection, Sequence[Observer]], Outcome]


def _run(planner: Planner, selection: Selection, observers: Sequence[Observer]) -> Outcome:
    return session.run(planner, selection, observers=observers)


@dataclass(frozen=True)
class Surroundings:
    """How a study runs its plans and reports progress.

    Parameters
    ----------
    run
        Runs a plan; observers receive its events.
    say
        Called with warnings and progress, as lines of text.
    """

    run: RunPlan = _run
    say: Callable[[str], object] = lambda text: None


class GoalFailed(RunFailed):
    """A run that a study needs has failed, or was stopped before its end.

    Parameters
    ----------
    config
        Of the run.
    outcome
        Says why.
    """

    def __init__(self, config: Config, outcome: Outcome) -> None:
        failures = [
            Problem("E-RUN-TASK", f"task {one.stage} {one.name} failed: {one.error}")
            for one in outcome.failures
        ]
        stopped = Problem(
            "E-RUN-STOPPED", "the run was stopped before its end", str(config.run_dir)
        )
        super().__init__(*(failures or [stopped]))
        self.config, self.outcome = config, outcome


def reach(
    goal: str,
    planner: Planner,
    others: Sequence[Path],
    around: Surroundings,
    observers: Sequence[Observer] = (),
) -> bool:
    """Run a plan up to a stage, beginning with what other runs committed under the same keys.

    Parameters
    ----------
    goal
        Name of the stage.
    planner
        The plan.
    others
        Folders of runs.
    around
        How the plan is run.
    observers
        Receive the events of the run.

    Returns
    -------
    bool
        Whether anything was to do.

    Raises
    ------
    GoalFailed
        If the run has failed.
    """
    if planner.is_done(goal):
        return False
    planner.forget()
    for other in others:
        begin_with_extracted(other, planner.run_dir)
    begin_with_equal(planner, planner.needed(planner.stage(goal)), others)
    outcome = around.run(planner, Selection(goal=goal), observers)
    if outcome.exit_code:
        raise GoalFailed(planner.config, outcome)
    return True
