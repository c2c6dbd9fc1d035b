"""Odd configurations through ``oso check`` and ``oso plan``: refused by name, or planned."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fuzz.case import Case
from fuzz.command import oso, run_until
from fuzz.ground import Ground
from fuzz.odd_yaml import TEXTS, WAYS
from fuzz.outcome import OTHER, SAME, Ended, Outcome, changed, crash, refused, snapshot
from fuzz.texts import TEXT_DAMAGES
from fuzz.worlds import RICH

_PATHS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "full device": lambda path: (path.unlink(), path.symlink_to("/dev/full")),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "link to itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
    "link to root": lambda path: (path.unlink(), path.symlink_to("/")),
    "socket": lambda path: (path.unlink(), _socket(path)),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 10),
}  # fmt: skip


def _socket(path: Path) -> None:
    import socket

    here = os.getcwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _chain(config: Path, draw: random.Random) -> None:
    """Let a long chain, or a circle, of files extend one another."""
    n = draw.choice((30, 300, 1500))
    last = config.rename(config.with_name("base.yaml"))
    for i in range(n):
        one = config.with_name(f"c{i}.yaml")
        one.write_text(f"extends: {last.name}\n")
        last = one
    config.write_text(f"extends: {last.name}\n")
    if draw.random() < 0.3:
        config.with_name("c0.yaml").write_text("extends: oso.yaml\n")


_NAMED = ("labels.gpkg", "classes.csv", "area.gpkg", "regions.gpkg", "products", "points.gpkg",
          "cross.csv")  # fmt: skip
_WORDS = {*_NAMED, "run_dir", "imagery.paths"}
"""Words of a message that name what a configuration names."""


@dataclass(frozen=True)
class OddConfiguration:
    """A configuration is odd, or what it names; it is checked, and planned where that goes well."""

    weight: float
    is_whole: bool = False
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        "text": tuple(TEXT_DAMAGES),
        "tree": tuple(WAYS),
        "tree again": tuple(WAYS),
        "file": ("chain", *_PATHS),
        "override": ("value",),
        **{name: tuple(_PATHS) for name in _NAMED},
    }  # fmt: skip

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Make the configuration, check it, plan it."""
        config = ground.copy(folder)
        config.write_text(RICH)
        more = _made(case, config)
        before = snapshot(config.parent)
        # A value that names a file is named by that file, and by its key.
        names = {config.name, case.target, "base.yaml", "--set", "\n  file: "}
        for command in ("check", "plan"):
            ended = oso(command, config, *more)
            if (found := crash(ended) or changed(before, snapshot(config.parent))) is not None:
                return Outcome(found.kind, f"{command}: {found.why}", found.said or ended.said)
            if ended.code != 0:
                return refused(ended, names | _WORDS)
        return Outcome(SAME if case.target in _PATHS else OTHER)


def _made(case: Case, config: Path) -> list[str]:
    draw = case.draw()
    text = config.read_text()
    if case.target == "text":
        config.write_bytes(TEXT_DAMAGES[case.damage](text.encode(), draw))
    elif case.target in ("tree", "tree again"):
        config.write_text(WAYS[case.damage](text, draw), errors="surrogatepass")
    elif case.damage == "chain":
        _chain(config, draw)
    elif case.target == "override":
        keys = draw.choice(
            (
                "learning.n_trees",
                "year",
                "map.epsg",
                "run_dir",
                "imagery.paths.0",
                "a.b",
                "reference.sources.0.path",
                "",
                "imagery.tiles",
                "runtime.cluster",
                "seed",
                "season.step_days",
                "nomenclature",
                "map.resolution_m",
                "name",
                "..",
                "x",
            )
        )
        return ["--set", f"{keys}{draw.choice(('=', '=', '=', ''))}{draw.choice(TEXTS)}"]
    else:
        file = config.parent / ("oso.yaml" if case.target == "file" else case.target)
        if file.is_dir():
            import shutil

            shutil.rmtree(file)
            file.touch()
        _PATHS[case.damage](file)
    return []


@dataclass(frozen=True)
class OddRun:
    """A value of a configuration is another one; where it is accepted, all is run."""

    weight: float
    is_whole: bool = True
    damages: ClassVar[Mapping[str, Sequence[str]]] = {"tree": ("value", "leaf", "key")}

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Change the configuration and run it: it ends well, or it is refused by name."""
        config = ground.copy(folder)
        _made(case, config)
        before = snapshot(config.parent)
        ended: Ended = run_until(config, "mosaic")
        if (found := crash(ended) or changed(before, snapshot(config.parent))) is not None:
            return Outcome(found.kind, found.why, found.said or ended.said[-3000:])
        if ended.code != 0:
            return refused(ended, {config.name, "31TCJ", "\n  file: "} | _WORDS)
        return Outcome(OTHER)
