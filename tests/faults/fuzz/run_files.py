"""Damaged files of a run: looked at by status, verify, plan and report, and run on with."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fuzz.case import Case
from fuzz.command import oso
from fuzz.damage import DAMAGES, TIFF_DAMAGES, Damage
from fuzz.ground import Ground, differ, layers_of
from fuzz.outcome import CLEAN, REPORTED, SAME, Ended, Outcome, crash, forbidden, refused
from fuzz.texts import JSON_DAMAGES, TEXT_DAMAGES

_PARTS: dict[str, tuple[str, Mapping[str, Damage]]] = {
    "record": ("**/*.*.json", JSON_DAMAGES),
    "inventory": ("inventory/*.parquet", DAMAGES),
    "polygons": ("reference/**/*.parquet", DAMAGES),
    "reference": ("reference.parquet", DAMAGES),
    "samples": ("samples/*.parquet", DAMAGES),
    "forest": ("models/**/*.npz", DAMAGES),
    "model": ("models/**/model.json", JSON_DAMAGES),
    "block": ("blocks/**/*.tif", TIFF_DAMAGES),
    "part of the map": ("mosaic/**/*.tif", TIFF_DAMAGES),
    "map": ("maps/*.tif", TIFF_DAMAGES),
    "accuracy": ("validation/*.json", JSON_DAMAGES),
    "about the run": ("run.json", JSON_DAMAGES),
    "configuration": ("config.yaml", TEXT_DAMAGES),
    "log": ("log.jsonl", {**TEXT_DAMAGES, **JSON_DAMAGES}),
    "progress": ("activity/driver.json", JSON_DAMAGES),
    "lock": ("run.lock", JSON_DAMAGES),
    "sign": ("activity/under_way/one.json", JSON_DAMAGES),
    "extracted": ("extracted/**/*.tif", TIFF_DAMAGES),
}
_LOCK = {"host": "any", "pid": 2**22 - 1, "space": "4026531836", "ticks": 1, "user": "x",
         "started": "2026-11-01T00:00:00+00:00", "shard": None, "job": None}  # fmt: skip
_SIGN = {"stage": "predict", "task": "31TCJ/r00000c00000", "host": "any", "pid": 1, "since": 1.0}
_WAYS = ("gone", "folder", "link to itself", "device", "pipe", "name no text")
LATER = ("samples", "models", "blocks", "mosaic", "maps", "validation")
"""Folders of the stages, in their order."""


def damaged(case: Case, run_dir: Path) -> Path:
    """Damage a file of a run; return it."""
    draw = case.draw()
    pattern, damages = _PARTS[case.target]
    if case.target in ("lock", "sign"):
        path = run_dir / pattern
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_LOCK if case.target == "lock" else _SIGN))
    files = sorted(path for path in run_dir.glob(pattern) if path.is_file())
    if case.target == "log":
        files[0].write_bytes(_last_lines(files[0], damages.get(case.damage), draw))
    file = draw.choice(files)
    if case.damage in _WAYS:
        _misplace(file, case.damage)
    elif case.target != "log":
        file.write_bytes(damages[case.damage](file.read_bytes(), draw))
    return file


def _last_lines(log: Path, damage: Damage | None, draw: random.Random) -> bytes:
    lines = log.read_bytes().splitlines(keepends=True)
    if damage is not None:
        at = draw.randrange(len(lines))
        lines[at] = damage(lines[at], draw) + b"\n"
    return b"".join(lines)


def _misplace(file: Path, way: str) -> None:
    content = file.read_bytes()
    file.unlink()
    if way == "folder":
        file.mkdir()
    elif way == "pipe":
        os.mkfifo(file)
    elif way == "name no text":
        name = os.fsencode(file.parent) + b"/\xff\xfe" + os.fsencode(file.suffix)
        with open(name, "wb") as stream:
            stream.write(content)
    elif way != "gone":
        file.symlink_to(file.name if way == "link to itself" else "/dev/zero")


_DAMAGES = {target: (*damages, *_WAYS) for target, (_, damages) in _PARTS.items()}


@dataclass(frozen=True)
class LookedAt:
    """A file of a complete run is damaged; whoever looks at the run gets an answer."""

    weight: float
    is_whole: bool = False
    damages: ClassVar[Mapping[str, Sequence[str]]] = {**_DAMAGES, "speeds": tuple(JSON_DAMAGES)}

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Damage a file, then look at the run in several ways."""
        config = ground.copy_done(folder)
        run_dir = config.parent / "run"
        if case.target == "speeds":
            return _speeds(case, config, folder)
        file = damaged(case, run_dir)
        names = {file.name, file.stem, run_dir.name}
        kind = SAME
        for command in (("status", config, "--why"), ("status", run_dir), ("plan", config),
                        ("verify", run_dir), ("report", run_dir)):  # fmt: skip
            wrong = untrue(run_dir)
            ended = oso(*command)
            if (found := crash(ended)) is not None:
                return Outcome(found.kind, f"{command[0]}: {found.why}", ended.said[-4000:])
            if command[0] == "verify" and (found := _verified(ended, wrong)) is not None:
                return found
            if ended.code != 0:
                kind = CLEAN
                if (found := refused(ended, names)).is_forbidden and command[0] != "verify":
                    return Outcome(found.kind, f"{command[0]}: {found.why}", ended.said[-4000:])
        return Outcome(kind)


