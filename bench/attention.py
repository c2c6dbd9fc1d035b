"""A network of the default size with random parameters, and its row in the comparisons."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import WORK
from bench.methods import ours
from bench.series import N_CLASSES
from oso_pipeline.learners.attention.network import Trained, folded
from oso_pipeline.learners.attention.places import Places
from oso_pipeline.learners.attention.settings import AttentionSettings


def save_network() -> Path:
    """Save a network for the features of the bench; return the file.

    As it is trained: ``embedding``, ``gain``, ``query``, ``position``, ``rows``, and as it is kept:
    ``root``, ``keys``, ``offsets``, ``values``; in both ``weights<n>`` and ``constants<n>``.
    """
    settings, rng, layout = AttentionSettings(), np.random.default_rng(0), ours.layout()
    places = Places.of(layout)
    (series,) = places.series
    channels = series.rows.shape[1]

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)

    sizes = [settings.width, *settings.hidden, N_CLASSES]
    layers = tuple((2 * drawn(o, n), drawn(o)) for o, n in zip(sizes[1:], sizes[:-1], strict=True))
    embedding, gain = drawn(settings.width, channels + 1), 1 + drawn(settings.width)
    query = 3 * drawn(settings.heads, settings.width)
    kept = folded(Trained((embedding,), (gain,), (query,), layers), places)
    names = {f"{name}0": name for name in ("root", "keys", "offsets", "values")}
    arrays = {names.get(name, name): array for name, array in kept.items()}
    path = WORK / "data" / "attention.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        centre=np.full(layout.size, 2000, np.float32),
        spread=np.full(layout.size, 900, np.float32),
        embedding=embedding,
        gain=gain,
        query=query,
        position=series.position(settings.width),
        rows=series.rows,
        **arrays,
    )
    return path
