"""Commands in surroundings that are unlike those of a developer's machine."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support import ROOT

NOBODY = 65534


def oso(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with the options of `in_process`."""
    command = [sys.executable, "-m", "oso_pipeline.cli", *map(str, arguments)]
    return in_process(command, **options)


def in_process(
    command: list[str],
    environ: dict[str, str] | None = None,
    user: Sequence[str] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command; `environ` is added to the variables, `user` comes from `as_nobody`."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*user, *command], env=surroundings, text=True, check=False, **captured)


def as_nobody() -> list[str]:
    """Return what comes before a command that a user without home or entry in passwd runs.

    That user may read everything, as the installation may lie in a home of root's, but write
    only what is everybody's. The bit lets `os.access` say so too, which else asks without
    capabilities: then folders of pytest would have to be open to all, and each start of pytest
    by a test beside closes them.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root may run a command as another user, with setpriv of util-linux")
    who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", *who, *reading, "--securebits=+no_setuid_fixup"]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that every user may enter and write, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="oso-test-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Make writing of more than so many bytes fail, as on a full disk.

    Python would leave cut .pyc files of what is imported meanwhile.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = before
