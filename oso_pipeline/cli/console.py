"""Output streams of the commands; a closed pipe does not end a command."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

from rich.console import Console

from oso_pipeline.core.plain_text import plain


class PatientConsole(Console):
    """A console whose reader may leave: the command goes on to its own end."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, with what steers a terminal only where it is this program's."""
        super().print(*(plain(one) if isinstance(one, str) else one for one in objects), **options)

    def on_broken_pipe(self) -> None:
        """Go silent, instead of ending with code 1, which stands for a bug."""
        self.quiet = True
        silence(self.file)


def write_or_go_silent(stream: IO[str], line: str) -> None:
    """Write a line; after the reader has closed the pipe, write nothing.

    A run of days does not end because the terminal or the pipe behind it was closed.
    """
    try:
        stream.write(plain(line) + "\n")
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def open_streams() -> None:
    """Give this process the streams that whoever started it has closed; they lead nowhere.

    Otherwise files of results would get the numbers of the streams, and what libraries print
    there would end in them.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def silence(stream: IO[str]) -> None:
    """Send what is written from now on, and what waits in buffers, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


out = PatientConsole(highlight=False, soft_wrap=True)
err = PatientConsole(stderr=True, highlight=False, soft_wrap=True)
