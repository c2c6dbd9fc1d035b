"""Whole runs on damaged inputs, and on the same input written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fuzz.case import Case
from fuzz.command import run_until
from fuzz.damage import DAMAGES, TIFF_DAMAGES, ZIP_DAMAGES, Damage
from fuzz.ground import Ground, differ, layers_of
from fuzz.outcome import (
    OTHER,
    REPORTED,
    SAME,
    Ended,
    Outcome,
    changed,
    crash,
    forbidden,
    is_reported,
    refused,
    snapshot,
)
from fuzz.reading import OTHER as READS_OTHER
from fuzz.reading import comparison
from fuzz.rewriting import REWRITINGS
from fuzz.texts import TEXT_DAMAGES, XML_DAMAGES
from fuzz.worlds import DAYS, name_of

FOLDERS = tuple(name_of(day) for n, day in enumerate(DAYS) if n not in (1, 4))
ARCHIVES = tuple(name_of(DAYS[n]) for n in (1, 4))

TARGETS: dict[str, tuple[Callable[[Case], str], Mapping[str, Damage]]] = {
    "image": (lambda case: _file(case, FOLDERS, "{0}_FRE_{1}.tif", ("B3", "B4", "B8", "B11")),
              TIFF_DAMAGES),
    "mask": (lambda case: _file(case, FOLDERS, "MASKS/{0}_{1}.tif",
                                ("CLM_R1", "EDG_R1", "SAT_R1", "MG2_R1", "CLM_R2")), TIFF_DAMAGES),
    "metadata": (lambda case: _file(case, FOLDERS, "{0}_MTD_ALL.xml", ("",)), XML_DAMAGES),
    "archive": (lambda case: f"products/{case.draw().choice(ARCHIVES)}.zip", ZIP_DAMAGES),
    "labels": (lambda case: "labels.gpkg", DAMAGES),
    "nomenclature": (lambda case: "classes.csv", TEXT_DAMAGES),
}  # fmt: skip


def _file(case: Case, products: Sequence[str], pattern: str, names: Sequence[str]) -> str:
    draw = case.draw()
    product = draw.choice(products)
    return f"products/{product}/{pattern.format(product, draw.choice(names))}"


def names_of(inside: str) -> set[str]:
    """Return the words of a message that name a file of a world: its own name, its product."""
    path = Path(inside)
    names = {path.name, path.stem}
    if path.parts[0] == "products":
        names.add(path.parts[1].removesuffix(".zip"))
    return names


@dataclass(frozen=True)
class DamagedInput:
    """A file of the world is damaged, then all is run."""

    weight: float
    is_whole: bool = True
    until: str = "mosaic"
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        target: tuple(damages) for target, (_, damages) in TARGETS.items()
    }

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Damage, run, and compare the map with that of the undamaged world."""
        config = ground.copy(folder)
        of_case, damages = TARGETS[case.target]
        inside = of_case(case)
        file = config.parent / inside
        file.write_bytes(damages[case.damage](file.read_bytes(), case.draw()))
        reads = comparison(ground.world / inside, file)
        return evaluated(config, ground, names_of(inside), reads, self.until)


def evaluated(config: Path, ground: Ground, names: set[str], reads: str, until: str) -> Outcome:
    """Run a damaged world and evaluate what comes of it."""
    before = snapshot(config.parent)
    ended = run_until(config, until)
    if (found := crash(ended) or changed(before, snapshot(config.parent))) is not None:
        return Outcome(found.kind, found.why, found.said or ended.said[-3000:])
    if ended.code != 0:
        return refused(ended, names)
    return _well(ended, names, reads, ground, config)


def _well(ended: Ended, names: set[str], reads: str, ground: Ground, config: Path) -> Outcome:
    unlike = differ(ground.layers, layers_of(config.parent / "run"))
    if not unlike:
        return Outcome(SAME)
    if is_reported(ended, names):
        return Outcome(REPORTED)
    if reads == READS_OTHER:
        return Outcome(OTHER)
    return forbidden(f"silent change: {unlike} (the file reads as {reads})", ended)


@dataclass(frozen=True)
class Rewritten:
    """The world is written in another way that means the same: the map must be the same."""

    weight: float
    is_whole: bool = True
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        target: tuple(ways) for target, ways in REWRITINGS.items()
    }

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Rewrite, run, and compare the map: here a refusal is as wrong as another map."""
        config = ground.copy(folder)
        REWRITINGS[case.target][case.damage](config.parent, case.draw())
        before = snapshot(config.parent)
        ended = run_until(config, "mosaic")
        if (found := crash(ended) or changed(before, snapshot(config.parent))) is not None:
            return Outcome(found.kind, found.why, found.said or ended.said[-3000:])
        if ended.code != 0:
            return forbidden("what means the same is refused", ended)
        unlike = differ(ground.layers, layers_of(config.parent / "run"))
        return forbidden(f"silent change: {unlike}", ended) if unlike else Outcome(SAME)
