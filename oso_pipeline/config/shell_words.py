"""Values of a configuration that reach the shell of a batch job, and what each may hold.

A configuration from somebody else must not run programs, for example by the name of a queue.
Lines of `prologue` are shell by intent, options of the batch system may set the environment of a
job; everything else is a word, or a path in which the shell of the job only expands variables.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

WORD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:@+,-]*$"
HOST_PATTERN = r"^[A-Za-z0-9_.:%\[\]-]+$"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_IN_PATH = r"[\w./@+,:~ -]"
_SCRATCH = re.compile(rf"(?:{_IN_PATH}|\${_VARIABLE}|\$\{{{_VARIABLE}(?::?-{_IN_PATH}*)?\}})+")


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of text")
    return text


def _option(text: str) -> str:
    if not text.startswith("-"):
        raise ValueError("must be an option of sbatch or qsub, beginning with a dash")
    return _one_line(text)


def _scratch(text: str) -> str:
    if not _SCRATCH.fullmatch(text):
        raise ValueError("must be a path, in which variables stand as $TMPDIR or ${TMPDIR:-/tmp}")
    return _one_line(text)


Line = Annotated[str, AfterValidator(_one_line)]
"""A line of text."""
Option = Annotated[str, AfterValidator(_option)]
"""An option of a batch system."""
Scratch = Annotated[str, AfterValidator(_scratch)]
"""A folder whose variables the shell of a job expands."""
