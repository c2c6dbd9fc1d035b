"""What commands print to; a reader who leaves does not end them."""

from __future__ import annotations

import os
from typing import IO

from rich.console import Console


class PatientConsole(Console):
    """A console whose reader may leave: the command goes on to its own end."""

    def on_broken_pipe(self) -> None:
        """Go silent, instead of ending with code 1, which stands for a bug."""
        self.quiet = True
        silence(self.file)


def write_or_go_silent(stream: IO[str], line: str) -> None:
    """Write a line; where nobody reads any more, write nothing from then on.

    A run of days does not end because the terminal or the pipe behind it was closed.
    """
    try:
        stream.write(line + "\n")
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def silence(stream: IO[str]) -> None:
    """Send what is written from now on, and what waits in buffers, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


out = PatientConsole(highlight=False, soft_wrap=True)
err = PatientConsole(stderr=True, highlight=False, soft_wrap=True)
