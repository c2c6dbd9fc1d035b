"""Settings of the simulation: the world, the year of its map, and a year before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oso_pipeline.core.tiles import Tile

Variant = Literal["missing_fre", "missing_band", "truncated_band"]


@dataclass(frozen=True)
class PastYear:
    """A year before that of the map: same land, other crops, weather, dates and radiometry.

    Parameters
    ----------
    years_before
        How long ago.
    season_shift_days
        How much later than in the year of the map plants grew; negative: earlier.
    gain_spread
        Standard deviation of the factor between the reflectances of the two years, drawn per
        band: another version of the processor, another aerosol model.
    dates_per_orbit, partial_dates
        As those of the world.

    Examples
    --------
    >>> PastYear(season_shift_days=-20).season_shift_days
    -20
    """

    years_before: int = 1
    season_shift_days: float = -12.0
    gain_spread: float = 0.03
    dates_per_orbit: int = 26
    partial_dates: int = 5

    def __post_init__(self) -> None:
        if self.years_before < 1:
            raise ValueError(f"years_before must be at least 1, got {self.years_before}")
        if not abs(self.season_shift_days) <= 90:
            raise ValueError(f"season_shift_days is within 90 days, got {self.season_shift_days}")
        if not 0 <= self.gain_spread <= 0.2:
            raise ValueError(f"gain_spread must lie in 0 to 0.2, got {self.gain_spread}")


@dataclass(frozen=True)
class WorldSpec:
    """Settings of the simulation.

    Parameters
    ----------
    tiles
        Names of Sentinel-2 tiles; the default pair lies in zones 30 and 31, with upper-left
        corners 680 m apart.
    size_px
        Side of the simulated part of each tile in 10 m pixels; even.
    year
        Calendar year of the acquisitions.
    seed
        Everything random derives from it.
    field_area_m2
        Mean area of a field.
    dates_per_orbit
        Acquisitions of each relative orbit over the tile that it covers best.
    partial_dates
        Acquisitions of the other orbit, which sees only a part of the tile.
    variants
        Faults to put in, one product each in the first tile: ``missing_fre`` (only
        reflectance that is not corrected for slopes was produced), ``missing_band`` (one file is
        absent), ``truncated_band`` (one file is cut).
    past
        An earlier year to simulate as well, with its images and declared crops.
    corner_px
        How many 10 m pixels the part begins below and right of the corner of the tile; even.

    Examples
    --------
    >>> WorldSpec(size_px=128, past=PastYear()).tiles
    ('30UYD', '31UCU')
    """

    tiles: tuple[str, ...] = ("30UYD", "31UCU")
    size_px: int = 256
    year: int = 2018
    seed: int = 0
    field_area_m2: float = 15_000.0
    dates_per_orbit: int = 34
    partial_dates: int = 7
    variants: tuple[Variant, ...] = ()
    past: PastYear | None = None
    corner_px: int = 0

    def __post_init__(self) -> None:
        for tile in self.tiles:
            Tile(tile)
        if not self.tiles or len(set(self.tiles)) < len(self.tiles):
            raise ValueError(f"tiles must be different and at least one, got {self.tiles}")
        if self.size_px < 64 or self.size_px % 2:
            raise ValueError(f"size_px must be even and at least 64, got {self.size_px}")
        if self.corner_px % 2 or not 0 <= self.corner_px <= 10_980 - self.size_px:
            raise ValueError(
                f"corner_px must be even and leave space for size_px, got {self.corner_px}"
            )
        if not 10 <= self.dates_per_orbit <= 73:
            raise ValueError(f"dates_per_orbit must lie in 10 to 73, got {self.dates_per_orbit}")
        if not 0 <= self.partial_dates <= 73:
            raise ValueError(f"partial_dates must lie in 0 to 73, got {self.partial_dates}")
        if not 2_000 <= self.field_area_m2 <= 200_000:
            raise ValueError(f"field_area_m2 must be 2000 to 200000, got {self.field_area_m2}")

    @classmethod
    def two_years(cls) -> WorldSpec:
        """Return the world of the demo: the default one, and the year before."""
        return cls(past=PastYear())

    @classmethod
    def tiny(cls, seed: int = 0, variants: tuple[Variant, ...] = ()) -> WorldSpec:
        """Return a world for tests: 96 x 96 pixels, all classes, few dates, small fields."""
        return cls(
            size_px=96,
            seed=seed,
            field_area_m2=6_500.0,
            dates_per_orbit=12,
            partial_dates=3,
            variants=variants,
        )
