"""A case: what is damaged and how. Its four words make the same damage on every machine."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from fuzz.ground import Ground
from fuzz.outcome import Outcome

CORPUS = Path(__file__).parent / "corpus.json"


@dataclass(frozen=True)
class Case:
    """A damage.

    Parameters
    ----------
    kind
        Which `Kind` makes and evaluates it.
    target
        What is damaged.
    damage
        How.
    seed
        Of all that is drawn.
    """

    kind: str
    target: str
    damage: str
    seed: int

    def draw(self) -> random.Random:
        """Return the generator of the case."""
        return random.Random(self.seed)

    def __str__(self) -> str:
        """Return it as ``--case`` takes it."""
        return f"{self.kind}/{self.target}/{self.damage}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """Read what `__str__` writes."""
        kind, target, damage, seed = text.split("/")
        return cls(kind, target, damage, int(seed))


class Kind(Protocol):
    """A kind of cases."""

    weight: float
    """How often it is drawn."""
    is_whole: bool
    """Whether a case is a whole run, from the plan to the map."""

    @property
    def damages(self) -> Mapping[str, Sequence[str]]:
        """The names of the damages that each target may get."""

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Make the case in an empty folder of its own and evaluate what becomes of it."""


def drawn(kinds: Mapping[str, Kind], seed: int) -> Iterator[Case]:
    """Draw cases without end."""
    draw = random.Random(seed)
    names = sorted(kinds)
    weights = [kinds[name].weight for name in names]
    while True:
        name = draw.choices(names, weights)[0]
        damages = kinds[name].damages
        target = draw.choice(sorted(damages))
        yield Case(name, target, draw.choice(sorted(damages[target])), draw.getrandbits(32))


def corpus(path: Path = CORPUS) -> list[Case]:
    """Return the cases that ended badly once."""
    records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [Case(*(record[name] for name in ("kind", "target", "damage", "seed")))
            for record in records]  # fmt: skip


def keep(case: Case, why: str, path: Path = CORPUS) -> None:
    """Add a case to the corpus, unless it is there."""
    if case in corpus(path):
        return
    records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    records.append({**asdict(case), "seen": why})
    lines = ",\n ".join(json.dumps(record) for record in records)
    path.write_text(f"[\n {lines}\n]\n", encoding="utf-8")
