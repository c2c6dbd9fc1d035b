"""Known changes of real series, in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.studies.adaptation.domain import Domain

Series = npt.NDArray[np.float64]
"""Bands of samples, shape ``(sample, date, band)``."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Series to be changed, and where chance comes from."""

    series: Series
    days: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int32]
    rng: np.random.Generator

    def to(self, series: Series) -> Scene:
        """Return the scene with other series."""
        return replace(self, series=series)


Change = Callable[[Scene], Scene]


def delay(days: float) -> Change:
    """Return the change that makes everything later, ends held."""
    return lambda scene: scene.to(_delayed(scene, np.full(len(scene.series), days)))


def class_delay(sd_days: float) -> Change:
    """Return the change that delays each class by a number of its own."""

    def change(scene: Scene) -> Scene:
        codes, code = np.unique(scene.labels, return_inverse=True)
        return scene.to(_delayed(scene, scene.rng.normal(0, sd_days, len(codes))[code]))

    return change


def sample_delay(sd_days: float) -> Change:
    """Return the change that delays each sample by a number of its own."""
    return lambda scene: scene.to(_delayed(scene, scene.rng.normal(0, sd_days, len(scene.series))))


def amplitude(factor: float) -> Change:
    """Return the change that stretches each band about its 2 % quantile."""

    def change(scene: Scene) -> Scene:
        floor = np.quantile(scene.series, 0.02, axis=(0, 1))
        return scene.to(floor + factor * (scene.series - floor))

    return change


def bias(share: float) -> Change:
    """Return the change that adds a share of its standard deviation to each band."""
    return lambda scene: scene.to(scene.series + share * scene.series.std(axis=(0, 1)))


def gaps(share: float) -> Change:
    """Return the change that loses a share of the dates of each sample and fills them linearly."""

    def change(scene: Scene) -> Scene:
        out = scene.series.copy()
        for one in out:
            seen = scene.rng.random(len(scene.days)) >= share
            if seen.any():
                for band in range(one.shape[1]):
                    one[:, band] = np.interp(scene.days, scene.days[seen], one[seen, band])
        return scene.to(out)

    return change


def changed(domain: Domain, steps: tuple[Change, ...], seed: int) -> Domain:
    """Return a domain after several changes of its series; indices follow from the bands."""
    space = domain.space
    series = space.by_band(domain.features).astype(np.float64)
    scene = Scene(
        series, np.array(space.days, np.float64), domain.labels, np.random.default_rng(seed)
    )
    for step in steps:
        scene = step(scene)
    features = domain.features.copy()
    whole = np.rint(scene.series).clip(-9999, 32767).astype(np.int16)
    features[:, : space.n_series] = whole.reshape(len(features), -1)
    return replace(domain, features=_with_indices(space, features))


def other_proportions(domain: Domain, seed: int) -> Domain:
    """Return samples of a domain whose classes have violently other shares.

    The greatest class keeps a tenth of its samples to all, by chance, the others likewise; at
    least 20 of each stay.
    """
    rng = np.random.default_rng(seed)
    kept = []
    for code in np.unique(domain.labels):
        rows = rng.permutation(np.flatnonzero(domain.labels == code))
        kept.append(rows[: max(20, round(len(rows) * 10 ** rng.uniform(-1, 0)))])
    return domain.take(np.sort(np.concatenate(kept)))


def _with_indices(space: SeriesSpace, features: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    return space.shift(features, 0.0) if space.indices else features  # type: ignore[return-value]


def _delayed(scene: Scene, days: npt.NDArray[np.float64]) -> Series:
    out = np.empty_like(scene.series)
    for one, late, series in zip(out, days, scene.series, strict=True):
        for band in range(series.shape[1]):
            one[:, band] = np.interp(scene.days - late, scene.days, series[:, band])
    return out
