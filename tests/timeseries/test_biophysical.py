"""Networks for leaf area, FAPAR and green cover: published cases, and plain NumPy beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.plain_biophysical import cells, numbers, plain_flags, plain_output

from oso_pipeline.imagery.angles import BANDS_OF_NETWORKS, Angles
from oso_pipeline.timeseries.biophysical import (
    FLAGS,
    INPUT_BANDS,
    SCALES,
    block_biophysical,
    estimate,
    network_output,
)
from oso_pipeline.timeseries.series import BlockSeries

CASES = Path(__file__).parent / "data"
NODATA = -10_000
COSINES = np.array([0.98, 0.62, -0.4])


def trained(n: int, seed: int = 3) -> npt.NDArray[np.int16]:
    """Return reflectances ``(8, n)`` of cells for which the networks were trained, and near."""
    rng, read = np.random.default_rng(seed), numbers()
    low, high = np.array(read["domain_minimum"]), np.array(read["domain_maximum"])
    listed = cells()
    picked = listed[rng.integers(0, len(listed), n)] - 1 + rng.random((n, 8))
    picked += np.where(rng.random((n, 8)) < 0.02, rng.normal(0, 3, (n, 8)), 0)
    return np.ascontiguousarray((1e4 * (low + picked / 10 * (high - low))).T.round(), np.int16)


def test_the_bands_are_those_of_the_published_inputs() -> None:
    assert numbers()["inputs"][:8] == list(INPUT_BANDS) == list(BANDS_OF_NETWORKS)


@pytest.mark.parametrize(("variable", "most"), [("LAI", 1e-3), ("FAPAR", 0.01)])
def test_the_published_cases_are_met(variable: str, most: float) -> None:
    cases = np.loadtxt(CASES / f"{variable.lower()}_test_cases.csv", delimiter=",")
    expected = cases[:, 11]
    found = np.array(
        [network_output(variable, np.float32(c[:8, None] * 1e4), c[8:11])[0] for c in cases]
    )
    known = np.isfinite(expected)
    assert known.sum() > 50
    assert np.abs(found - expected)[known].max() <= most
    # The published FAPAR is NaN exactly where the output is greater than its limit.
    assert (found[~known] > numbers()["networks"][variable]["greatest"]).all()


@pytest.mark.parametrize("variable", SCALES)
def test_values_and_flags_are_those_of_plain_numpy(variable: str) -> None:
    reflectance = trained(3_000)
    values, flags = estimate(variable, reflectance, COSINES)
    inputs = np.vstack([reflectance * 1e-4, np.repeat(COSINES[:, None], 3_000, 1)])
    net = numbers()["networks"][variable]
    physical = np.clip(plain_output(variable, inputs), net["least"], net["greatest"])
    assert values.dtype == np.int16
    assert flags.dtype == np.uint8
    # Half a stored unit, and what float32 leaves of it.
    assert np.abs(values * SCALES[variable] - physical).max() <= 0.5 * SCALES[variable] + 2e-5
    expected = plain_flags(variable, reflectance, COSINES)
    assert (flags == expected).mean() > 0.999  # outputs within 1e-5 of a limit fall to either side
    assert ((flags & 1) == (expected & 1)).all()
    assert 0.03 < (flags & 1).mean() < 0.5
    np.testing.assert_allclose(
        network_output(variable, reflectance, COSINES), plain_output(variable, inputs), atol=2e-5
    )


def test_every_reflectance_falls_into_the_bin_of_float64() -> None:
    """A grey pixel is inside where all its bins are listed; each end of each bin is tried."""
    read = numbers()
    low, high = np.array(read["domain_minimum"]), np.array(read["domain_maximum"])
    edges = 1e4 * (low + np.arange(11)[:, None] / 10 * (high - low))
    tried = np.unique(np.concatenate([np.floor(edges) - 1, np.floor(edges), np.ceil(edges) + 1]))
    base = ((cells()[::900] - 0.5) / 10 * (high - low) + low) * 1e4
    pixels = np.repeat(base.round()[:, None], 8 * len(tried), 1)
    for band in range(8):
        pixels[:, band * len(tried) : (band + 1) * len(tried), band] = tried
    reflectance = np.ascontiguousarray(pixels.reshape(-1, 8).T, np.int16)
    found = estimate("LAI", reflectance, COSINES)[1] & 1
    assert (found == (plain_flags("LAI", reflectance, COSINES) & 1)).all()
    assert 0.05 < found.mean() < 0.95


def test_outputs_outside_the_limits_are_set_to_them_and_said() -> None:
    reflectance = trained(20_000)
    seen = set()
    for variable in SCALES:
        net = numbers()["networks"][variable]
        values, flags = estimate(variable, reflectance, COSINES)
        for name, end in (("low", "least"), ("minimum", "least"), ("maximum", "greatest")):
            bit = next(bit for meaning, bit in FLAGS.items() if meaning.endswith(name))
            hit = (flags & bit) != 0
            seen |= {name} if hit.any() else set()
            assert np.allclose(values[hit] * SCALES[variable], net[end])
    assert seen == {"low", "minimum", "maximum"}


def test_no_data_stays_no_data() -> None:
    reflectance = trained(5)
    reflectance[3, 2] = NODATA
    values, flags = estimate("FCOVER", reflectance, COSINES)
    assert (values == NODATA).tolist() == [False, False, True, False, False]
    assert flags[2] == 0
    assert [len(one) for one in estimate("LAI", np.empty((8, 0), np.int16), COSINES)] == [0, 0]


@pytest.mark.parametrize(
    ("variable", "reflectance", "said"),
    [
        ("NDVI", np.zeros((8, 3), np.int16), "no network estimates 'NDVI'"),
        ("LAI", np.zeros((7, 3), np.int16), "shape"),
        ("LAI", np.zeros((8, 3), np.float64), "int16"),
    ],
)
def test_other_input_is_refused(variable: str, reflectance: npt.NDArray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate(variable, reflectance, COSINES)


BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
FINE = ("B2", "B3", "B4", "B8")
SUMMER = Angles(30.0, 150.0, 4.0, 280.0)
WINTER = Angles(68.0, 165.0, 9.0, 100.0)


def block(shape: tuple[int, int] = (5, 7), n: int = 3) -> BlockSeries:
    rng = np.random.default_rng(5)
    half = -(-shape[0] // 2) * -(-shape[1] // 2)
    fine = rng.integers(200, 3_000, (n, len(FINE), shape[0] * shape[1])).astype(np.int16)
    coarse = rng.integers(200, 3_000, (n, len(BANDS) - len(FINE), half)).astype(np.int16)
    slots, counts = [], [0, 0]
    for band in BANDS:
        is_fine = band in FINE
        slots.append(counts[0] if is_fine else -1 - counts[1])
        counts[not is_fine] += 1
    clear = (rng.random((n, shape[0] * shape[1])) < 0.85).astype(np.uint8)
    clear[-1] = 0
    days = np.arange(n, dtype=np.int32) * 5
    return BlockSeries(shape, fine, coarse, np.array(slots, np.int32), clear, days)


@pytest.mark.parametrize("resolution_m", [10, 20])
@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (5, 6), (1, 1)])
def test_each_image_has_its_own_angles(shape: tuple[int, int], resolution_m: int) -> None:
    series, angles = block(shape), [SUMMER, WINTER, SUMMER]
    values, clear, flags = block_biophysical(series, BANDS, "LAI", angles, resolution_m)
    step = resolution_m // 10
    full = series.take(np.arange(shape[0] * shape[1]))[0].reshape(3, len(BANDS), *shape)
    seen = series.clear.reshape(3, *shape)
    places = [
        (slice(r, r + step), slice(c, c + step))
        for r in range(0, shape[0], step)
        for c in range(0, shape[1], step)
    ]
    assert values.shape == clear.shape == flags.shape == (3, len(places))
    for image, of_image in enumerate(angles):
        for p, (rows, columns) in enumerate(places):
            is_clear = bool(seen[image, rows, columns].all())
            assert clear[image, p] == is_clear
            if not is_clear:
                assert (values[image, p], flags[image, p]) == (NODATA, 0)
                continue
            pixel = [full[image, BANDS.index(b), rows, columns].mean().round() for b in INPUT_BANDS]
            column = np.array(pixel, np.int16)[:, None]
            expected = estimate("LAI", column, of_image.cosines)
            assert (values[image, p], flags[image, p]) == (expected[0][0], expected[1][0])


def test_angles_count() -> None:
    cosines = Angles(60.0, 10.0, 0.0, 190.0).cosines
    np.testing.assert_allclose(cosines, [1.0, 0.5, -1.0], atol=1e-12)
    series = block((4, 6))
    low = block_biophysical(series, BANDS, "LAI", [SUMMER] * 3)[0]
    high = block_biophysical(series, BANDS, "LAI", [WINTER] * 3)[0]
    assert (low[:2] != high[:2]).any()


def test_what_a_block_lacks_is_said() -> None:
    series = block((2, 2))
    with pytest.raises(ValueError, match="needs the bands B6"):
        block_biophysical(series, tuple(b.replace("B6", "B9") for b in BANDS), "LAI", [SUMMER] * 3)
    with pytest.raises(ValueError, match="3 images need as many angles, got 1"):
        block_biophysical(series, BANDS, "LAI", [SUMMER])
    with pytest.raises(ValueError, match="10 or 20"):
        block_biophysical(series, BANDS, "LAI", [SUMMER] * 3, 60)
    assert replace(series, products=("a", "b", "c")).products == ("a", "b", "c")
