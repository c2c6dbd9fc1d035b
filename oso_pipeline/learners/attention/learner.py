"""Attention over dates as a learner."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from oso_pipeline.core.errors import ConfigError, InputDataError, Problem
from oso_pipeline.learners.attention.classifier import AttentionClassifier
from oso_pipeline.learners.attention.settings import AttentionSettings
from oso_pipeline.learners.attention.task import Task
from oso_pipeline.learners.protocol import Extent, Need, TrainingData
from oso_pipeline.learners.registry import missing_software

SOFTWARE = ("torch", "numpy")


class AttentionLearner:
    """Trains networks that attend to dates."""

    kind = "attention"
    classifier = AttentionClassifier
    late_settings = frozenset[str]()

    def fit(
        self, data: TrainingData, settings: AttentionSettings, seed: int, threads: int = 1
    ) -> AttentionClassifier:
        """Train the networks, a thread for each.

        Raises
        ------
        ConfigError
            If torch is not installed (``E-LEARNER-EXTRA``).
        InputDataError
            If the pixels show one class, or there are fewer than two for each
            (``E-LEARNER-PIXELS``), or parameters grow beyond measure (``E-LEARNER-DIVERGED``).
        """
        codes = np.unique(data.codes)
        _refuse_few(len(data.codes), len(codes))
        if lacking := missing_software(settings):
            raise ConfigError(*lacking)
        from oso_pipeline.learners.attention.training import diverged, train

        task = Task.of(data, settings)
        shared = {"codes": codes, "centre": task.centre, "spread": task.spread}
        arrays = {**shared, **train(task, seed, threads)}
        try:
            return AttentionClassifier.from_arrays(arrays, data.layout)
        except ValueError as error:  # no model that cannot be loaded
            raise InputDataError(diverged(str(error))) from None

    def training_need(self, extent: Extent, settings: AttentionSettings) -> Need:
        """Return what training takes."""
        shown = settings.epochs * extent.pixels * settings.members
        batch = max(settings.batch, ceil(extent.pixels / settings.steps))
        return Need(
            seconds=shown
            * (_SECONDS_PER_VALUE * extent.features * settings.heads + _SECONDS_PER_STEP / batch),
            fixed_bytes=2 * extent.pixels * extent.features + _TORCH_BYTES,
            disk_bytes=settings.members * 4 * _numbers(extent, settings),
        )

    def classifying_need(self, extent: Extent, settings: AttentionSettings) -> Need:
        """Return what the networks take per pixel."""
        products = settings.heads * extent.features * 2 + _numbers(extent, settings)
        return Need(
            seconds=settings.members * products * _SECONDS_PER_PRODUCT,
            fixed_bytes=settings.members * 12 * _numbers(extent, settings),
        )

    def software(self, settings: AttentionSettings) -> Sequence[str]:
        """Return the distributions that train the networks."""
        return SOFTWARE


_SECONDS_PER_VALUE = 4.5e-9
"""Of a pixel in a pass, per feature and head."""
_SECONDS_PER_STEP = 3.5e-3
"""Of a step besides, whatever its size."""
_TORCH_BYTES = 400_000_000
_SECONDS_PER_PRODUCT = 4e-11
"""Of a multiplication in the compiled code."""

LEARNER = AttentionLearner()
"""The member of the plug-in."""


def _numbers(extent: Extent, settings: AttentionSettings) -> int:
    """Return the numbers that a network consists of, nearly."""
    first, second = settings.hidden
    return settings.width * (first + 64) + first * second + second * extent.classes


def _refuse_few(n_pixels: int, n_classes: int) -> None:
    if n_classes < 2 or n_pixels < 2 * n_classes:
        raise InputDataError(
            Problem(
                "E-LEARNER-PIXELS",
                f"there are {n_pixels} training pixels of {n_classes} "
                f"{'class' if n_classes == 1 else 'classes'}, attention needs two classes and two "
                "pixels for each",
                None,
                "add samples, or merge rare classes",
            )
        )
