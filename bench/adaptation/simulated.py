"""Settings with a known answer: real series cut in two by polygon, one half changed or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.adaptation import changes as c
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Kind, Rule, Setting

CHANGES: Mapping[str, tuple[c.Change, ...]] = {
    "gaps 40 %": (c.gaps(0.4),),
    "delay per sample 8 d": (c.sample_delay(8),),
    "delay 5 d": (c.delay(5),),
    "delay 10 d": (c.delay(10),),
    "delay 15 d": (c.delay(15),),
    "delay -15 d": (c.delay(-15),),
    "delay 25 d": (c.delay(25),),
    "delay 15 d, per class 8 d": (c.delay(15), c.class_delay(8)),
    "delay 15 d, gaps 40 %": (c.delay(15), c.gaps(0.4)),
    "amplitude 0.8": (c.amplitude(0.8),),
    "amplitude 1.2": (c.amplitude(1.2),),
    "bias -0.3 sd": (c.bias(-0.3),),
    "bias 0.3 sd": (c.bias(0.3),),
}
"""What is done to the target; with other proportions of the classes see `WITH_PROPORTIONS`."""
WITH_PROPORTIONS: Mapping[str, tuple[c.Change, ...]] = {
    "proportions": (),
    "proportions, delay 15 d": (c.delay(15),),
    "proportions, delay 10 d, amplitude 0.85, gaps 30 %": (
        c.delay(10),
        c.amplitude(0.85),
        c.gaps(0.3),
    ),
}
"""Changes of the series on top of other proportions of the classes."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A domain that settings are made from, and its classes."""

    domain: Domain
    rule: Rule

    def halves(self) -> tuple[Domain, Domain]:
        """Return two halves; a polygon lies in one of them."""
        seed = derived_seed(0, "halves", self.domain.name)
        polygons = np.unique(self.domain.polygons)
        first = np.random.default_rng(seed).permutation(polygons)[: len(polygons) // 2]
        inside = np.isin(self.domain.polygons, first)
        return self.domain.take(inside), self.domain.take(~inside)

    def setting(self, name: str, kind: Kind, source: Domain, target: Domain) -> Setting:
        """Return a setting, which is known to have classes enough."""
        problems = Problems()
        made = self.rule.setting(name, kind, [source], target, problems)
        if made is None:
            raise ValueError(str(problems.errors[0]))
        return made


def simulated(ground: Ground) -> list[Setting]:
    """Return a setting for every change."""
    source, target = ground.halves()
    place = ground.domain.name
    seed = derived_seed(0, "changes", place)
    few = c.other_proportions(target, seed)
    both = [(name, steps, target) for name, steps in CHANGES.items()]
    both += [(name, steps, few) for name, steps in WITH_PROPORTIONS.items()]
    return [
        ground.setting(
            f"{place}: {name}",
            _KINDS.get(name, "simulated"),
            source,
            c.changed(half, steps, seed),
        )
        for name, steps, half in both
    ]


def placebos(ground: Ground) -> list[Setting]:
    """Return the two halves as they are, and with other proportions of the classes."""
    source, target = ground.halves()
    place = ground.domain.name
    few = c.other_proportions(target, derived_seed(1, "changes", place))
    return [
        ground.setting(f"placebo {place}", "placebo", source, target),
        ground.setting(f"placebo {place}, proportions", "prior", source, few),
    ]


_KINDS: Mapping[str, Kind] = {"proportions": "prior"}
