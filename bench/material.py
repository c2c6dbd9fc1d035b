"""What the methods work on: pixels, samples and forests, made once and kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from bench import WORK, series
from bench.environments import own_versions
from bench.methods import otb, ours
from oso_pipeline.timeseries.features import block_features

_VERSION = 1
"""To be raised when this module makes other material of the same parameters."""


@dataclass(frozen=True)
class Size:
    """How much the bench works on.

    Parameters
    ----------
    side
        Rows of the block of pixels that are classified.
    samples
        Training pixels.
    trees
        Trees of a forest.
    leaves
        Least samples in a leaf, one forest each.
    block_leaves
        Those of them that whole blocks are classified with.
    rounds
        Rounds of each comparison.
    slow_pixels
        Pixels for peers that take milliseconds for each.
    points
        Pixels whose features are extracted one by one.
    """

    side: int = 256
    samples: int = 60_000
    trees: int = 100
    leaves: tuple[int, ...] = (25, 5, 1)
    block_leaves: tuple[int, ...] = (25, 5)
    rounds: int = 5
    slow_pixels: int = 4096
    points: int = 10_000

    @classmethod
    def quick(cls) -> Size:
        """Return a size that takes a minute or two on two cores."""
        small = cls(side=128, samples=6000, trees=20, leaves=(25, 1), block_leaves=(25,))
        return replace(small, rounds=3, slow_pixels=1024, points=1000)


@dataclass(frozen=True)
class Material:
    """Files that the methods read.

    Attributes
    ----------
    block
        Folder with the arrays of the block that is classified, as :func:`save_block` wrote.
    samples
        Folder with ``features.npy``, int16 ``(sample, feature)``, and ``labels.npy``.
    forests
        scikit-learn forests by their least samples in a leaf.
    otb
        OTB's forest with at least 25 samples in a leaf, None where OTB is not there.
    """

    size: Size
    block: Path
    samples: Path
    forests: dict[int, Path]
    otb: Path | None


def material(size: Size, say: Callable[[str], None], with_otb: bool) -> Material:
    """Return the material, made where it is not there yet."""
    block = save_block("block", size.side, seed=0)
    samples = _kept("samples", {"samples": size.samples}, lambda to: _save_samples(to, size))
    forests = {}
    for leaf in size.leaves:
        known = {"leaf": leaf, "trees": size.trees, "samples": size.samples}
        say(f"forest with min_samples_leaf {leaf}: {size.trees} trees, {size.samples} samples")
        folder = _kept("forest", known, lambda to, leaf=leaf: _save_forest(to, samples, leaf, size))
        forests[leaf] = folder / "forest.joblib"
    model = None
    if with_otb:
        say("forest of OTB, min_samples_leaf 25")
        known = {"otb": 25, "trees": size.trees, "samples": size.samples}
        folder = _kept("otb", known, lambda to: otb.train(to, samples, 25, size.trees))
        model = folder / "forest.otb"
    return Material(size, block, samples, forests, model)


def save_block(name: str, side: int, seed: int, n_dates: int = 40) -> Path:
    """Save the arrays of a block and its features; return their folder.

    ``fine``, ``coarse``, ``clear``, ``days``, ``truth`` as in :class:`bench.series.Scenes`;
    ``values`` int16 ``(time, band, pixel)``; ``features`` int16 ``(feature, pixel)``.
    """

    def write(folder: Path) -> None:
        scenes = series.simulate(side, n_dates, seed)
        features, _ = block_features(ours.series_of(scenes), ours.layout())
        arrays = {**vars(scenes), "values": scenes.values, "features": features}
        for field, array in arrays.items():
            np.save(folder / f"{field}.npy", array)

    return _kept(name, {"side": side, "dates": n_dates, "seed": seed}, write)


def _save_samples(folder: Path, size: Size) -> None:
    side = 2 * int(np.ceil((size.samples * 4) ** 0.5 / 2))
    scenes = series.simulate(side, seed=1)
    pick = np.sort(np.random.default_rng(2).choice(side * side, size.samples, replace=False))
    features, _ = block_features(ours.series_of(scenes), ours.layout(), pick)
    np.save(folder / "features.npy", np.ascontiguousarray(features.T))
    np.save(folder / "labels.npy", series.mislabelled(scenes.truth[pick], seed=3))


def _save_forest(folder: Path, samples: Path, leaf: int, size: Size) -> None:
    forest = new_forest(leaf, size.trees, n_jobs=-1)
    features = np.load(samples / "features.npy").astype(np.float32)
    joblib.dump(forest.fit(features, np.load(samples / "labels.npy")), folder / "forest.joblib")


def new_forest(leaf: int, trees: int, n_jobs: int = 1) -> RandomForestClassifier:
    """Return an unfitted scikit-learn forest with the parameters of all methods."""
    return RandomForestClassifier(
        n_estimators=trees, max_depth=25, min_samples_leaf=leaf, random_state=0, n_jobs=n_jobs
    )


def _kept(name: str, known: dict[str, Any], write: Callable[[Path], None]) -> Path:
    """Return the folder that `write` filled; filled again when anything it depends on changes."""
    code = Path(series.__file__).read_text(encoding="utf-8")
    identity = json.dumps([known, own_versions(), code, _VERSION], sort_keys=True)
    folder = WORK / "data" / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    if not folder.exists():
        making = folder.with_name(f".{folder.name}")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        write(making)
        making.rename(folder)
    return folder
