r"""The network in NumPy: what is trained, what is kept of it, and how it answers.

Of each date the channels :math:`x` are embedded, normalised and given a position,
:math:`z_t = \gamma \odot \mathrm{LN}(W x_t) + p_t`. Head :math:`h` weighs the dates by the softmax
of :math:`u_h \cdot z_t`, and its share of the weighted sum of :math:`z` is its answer: the
Lightweight Temporal Attention Encoder (Garnot and Landrieu 2020,
doi:10.1007/978-3-030-65742-0_12), whose master query and keys are one vector :math:`u_h` here.
Layers of ReLU follow.

Because the embedding is linear, nothing as wide as it needs to be computed for a date. With
:math:`\bar W` the embedding less its mean over the width, and :math:`R` of its QR decomposition,
the deviation of an embedded date is :math:`|R x| / \sqrt{width}`; its score is :math:`a_h \cdot x`
over this, with :math:`a_h = \bar W^T (\gamma \odot u_h)`; and the answer of a head follows from
the weighted sum of :math:`x`. These are kept alone: the same answers for a tenth of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.attention.places import Places

Floats = npt.NDArray[np.float32]
EPSILON = 1e-5
"""Added to variances, as torch does."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Parameters of one network as they are trained.

    Parameters
    ----------
    embeddings
        Of each series, shape ``(width, channel + 1)``; the last column is the constant.
    gains
        Gain of the normalised embedding of each series, shape ``(width,)``.
    queries
        Of each series, shape ``(head, width)``.
    layers
        Weights and constants of the layers after attention, normalisation of batches included:
        shapes ``(out, in)`` and ``(out,)``. The first takes the answers of all series, then the
        static features; the last gives a score per class.
    """

    embeddings: tuple[Floats, ...]
    gains: tuple[Floats, ...]
    queries: tuple[Floats, ...]
    layers: tuple[tuple[Floats, Floats], ...]


def folded(trained: Trained, places: Places) -> dict[str, Floats]:
    """Return what is kept of a network, by name; computed in float64.

    Of series number n ``root<n>`` (row, channel + 1), ``keys<n>`` (head, channel + 1),
    ``offsets<n>`` (head, date) and ``values<n>`` (width, channel + 1); of layer number n
    ``weights<n>`` and ``constants<n>``.
    """
    kept: dict[str, npt.NDArray[np.float64]] = {}
    parts = zip(trained.embeddings, trained.gains, trained.queries, places.series, strict=True)
    for number, (embedding, gain, queries, series) in enumerate(parts):
        width = len(embedding)
        centred = embedding.astype(np.float64) - embedding.mean(axis=0, dtype=np.float64)
        scaled = gain[:, None].astype(np.float64) * centred
        root: Any = np.linalg.qr(centred / np.sqrt(width), mode="r")
        kept[f"root{number}"] = root
        kept[f"keys{number}"] = queries @ scaled
        kept[f"offsets{number}"] = queries.astype(np.float64) @ series.position(width).T
        kept[f"values{number}"] = scaled
    for number, (weights, constants) in enumerate(trained.layers):
        kept[f"weights{number}"] = weights.astype(np.float64)
        kept[f"constants{number}"] = constants.astype(np.float64)
    return {name: np.ascontiguousarray(one, np.float32) for name, one in kept.items()}


def plain_probabilities(
    arrays: Mapping[str, npt.NDArray[Any]], places: Places, features: npt.NDArray[np.int16]
) -> npt.NDArray[np.float64]:
    """Return the mean probabilities of all members in plain NumPy and float64.

    Parameters
    ----------
    arrays
        As `classifier.AttentionClassifier.arrays` returns them: members stand along axis 0.
    places
        Of the features.
    features
        int16, shape ``(feature, pixel)``.

    Returns
    -------
    probabilities
        float64, shape ``(class, pixel)``.
    """
    values = (features - arrays["centre"][:, None].astype(np.float64)) / arrays["spread"][:, None]
    found = [_answer(one, places, values) for one in members_of(arrays)]
    return np.asarray(np.mean(found, axis=0))


def members_of(arrays: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, npt.NDArray[Any]]]:
    """Return the arrays of each member by name."""
    shared = {"codes", "centre", "spread"}
    own = {name: array for name, array in arrays.items() if name not in shared}
    return [{name: one[m] for name, one in own.items()} for m in range(len(own["weights0"]))]


def _answer(
    network: Mapping[str, npt.NDArray[Any]], places: Places, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the probabilities of one member, shape ``(class, pixel)``."""
    n_pixels = values.shape[1]
    parts = []
    for number, series in enumerate(places.series):
        root, keys, offsets, weigh = (
            network[f"{name}{number}"].astype(np.float64)
            for name in ("root", "keys", "offsets", "values")
        )
        channels = values[series.rows]
        ones = np.ones((len(channels), 1, n_pixels))
        x = np.concatenate([channels, ones], axis=1)  # date, channel, pixel
        size = 1 / np.sqrt((np.einsum("rc,tcp->trp", root, x) ** 2).sum(axis=1) + EPSILON)
        scores = np.einsum("hc,tcp->htp", keys, x) * size + offsets[:, :, None]
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        sums = np.einsum("htp,tp,tcp->hcp", share, size, x)
        by_head = weigh.reshape(len(keys), -1, x.shape[1])
        position = series.position(len(weigh)).astype(np.float64)
        when = position.reshape(len(channels), len(keys), -1)
        answer = np.einsum("hkc,hcp->hkp", by_head, sums)
        answer += np.einsum("htp,thk->hkp", share, when)
        parts.append(answer.reshape(-1, n_pixels))
    out = np.concatenate([*parts, values[places.static]])
    n_layers = sum(name.startswith("weights") for name in network)
    for number in range(n_layers):
        out = network[f"weights{number}"] @ out + network[f"constants{number}"][:, None]
        if number < n_layers - 1:
            out = np.maximum(out, 0)
    share = np.exp(out - out.max(axis=0))
    return np.asarray(share / share.sum(axis=0))
