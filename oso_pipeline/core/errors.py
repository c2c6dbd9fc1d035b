"""Errors a user can act on, and the exit codes of the ``oso`` command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from oso_pipeline.core.plain_text import plain

MOST_SHOWN = 50
"""Findings of one error that are shown; the others are counted."""


class ExitCode(IntEnum):
    """Exit codes of the ``oso`` command."""

    OK = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    INPUT = 4
    FAILED_TASKS = 5
    ENVIRONMENT = 6
    SOME_LEFT = 75
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about the configuration or the input data.

    Parameters
    ----------
    code
        Stable identifier, for example ``E-IMAGE-SIZE``. It begins with ``E`` where the
        finding stops the run and with ``W`` where the run continues.
    message
        Value found and value expected.
    where
        The file concerned, as ``path`` or ``path:line:column``.
    hint
        Action for the user.
    """

    code: str
    message: str
    where: str | None = None
    hint: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether the finding stops the run."""
        return self.code.startswith("E")

    def __str__(self) -> str:
        """Return the finding as it is shown to the user."""
        lines = [f"{'error' if self.is_error else 'warning'}[{self.code}] {self.message}"]
        if self.where:
            lines.append(f"  file: {self.where}")
        if self.hint:
            lines.append(f"  fix:  {self.hint}")
        return plain("\n".join(lines))


class OsoError(Exception):
    """Base of the errors that end in a message and an exit code, never in a traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        """Return the findings, one paragraph each: the first `MOST_SHOWN`, and how many more."""
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if more := len(self.problems) - len(shown):
            shown.append(f"and {more} more; fix these first")
        return "\n".join(shown)


class ConfigError(OsoError, ValueError):
    """The configuration cannot be used."""

    exit_code = ExitCode.CONFIG


class InputDataError(OsoError, ValueError):
    """Imagery, reference data or a model is missing or cannot be used."""

    exit_code = ExitCode.INPUT


class EnvironmentFailure(OsoError, OSError):
    """The machine does not give what the run needs: disk, memory, lock, cluster."""

    exit_code = ExitCode.ENVIRONMENT


class UnknownName(OsoError, KeyError):
    """A stage, stratum, band or tile of that name is not there."""

    exit_code = ExitCode.INPUT


class RunFailed(OsoError, RuntimeError):
    """Tasks of a run failed, or it was stopped before all was done."""

    exit_code = ExitCode.FAILED_TASKS


class OsoWarning(UserWarning):
    """A warning for the user of a run; it does not stop the run."""


class Problems:
    """Collects findings so that all of them are reported at once.

    Parameters
    ----------
    found
        Findings to begin with.

    Attributes
    ----------
    notes
        Successful checks, one line of text each.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.warn("W-IMAGE-VERSIONS", "two versions of one product, the newer one is used")
    >>> problems.raise_errors(InputDataError)
    >>> len(problems)
    1
    """

    def __init__(self, found: Iterable[Problem] = ()) -> None:
        self._found: list[Problem] = []
        self.notes: list[str] = []
        self.extend(found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def errors(self) -> list[Problem]:
        """The findings that stop the run."""
        return [problem for problem in self._found if problem.is_error]

    @property
    def warnings(self) -> list[Problem]:
        """The findings that do not stop the run."""
        return [problem for problem in self._found if not problem.is_error]

    def error(self, code: str, message: str, where: object = None, hint: str | None = None) -> None:
        """Record a finding that stops the run (`code` begins with ``E``)."""
        self._add("E", code, message, where, hint)

    def warn(self, code: str, message: str, where: object = None, hint: str | None = None) -> None:
        """Record a warning (`code` begins with ``W``)."""
        self._add("W", code, message, where, hint)

    def extend(self, found: Iterable[Problem]) -> None:
        """Record findings made elsewhere, and the notes where these are `Problems`."""
        self._found.extend(found)
        if isinstance(found, Problems):
            self.notes += found.notes

    def raise_errors(self, kind: type[OsoError]) -> None:
        """Raise one `kind` that carries every error found so far, if there is any."""
        if self.errors:
            raise kind(*self.errors)

    def _add(self, letter: str, code: str, message: str, where: object, hint: str | None) -> None:
        if not code.startswith(letter):
            raise ValueError(f"code {code!r} of this finding must begin with {letter!r}")
        self._found.append(Problem(code, message, None if where is None else str(where), hint))
