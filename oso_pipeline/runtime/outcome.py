"""Outcome of a run, and its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oso_pipeline.core.errors import ExitCode
from oso_pipeline.runtime.forecast import Compared
from oso_pipeline.tasks.task import TaskResult


@dataclass
class Outcome:
    """Outcome of a run.

    Parameters
    ----------
    done, up_to_date
        Tasks that this run did, and that were done before.
    failures
        Tasks that failed.
    waiting
        Which others a partial run would have to wait for.
    stopped
        Whether the end was announced before all was done.
    passed_over
        Optional stages with failures: the stages after them were done all the same.
    needs
        Expected and actual cost of each stage, if a forecast was given.
    """

    done: int = 0
    up_to_date: int = 0
    failures: list[TaskResult] = field(default_factory=list)
    waiting: str | None = None
    stopped: bool = False
    passed_over: set[str] = field(default_factory=set)
    needs: Mapping[str, Compared] = field(default_factory=dict)

    @property
    def went_on(self) -> bool:
        """Whether something failed, and only what is optional."""
        failed = {failure.stage for failure in self.failures}
        return bool(failed) and failed <= self.passed_over

    @property
    def exit_code(self) -> ExitCode:
        """0, 75 if stopped, the code that all failures share, otherwise 5.

        Where optional stages alone failed, 5: all else is there.
        """
        if self.stopped:
            return ExitCode.SOME_LEFT
        if not self.failures:
            return ExitCode.OK
        if self.went_on:
            return ExitCode.FAILED_TASKS
        codes = {failure.exit_code for failure in self.failures}
        shared = codes.pop() if len(codes) == 1 else None
        if shared in (ExitCode.CONFIG, ExitCode.INPUT, ExitCode.ENVIRONMENT):
            return ExitCode(shared)
        return ExitCode.FAILED_TASKS
