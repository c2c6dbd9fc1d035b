"""Whittaker and Savitzky-Golay against SciPy, and what they promise for odd pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import spsolve

from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.timeseries.smoothing import check_window, savitzky_golay, whittaker

GRID = np.arange(0, 370, 10, dtype=np.int32)


def eilers(values: np.ndarray, weights: np.ndarray, smoothness: float) -> np.ndarray:
    """Eilers 2003: (W + lambda D'D) z = W y, D of second differences, on a regular grid."""
    n = len(values)
    roughness = csc_matrix(np.diff(np.eye(n), 2, axis=0))
    matrix = diags(weights) + smoothness * roughness.T @ roughness
    return spsolve(csc_matrix(matrix), weights * values)


def observations(n_pixels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, (len(GRID), n_pixels)).astype(np.float32)
    weights = rng.choice([0, 0.3, 1], (len(GRID), n_pixels)).astype(np.float32)
    weights[0] = weights[-1] = 1  # the oracle goes on beyond the last clear date, ours does not
    return values, weights


@pytest.mark.parametrize("smoothness", [1.0, 100.0])
def test_whittaker_on_the_grid_is_the_sparse_solution(smoothness: float) -> None:
    values, weights = observations(70, seed=1)  # more than a chunk of pixels
    smooth = whittaker(values, weights, GRID, smoothness)
    for p in (0, 33, 63, 64, 69):
        np.testing.assert_allclose(
            smooth[:, p], eilers(values[:, p], weights[:, p], smoothness), atol=1e-6
        )


def test_smoothness_does_not_depend_on_the_step() -> None:
    """On a grid of 5 days Eilers' lambda is 8 times as large for the same roughness per day."""
    values, weights = observations(1, seed=2)
    smooth = whittaker(values, weights, GRID // 2, 10.0)
    np.testing.assert_allclose(smooth[:, 0], eilers(values[:, 0], weights[:, 0], 80.0), atol=1e-6)


def test_whittaker_on_irregular_days_is_the_least_of_its_sum() -> None:
    """Independent of bands and factors: the full matrix of the penalty as documented."""
    rng = np.random.default_rng(3)
    days = np.sort(rng.integers(0, 300, 25)).astype(np.int32)  # some days occur twice
    wanted = np.arange(days[0], days[-1], 7, dtype=np.int32)
    values, weights = rng.uniform(0, 1, (2, 25, 3)).astype(np.float32)
    nodes = np.union1d(days, wanted)
    at = np.searchsorted(nodes, days)
    steps = np.diff(nodes) / 10
    penalty = np.zeros((len(nodes), len(nodes)))
    for i in range(1, len(nodes) - 1):
        h, k = steps[i - 1], steps[i]
        second = np.zeros(len(nodes))
        second[i - 1 : i + 2] = 2 / (h + k) * np.array([1 / h, -1 / k - 1 / h, 1 / k])
        penalty += np.outer(second, second) * (h + k) / 2
    for p in range(3):
        matrix, right = 5.0 * penalty, np.zeros(len(nodes))
        np.add.at(matrix, (at, at), weights[:, p])
        np.add.at(right, at, weights[:, p] * values[:, p])
        expected = np.linalg.solve(matrix, right)[np.searchsorted(nodes, wanted)]
        made = whittaker(values, weights, days, 5.0, wanted)[:, p]
        np.testing.assert_allclose(made, expected, atol=1e-5)


def test_whittaker_of_few_clear_dates() -> None:
    values = np.full((37, 5), 0.5, np.float32)
    values[20] = 0.7
    weights = np.zeros((37, 5), np.float32)
    weights[20, 1] = 1  # one clear date: constant
    weights[[10, 20], 2] = 1  # two: a line between them, constant outside
    weights[:, 3] = 1
    values[:, 3] = np.nan  # clear, but without a number
    weights[:, 4] = 1
    values[:, 4] = 0.25  # constant
    smooth = whittaker(values, weights, GRID, 100.0)
    assert np.isnan(smooth[:, [0, 3]]).all()
    np.testing.assert_allclose(smooth[:, 1], 0.7, atol=1e-6)
    line = np.interp(np.arange(37), [10, 20], [0.5, 0.7])
    np.testing.assert_allclose(smooth[:, 2], line, atol=1e-5)
    np.testing.assert_allclose(smooth[:, 4], 0.25, atol=1e-6)


def test_whittaker_without_any_image() -> None:
    nothing = np.empty((0, 3), np.float32)
    assert np.isnan(whittaker(nothing, nothing, GRID[:0], 1.0, GRID)).all()


def test_whittaker_refuses() -> None:
    values = np.zeros((2, 1), np.float32)
    with pytest.raises(InputDataError, match="E-SERIES-TIME"):
        whittaker(values, values, np.array([10, 0], np.int32), 1.0)
    with pytest.raises(ValueError, match="smoothness"):
        whittaker(values, values, GRID[:2], 0.0)
    with pytest.raises(ValueError, match="do not fit"):
        whittaker(values, values, GRID, 1.0)


@pytest.mark.parametrize(("window", "order"), [(7, 2), (5, 0), (11, 4), (37, 3)])
def test_savitzky_golay_is_that_of_scipy(window: int, order: int) -> None:
    values = observations(5, seed=4)[0]
    expected = savgol_filter(values.astype(float), window, order, axis=0)
    np.testing.assert_allclose(savitzky_golay(values, window, order), expected, atol=1e-5)


def test_savitzky_golay_keeps_pixels_apart() -> None:
    values = np.full((37, 3), 0.5, np.float32)
    values[:, 1] = np.nan
    smooth = savitzky_golay(values, 7, 2)
    assert np.isnan(smooth[:, 1]).all()
    np.testing.assert_allclose(smooth[:, [0, 2]], 0.5, atol=1e-6)


@pytest.mark.parametrize(("window", "order"), [(6, 2), (3, 3), (39, 2)])
def test_a_window_that_does_not_fit_is_refused(window: int, order: int) -> None:
    with pytest.raises(ConfigError, match="E-SERIES-WINDOW"):
        check_window(37, window, order)
