"""A pair of domains to evaluate methods on, and the split of its polygons for one seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.studies.adaptation.domain import Domain, pooled

Kind = Literal["year", "region", "site", "stress", "placebo", "prior", "simulated"]
"""Difference of the domains: the year; the region; both; the year and its labels; only polygons;
nothing but the proportions of the classes; a known change of the series."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Past seasons with all their labels, and a target season whose labels are hidden.

    Parameters
    ----------
    name, kind
        How it is shown, and what differs between source and target.
    source, target
        Of the same features and classes.
    classes
        Name of each code, ascending.
    perennial
        Codes of the classes whose labels may be known in the target season.
    """

    name: str
    kind: Kind
    source: Domain
    target: Domain
    classes: Mapping[int, str]
    perennial: tuple[int, ...]

    @cached_property
    def annual(self) -> tuple[int, ...]:
        """Codes of the classes whose labels are never known in the target season."""
        return tuple(code for code in self.classes if code not in self.perennial)


@dataclass(frozen=True)
class Rule:
    """How settings are made of domains.

    Parameters
    ----------
    classes
        Name of each code.
    perennial
        Codes of the perennial classes.
    min_samples
        A class takes part if source and target have at least as many samples of it.
    same_ground
        Polygons of the source that meet the target stay, as those of a forest that stands in both
        seasons; none of them is used for training while a polygon that it meets is tested.
    """

    classes: Mapping[int, str]
    perennial: tuple[int, ...]
    min_samples: int = 10
    same_ground: bool = False

    def setting(
        self, name: str, kind: Kind, sources: Sequence[Domain], target: Domain, problems: Problems
    ) -> Setting | None:
        """Return the setting of `sources` and `target`, None where nothing can be learnt.

        Samples of the source whose polygon meets one of the target are dropped unless
        `same_ground`: the same field would be in training and test data. Classes that are too rare
        on a side are left out, with a warning (``W-ADAPT-RARE``); fewer than two classes are an
        error (``E-ADAPT-CLASSES``).
        """
        source = pooled(sources)
        if not self.same_ground:
            source = source.apart_from(target)
        counts = source.counts(), target.counts()
        kept = [c for c in self.classes if min(n.get(c, 0) for n in counts) >= self.min_samples]
        rare = [
            f"{text} ({counts[0].get(code, 0)} and {counts[1].get(code, 0)})"
            for code, text in self.classes.items()
            if code not in kept and any(code in n for n in counts)
        ]
        if rare:
            problems.warn(
                "W-ADAPT-RARE",
                f"{name}: left out, fewer than {self.min_samples} samples in source or target: "
                + ", ".join(rare),
                None,
                "a class of the target without samples in the source is never predicted",
            )
        if len(kept) < 2:
            problems.error(
                "E-ADAPT-CLASSES",
                f"{name}: {len(kept)} classes have {self.min_samples} samples in source and "
                f"target, expected 2; source {len(source)}, target {len(target)} samples",
                None,
                "use the same nomenclature in all seasons, or add samples",
            )
            return None
        return Setting(
            name,
            kind,
            source.take(np.isin(source.labels, kept)),
            target.take(np.isin(target.labels, kept)),
            {code: self.classes[code] for code in kept},
            tuple(code for code in self.perennial if code in kept),
        )


@dataclass(frozen=True)
class Shares:
    """Sizes of the parts that the samples of a setting are split into.

    Parameters
    ----------
    parts
        Number of parts of the polygons of the target, split class by class; each part is the test
        set once, while the series of the other parts may be used.
    anchors
        Fraction of the perennial polygons of the target whose label is known; none is in the test
        set.
    max_samples
        Maximum number of samples drawn from the source, and from the target without labels.
    """

    parts: int = 5
    anchors: float = 0.5
    max_samples: int = 800


@dataclass(frozen=True, eq=False)
class SampleSplit:
    """Rows of a setting by use; training and test rows share no polygon.

    Parameters
    ----------
    source
        Rows of the source to train on.
    unlabelled
        Rows of the target whose series may be used, without their labels.
    anchors
        Those of the unlabelled rows whose perennial label is known.
    test
        Rows of the target to test on; their polygons are used for nothing else.
    """

    source: npt.NDArray[np.intp]
    unlabelled: npt.NDArray[np.intp]
    anchors: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


def sample_splits(setting: Setting, shares: Shares, seed: int) -> Iterator[SampleSplit]:
    """SampleSplit the polygons of the target and draw samples, once for each part.

    Polygons stay whole and have the class of most of their samples. The result depends on the
    seed and the name of the setting, not on the methods: all of them are evaluated on the same
    samples.
    """
    target = setting.target
    rng = np.random.default_rng(derived_seed(seed, "adaptation", setting.name))
    polygons, of_sample = np.unique(target.polygons, return_inverse=True)
    code = _majority(of_sample, target.labels, len(polygons))
    part = _parts_of(code, shares.parts, rng)
    for number in range(shares.parts):
        anchor = _anchors(code, part != number, setting.perennial, shares.anchors, rng)
        testing = part[of_sample] == number
        seen = _drawn(np.flatnonzero(~testing), shares.max_samples, rng)
        known = anchor[of_sample[seen]] & np.isin(target.labels[seen], setting.perennial)
        free = np.flatnonzero(~setting.source.meets(target.take(testing)))
        source = _drawn(free, shares.max_samples, rng)
        yield SampleSplit(source, seen, seen[known], np.flatnonzero(testing))


def _parts_of(
    code: npt.NDArray[np.int32], n_parts: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Return the part of each polygon; each class is distributed evenly over the parts."""
    part = np.empty(len(code), np.intp)
    start = 0
    for one in np.unique(code):
        members = rng.permutation(np.flatnonzero(code == one))
        part[members] = (start + np.arange(len(members))) % n_parts
        start += len(members)
    return part


def _anchors(
    code: npt.NDArray[np.int32],
    free: npt.NDArray[np.bool_],
    perennial: tuple[int, ...],
    share: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Return which polygons have a known label: a share of each perennial class, all `free`."""
    known = np.zeros(len(code), np.bool_)
    for one in perennial:
        wanted = math.floor(share * (code == one).sum())
        known[rng.permutation(np.flatnonzero((code == one) & free))[:wanted]] = True
    return known


def _drawn(rows: npt.NDArray[np.intp], most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return at most so many of the rows, at random, ascending."""
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, most, replace=False))


def _majority(
    polygon: npt.NDArray[np.intp], labels: npt.NDArray[np.int32], n_polygons: int
) -> npt.NDArray[np.int32]:
    codes, code = np.unique(labels, return_inverse=True)
    table = np.zeros((n_polygons, len(codes)), dtype=np.int64)
    np.add.at(table, (polygon, code), 1)
    return codes[table.argmax(axis=1)]
