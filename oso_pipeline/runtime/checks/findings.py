"""Problems found before a run starts, with the error type of each."""

from __future__ import annotations

from collections.abc import Iterable

from oso_pipeline.core.errors import (
    ConfigError,
    EnvironmentFailure,
    InputDataError,
    OsoError,
    Problem,
    Problems,
)
from oso_pipeline.core.message_codes import PATH_CODES

_KINDS: tuple[type[OsoError], ...] = (ConfigError, InputDataError, EnvironmentFailure)
"""In the order in which users fix them; the first kind found gives the exit code."""


class Findings:
    """Collects findings of all kinds, each once, and raises them together."""

    def __init__(self) -> None:
        self._found: dict[Problem, type[OsoError]] = {}
        self._absent: set[str | None] = set()
        self.notes: list[str] = []

    @property
    def errors(self) -> list[Problem]:
        """The findings that stop the run."""
        return [problem for problem in self._found if problem.is_error]

    @property
    def warnings(self) -> list[Problem]:
        """The findings that do not stop the run."""
        return [problem for problem in self._found if not problem.is_error]

    def add(self, found: Iterable[Problem], kind: type[OsoError] = InputDataError) -> None:
        """Add findings; of a path that cannot be used (`PATH_CODES`) the first one counts."""
        for problem in found:
            if problem.code in PATH_CODES and problem.where in self._absent:
                continue
            if problem.code in PATH_CODES:
                self._absent.add(problem.where)
            self._found.setdefault(problem, kind)
        if isinstance(found, Problems):
            self.notes += found.notes

    def add_error(self, error: OsoError) -> None:
        """Add the findings of an error that was raised."""
        self.add(error.problems, type(error))

    def raise_errors(self) -> None:
        """Raise all findings in one error, the warnings behind the errors, if there is an error.

        Raises
        ------
        ConfigError
            If one of them is a mistake in the configuration.
        InputDataError
            Else, if one is about the input.
        EnvironmentFailure
            Else: the machine.
        """
        kinds = {self._found[problem] for problem in self.errors}
        if not kinds:
            return
        kind = next((kind for kind in _KINDS if kind in kinds), OsoError)
        raise kind(*self.errors, *self.warnings)
