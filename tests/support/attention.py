"""Networks with random parameters, which need no training."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from oso_pipeline.learners.attention.classifier import AttentionClassifier
from oso_pipeline.learners.attention.network import Trained, folded
from oso_pipeline.learners.attention.places import Places
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout

DATES = tuple(date(2018, 1, 6) + timedelta(days=10 * step) for step in range(5))
SEVERAL = FeatureLayout(
    (
        FeatureGroup("sentinel2", ("B4", "B8"), DATES, ("NDVI",)),
        FeatureGroup("sentinel1", ("VV",), DATES[:3]),
        FeatureGroup("terrain", ("height", "slope"), None),
    )
)
"""Two series of different dates, and static features."""


def random_network(
    layout: FeatureLayout, n_classes: int, seed: int, heads: int = 4, width: int = 32
) -> Trained:
    """Return parameters of the size that trained ones have."""
    rng, places = np.random.default_rng(seed), Places.of(layout)
    channels = [one.rows.shape[1] for one in places.series]

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)

    sizes = [width * len(channels) + len(places.static), 12, 8, n_classes]
    return Trained(
        tuple(drawn(width, n + 1) for n in channels),
        tuple(1 + drawn(width) for _ in channels),
        tuple(3 * drawn(heads, width) for _ in channels),
        tuple((2 * drawn(o, n), drawn(o)) for o, n in zip(sizes[1:], sizes[:-1], strict=True)),
    )


def random_classifier(
    layout: FeatureLayout, codes: tuple[int, ...], members: int = 2
) -> AttentionClassifier:
    """Return a classifier of random networks."""
    places = Places.of(layout)
    own = [folded(random_network(layout, len(codes), seed), places) for seed in range(members)]
    stacked = {name: np.stack([one[name] for one in own]) for name in own[0]}
    rng = np.random.default_rng(9)
    shared = {
        "codes": np.array(codes, np.int32),
        "centre": rng.uniform(500, 3000, layout.size).astype(np.float32),
        "spread": rng.uniform(300, 900, layout.size).astype(np.float32),
    }
    return AttentionClassifier.from_arrays({**shared, **stacked}, layout)
