"""What can happen to a run folder while nobody looks."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

from oso_pipeline.core import processes


def _committed(run_dir: Path, draw: random.Random) -> Path | None:
    """Draw a committed file that is not empty."""
    files = sorted(
        file
        for file in run_dir.rglob("*")
        if "extracted" not in file.parts
        and file.is_file()
        and file.stat().st_size
        and file.with_name(f"{file.name}.json").is_file()
    )
    return draw.choice(files) if files else None


def flip(run_dir: Path, draw: random.Random) -> Path | None:
    """Flip one bit of a committed file."""
    file = _committed(run_dir, draw)
    if file is not None:
        content = bytearray(file.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(content)
    return file


def cut(run_dir: Path, draw: random.Random) -> Path | None:
    """Cut a committed file."""
    file = _committed(run_dir, draw)
    if file is not None:
        os.truncate(file, draw.randrange(file.stat().st_size))
    return file


def delete(run_dir: Path, draw: random.Random) -> Path | None:
    """Delete a committed file and leave its sidecar."""
    file = _committed(run_dir, draw)
    if file is not None:
        file.unlink()
    return file


def delete_record(run_dir: Path, draw: random.Random) -> Path | None:
    """Delete a sidecar."""
    file = _committed(run_dir, draw)
    if file is not None:
        file.with_name(f"{file.name}.json").unlink()
    return file


def spoil_record(run_dir: Path, draw: random.Random) -> Path | None:
    """Fill a sidecar with noise, or cut it."""
    file = _committed(run_dir, draw)
    if file is not None:
        record = file.with_name(f"{file.name}.json")
        content = record.read_bytes()
        noise = draw.randbytes(len(content))
        record.write_bytes(draw.choice((noise, content[: len(content) // 2], b"")))
    return file


def leave_temporary(run_dir: Path, draw: random.Random) -> Path | None:
    """Leave a temporary file as a killed writer does."""
    if not run_dir.is_dir():
        return None
    file = run_dir / f".OCS_2018.tif.elsewhere.1.{draw.getrandbits(32):08x}.tmp"
    file.write_bytes(draw.randbytes(1000))
    return file


def leave_lock(run_dir: Path, draw: random.Random) -> Path | None:
    """Leave the lock of a process that is gone."""
    lock = run_dir / "run.lock"
    if not run_dir.is_dir() or lock.exists():
        return None
    holder = {"host": "any", "pid": 2**22 - 1, "space": processes.space(), "ticks": 1}
    lock.write_text(json.dumps(holder))
    return lock


def skew_times(run_dir: Path, draw: random.Random) -> Path | None:
    """Set the times of all files to 1990 or to a day to come."""
    if not run_dir.is_dir():
        return None
    stamp = draw.choice((631_152_000, 4_000_000_000))
    for file in run_dir.rglob("*"):
        if "extracted" not in file.parts:
            os.utime(file, (stamp, stamp))
    return run_dir


DAMAGES: dict[str, Callable[[Path, random.Random], Path | None]] = {
    "bit flipped": flip,
    "file cut": cut,
    "file deleted": delete,
    "sidecar deleted": delete_record,
    "sidecar spoilt": spoil_record,
    "temporary left": leave_temporary,
    "stale lock": leave_lock,
    "times skewed": skew_times,
}
