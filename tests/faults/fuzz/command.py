"""Call the command in this process, as the shell would."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fuzz.outcome import Ended


def oso(*arguments: object) -> Ended:
    """Run ``oso`` with arguments; return its exit code and all that was said, by C code too."""
    from oso_pipeline import cli

    argv = sys.argv
    sys.argv = ["oso", *map(str, arguments)]
    code = 0
    with _captured() as said:
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # noqa: BLE001 - whatever it is, the shell would show it
            traceback.print_exc()
            code = 1
        finally:
            sys.argv = argv
    text = said.read().decode("utf-8", "replace")
    said.close()
    return Ended(code or 0, text)


@contextmanager
def _captured() -> Iterator[IO[bytes]]:
    """Send both streams of this process into a file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked reads and closes it
    kept = os.dup(1), os.dup(2)
    streams = sys.stdout, sys.stderr
    for number in (1, 2):
        os.dup2(file.fileno(), number)
    # Whoever started this process may have put other objects there.
    sys.stdout, sys.stderr = (open(n, "w", closefd=False, errors="replace") for n in (1, 2))  # noqa: SIM115
    try:
        yield file
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        file.seek(0)


def run_until(config: Path, stage: str) -> Ended:
    """Run a configuration in this process up to a stage."""
    return oso("run", config, "--until", stage, "--cluster", "serial")
