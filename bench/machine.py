"""The machine that figures come from, described so that others can evaluate them."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import PROJECT
from bench.environments import own_versions, peers


def describe() -> dict[str, Any]:
    """Return processor, memory, load, versions and the commit of the project."""
    load = [round(figure, 2) for figure in os.getloadavg()]
    cores = len(os.sched_getaffinity(0))
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": cores,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "load_before": load,
        "otherwise_idle": load[0] < 0.3 * cores,
        "steal_percent": round(float(getattr(psutil.cpu_times_percent(1.0), "steal", 0.0)), 1),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": own_versions(),
    }


def peer_versions() -> dict[str, list[str]]:
    """Return what was installed of every peer, or why it was not."""
    return {
        name: list(peer.versions) or [f"not installed: {peer.reason}"]
        for name, peer in peers().items()
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