def _speeds(case: Case, config: Path, folder: Path) -> Outcome:
    import platform

    place = folder / "cache" / "oso_pipeline"
    place.mkdir(parents=True)
    speeds = {"decoded_bytes_per_s": 3e8, "computed_pixels_per_s": 4e5, "machine": "any"}
    content = JSON_DAMAGES[case.damage](json.dumps(speeds).encode(), case.draw())
    (place / f"speed-{platform.node()}.json").write_bytes(content)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    ended = oso("plan", config)
    if (found := crash(ended)) is not None:
        return found
    return Outcome(SAME) if ended.code == 0 else forbidden("speeds stop a plan", ended)


def untrue(run_dir: Path) -> list[Path]:
    """Return the files whose commit record does not tell the truth, by plain reading."""
    found = []
    for record in run_dir.rglob("*.json"):
        file = record.with_name(record.name.removesuffix(".json"))
        if "activity" in record.parts or not record.is_file() or not file.is_file():
            continue
        try:
            told = json.loads(record.read_bytes())
            if not {"sha256", "size", "key"} <= told.keys():
                continue
        except (ValueError, AttributeError, RecursionError):
            continue
        if told["sha256"] != hashlib.sha256(file.read_bytes()).hexdigest():
            found.append(file)
    return found


def _verified(ended: Ended, wrong: list[Path]) -> Outcome | None:
    unsaid = [file.name for file in wrong if file.name not in ended.said]
    if unsaid or (wrong and ended.code != 4):
        return forbidden(f"verify does not name {unsaid or [one.name for one in wrong]}", ended)
    return None


@dataclass(frozen=True)
class RunOn:
    """A file of a run is damaged, what follows it may be lost, and the run goes on."""

    weight: float
    is_whole: bool = True
    damages: ClassVar[Mapping[str, Sequence[str]]] = _DAMAGES

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Damage, run, verify and repair, run again: the map is that of the undamaged run."""
        config = ground.copy_done(folder)
        run_dir = config.parent / "run"
        draw = random.Random(case.seed + 1)
        file = damaged(case, run_dir)
        for name in LATER[draw.randrange(len(LATER) + 1) :]:
            if name not in file.parts:
                shutil.rmtree(run_dir / name, ignore_errors=True)
        ended = _run(config)
        if (found := crash(ended)) is not None:
            return Outcome(found.kind, found.why, ended.said[-4000:])
        if ended.code == 0 and not differ(ground.layers, layers_of(run_dir)):
            return Outcome(SAME)
        if ended.code != 0:
            found = refused(ended, {file.name, file.stem, run_dir.name})
            if found.is_forbidden or case.target in ("configuration", "about the run", "lock"):
                return found
        return _mended(config, ground, ended)


def _mended(config: Path, ground: Ground, first: Ended) -> Outcome:
    """Verify and repair a run that was refused or made another map, and run it again."""
    run_dir = config.parent / "run"
    repaired = oso("verify", run_dir, "--repair")
    if (found := crash(repaired)) is not None:
        return Outcome(found.kind, f"verify --repair: {found.why}", repaired.said)
    again = _run(config)
    if (found := crash(again)) is not None:
        return Outcome(found.kind, f"after a repair: {found.why}", again.said[-4000:])
    said = Ended(again.code, "\n".join((first.said, repaired.said, again.said)))
    if again.code != 0:
        return refused(again, {run_dir.name})
    if unlike := differ(ground.layers, layers_of(run_dir)):
        return forbidden(f"silent change, also after a repair: {unlike}", said)
    return Outcome(REPORTED if first.code == 0 else CLEAN)


def _run(config: Path) -> Ended:
    return oso("run", config, "--cluster", "serial")
