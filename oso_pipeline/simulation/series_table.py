"""A small table of simulated series, for examples, notebooks and tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.growing_year import GrowingYear
from oso_pipeline.simulation.world.land_covers import KINDS, NUMBER, Codes
from oso_pipeline.simulation.world.phenology import Phenology

_COVERS = ("wheat", "rapeseed", "maize", "sunflower", "grassland", "broadleaves", "vineyard")
_DATES, _CLOUDY = 24, 0.4
"""Acquisitions of a year, and the share of them that clouds hide."""


@dataclass(eq=False)
class _Fields:
    """Fields without a place."""

    kinds: Codes
    heights: npt.NDArray[np.float64]
    seed: int


def simulate_series(
    n_fields: int = 200,
    *,
    year: int = 2018,
    pixels_per_field: int = 3,
    delay_days: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return series of pixels of simulated fields, with clouds.

    Fields of four crops, grassland, broadleaved forest and vineyards look as in the simulated
    world: each has its own timing, vigour and soil.

    Parameters
    ----------
    n_fields
        Number of fields; the covers take turns.
    year
        Calendar year. Another year with the same seed has other crops, dates and weather; what is
        perennial stays.
    pixels_per_field
        Pixels of each field.
    delay_days
        How much later plants grow than usual.
    seed
        The table is a function of all parameters.

    Returns
    -------
    DataFrame
        A row for each pixel: ``field`` (int64), ``crop`` (text), ``code`` (OSO 23, int64),
        and for each band and date a column as ``B4_20180115``, float32, surface reflectance from
        0 to 1, NaN under clouds.

    Raises
    ------
    ValueError
        If there is no field or pixel.

    Examples
    --------
    >>> table = simulate_series(70)
    >>> table.shape, table["crop"].nunique(), table.columns[3]
    ((210, 243), 7, 'B2_20180104')
    """
    if n_fields < 1 or pixels_per_field < 1:
        raise ValueError(f"found {n_fields} fields of {pixels_per_field} pixels, expected some")
    rng = np.random.default_rng(derived_seed(seed, "series", year))
    kinds = _kinds(n_fields, rng)
    fields = _Fields(kinds, np.zeros(n_fields), derived_seed(seed, "series"))
    phenology = Phenology(fields, GrowingYear(str(year), shift_days=delay_days))
    field = np.repeat(np.arange(n_fields, dtype=np.int64), pixels_per_field)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "field": field,
        "crop": np.array([KINDS[kind].name for kind in kinds])[field],
        "code": np.array([KINDS[kind].oso23 for kind in kinds], np.int64)[field],
    }
    for day in _days(year, rng):
        seen = _seen(phenology.reflectance(day.timetuple().tm_yday)[field], rng)
        # Clouds hide whole fields, now and then a part of one.
        hidden = (rng.uniform(size=n_fields) < _CLOUDY)[field] | (
            rng.uniform(size=len(field)) < 0.05
        )
        seen[hidden] = np.nan
        columns |= {f"{band}_{day:%Y%m%d}": seen[:, n] for n, band in enumerate(SENTINEL2.names)}
    return pd.DataFrame(columns)


def _kinds(n_fields: int, rng: np.random.Generator) -> Codes:
    """Return the cover of each field: what is perennial has its place, crops are drawn."""
    covers = np.array([NUMBER[name] for name in _COVERS], np.int16)
    kinds = covers[np.arange(n_fields) % len(covers)]
    crops = np.array([KINDS[kind].crop is not None for kind in kinds])
    kinds[crops] = rng.permutation(kinds[crops])
    return kinds


def _days(year: int, rng: np.random.Generator) -> list[date]:
    parts = np.array_split(np.arange(0, 365, 5) + int(rng.integers(5)), _DATES)
    return [date(year, 1, 1) + timedelta(days=min(int(rng.choice(part)), 364)) for part in parts]


def _seen(land: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return what a satellite sees: errors of the date and band, and noise of each pixel."""
    n_bands = land.shape[1]
    land = land * rng.normal(1, 0.03, n_bands) + rng.normal(0, 0.004, n_bands)
    noise = rng.standard_normal(land.shape)
    return np.clip(land * (1 + 0.05 * noise) + 0.003 * noise, 0.0001, 1).astype(np.float32)
