"""What the accuracy report compares, and on which data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.accuracy import central_asia, flanders, france
from bench.accuracy.peers import peer_methods
from oso_pipeline.studies.learners.feature_sets import FeatureSet
from oso_pipeline.studies.learners.methods import LearnerMethod, settings_of
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.study import LearnerRequest
from oso_pipeline.studies.learners.trial import Entry

_BEST = {"kind": "forest", "splitter": "best", "min_samples_leaf": 5}
_EXTRA = {"kind": "forest", "splitter": "extra", "min_samples_leaf": 1}
_SOFT = {**_EXTRA, "vote": "soft"}
_NETWORK = {"kind": "attention"}
DERIVED = "all+relative+harmonics"
OURS: dict[str, tuple[dict[str, object], str]] = {
    "forest, leaf 5": (_BEST, "all"),
    "forest, leaf 1": ({**_BEST, "min_samples_leaf": 1}, "all"),
    "extra, leaf 1": (_EXTRA, "all"),
    "extra, leaf 1, derived": (_EXTRA, DERIVED),
    "extra, leaf 1, derived, soft": (_SOFT, DERIVED),
    "forest, leaf 5, xy": (_BEST, "all+xy"),
    "attention": (_NETWORK, "all"),
    "mean of extra and attention": ({"kind": "mean", "members": [_SOFT, _NETWORK]}, DERIVED),
}
"""Our entries: section ``learning`` and set of features. The first is what others differ from."""
_OF_TORCH = ("attention", "mean of extra and attention")
SLOW = (*_OF_TORCH, "TempCNN")
"""Entries that are compared on folds alone: they train for minutes."""


@dataclass(frozen=True)
class Case:
    """Data, and how samples are held out.

    Parameters
    ----------
    name
        How it is shown.
    samples
        Reads them; arguments are the folders of the data and of the work.
    folds, leave_out, max_samples
        As of `LearnerRequest`.
    """

    name: str
    samples: Callable[[Path, Path], LabelledSamples]
    folds: int = 5
    leave_out: tuple[str, ...] = ()
    max_samples: int | None = None

    def request(self, seeds: int) -> LearnerRequest:
        """Return the request of the folds with a number of repetitions."""
        return LearnerRequest(seeds=seeds, folds=self.folds, max_samples=self.max_samples)


CASES = (
    Case("France 2023", lambda data, _: france.france(data).samples, 5, ("region",)),
    Case(
        "Central Asia",
        lambda data, _: central_asia.central_asia(data).samples,
        5,
        ("region", "year"),
        100,
    ),
    *(
        Case(
            f"Flanders {year}",
            lambda data, work, year=year: flanders.flanders(data, work, year).samples,  # type: ignore[misc]
            2,
            max_samples=150,
        )
        for year in flanders.YEARS
    ),
)


def entries() -> tuple[list[Entry], list[str]]:
    """Return what is compared, and why something is not."""
    found, missing = [], []
    for name, (section, features) in OURS.items():
        if name in _OF_TORCH and find_spec("torch") is None:
            missing.append(f"{name}: torch is not installed")
        else:
            method = LearnerMethod(name, settings_of(section, name))
            found.append(Entry(name, method, FeatureSet(features)))
    others, absent = peer_methods()
    found += [Entry(one.name, one, FeatureSet("all")) for one in others]
    return found, missing + absent
