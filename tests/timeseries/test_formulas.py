"""Indices that are defined by formulas, in the block kernel: against NumPy and Python's grammar."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files

import numpy as np
import pytest

from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.formulas import stored
from oso_pipeline.core.index_catalogue import catalogue_index, catalogue_names, catalogue_title
from oso_pipeline.core.indices import INDICES, Index
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.timeseries import plain_numpy as reference
from oso_pipeline.timeseries.feature_cost import feature_seconds
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.series import BlockSeries

DATES = date(2018, 3, 15), date(2018, 4, 1), date(2018, 4, 11)
OWN = (
    Index.defined("EVI", "2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)"),
    Index.defined("vegetation", INDICES["NDVI"].formula),
    Index.defined("water", INDICES["NDWI"].formula),
    Index.defined("bright", "sqrt(" + " + ".join(f"B{n} ** 2" for n in (2, 3, 4)) + ")", 10_000),
    Index.defined("odd", "min(log(red), -exp(nir - 2)) + abs(blue - 0.1) ** -1.5", 100),
    Index.defined("constants", "3 * (1 - 2) + nir * 0 + max(0.25, red)"),
    Index.defined("power", "(nir - 0.2) ** (red * 3) + (nir - red) ** 7 + nir ** 0"),
)


def block(n_pixels: int, low: int, high: int) -> BlockSeries:
    numbers = np.random.default_rng(n_pixels)
    values = numbers.integers(low, high, (4, 10, n_pixels)).astype(np.int16)
    clear = numbers.random((4, n_pixels)) < 0.7
    return BlockSeries.of(values, clear, np.array([17_590, 17_605, 17_620, 17_640], np.int32))


def compared(series: BlockSeries, layout: FeatureLayout) -> dict[str, np.ndarray]:
    """Return the features by name after a comparison with the definition."""
    values, clear = series.take(np.arange(series.clear.shape[1]))
    plain = reference.block_features(values, clear, series.days, layout)
    found = block_features(series, layout)
    for fast, slow in zip(found, plain, strict=True):
        np.testing.assert_array_equal(fast, slow)
    return dict(zip(layout.names, found[0], strict=True))


@pytest.mark.parametrize(
    ("n_pixels", "low", "high"),
    [(CHUNK + 3, 0, 6000), (CHUNK, -10_000, 32_767), (5, -3, 4)],
)
def test_the_kernel_gives_the_integers_of_numpy(n_pixels: int, low: int, high: int) -> None:
    names = ("NDVI", "EVI", "NDWI", *(one.name for one in OWN if one.name != "EVI"))
    layout = FeatureLayout.optical(SENTINEL2.names, DATES, names, ("relative",), OWN)
    rows = compared(block(n_pixels, low, high), layout)
    for own, known in (("vegetation", "NDVI"), ("water", "NDWI")):
        for day in DATES:  # the built-in ones, integer by integer
            np.testing.assert_array_equal(
                rows[f"{own}_{day:%Y%m%d}"], rows[f"{known}_{day:%Y%m%d}"]
            )


def test_every_formula_of_the_catalogue_is_what_the_catalogue_says() -> None:
    """The text of the catalogue by Python's own grammar; nothing of this project reads it."""
    content = json.loads(files("oso_pipeline.core").joinpath("index_catalogue.json").read_text())
    own = tuple(catalogue_index(name) for name in catalogue_names())
    assert len(own) >= 200
    layout = FeatureLayout.optical(
        SENTINEL2.names, DATES[:1], tuple(one.name for one in own), (), own
    )
    rows = compared(block(CHUNK + 40, 1, 7000), layout)
    wavelengths = {band.common_name: band.wavelength_nm for band in SENTINEL2.bands}
    known = {
        **{
            symbol: rows[f"{SENTINEL2.named(b)}_20180315"] * 1e-4
            for symbol, b in content["bands"].items()
        },
        **{symbol: wavelengths[b] for symbol, b in content["wavelengths"].items()},
        **content["constants"],
    }
    seen = rows["B2_20180315"] != reference.NODATA
    for index in own:
        formula = content["indices"][index.name]["formula"]
        with np.errstate(all="ignore"):
            values = stored(eval(formula, {"__builtins__": {}}, known), index.scale)
        off = np.abs(values.astype(int) - rows[f"{index.name}_20180315"])[seen]
        assert off.max() <= 1, index.name  # powers with a broken exponent are rounded otherwise
        assert (off > 0).mean() < 0.01, index.name
        assert catalogue_title(index.name)


def test_moved_series_have_the_formulas_of_the_moved_bands() -> None:
    names = ("NDVI", *(one.name for one in OWN))
    layout = FeatureLayout.optical(SENTINEL2.names, DATES, names, ("relative",), OWN)
    table = np.ascontiguousarray(block_features(block(50, 0, 6000), layout)[0].T)
    moved = SeriesSpace.of(layout).shift(table, 0.0)
    np.testing.assert_array_equal(moved, table)


def test_a_plan_says_what_formulas_cost() -> None:
    def seconds(*formulas: str) -> float:
        own = tuple(Index.defined(f"own{n}", text) for n, text in enumerate(formulas))
        names = ("NDVI", *(one.name for one in own))
        layout = FeatureLayout.optical(SENTINEL2.names, DATES, names, (), own)
        return feature_seconds(layout)

    assert seconds() == 0
    assert 0 < seconds("nir - red") < seconds("nir / red") < seconds("nir / red", "red / nir")
    assert seconds("nir ** 0.3") > 10 * seconds("nir ** 4") > 0
    plain = FeatureLayout.optical(SENTINEL2.names, DATES, (), ("relative",))
    assert feature_seconds(plain) > 0


def test_the_layout_keeps_the_definition() -> None:
    layout = FeatureLayout.optical(SENTINEL2.names, DATES, ("EVI", "NDVI"), (), OWN[:1])
    content = json.loads(json.dumps(layout.to_json()))
    assert content["expressions"]["EVI"]["scale"] == 1000
    assert FeatureLayout.from_json(content) == layout
    other = Index.defined("EVI", "nir - red")
    assert FeatureLayout.optical(SENTINEL2.names, DATES, ("EVI", "NDVI"), (), (other,)) != layout
    assert "expressions" not in FeatureLayout.optical(SENTINEL2.names, DATES, ("NDVI",)).to_json()
    with pytest.raises(ValueError, match="unknown index 'EVI'"):
        FeatureLayout.optical(SENTINEL2.names, DATES, ("EVI",))
    with pytest.raises(ValueError, match="EVI needs B2 among the bands"):
        FeatureLayout.optical(("B4", "B8"), DATES, ("EVI",), (), OWN[:1])
