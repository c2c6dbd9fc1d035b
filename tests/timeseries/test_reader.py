"""Reading a block: real files, of every kind that occurs, whole and damaged."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import ExitCode, InputDataError
from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.reading.memory import CHUNK_PIXELS, pixel_bytes
from oso_pipeline.timeseries.reading.rasters import OpenRasters, to_stored
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec

WHOLE = Block("31TCJ", 0, 0, 6, 8)
DAY = "2018-06-01T10:50:31"


def spec(*bands: str, clear: object = "oso") -> ReadSpec:
    return ReadSpec(bands, clear, date(2018, 1, 1), date(2018, 12, 31))


def read(products, *bands: str, block: Block = WHOLE, clear: object = "oso"):
    reader = BlockReader(products.inventory(), spec(*bands, clear=clear), OpenRasters(8))
    return reader.read(block)


def test_20_m_pixels_are_repeated_2_by_2(products) -> None:
    coarse = np.arange(12, dtype=np.int16).reshape(3, 4) * 100
    fine = np.arange(48, dtype=np.int16).reshape(6, 8)
    products.add(DAY, {"B4": fine, "B5": coarse})
    series = read(products, "B5", "B4")
    assert series.values.shape == (1, 2, 48)
    assert series.days.tolist() == [17_683]
    np.testing.assert_array_equal(series.values[0, 0].reshape(6, 8), np.kron(coarse, [[1] * 2] * 2))
    np.testing.assert_array_equal(series.values[0, 1].reshape(6, 8), fine)


@pytest.mark.parametrize("shape", [(6, 8), (7, 9)])
@pytest.mark.parametrize("block", [(2, 2), (4, 6), (2, 10)])
@pytest.mark.parametrize("rounding", ["up", "down"])
def test_blocks_join_to_the_whole_also_on_odd_grids(products, shape, block, rounding) -> None:
    products.shape = shape
    size = tuple(n // 2 if rounding == "down" else -(-n // 2) for n in shape)
    numbers = np.random.default_rng(0)
    products.add(
        DAY,
        {
            "B2": numbers.integers(1, 9000, shape, np.int16),
            "B8A": numbers.integers(1, 9000, size, np.int16),
        },
        {"CLM_R1": numbers.integers(0, 2, shape, np.uint8)},
    )
    whole = read(products, "B2", "B8A", block=Block("31TCJ", 0, 0, *shape))
    image = whole.values.reshape(2, *shape)
    clear = whole.clear.reshape(shape)
    if rounding == "down" and shape == (7, 9):
        assert not clear[6].any()
        assert not clear[:, 8].any()
    for part in blocks_of("31TCJ", shape, block):
        series = read(products, "B2", "B8A", block=part)
        rows = slice(part.row, part.row + part.height)
        columns = slice(part.column, part.column + part.width)
        if len(series.days) == 0:  # a product that shows nothing clear is not a layer
            assert not clear[rows, columns].any()
            continue
        np.testing.assert_array_equal(
            series.values.reshape(2, part.height, part.width), image[:, rows, columns]
        )
        np.testing.assert_array_equal(
            series.clear.reshape(part.height, part.width), clear[rows, columns]
        )


def test_row_015_scales_within_a_series_become_one(products) -> None:
    products.add("2018-05-01T10:00:00", {"B4": 123}, scale=1 / 1000)
    products.add("2018-05-11T10:00:00", {"B4": 1230})
    products.add("2018-05-21T10:00:00", {"B4": 2461}, scale=1 / 20_000)
    assert read(products, "B4").values[:, 0, 0].tolist() == [1230, 1230, 1230]


@pytest.mark.parametrize(
    ("pixels", "scale", "nodata"),
    [
        (np.array([[0, 500]], np.int16), 1e-4, 0),
        (np.array([[65_535, 500]], np.uint16), 1e-4, 65_535),
        (np.array([[-10_000, 500]], np.int16), 1e-4, -10_000),
        (np.array([[np.nan, 0.05]], np.float32), 1, -10_000),
        (np.array([[-10_000, 0.05]], np.float32), 1, -10_000),
    ],
)
def test_row_016_every_nodata_value_is_recognised(products, pixels, scale, nodata) -> None:
    products.shape = (2, 4)
    image = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
    products.add(DAY, {"B2": image}, scale=scale, nodata=nodata)
    series = read(products, "B2", block=Block("31TCJ", 0, 0, 2, 4))
    assert series.clear.tolist() == [[0, 0, 1, 1] * 2]
    assert series.values[0, 0].tolist() == [-10_000, -10_000, 500, 500] * 2


def test_row_017_nodata_in_one_band_spoils_the_date_whatever_edg_says(products) -> None:
    coarse = np.full((3, 4), 900, dtype=np.int16)
    coarse[0, 0] = -10_000
    products.add(DAY, {"B4": 100, "B5": coarse})
    series = read(products, "B4", "B5")
    clear = series.clear.reshape(6, 8)
    assert not clear[:2, :2].any()
    assert clear.sum() == 44
    assert (series.values[0, 0].reshape(6, 8)[:2, :2] == -10_000).all()


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1e-4), (0.0, 1e-3), (-0.1, 1e-4)])
def test_1_9_pixels_that_are_0_in_every_band_are_no_observation(products, offset, scale) -> None:
    fine = np.full((6, 8), 300, np.int16)
    fine[:, :4] = 0
    coarse = np.full((3, 4), 900, np.int16)
    coarse[:2, :2] = 0
    coarse[0, 3] = 0
    products.add(DAY, {"B4": fine, "B5": coarse, "B8": fine}, offset=offset, scale=scale)
    series = read(products, "B4", "B5", "B8")
    expected = np.ones((6, 8), np.uint8)
    expected[:4, :4] = 0
    assert np.array_equal(series.clear.reshape(6, 8), expected)
    assert series.blank == 16


def test_1_9_a_second_product_of_the_day_shows_what_is_0_in_the_first(products) -> None:
    products.add("2018-05-01T10:00:00", {"B4": 0, "B5": 0, "B8": 0})
    products.add("2018-05-01T10:00:10", {"B4": 7, "B5": 9, "B8": 9})
    series = read(products, "B4", "B5", "B8")
    assert series.clear.sum(axis=1).tolist() == [0, 48]
    assert series.blank == 48
    assert (series.values[1, 0] == 7).all()


def test_1_9_of_one_or_two_bands_0_is_a_value(products) -> None:
    products.add(DAY, {"B4": 0, "B8": 0})
    series = read(products, "B4", "B8")
    assert series.clear.all()
    assert series.blank == 0


def test_row_018_negative_and_bright_pixels_are_kept_and_cut_ones_counted(products) -> None:
    products.shape = (2, 4)
    image = np.array([[-15, -9999, 18_528, 32_767], [0, 1, -10_001, -32_768]], np.int16)
    products.add(DAY, {"B4": image})
    series = read(products, "B4", block=Block("31TCJ", 0, 0, 2, 4))
    assert series.values.ravel().tolist() == [-15, -9999, 18_528, 32_767, 0, 1, -9999, -9999]
    assert series.clear.all()
    assert series.clipped == 2


def test_row_019_saturated_pixels_are_masked(products) -> None:
    saturated = np.zeros((6, 8), dtype=np.uint8)
    saturated[0] = [0, 1, 2, 4, 8, 16, 0, 15]
    products.add(DAY, {"B4": 100}, {"SAT_R1": saturated})
    assert read(products, "B4").clear[0, :8].tolist() == [1, 0, 0, 0, 0, 0, 1, 0]


def test_edge_and_cloud_are_masked_and_policies_differ(products) -> None:
    edge = np.zeros((6, 8), dtype=np.uint8)
    edge[0, 0] = 1
    terrain = np.zeros((6, 8), dtype=np.uint8)
    terrain[0, 1] = 1 << 4
    swir = np.zeros((3, 4), dtype=np.uint8)
    swir[0, 1] = 1 << 5
    cirrus = np.zeros((6, 8), dtype=np.uint8)
    cirrus[0, 4] = 128
    masks = {"EDG_R1": edge, "MG2_R1": terrain, "SAT_R2": swir, "CLM_R1": cirrus}
    expected = {
        "oso": [0, 1, 1, 1, 0, 1, 1, 1],
        "conservative": [0, 0, 0, 0, 0, 1, 1, 1],
        (0, 1): [0, 1, 1, 1, 1, 1, 1, 1],
    }
    for policy, clear in expected.items():
        products.acquisitions.clear()
        products.add(DAY, {"B4": 100}, masks, clear=policy)
        assert read(products, "B4", clear=policy).clear[0, :8].tolist() == clear


def test_each_layer_names_its_product(products) -> None:
    """Two products of one day have angles of their own; one without a clear pixel is no layer."""
    second = products.add("2018-06-01T10:59:00", {"B4": 200})
    first = products.add("2018-06-01T10:50:00", {"B4": 100})
    products.add("2018-06-05T10:50:00", {"B4": 100}, {"CLM_R1": 2})
    last = products.add("2018-06-11T10:50:00", {"B4": 300})
    names = [one.product_id for one in (first, second, last)]
    assert list(read(products, "B4").products) == names


def test_row_024_two_products_of_a_day_are_merged_first_clear_one_first(products) -> None:
    left, right = np.zeros((2, 6, 8), dtype=np.uint8)
    left[:, :5], right[:, 6:] = 1, 1
    second = products.add("2018-06-01T10:59:00", {"B4": 200, "B8": 20}, {"CLM_R1": right})
    products.add("2018-06-01T10:50:00", {"B4": 100, "B8": 10}, {"CLM_R1": left})
    products.add("2018-06-11T10:50:00", {"B4": 300, "B8": 30})
    assert products.acquisitions[0] is second
    series = read(products, "B4", "B8")
    # Both stay layers of their own, and at no pixel are both clear: 20 m pixels that the two
    # share need not be told apart.
    assert series.days.tolist() == [17_683, 17_683, 17_693]
    none = -10_000
    assert series.clear[:, :8].sum(axis=0).tolist() == [2] * 8
    assert series.values[0, 0, :8].tolist() == [none] * 5 + [100] * 3
    assert series.values[1, 0, :8].tolist() == [200] * 5 + [none] * 3
    assert series.values[1, 1, :8].tolist() == [20] * 5 + [none] * 3


def test_row_025_images_are_sorted_and_those_out_of_season_left_out(products) -> None:
    for stamp, value in (
        ("2018-07-01", 3),
        ("2017-12-31", 1),
        ("2018-01-01", 2),
        ("2019-01-01", 4),
    ):
        products.add(f"{stamp}T10:00:00", {"B4": value})
    assert read(products, "B4").values[:, 0, 0].tolist() == [2, 3]


def test_a_wholly_cloudy_block_is_not_read(products) -> None:
    acquisition = products.add(DAY, {"B4": 100}, {"CLM_R1": 1})
    rasters = OpenRasters(8)
    BlockReader(products.inventory(), spec("B4"), rasters).read(WHOLE)
    assert acquisition.bands["B4"].path not in rasters._open
    assert len(rasters) == 1  # nor are the other masks


def test_row_026_a_tile_without_images_in_season_gives_no_data(products) -> None:
    products.add("2017-06-01T10:00:00", {"B4": 1})
    series = read(products, "B4")
    layout = FeatureLayout.optical(("B4",), (date(2018, 1, 1),))
    features, validity = block_features(series, layout)
    assert (features == -10_000).all()
    assert not validity.any()


def test_row_069_metadata_beside_an_image_cannot_change_it(products) -> None:
    acquisition = products.add(DAY, {"B4": np.full((6, 8), 1, np.int16)})
    aside = (
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>1</NoDataValue>"
        "<Scale>7</Scale><Offset>7</Offset></PAMRasterBand></PAMDataset>"
    )
    path = acquisition.bands["B4"].path
    path.with_name(path.name + ".aux.xml").write_text(aside)
    series = read(products, "B4")
    assert series.clear.all()
    assert (series.values == 1).all()


def refused(products, *bands: str, **options) -> InputDataError:
    with pytest.raises(InputDataError) as caught:
        read(products, *bands, **options)
    assert caught.value.exit_code == ExitCode.INPUT
    assert "fix:" in str(caught.value)
    return caught.value


@pytest.mark.fault(
    row=21,
    injected="an image truncated while it is read",
    outcome="E-IMAGE-CUT names the file",
)
@pytest.mark.parametrize("share", [0.9, 0.5, 0.01, 0])
@pytest.mark.parametrize("which", ["band", "mask"])
def test_a_truncated_image_is_named(products, share: float, which: str) -> None:
    products.shape = (64, 64)
    numbers = np.random.default_rng(0)
    acquisition = products.add(
        DAY,
        {"B4": numbers.integers(0, 9000, (64, 64), np.int16)},
        {"SAT_R1": np.zeros((64, 64), np.uint8)},
    )
    asset = acquisition.bands["B4"] if which == "band" else acquisition.quality["SAT_R1"]
    path = asset.path
    reader = BlockReader(products.inventory(), spec("B4"), OpenRasters(8))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputDataError) as caught:
        reader.read(Block("31TCJ", 0, 0, 64, 64))
    error = caught.value
    assert error.exit_code == ExitCode.INPUT
    assert "fix:" in str(error)
    assert error.problems[0].code == "E-IMAGE-CUT"
    assert error.problems[0].where == str(path)
    assert "cut short" in str(error)


@pytest.mark.fault(
    row=22,
    injected="HTML or an empty file in place of a TIFF, while it is read",
    outcome="E-IMAGE-CUT names the file",
)
def test_something_else_than_a_tiff_is_named(products) -> None:
    acquisition = products.add(DAY, {"B4": 100})
    reader = BlockReader(products.inventory(), spec("B4"), OpenRasters(8))
    acquisition.bands["B4"].path.write_text("<html>404</html>")
    with pytest.raises(InputDataError) as caught:
        reader.read(WHOLE)
    error = caught.value
    assert (error.problems[0].code, error.problems[0].where) == (
        "E-IMAGE-CUT",
        acquisition.bands["B4"].href,
    )


@pytest.mark.fault(
    row=19, injected="a band deleted between two blocks", outcome="E-IMAGE-VANISHED names the file"
)
def test_a_vanished_image_is_named(products) -> None:
    acquisition = products.add(DAY, {"B4": 100})
    reader = BlockReader(products.inventory(), spec("B4"), OpenRasters(8))
    reader.read(WHOLE)
    acquisition.bands["B4"].path.unlink()
    with pytest.raises(InputDataError, match=r"E-IMAGE-VANISHED.*vanished") as caught:
        reader.read(WHOLE)
    assert acquisition.bands["B4"].href in str(caught.value)


def test_an_image_replaced_by_another_size_is_named(products) -> None:
    acquisition = products.add(DAY, {"B4": 100})
    reader = BlockReader(products.inventory(), spec("B4"), OpenRasters(8))
    reader.read(WHOLE)
    path = acquisition.bands["B4"].path
    with rasterio.open(path) as source:
        profile = source.profile | {"height": 2, "width": 2}
    with rasterio.open(path, "w", **profile) as target:
        target.write(np.zeros((1, 2, 2), np.int16))
    with pytest.raises(InputDataError, match=r"E-IMAGE-SIZE.*2 x 2.*6 x 8"):
        reader.read(WHOLE)


def test_row_006_all_products_without_a_needed_band_or_mask_are_named_at_once(products) -> None:
    products.add("2018-05-01T10:00:00", {"B4": 100}, clear="conservative")
    products.add("2018-05-11T10:00:00", {"B8": 100}, {"MG2_R1": 0}, clear="conservative")
    error = refused(products, "B4", clear="conservative")
    assert [p.code for p in error.problems] == ["E-IMAGE-ASSET", "E-IMAGE-ASSET"]
    assert "lacks quality asset MG2_R1" in str(error)
    assert "lacks band B4" in str(error)


@pytest.mark.fault(
    row=20,
    injected="a mask longer than in the inventory, a missing band",
    outcome="both named together",
)
def test_products_changed_since_the_inventory_are_named_at_once(products) -> None:
    changed = products.add("2018-05-01T10:00:00", {"B4": 100})
    gone = products.add("2018-05-11T10:00:00", {"B4": 100})
    with changed.quality["CLM_R1"].path.open("ab") as stream:
        stream.write(b"0")
    gone.bands["B4"].path.unlink()
    error = refused(products, "B4")
    assert [p.code for p in error.problems] == ["E-IMAGE-CHANGED", "E-IMAGE-VANISHED"]
    assert changed.product_id in str(error)
    assert gone.bands["B4"].href in str(error)


def test_few_handles_suffice_and_are_reused(products) -> None:
    for day in range(1, 6):
        products.add(f"2018-06-0{day}T10:00:00", {"B4": day})
    rasters = OpenRasters(3)
    reader = BlockReader(products.inventory(), spec("B4"), rasters)
    first = reader.read(WHOLE)
    assert len(rasters) == 3
    np.testing.assert_array_equal(first.values, reader.read(WHOLE).values)
    rasters.close()
    assert len(rasters) == 0


USUAL = [1, 100, 255, 1000, 2000, 10_000, 20_000, 30_000, 32_768, 65_535]
"""Quantification values: the number stored for reflectance 1."""


def asset(scale: float | None, offset: float = 0.0, nodata: float | None = -10_000) -> Asset:
    return Asset("band.tif", 10, scale, offset, nodata)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_a_scale_gives_what_division_by_the_quantification_gave(dtype: type) -> None:
    raw = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype)
    for quantification in [*USUAL, *range(49, 20_000, 997)]:
        values, missing, outside = to_stored(raw, asset(1 / quantification))
        exact = np.rint(np.where(missing, 0, raw).astype(np.float64) * 10_000 / quantification)
        np.testing.assert_array_equal(missing, raw == -10_000)
        np.testing.assert_array_equal(values[~missing], exact.clip(-9999, 32_767)[~missing])
        cut = (exact < -9999) | (exact > 32_767)
        np.testing.assert_array_equal(outside[~missing], cut[~missing])


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=20), st.sampled_from([-1000, 0, 500]))
def test_an_offset_applies_after_no_data_was_reported(numbers: list[int], add: int) -> None:
    """As BOA_ADD_OFFSET of Sentinel-2 since baseline 04.00, with 0 for no data."""
    raw = np.array(numbers, dtype=np.uint16)
    values, missing, outside = to_stored(raw, asset(1e-4, add / 10_000, nodata=0))
    for value, number, gone, cut in zip(values, numbers, missing, outside, strict=True):
        assert gone == (number == 0)
        if not gone:
            assert value == max(-9999, min(32_767, number + add))
            assert cut == (value != number + add)


def test_halves_of_a_decimal_scale_are_rounded_to_even() -> None:
    """2.75e-05 of Landsat is not a binary fraction, and 20 times it lies half way between units."""
    raw = np.array([20, 60, 100, 7273, 43_636], dtype=np.uint16)
    values, _, _ = to_stored(raw, asset(2.75e-05, -0.2, nodata=0))
    assert values.tolist() == [6 - 2000, 16 - 2000, 28 - 2000, 0, 10_000]


def test_an_offset_is_applied_while_a_block_is_read(products) -> None:
    image = np.full((6, 8), 1500, np.int16)
    image[0, 0] = 0
    products.add(DAY, {"B4": image}, offset=-0.1, nodata=0)
    products.add("2018-06-11T10:00:00", {"B4": 500})
    series = read(products, "B4")
    assert series.values[:, 0, 1].tolist() == [500, 500]
    assert series.clear[:, 0].tolist() == [0, 1]


def test_a_band_without_scale_is_never_read() -> None:
    with pytest.raises(ValueError, match=r"band\.tif has no scale"):
        to_stored(np.zeros(1, np.int16), asset(None))


def test_a_band_at_two_resolutions_is_refused(products) -> None:
    products.add("2018-05-01T10:00:00", {"B5": 100})
    other = products.add("2018-05-11T10:00:00", {"B5": 100})
    fine = replace(other.bands["B5"], resolution_m=10)
    products.acquisitions[1] = replace(other, bands={"B5": fine})
    assert "band B5 has pixels of 10 m in" in str(refused(products, "B5"))


def test_the_resolution_of_a_band_is_that_of_its_asset(products) -> None:
    """Whatever the table of the sensor says, as of products resampled to 10 m."""
    fine = np.arange(48, dtype=np.int16).reshape(6, 8)
    found = products.add(DAY, {"B4": fine})
    products.acquisitions[0] = replace(found, bands={"B5": found.bands["B4"]})
    series = read(products, "B5")
    np.testing.assert_array_equal(series.values[0, 0], fine.ravel())
    assert series.slots.tolist() == [0]


def test_spec_survives_json() -> None:
    for clear in ("oso", (0, 7)):
        one = spec("B2", "B4", clear=clear)
        assert ReadSpec.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_memory_estimate_covers_what_is_used(products: object) -> None:
    products.shape = (256, 256)
    bands = ("B2", "B4", "B8", "B11")
    numbers = np.random.default_rng(0)
    for day in range(1, 13):
        images = {
            band: numbers.integers(0, 9000, (128, 128) if band == "B11" else (256, 256), np.int16)
            for band in bands
        }
        products.add(f"2018-06-{day:02}T10:00:00", images)
    layout = FeatureLayout.optical(bands, tuple(date(2018, 6, d) for d in range(1, 20)), ("NDVI",))
    reader = BlockReader(products.inventory(), spec(*bands), OpenRasters(100))
    block = Block("31TCJ", 0, 0, 256, 256)

    def run() -> None:
        series = reader.read(block)
        for start in range(0, block.pixels, CHUNK_PIXELS):
            part = np.arange(start, start + CHUNK_PIXELS)
            block_features(series, layout, part)

    run()
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    estimate = pixel_bytes(reader.n_products, bands) * block.pixels
    chunk = CHUNK_PIXELS * (12 * (2 * len(bands) + 1) + 2 * layout.size)
    assert 0.9 * estimate < peak < 1.02 * (estimate + chunk)


def test_files_are_not_touched(products, tmp_path: Path) -> None:
    products.add(DAY, {"B4": 100})
    before = sorted(p.name for p in tmp_path.rglob("*"))
    read(products, "B4")
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
