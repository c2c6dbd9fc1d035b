"""The 18 faults at each provider, and the same at the best-known client of the field."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.portal import (
    FAMILIES,
    PROTOCOLS,
    Fault,
    Mixture,
    Portal,
    Product,
    can_occur,
    lying_portal,
    season,
)
from support.portal.fetching import QUICK, fetch

from bench import PROJECT

Say = Callable[[str], None]
_NUMBER = 12
_PAGE = 5
_QUIET: dict[str, Any] = {"retry_after": "1", "drip_s": 0.2, "hang_s": 120.0}
_WAIT_S = 30.0
LIMITS = {**QUICK, "silence_s": 1.0, "search_s": 4.0, "download_s": 3.0, "page": _PAGE}
"""Deadlines of our client: seconds, but for `page`."""
CLIENT = "eodag"


@dataclass(frozen=True)
class Case:
    """What a client did with a fault at a provider.

    Parameters
    ----------
    fault, protocol
        Which.
    right, wrong, named, lost
        Numbers of products: published as they are, published and wrong, not published and named
        with a reason, neither.
    seconds
        How long it took.
    claimed
        How many of the wrong ones the client says to have fetched.
    """

    fault: int
    protocol: str
    right: int
    wrong: int
    named: int
    lost: int
    seconds: float
    claimed: int = 0


def ours(say: Say) -> list[dict[str, Any]]:
    """Return what `oso fetch` did with each fault at each provider where it can occur."""
    cases = list[dict[str, Any]]()
    for fault in Fault:
        for protocol in PROTOCOLS:
            if can_occur(fault, protocol):
                cases.append(vars(_ours(fault, protocol)))
        found = [one for one in cases if one["fault"] == fault]
        text = ", ".join(f"{one['protocol']} {one['right']}/{one['named']}" for one in found)
        say(f"{fault.value} {fault.name}: {text}")
    return cases


def _ours(fault: Fault, protocol: str) -> Case:
    products = season(FAMILIES[protocol][0], number=_NUMBER)
    mixture = Mixture.only(fault, tries=2)
    with (
        tempfile.TemporaryDirectory() as folder,
        lying_portal([protocol], products, mixture, **_QUIET) as portal,
    ):
        ran = fetch(Path(folder) / "products", portal, limits=LIMITS)
        evaluated = ran.evaluated
        return Case(
            fault.value,
            protocol,
            len(evaluated.right),
            len(evaluated.wrong),
            len(evaluated.named),
            len(evaluated.lost),
            round(ran.outcome.seconds, 2),
        )


def installed(folder: Path) -> Path | None:
    """Return a Python with the other client, in an environment of its own; None without one."""
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            command = [python, "-m", "pip", "install", "--quiet", CLIENT]
            subprocess.run(command, check=True, capture_output=True, timeout=600)
        except (OSError, subprocess.SubprocessError):
            return None
    return python


def version_of(python: Path) -> str:
    """Return the version of the other client."""
    code = f"from importlib.metadata import version; print(version({CLIENT!r}))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def theirs(python: Path, say: Say) -> list[dict[str, Any]]:
    """Return what the other client did with each fault at GEODES."""
    cases = list[dict[str, Any]]()
    for fault in Fault:
        products = season(number=_NUMBER)
        mixture = Mixture.only(fault, tries=2)
        with lying_portal(["geodes"], products, mixture, **_QUIET) as portal:
            case, _ = client(python, portal, products, fault.value, _WAIT_S)
        cases.append(vars(case))
        wrong = f"{case.wrong} wrong ({case.claimed} claimed)"
        counts = f"{case.right} right, {wrong}, {case.named} named, {case.lost} lost"
        say(f"{CLIENT}, {fault.value} {fault.name}: {counts}")
    return cases


def client(
    python: Path, portal: Portal, products: list[Product], fault: int, most_s: float
) -> tuple[Case, dict[str, Any]]:
    """Run the other client once; return what came of it.

    Wrong is what it leaves under the name of a product and is not that product, whatever it says;
    named is what it raises an exception for.
    """
    script = PROJECT / "bench" / "retrieval_eodag.py"
    door = portal.doors["geodes"]
    with tempfile.TemporaryDirectory() as folder:
        command = [python, script, door.root, door.key, folder, str(most_s)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=most_s * 2 + 60)
        said = json.loads(done.stdout.strip().splitlines()[-1])
        right = wrong = named = lost = claimed = 0
        for product in products:
            versions = (product, product.again)
            states = [_state(Path(folder) / "out", one, portal) for one in versions]
            answers = [said["products"].get(one.name) for one in versions]
            if "wrong" in states:
                wrong += 1
                claimed += any(answer and answer.startswith(folder) for answer in answers)
            elif "right" in states:
                right += 1
            elif any(answers) or said["search"]:
                named += 1
            else:
                lost += 1
    return Case(fault, "geodes", right, wrong, named, lost, 0.0, claimed), said


def _state(out: Path, product: Product, portal: Portal) -> str:
    """Return whether what lies under the name of a product is it; empty where nothing does."""
    path, digest = out / product.archive, portal.store.sums(product)[2]
    if path.is_file():
        is_right = hashlib.sha256(path.read_bytes()).hexdigest() == digest
        return "right" if is_right else "wrong"
    folder = out / product.name
    files = [one for one in folder.rglob("*") if one.is_file()] if folder.is_dir() else []
    if not files:
        return ""
    sums = {hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
    return "right" if sums == {digest} else "wrong"
