"""Monthly composites and statistics against NumPy and xarray."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import xarray as xr

from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.timeseries.phenology import dates_of
from oso_pipeline.timeseries.series_layout import Variable
from oso_pipeline.timeseries.statistics_variables import monthly_variables, statistics_variables
from oso_pipeline.timeseries.temporal_statistics import (
    COMPOSITES,
    STATISTICS,
    monthly,
    months_of,
    statistics,
)

FIRST = int(days_since_epoch([date(2017, 11, 20)])[0])
NAMES = ("p1", "p10", "p50", "p90", "p99", *STATISTICS)


@pytest.mark.parametrize("how", COMPOSITES)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_composites_are_those_of_xarray(how: str, dtype: type) -> None:
    rng = np.random.default_rng(1)
    days = (FIRST + np.sort(rng.integers(0, 200, 40))).astype(np.int32)
    values = rng.integers(-2000, 9000, (40, 30)).astype(dtype)
    clear = (rng.random((40, 30)) < 0.3).astype(np.uint8)
    clear[:, 0] = 0
    values[3, 5] = -10000 if dtype == np.int16 else np.nan  # clear, but without data
    clear[3, 5] = 1
    times = days.astype("datetime64[D]").astype("datetime64[ns]")
    months = months_of([day.astype("datetime64[D]").item() for day in times])
    physical = np.where((clear == 1) & (values > -10000), values, np.nan)
    seen = xr.DataArray(physical, dims=("time", "pixel"), coords={"time": times})
    expected = getattr(seen.resample(time="MS"), how)()
    expected = expected.reindex(time=np.array(months, "datetime64[ns]")).values
    made = monthly(values, clear, days, months, how)
    if dtype == np.int16:
        assert made.dtype == np.int16
        expected = np.where(np.isnan(expected), -10000, np.rint(expected))
    np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_statistics_are_those_of_numpy() -> None:
    rng = np.random.default_rng(2)
    days = FIRST + np.arange(0, 330, 10, dtype=np.int32)
    values = rng.integers(-300, 900, (33, 40)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[5, :3] = values[20, :3] = 5000  # the first of equal days counts
    values[:, -1], values[7, -1] = np.nan, 3  # one date alone
    made = statistics(values, days, NAMES)
    for name in NAMES:
        if name.startswith("p"):
            expected = np.nanpercentile(values, int(name[1:]), axis=0)
        elif name == "amplitude":
            expected = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        elif name.startswith("day_of"):
            extreme = np.nanargmax if name.endswith("maximum") else np.nanargmin
            expected = days[extreme(values, axis=0)].astype("datetime64[D]")
            assert (dates_of(made[name]) == expected).all()
            continue
        else:
            own = {"standard_deviation": np.nanstd, "mean": np.nanmean}
            expected = own.get(name, getattr(np, f"nan{name}", None))(values, axis=0)
        np.testing.assert_allclose(made[name], expected, rtol=1e-5, atol=1e-5)


def test_statistics_of_pixels_without_data_and_constant_ones() -> None:
    days = FIRST + np.arange(3, dtype=np.int32)
    values = np.array([[-10000, 5], [-10000, 5], [-10000, 5]], np.int16)
    made = statistics(values, days, NAMES)
    for name in NAMES:
        assert made[name][0] == (0 if name.startswith("day_of") else -10000)
    assert made["day_of_maximum"][1] == made["day_of_minimum"][1] == 17324
    assert (made["amplitude"][1], made["standard_deviation"][1], made["p10"][1]) == (0, 0, 5)
    assert made["amplitude"].dtype == np.int16
    assert made["day_of_maximum"].dtype == np.uint16


def test_amplitudes_that_int16_cannot_hold_end_at_its_limit() -> None:
    values = np.array([[-9000], [32000]], np.int16)
    made = statistics(values, FIRST + np.arange(2, dtype=np.int32), ["amplitude"])
    assert made["amplitude"].tolist() == [32767]


def test_months_go_over_new_year() -> None:
    months = months_of([date(2018, 1, 5), date(2017, 11, 20)])
    assert months == (date(2017, 11, 1), date(2017, 12, 1), date(2018, 1, 1))
    assert months_of([]) == ()


def test_unknown_names_and_descending_days_are_refused() -> None:
    values, days = np.zeros((2, 1), np.int16), np.array([FIRST, FIRST + 1], np.int32)
    with pytest.raises(ConfigError, match=r"found p0, allowed: p1 to p99"):
        statistics(values, days, ["p0"])
    with pytest.raises(ConfigError, match=r"found sum, allowed: mean, median, max"):
        monthly(values, np.ones_like(values, np.uint8), days, [], "sum")
    with pytest.raises(InputDataError, match="E-SERIES-TIME"):
        statistics(values, days[::-1].copy(), ["mean"])


def test_variables_have_the_units_of_what_they_are_made_of() -> None:
    lai = Variable(
        "LAI", "leaf area index", "m2 m-2", "time", "int16", 20, scale=1e-3, fill=-10000,
        standard_name="leaf_area_index", ancillary=("LAI_flags",),
    )  # fmt: skip
    spread, day = statistics_variables(lai, ["standard_deviation", "day_of_minimum"])
    assert (spread.name, spread.units, spread.scale) == ("LAI_standard_deviation", "m2 m-2", 1e-3)
    assert spread.standard_name == ""
    assert (day.dtype, day.fill, day.units, day.axis, day.resolution_m) == (
        "uint16",
        0,
        "1",
        "",
        20,
    )
    (median,) = monthly_variables(lai, ["median"])
    assert (median.axis, median.standard_name) == ("month", "leaf_area_index")
