"""The network in torch, as it is trained; see `network` for what it computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from oso_pipeline.learners.attention.network import EPSILON, Trained
from oso_pipeline.learners.attention.places import Places
from oso_pipeline.learners.attention.settings import AttentionSettings

_DROPPED = 0.2
"""Of the neurons in a step of training."""
_UNSEEN = 0.1
"""Of the weights of attention in a step of training."""


class TorchNetwork(nn.Module):
    """A network in training; random numbers come from its own generator.

    Parameters
    ----------
    places
        Of the features.
    n_classes
        Number of classes.
    settings
        Its size.
    seed
        Of the first parameters, and of what is dropped in training.
    """

    def __init__(
        self, places: Places, n_classes: int, settings: AttentionSettings, seed: int
    ) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)
        self.heads, width = settings.heads, settings.width
        channels = [one.rows.shape[1] for one in places.series]
        self.embeddings = nn.ParameterList(self._normal(width, n + 1, n) for n in channels)
        self.gains = nn.ParameterList(torch.ones(width) for _ in channels)
        self.queries = nn.ParameterList(self._normal(self.heads, width, width) for _ in channels)
        self.positions = [torch.from_numpy(one.position(width)) for one in places.series]
        sizes = [width * len(channels) + len(places.static), *settings.hidden, n_classes]
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) for size in sizes[:-1])
        pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
        self.weights = nn.ParameterList(self._normal(out, n, n, 2**0.5) for out, n in pairs)
        self.constants = nn.ParameterList(torch.zeros(out) for out, _ in pairs)

    def forward(self, series: list[torch.Tensor], static: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes, shape ``(pixel, class)``.

        Parameters
        ----------
        series
            Of each group, shape ``(pixel, date, channel + 1)``, 1 in the last channel.
        static
            Shape ``(pixel, static feature)``.
        """
        answers = [self._attend(number, one) for number, one in enumerate(series)]
        out = self.norms[0](torch.cat([*answers, static], dim=1))
        last = len(self.weights) - 1
        for number, (weights, constants) in enumerate(
            zip(self.weights, self.constants, strict=True)
        ):
            out = torch.addmm(constants, out, weights.T)
            if number < last:
                out = self._thinned(torch.relu(self.norms[number + 1](out)), _DROPPED)
        return out

    def trained(self) -> Trained:
        """Return the parameters, normalisation of batches in the layers."""
        layers = []
        last = len(self.weights) - 1
        for number in range(last + 1):
            weights = _array(self.weights[number]).astype(np.float64)
            constants = _array(self.constants[number]).astype(np.float64)
            if number == 0:
                factor, offset = _of_norm(self.norms[0])
                constants = constants + weights @ offset
                weights = weights * factor
            if number < last:
                factor, offset = _of_norm(self.norms[number + 1])
                weights, constants = factor[:, None] * weights, factor * constants + offset
            layers.append((weights.astype(np.float32), constants.astype(np.float32)))
        return Trained(
            tuple(map(_array, self.embeddings)),
            tuple(map(_array, self.gains)),
            tuple(map(_array, self.queries)),
            tuple(layers),
        )

    def _attend(self, number: int, x: torch.Tensor) -> torch.Tensor:
        """Return the answers of all heads to a series, shape ``(pixel, width)``."""
        embedding, queries = self.embeddings[number], self.queries[number]
        position, n_dates = self.positions[number], x.shape[1]
        centred = embedding - embedding.mean(dim=0)
        weigh = self.gains[number][:, None] * centred
        spread = ((x @ (centred.T @ centred / len(centred))) * x).sum(dim=2)
        size = torch.rsqrt(spread.clamp(min=0) + EPSILON)[..., None]
        scores = (x @ (queries @ weigh).T) * size + position @ queries.T
        share = self._thinned(torch.softmax(scores, dim=1), _UNSEEN)
        sums = (share * size).transpose(1, 2) @ x  # pixel, head, channel
        by_head = weigh.view(self.heads, -1, x.shape[2])
        when = position.view(n_dates, self.heads, -1)
        answer = torch.einsum("phc,hkc->phk", sums, by_head)
        answer = answer + torch.einsum("pth,thk->phk", share, when)
        return answer.reshape(len(x), -1)

    def _thinned(self, values: torch.Tensor, share: float) -> torch.Tensor:
        """Return `values` with a share of them dropped in training; others grow in return."""
        if not self.training:
            return values
        kept = torch.rand(values.shape, generator=self.generator) >= share
        return values * kept / (1 - share)

    def _normal(self, n_out: int, n_in: int, fan: int, gain: float = 1.0) -> torch.Tensor:
        return torch.randn(n_out, n_in, generator=self.generator) * (gain / max(1, fan) ** 0.5)


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().numpy().copy()  # the parameters go on being trained


def _of_norm(norm: nn.Module) -> tuple[Any, Any]:
    """Return the factor and the offset that a normalisation of batches has in use."""
    mean, variance, gain, offset = (
        _array(one).astype(np.float64)
        for one in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    factor = gain / np.sqrt(variance + norm.eps)
    return factor, offset - factor * mean
