"""Conformance checks of learners, for any package that brings one.

In the tests of a package that offers a learner of kind ``centroid``::

    import pytest
    from oso_pipeline.learners.conformance import CHECKS, Subject

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(Subject("centroid"))

A check raises `ConformanceError`, which says what was promised and what was found.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt
from distributed.protocol.pickle import dumps, loads
from pydantic import ValidationError

from oso_pipeline.core.nomenclature import NODATA_CODE
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.learners.protocol import (
    Arrays,
    BlockPixels,
    Classifier,
    Extent,
    Learner,
    TrainingData,
    hands_out_shares,
    has_kernel,
)
from oso_pipeline.learners.registry import late_settings, learner_of
from oso_pipeline.learners.staged import classify_staged, staged_shares
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.series import BlockSeries

CODES = (3, 11, 211)
"""Classes of the pixels that learners are tried on."""
_DATES = tuple(date(2018, 1, 1) + timedelta(days=10 * step) for step in range(6))
LAYOUT = FeatureLayout.optical(("B4", "B8"), _DATES, ("NDVI",))
"""Features of these pixels."""


class ConformanceError(AssertionError):
    """A learner does not keep what it promises."""


@dataclass(frozen=True)
class Subject:
    """The learner under test.

    Parameters
    ----------
    kind
        Its kind; the package that offers it is installed.
    settings
        Keys of the section ``learning`` to try it with, besides the defaults.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def learner(self) -> Learner:
        """The learner."""
        return learner_of(self.kind)

    @cached_property
    def chosen(self) -> Any:
        """The settings as an object."""
        return plugin_of("learners", self.kind).settings(**self.settings)

    @cached_property
    def data(self) -> TrainingData:
        """Training pixels of three well separated classes."""
        features, codes = pixels(300, seed=0)
        return TrainingData(np.ascontiguousarray(features.T), codes, LAYOUT)

    @cached_property
    def made(self) -> Classifier:
        """The classifier, as a map is made with it."""
        made = self.learner.fit(self.data, self.chosen, seed=1)
        return made.with_settings(late_settings(self.chosen))


