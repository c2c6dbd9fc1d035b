"""How much later or earlier a year is than another, with its uncertainty, without labels.

For each delay tried, target samples are moved back and compared with two views of the source:
the forest's predictions should be sure of each sample yet spread over the classes (information
maximisation: Bridle, Heading and MacKay 1991, Advances in Neural Information Processing
Systems 4; Krause, Perona and Gomes 2010, same series 23), and the samples should be likely
under Gaussians of the classes. Each alone was measured to fail badly at times; their sum with a
prior was not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oso_pipeline.adaptation.domains import Codes, Features, Floats, Trainer, shares_of
from oso_pipeline.learners.forest.forest import Forest

_INFORMATION_UNIT, _LIKELIHOOD_UNIT, _LIKELIHOOD_FLOOR = 0.05, 0.5, -3.0
_AXES, _TRIM = 12, 0.10
_EM_STEPS, _PULL = 15, 0.05
_LEAST_SHRINKAGE, _SAMPLES_PER_AXIS = 0.2, 2


@dataclass(frozen=True, eq=False)
class ShiftPosterior:
    """Delays of the target against the source, and how likely each is.

    Parameters
    ----------
    days
        Delays tried, ascending, float64.
    weight
        Probability of each; sums to 1.
    """

    days: Floats
    weight: Floats

    @property
    def mean(self) -> float:
        """Mean delay in days; positive where the target is later."""
        return float(self.days @ self.weight)

    @property
    def sd(self) -> float:
        """Standard deviation of the delay in days."""
        return float(np.sqrt(((self.days - self.mean) ** 2) @ self.weight))


def estimate_shift(
    forest: Forest, source: Features, codes: Codes, target: Features, trainer: Trainer
) -> ShiftPosterior:
    """Weigh all delays.

    Parameters
    ----------
    forest
        Trained on `source`.
    source, codes
        Samples of the past years and their classes.
    target
        Unlabelled samples.
    trainer
        Space of the series and options.
    """
    options, space = trainer.options, trainer.space
    most = options.max_shift_days // options.shift_step_days * options.shift_step_days
    days = np.arange(-most, most + 1, options.shift_step_days, dtype=np.float64)
    if len(space.days) == 1:
        return ShiftPosterior(np.zeros(1), np.ones(1))
    gaussians = ClassGaussians.of(source, codes)
    information, likelihood = np.empty(len(days)), np.empty(len(days))
    for number, delay in enumerate(days):
        moved = space.shift(target, -delay)
        information[number] = information_of(shares_of(forest, moved))
        likelihood[number] = gaussians.trimmed_likelihood(moved)
    relative = np.maximum(likelihood - likelihood.max(), _LIKELIHOOD_FLOOR)
    prior = days**2 / (2 * options.shift_prior_sd_days**2)
    score = information / _INFORMATION_UNIT + relative / _LIKELIHOOD_UNIT - prior
    weight = np.exp(score - score.max())
    return ShiftPosterior(days, weight / weight.sum())


def information_of(shares: Floats) -> float:
    """Return the entropy of the mean prediction minus the mean entropy, in nats."""
    mean = shares.mean(axis=0)
    return float(_entropy(mean) - _entropy(shares).mean())


def _entropy(shares: Floats) -> Floats:
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logarithms).sum(axis=-1)


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """A Gaussian per class on the leading principal axes of standardised features.

    Parameters
    ----------
    centre, axes
        Mean of the features, and what takes deviations to the axes, shapes ``(feature,)`` and
        ``(feature, axis)``.
    means
        Shape ``(class, axis)``.
    whiten
        Inverse Cholesky factors of the covariances, shape ``(class, axis, axis)``.
    log_norm
        Logarithm of the density at the mean, shape ``(class,)``.
    priors
        Shares of the classes in the source.
    """

    centre: Floats
    axes: Floats
    means: Floats
    whiten: Floats
    log_norm: Floats
    priors: Floats

    @classmethod
    def of(cls, features: Features, codes: Codes) -> ClassGaussians:
        """Fit the Gaussians; covariances shrink to the pooled one, wholly for rare classes."""
        values = features.astype(np.float64)
        centre, sd = values.mean(axis=0), values.std(axis=0)
        scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
        values = (values - centre) * scale
        _, vectors = np.linalg.eigh(values.T @ values)
        axes = scale[:, np.newaxis] * vectors[:, ::-1][:, :_AXES]
        places = (features.astype(np.float64) - centre) @ axes
        classes, label, counts = np.unique(codes, return_inverse=True, return_counts=True)
        n_axes = places.shape[1]
        means = np.stack([places[label == c].mean(axis=0) for c in range(len(classes))])
        inside = places - means[label]
        ridge = 1e-6 * np.eye(n_axes) * max(float(inside.var()), 1e-12)
        pooled = inside.T @ inside / len(inside) + ridge
        own = np.stack(
            [inside[label == c].T @ inside[label == c] / counts[c] for c in range(len(classes))]
        )
        shrunk = np.clip(_SAMPLES_PER_AXIS * n_axes / counts, _LEAST_SHRINKAGE, 1)[:, None, None]
        factors = np.linalg.cholesky((1 - shrunk) * own + shrunk * pooled)
        log_det = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        log_norm = -0.5 * (n_axes * np.log(2 * np.pi) + log_det)
        return cls(centre, axes, means, np.linalg.inv(factors), log_norm, counts / counts.sum())

    def log_densities(self, features: Features) -> Floats:
        """Return the logarithm of each class's density, shape ``(sample, class)``."""
        places = (features - self.centre) @ self.axes
        n_classes, n_axes = self.means.shape
        # All classes in one product: many small ones cost more than they compute.
        apart = places @ self.whiten.reshape(-1, n_axes).T
        apart -= np.einsum("cij,cj->ci", self.whiten, self.means).ravel()
        squares = (apart**2).reshape(len(places), n_classes, n_axes).sum(axis=2)
        return np.asarray(self.log_norm - 0.5 * squares)

    def trimmed_likelihood(self, features: Features) -> float:
        """Return the mean log-likelihood without the least likely tenth.

        The shares of the classes are those that fit these samples best, pulled to the source's.
        """
        densities = self.log_densities(features)
        highest = densities.max(axis=1, keepdims=True)
        relative = np.exp(densities - highest)
        priors = self.priors
        for _ in range(_EM_STEPS):
            belief = relative * priors
            belief /= belief.sum(axis=1, keepdims=True)
            priors = (1 - _PULL) * belief.mean(axis=0) + _PULL * self.priors
        each = np.sort(np.log(relative @ priors) + highest[:, 0])
        return float(each[int(_TRIM * len(each)) :].mean())
