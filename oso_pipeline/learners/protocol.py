"""Protocols of learners and of the classifiers that they make.

A learner is a plug-in of the group ``learners``: the settings are the section ``learning`` of its
kind, the member is an object that satisfies `Learner`. Its result satisfies `Classifier`; a
class that derives from it has to add `classes`, `probabilities`, `arrays` and `from_arrays` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeGuard

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.nomenclature import NODATA_CODE
from oso_pipeline.learners.matrices import require_length, require_rows
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.series import BlockSeries

Layers = npt.NDArray[np.uint16]
Shares = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training data of a learner.

    Parameters
    ----------
    features
        int16, shape ``(pixel, feature)``.
    codes
        Class of each pixel, at least 1, int32, shape ``(pixel,)``.
    layout
        Meaning of the features.
    weights
        How much each pixel counts, finite and not negative, float64, shape ``(pixel,)``; None
        where all count alike.
    groups
        Polygon of each pixel, int64, shape ``(pixel,)``: pixels of one are alike, so a learner
        that holds pixels out holds whole polygons out. None where it is not known.

    Raises
    ------
    ValueError
        If types or shapes do not fit, or there is no pixel.
    """

    features: npt.NDArray[np.int16]
    codes: npt.NDArray[np.int32]
    layout: FeatureLayout
    weights: npt.NDArray[np.float64] | None = None
    groups: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        require_rows(self.features, self.layout.size)
        require_length("codes", self.codes, len(self.features))
        n_pixels = self.features.shape[:1]
        if n_pixels == (0,):
            raise ValueError("there is nothing to learn from: no pixel")
        if self.weights is not None and self.weights.shape != n_pixels:
            raise ValueError(f"{self.weights.shape} weights given for {n_pixels} pixels")
        if self.groups is not None:
            require_length("groups", self.groups, len(self.features))


@dataclass(frozen=True)
class Extent:
    """How large a task of learning is, as far as is known before.

    Parameters
    ----------
    features, classes
        Their numbers.
    pixels
        Training pixels at most.
    """

    features: int
    classes: int
    pixels: int


@dataclass(frozen=True)
class Need:
    """Time and memory of training or classification; for planning only.

    Parameters
    ----------
    seconds
        Core seconds: of the whole training, or for each pixel that is classified.
    fixed_bytes
        Memory of one core that does not depend on pixels: the training set, or the model.
    pixel_bytes
        Memory for each pixel that is classified at once, besides its features.
    disk_bytes
        Of the model file.
    """

    seconds: float
    fixed_bytes: int = 0
    pixel_bytes: float = 0.0
    disk_bytes: int = 0


@dataclass(frozen=True, eq=False)
class BlockPixels:
    """Pixels of a block, with the label that selects the classifier of each.

    Parameters
    ----------
    series
        Images of the block.
    layout
        Features that the classifiers expect.
    pixels
        Which pixels, indices into the block, shape ``(n,)``; nothing else is computed.
    labels
        Label of each of these pixels, shape ``(n,)``.

    Raises
    ------
    ValueError
        If the number of labels is not that of the pixels.
    """

    series: BlockSeries
    layout: FeatureLayout
    pixels: npt.NDArray[np.integer]
    labels: npt.NDArray[np.integer]

    def __post_init__(self) -> None:
        if self.labels.shape != self.pixels.shape:
            raise ValueError(f"{self.labels.shape} labels given for {self.pixels.shape} pixels")

    def take(self, rows: npt.NDArray[np.integer]) -> BlockPixels:
        """Return some of the pixels."""
        return BlockPixels(self.series, self.layout, self.pixels[rows], self.labels[rows])