def pixels(number: int, seed: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return features, int16 of shape ``(feature, pixel)``, and classes of simulated pixels."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(np.array(CODES, np.int32), number)
    level = 1500 * (1 + np.searchsorted(CODES, codes))
    noise = rng.normal(0, 120, (LAYOUT.size, number))
    return np.clip(level + noise, -10_000, 32_767).astype(np.int16), codes


def promise(kept: object, words: str) -> None:
    """Raise ConformanceError with `words` unless it is kept."""
    if not kept:
        raise ConformanceError(words)


def settings_are_a_section(subject: Subject) -> None:
    """Check that settings have defaults and survive JSON and the way to a worker."""
    model = plugin_of("learners", subject.kind).settings
    content = subject.chosen.model_dump(mode="json")
    promise(model(**json.loads(json.dumps(content))) == subject.chosen, "JSON changes settings")
    promise(loads(dumps(subject.chosen)) == subject.chosen, "a way to a worker changes settings")
    try:
        model(**{**content, "no_such_key": 1})
    except ValidationError:
        pass
    else:
        raise ConformanceError("settings take unknown keys; derive them from LearnerSettings")
    unknown = sorted(subject.learner.late_settings - set(model.model_fields))
    promise(not unknown, f"late_settings names what is not a setting: {', '.join(unknown)}")


def what_is_plain_is_learnt(subject: Subject) -> None:
    """Check that classes separated by ten times the noise are predicted correctly on new pixels."""
    made = subject.made
    promise(made.classes.tolist() == sorted(CODES), f"classes are {made.classes}, not {CODES}")
    features, codes = pixels(200, seed=5)
    found, _ = made.classify(features, np.ones(200, np.uint16))
    right = float((found == codes).mean())
    promise(right > 0.95, f"only {100 * right:.0f} % of plain pixels are right")


def equal_arguments_make_equal_arrays(subject: Subject) -> None:
    """Check that neither threads nor repetition change a classifier."""
    first = subject.made.arrays()
    for threads in (1, 3):
        again = subject.learner.fit(subject.data, subject.chosen, seed=1, threads=threads)
        promise(_equal(first, again.arrays()), f"trained again with {threads} threads it differs")


def weights_are_taken(subject: Subject) -> None:
    """Check that equal weights are accepted; the effect of other weights is up to the learner."""
    data = subject.data
    weighted = TrainingData(data.features, data.codes, LAYOUT, np.ones(len(data.codes)))
    made = subject.learner.fit(weighted, subject.chosen, seed=1)
    promise(made.classes.tolist() == sorted(CODES), "with weights, classes get lost")


def probabilities_sum_to_one(subject: Subject) -> None:
    """Check that probabilities are float64 from 0 to 1, one row per class, 1 in sum."""
    features, _ = pixels(50, seed=6)
    found = subject.made.probabilities(features)
    expected = (len(CODES), 50)
    promise(found.shape == expected, f"probabilities have shape {found.shape}, not {expected}")
    promise(found.dtype == np.float64, f"probabilities are {found.dtype}")
    promise(np.isfinite(found).all() and (found >= 0).all(), "a probability is negative or NaN")
    promise(np.allclose(found.sum(axis=0), 1, atol=1e-6), "probabilities do not sum to 1")


def class_and_confidence_follow(subject: Subject) -> None:
    """Check that the class is the most probable one, confidence its percentage, else 0."""
    features, _ = pixels(60, seed=7)
    validity = np.arange(60, dtype=np.uint16) % 4
    code, confidence = subject.made.classify(features, validity)
    promise(code.dtype == np.uint16, f"class is {code.dtype}, not uint16")
    promise(confidence.dtype == np.uint8, f"confidence is {confidence.dtype}, not uint8")
    never = validity == 0
    promise((code[never] == NODATA_CODE).all(), "a pixel without a clear date has a class")
    promise((confidence[never] == 0).all(), "a pixel without a clear date has a confidence")
    shares = subject.made.probabilities(features)[:, ~never]
    row = np.searchsorted(subject.made.classes, code[~never])
    own = np.take_along_axis(shares, row[None], axis=0)[0]
    promise((own >= shares.max(axis=0) - 1e-6).all(), "a class is not the most probable one")
    promise((np.abs(100 * own - confidence[~never]) <= 0.51).all(), "confidence is another number")


def other_features_are_refused(subject: Subject) -> None:
    """Check that features of another type or form are a ValueError, not a guess."""
    features, _ = pixels(4, seed=8)
    for wrong in (features.astype(np.float32), features[0]):
        try:
            subject.made.probabilities(wrong)  # type: ignore[arg-type]
        except ValueError:
            continue
        raise ConformanceError(f"features {wrong.dtype} of shape {wrong.shape} are accepted")


def arrays_are_all_there_is(subject: Subject) -> None:
    """Check that the arrays, written and read back, give the same answers."""
    stored = _stored(subject.made.arrays())
    made = type(subject.made).from_arrays(stored, LAYOUT)
    made = made.with_settings(late_settings(subject.chosen))
    features, _ = pixels(80, seed=9)
    first, second = (one.probabilities(features) for one in (subject.made, made))
    promise(np.array_equal(first, second), "read back from its arrays it gives other probabilities")
    promise(json.dumps(dict(made.facts)), "facts are not JSON")


def altered_arrays_are_refused(subject: Subject) -> None:
    """Check that an array missing, cut, of another type or not finite is a ValueError."""
    arrays = _stored(subject.made.arrays())
    for name, array in arrays.items():
        altered: dict[str, npt.NDArray[Any] | None] = {
            "missing": None,
            "cut": array[:-1] if array.ndim else np.zeros(2, array.dtype),
            "of complex numbers": array.astype(np.complex128),
        }
        if array.dtype.kind == "f":
            altered["not finite"] = np.full_like(array, np.nan)
        for what, other in altered.items():
            rest = {key: value for key, value in arrays.items() if key != name}
            changed = rest if other is None else {**rest, name: other}
            try:
                type(subject.made).from_arrays(changed, LAYOUT)
            except ValueError:
                continue
            raise ConformanceError(f"from_arrays accepts {name!r} {what}")


def blocks_agree_with_features(subject: Subject) -> None:
    """Check that a block from its images has the classes of its features, label by label."""
    rng = np.random.default_rng(2)
    n_days, n_pixels = 5, 333
    values = rng.integers(0, 6000, (n_days, 2, n_pixels)).astype(np.int16)
    clear = (rng.random((n_days, n_pixels)) < 0.4).view(np.uint8)
    days = LAYOUT.series.days[0] + np.arange(0, 10 * n_days, 10, dtype=np.int32)
    wanted = rng.permutation(n_pixels)[:250]
    labels = rng.choice([0, 4, 9], len(wanted))
    block = BlockPixels(BlockSeries.of(values, clear, days), LAYOUT, wanted, labels)
    other = another_of(subject, seed=4)
    runs = [{0: subject.made, 4: other}, {4: subject.made}]
    expected = classify_staged(block, runs)
    promise((expected[:, 0] > 0).any(), "no pixel of a block gets a class")
    made: type[Classifier] = type(subject.made)
    if has_kernel(made):
        found = made.classify_block(block, runs)  # type: ignore[arg-type]
        promise(np.array_equal(found, expected), "classify_block and classify differ")
    if hands_out_shares(subject.made):
        layers, shares = subject.made.block_shares(block)
        same_layers, same_shares = staged_shares(block, subject.made)
        promise(np.array_equal(layers, same_layers), "block_shares and classify differ")
        close = np.allclose(shares, same_shares, rtol=0, atol=1e-6)
        promise(close, "block_shares and probabilities differ")


def needs_are_numbers(subject: Subject) -> None:
    """Check that what training and classifying take is finite and not negative."""
    for extent in (Extent(468, 23, 230_000), Extent(LAYOUT.size, 3, 300)):
        for need in (
            subject.learner.training_need(extent, subject.chosen),
            subject.learner.classifying_need(extent, subject.chosen),
        ):
            for number in (need.seconds, need.fixed_bytes, need.pixel_bytes, need.disk_bytes):
                promise(math.isfinite(number) and number >= 0, f"{need} is not an estimate")


def software_is_installed(subject: Subject) -> None:
    """Check that the model file can record the version of what made the model."""
    for name in subject.learner.software(subject.chosen):
        try:
            version(name)
        except PackageNotFoundError:
            raise ConformanceError(f"software names {name!r}, which is not installed") from None


CHECKS: tuple[Callable[[Subject], None], ...] = (
    settings_are_a_section,
    what_is_plain_is_learnt,
    equal_arguments_make_equal_arrays,
    weights_are_taken,
    probabilities_sum_to_one,
    class_and_confidence_follow,
    other_features_are_refused,
    arrays_are_all_there_is,
    altered_arrays_are_refused,
    blocks_agree_with_features,
    needs_are_numbers,
    software_is_installed,
)
"""All checks."""


def another_of(subject: Subject, seed: int) -> Classifier:
    """Return another classifier of the same learner."""
    features, codes = pixels(200, seed)
    data = TrainingData(np.ascontiguousarray(features.T), codes, LAYOUT)
    made = subject.learner.fit(data, subject.chosen, seed)
    return made.with_settings(late_settings(subject.chosen))


def _stored(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Return arrays as they come back from a model file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _equal(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)
