"""Source and target domains of an adaptation, and the training of its forests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.forest.bagging import PLAIN, BaggedForest, Bagging
from oso_pipeline.learners.forest.engines import fit_bagged_forest
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.forest.votes import probabilities

Features = npt.NDArray[np.int16]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples with labels.

    Parameters
    ----------
    features
        int16, shape ``(sample, feature)``.
    codes
        Class of each, int32.
    polygons
        Polygon of each, int64; each sample its own by default.
    """

    features: Features
    codes: Codes
    polygons: npt.NDArray[np.int64]

    def where(self, kept: npt.NDArray[np.bool_]) -> Labelled:
        """Return some of the samples."""
        return Labelled(self.features[kept], self.codes[kept], self.polygons[kept])

    def at_most(self, n: int, rng: np.random.Generator) -> Labelled:
        """Return all samples, or `n` of them at random, in their order."""
        if len(self) <= n:
            return self
        kept = np.zeros(len(self), np.bool_)
        kept[rng.choice(len(self), n, replace=False)] = True
        return self.where(kept)

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, eq=False)
class Domains:
    """The past years, the year to be mapped, and what is known of the latter.

    Parameters
    ----------
    source
        Samples of the past years.
    target
        Unlabelled samples of the year to be mapped, int16, shape ``(sample, feature)``.
    target_polygons
        Polygon of each, -1 for none known, int64.
    anchors
        Labelled samples of that year, of classes that stay; possibly none.
    perennial
        Codes of the classes that stay.
    """

    source: Labelled
    target: Features
    target_polygons: npt.NDArray[np.int64]
    anchors: Labelled
    perennial: frozenset[int]

    def is_perennial(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Return which codes are of classes that stay."""
        return np.isin(codes, sorted(self.perennial))


@dataclass(frozen=True)
class Trainer:
    """How forests are trained, each with its own seed by its purpose."""

    space: SeriesSpace
    settings: ForestSettings
    options: AdaptationOptions
    seed: int
    threads: int = 1

    def bagged(
        self,
        purpose: str,
        features: Features,
        codes: Codes,
        bagging: Bagging = PLAIN,
        share_of_trees: float = 1.0,
    ) -> BaggedForest:
        """Train a forest, of fewer trees where `share_of_trees` is less than 1."""
        n_trees = max(1, round(self.settings.n_trees * share_of_trees))
        settings = self.settings.model_copy(update={"n_trees": n_trees})
        seed = derived_seed(self.seed, "adaptation", purpose)
        return fit_bagged_forest(features, codes, settings, seed, self.threads, bagging)

    def rng(self, purpose: str) -> np.random.Generator:
        """Return a generator for one purpose."""
        return np.random.default_rng(derived_seed(self.seed, "adaptation", purpose))


def shares_of(forest: Forest, features: Features) -> Floats:
    """Return the mean shares of the classes in the leaves, float64, shape ``(sample, class)``."""
    return probabilities(forest, np.ascontiguousarray(features.T)).T


def merged_forest(forests: list[Forest]) -> Forest:
    """Return one forest with the trees of several, whose classes may differ.

    Raises
    ------
    ValueError
        If it has more nodes than can be numbered.
    """
    classes = np.unique(np.concatenate([f.classes for f in forests]))
    nodes = np.cumsum([0, *(f.n_nodes for f in forests)])
    entries = np.cumsum([0, *(len(f.leaf_class) for f in forests)])
    if max(nodes[-1], entries[-1]) > np.iinfo(np.int32).max:
        raise ValueError("the forest has more nodes than its arrays can number")
    pairs = list(zip(forests, nodes[:-1], entries[:-1], strict=True))
    return Forest(
        np.concatenate([f.feature for f in forests]),
        np.concatenate([f.threshold for f in forests]),
        np.concatenate([f.left + np.int32(first) for f, first, _ in pairs]),
        np.concatenate([f.right + np.int32(first) for f, first, _ in pairs]),
        np.append(
            np.concatenate([f.roots[:-1] + np.int32(n) for f, n, _ in pairs]), nodes[-1]
        ).astype(np.int32),
        np.append(
            np.concatenate([f.leaf_start[:-1] + np.int32(e) for f, _, e in pairs]), entries[-1]
        ).astype(np.int32),
        np.concatenate([np.searchsorted(classes, f.classes)[f.leaf_class] for f in forests]).astype(
            np.uint16
        ),
        np.concatenate([f.leaf_count for f in forests]),
        classes.astype(np.int32),
        forests[0].width,
    )
