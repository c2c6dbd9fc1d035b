"""Trains a peer and predicts held-out samples: ``python peer_process.py KIND IN.npz OUT.npz``.

Runs in the environment of the peer, so it imports nothing of the project. In: ``train`` and
``test`` (int16, shape ``(sample, feature)``), ``codes`` (of ``train``), ``shape`` (dates, bands;
the features begin with the bands of each date), ``seed``. Out: ``classes``, ``probabilities``,
``train_seconds``, ``pixel_seconds``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

_STEPS = 1500
"""Training steps of the network at least: 20 passes over a few hundred samples are too few."""
_EPOCHS, _BATCH, _FILTERS, _DENSE = 20, 64, 64, 256
"""As published: Pelletier, Webb and Petitjean (2019), Remote Sensing 11(5), 523."""
Predict = Callable[[np.ndarray], np.ndarray]


def forest(given: dict[str, np.ndarray]) -> Predict:
    """Random forest of scikit-learn, 100 trees, otherwise defaults."""
    from sklearn.ensemble import RandomForestClassifier

    return fitted(RandomForestClassifier(100, random_state=int(given["seed"]) % 2**31), given)


def extra_trees(given: dict[str, np.ndarray]) -> Predict:
    """Extremely randomised trees of scikit-learn, 100 trees, otherwise defaults."""
    from sklearn.ensemble import ExtraTreesClassifier

    return fitted(ExtraTreesClassifier(100, random_state=int(given["seed"]) % 2**31), given)


def lightgbm(given: dict[str, np.ndarray]) -> Predict:
    """Gradient boosting of LightGBM, defaults."""
    from lightgbm import LGBMClassifier

    seed = int(given["seed"]) % 2**31
    return fitted(LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1), given)


def fitted(model: object, given: dict[str, np.ndarray]) -> Predict:
    """Train a model of scikit-learn's form."""
    model.fit(given["train"].astype(np.float32), given["codes"])
    return lambda features: model.predict_proba(features.astype(np.float32))


def tempcnn(given: dict[str, np.ndarray]) -> Predict:
    """TempCNN: three convolutions in time, a dense layer; Adam, last pass taken."""
    import torch
    from torch import nn

    torch.manual_seed(int(given["seed"]) % 2**31)
    torch.set_num_threads(1)
    n_dates, n_bands = (int(n) for n in given["shape"])
    n_classes = len(np.unique(given["codes"]))

    def series(features: np.ndarray) -> np.ndarray:
        values = features[:, : n_dates * n_bands].reshape(-1, n_dates, n_bands)
        return values.astype(np.float32).transpose(0, 2, 1)

    low, high = np.percentile(series(given["train"]), [2, 98], axis=(0, 2), keepdims=True)

    def tensor(features: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(((series(features) - low) / (high - low + 1e-6)).astype("f4"))

    layers: list[nn.Module] = []
    for entering in (n_bands, _FILTERS, _FILTERS):
        layers += [nn.Conv1d(entering, _FILTERS, 5, padding=2), nn.BatchNorm1d(_FILTERS)]
        layers += [nn.ReLU(), nn.Dropout(0.5)]
    layers += [nn.Flatten(), nn.Linear(_FILTERS * n_dates, _DENSE), nn.BatchNorm1d(_DENSE)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.5), nn.Linear(_DENSE, n_classes))
    x = tensor(given["train"])
    y = torch.from_numpy(np.unique(given["codes"], return_inverse=True)[1])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    loss = nn.CrossEntropyLoss()
    per_epoch = max(1, len(x) // _BATCH)
    for _ in range(max(_EPOCHS, -(-_STEPS // per_epoch))):
        for rows in torch.randperm(len(x))[: per_epoch * _BATCH].reshape(per_epoch, -1):
            optimiser.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimiser.step()
    model.eval()

    def predict(features: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.softmax(model(tensor(features)), 1).numpy()

    return predict


KINDS = {"forest": forest, "extra trees": extra_trees, "lightgbm": lightgbm, "tempcnn": tempcnn}


def main() -> None:
    """Train, predict, and time both."""
    kind, source, target = sys.argv[1:]
    with np.load(source) as file:
        given = {name: file[name] for name in file.files}
    started = time.perf_counter()
    predict = KINDS[kind](given)
    train_seconds = time.perf_counter() - started
    block = given["test"][np.resize(np.arange(len(given["test"])), 4096)]
    times = []
    for _ in range(2):
        started = time.perf_counter()
        predict(block)
        times.append(time.perf_counter() - started)
    np.savez(
        target,
        classes=np.unique(given["codes"]).astype(np.int32),
        probabilities=predict(given["test"]),
        train_seconds=train_seconds,
        pixel_seconds=min(times) / len(block),
    )


if __name__ == "__main__":
    main()