class Classifier(Protocol):
    """A fitted model: from features to classes."""

    kind: ClassVar[str]
    """Kind of the learner."""
    confidence: ClassVar[str] = "probability of the class"
    """Definition of the confidence, for the metadata of the map."""

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        """Codes of the classes, ascending, shape ``(class,)``."""
        ...

    def probabilities(self, features: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes.

        Parameters
        ----------
        features
            int16, shape ``(feature, pixel)``, as the model expects them.

        Returns
        -------
        probabilities
            From 0 to 1, 1 in sum, float64, shape ``(class, pixel)``, classes as in `classes`.

        Raises
        ------
        ValueError
            If the type or shape does not fit.
        """
        ...

    def arrays(self) -> Arrays:
        """Return all that the classifier consists of, numbers only, by name."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Arrays, layout: FeatureLayout) -> Self:
        """Return the classifier that has these arrays, which may come from anywhere.

        Parameters
        ----------
        arrays
            As :meth:`arrays` returned them, if nobody altered them.
        layout
            The features that it will be given.

        Raises
        ------
        ValueError
            If they are not those of a sound classifier of such features: the message says what
            is wrong.
        """
        ...

    @property
    def facts(self) -> Mapping[str, int | float | str]:
        """A few numbers about it, for the model file and the log."""
        return {}

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return the classifier as the settings want it that do not count in training.

        Parameters
        ----------
        settings
            Those of the section ``learning`` that :attr:`Learner.late_settings` names.
        """
        return self

    def classify(
        self, features: npt.NDArray[np.int16], validity: npt.NDArray[np.uint16]
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Return class and confidence of pixels.

        Parameters
        ----------
        features
            int16, shape ``(feature, pixel)``.
        validity
            Number of clear dates, shape ``(pixel,)``.

        Returns
        -------
        code
            Most probable class, ties to the lowest code, uint16, shape ``(pixel,)``; 0 where
            there is no clear date.
        confidence
            Its probability in percent, halves rounded up, uint8, shape ``(pixel,)``; 0 where
            there is no clear date.
        """
        shares = self.probabilities(features)
        best = shares.argmax(axis=0)
        seen = validity > 0
        percent = np.floor(100 * np.take_along_axis(shares, best[None], axis=0)[0] + 0.5)
        code = np.where(seen, self.classes[best], NODATA_CODE).astype(np.uint16)
        return code, np.where(seen, percent, 0).astype(np.uint8)


class BlockClassifier(Classifier, Protocol):
    """A classifier whose kind goes from images to classes in compiled code of its own."""

    @classmethod
    def classify_block(cls, block: BlockPixels, runs: Sequence[Mapping[int, Self]]) -> Layers:
        """Classify pixels by the classifiers of several runs; features are computed once.

        Parameters
        ----------
        block
            Pixels of a block.
        runs
            The classifiers of each run by label, all of this kind.

        Returns
        -------
        layers
            Class, confidence and validity, uint16, shape ``(run, 3, n)``; 0 in all of them for
            a label without a classifier.

        Raises
        ------
        ValueError
            If shapes do not fit or a pixel lies outside the block.
        """
        ...


class Learner(Protocol):
    """Makes classifiers from training data."""

    kind: str
    """Its kind, as in the configuration."""
    classifier: type[Classifier]
    """Kind of its classifiers."""
    late_settings: frozenset[str]
    """Settings that only count when a classifier is used: they outdate no model."""

    def fit(self, data: TrainingData, settings: Any, seed: int, threads: int = 1) -> Classifier:
        """Train a classifier; equal arguments make equal arrays, whatever the threads.

        Parameters
        ----------
        data
            Pixels with at least two classes.
        settings
            An object of the settings of the plug-in.
        seed
            Of all random draws.
        threads
            Threads that may be used.
        """
        ...

    def training_need(self, extent: Extent, settings: Any) -> Need:
        """Return what training takes."""
        ...

    def classifying_need(self, extent: Extent, settings: Any) -> Need:
        """Return what classifying takes, from features on; the same for all models of a run."""
        ...

    def software(self, settings: Any) -> Sequence[str]:
        """Return the distributions whose versions the model file records."""
        ...


def has_kernel(kind: type[Classifier]) -> TypeGuard[type[BlockClassifier]]:
    """Return whether classifiers of a kind go from images to classes in code of their own."""
    return hasattr(kind, "classify_block")


class ShareClassifier(BlockClassifier, Protocol):
    """A classifier whose compiled code also hands out the probabilities of all classes."""

    def block_shares(self, block: BlockPixels) -> tuple[Layers, Shares]:
        """Classify pixels of a block in one pass, whatever their label.

        Parameters
        ----------
        block
            Pixels of a block.

        Returns
        -------
        layers
            Class, confidence and validity, uint16, shape ``(3, n)``, as
            :meth:`BlockClassifier.classify_block` gives them.
        shares
            Probabilities, float64, shape ``(class, n)``, as :meth:`Classifier.probabilities`
            gives them; 0 where there is no clear date.

        Raises
        ------
        ValueError
            As :meth:`BlockClassifier.classify_block`.
        """
        ...


def hands_out_shares(classifier: Classifier) -> TypeGuard[ShareClassifier]:
    """Return whether a classifier has the probabilities of a block in code of its own."""
    return hasattr(classifier, "block_shares")
