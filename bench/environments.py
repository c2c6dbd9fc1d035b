"""Installs the peers: each in an environment of its own, OTB from Debian."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import WORK

_ENVIRONMENTS = WORK / "venvs"
_REPORT = WORK / "environments.json"
SMALL = ("onnx", "xarray")
"""Peers that install in seconds: those of the quick bench."""
_OTB = ("otbcli_ImageClassifier", "otbcli_TrainVectorClassifier", "otbcli_SampleExtraction")


def _requirements() -> dict[str, tuple[tuple[str, ...], str]]:
    """Return what each environment installs, and the module that proves it.

    Peers load the forests that the project's own scikit-learn has fitted, so they get the same.
    """
    sklearn = f"scikit-learn=={version('scikit-learn')}"
    return {
        "onnx": ((sklearn, "onnxruntime", "skl2onnx"), "onnxruntime, skl2onnx"),
        "xarray": ((sklearn, "xarray", "dask[array]", "bottleneck"), "xarray, dask.array"),
        "deep": (("torch", "onnx", "onnxruntime"), "torch, onnx, onnxruntime"),
        "eolearn": (("eo-learn[EXTRA]",), "eolearn.features.extra.interpolation"),
        "deatools": ((sklearn, "dea-tools"), "dea_tools.classification"),
        "boosting": ((sklearn, "lightgbm"), "lightgbm, sklearn"),
        "network": (("torch", "numpy"), "torch"),
    }


@dataclass(frozen=True)
class Peer:
    """Where a peer is installed.

    Parameters
    ----------
    python
        Interpreter to run it with, None where it cannot be had.
    reason
        Why it cannot be had.
    versions
        Versions of what was installed.
    """

    python: Path | None
    reason: str = ""
    versions: tuple[str, ...] = ()


def install(say: Callable[[str], None], only: tuple[str, ...] | None = None) -> None:
    """Install every peer that can be had and write down which could not, and why.

    Parameters
    ----------
    say
        Called with progress messages.
    only
        Names of the environments wanted; OTB and the others are then left out.
    """
    absent = {"python": None, "reason": "left out of the quick bench", "versions": []}
    report: dict[str, Any] = {}
    _ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    for name, (packages, modules) in _requirements().items():
        if only is not None and name not in only:
            report[name] = absent
            continue
        say(f"peer {name}: {' '.join(packages)}")
        report[name] = _environment(name, packages, modules)
        if report[name]["reason"]:
            say(f"  not installed: {report[name]['reason']}")
    if only is None:
        say("peer otb: Debian package otb-bin")
    report["otb"] = _otb() if only is None else absent
    if only is None and report["otb"]["reason"]:
        say(f"  not installed: {report['otb']['reason']}")
    _REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def peers() -> dict[str, Peer]:
    """Return what :func:`install` could install."""
    names = [*_requirements(), "otb"]
    try:
        report = json.loads(_REPORT.read_text(encoding="utf-8"))
    except OSError:
        return {name: Peer(None, "the setup step has not run") for name in names}
    return {
        name: Peer(Path(entry["python"]) if entry["python"] else None, entry["reason"],
                   tuple(entry["versions"]))
        for name, entry in report.items()
    }  # fmt: skip


def _environment(name: str, packages: tuple[str, ...], modules: str) -> dict[str, Any]:
    folder = _ENVIRONMENTS / name
    python = folder / "bin" / "python"
    steps = []
    if not python.exists():
        steps.append([sys.executable, "-m", "venv", str(folder)])
    if not _succeeds([str(python), "-c", f"import {modules}"]):
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        steps += [[*pip, *packages], [str(python), "-c", f"import {modules}"]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            return {"python": None, "reason": lines[-1][:300], "versions": []}
    listed = [str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    frozen = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
    return {"python": str(python), "reason": "", "versions": _wanted(frozen, packages)}


def _wanted(frozen: list[str], packages: tuple[str, ...]) -> list[str]:
    """Return the lines of ``pip list`` of the requested packages, and NumPy."""
    names = {package.split("==")[0].split("[")[0].lower() for package in packages} | {"numpy"}
    return sorted(line for line in frozen if line.split("==")[0].lower() in names)


def _otb() -> dict[str, Any]:
    missing = [program for program in _OTB if shutil.which(program) is None]
    reason = ""
    if missing and (shutil.which("apt-get") is None or os.geteuid() != 0):
        reason = f"{missing[0]} is not there; needs apt-get and root: apt-get install otb-bin"
    elif missing:
        for step in (["update"], ["install", "-y", "--no-install-recommends", "otb-bin"]):
            done = subprocess.run(["apt-get", *step], capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["apt-get failed"])[-1][:300]
    if reason or any(shutil.which(program) is None for program in _OTB):
        return {"python": None, "reason": reason or "otb-bin lacks programs", "versions": []}
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "otb-bin"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # The programs are called from the project's own interpreter.
    return {"python": sys.executable, "reason": "", "versions": [f"otb-bin {listed.stdout}"]}


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def own_versions() -> list[str]:
    """Return the versions of the libraries that our own side runs on."""
    names = ("oso_pipeline", "numpy", "numba", "scikit-learn", "rasterio", "dask")
    return [f"python=={sysconfig.get_python_version()}", *(f"{n}=={version(n)}" for n in names)]
