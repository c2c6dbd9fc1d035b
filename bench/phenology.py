"""How far dates of growing seasons are off: analytic series, with noise, with gaps.

    python -m bench.phenology [--pixels 2000] [--publish]

Series are sums of double logistics, whose dates are known. Observations come every five days, as
from two Sentinel-2, some of them hidden at random; they are filled onto a grid of ten days by each
smoothing of `series.smoothing`. Prints the tables, and writes them into docs/phenology.md with
``--publish``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench import PROJECT
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.timeseries.gapfill import gapfill
from oso_pipeline.timeseries.phenology import (
    PhenologyMetrics,
    PhenologySettings,
    observations_per_date,
    phenology,
)
from oso_pipeline.timeseries.smoothing import savitzky_golay, whittaker

PAGE = PROJECT / "docs" / "phenology.md"
BEGIN, END = (
    "<!-- phenology: begin, written by `python -m bench.phenology --publish` -->",
    ("<!-- phenology: end -->"),
)
DAYS = DateGrid(date(2018, 1, 1), date(2018, 12, 31), 10).days
FIRST = int(DAYS[0])
FINE = np.arange(0, int(DAYS[-1]) - FIRST + 0.01, 0.1)
METRICS = ("SOSD", "EOSD", "MAXD")
SMOOTHINGS = ("linear", "savitzky_golay 7, 2", "whittaker 1", "whittaker 10", "whittaker 100")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Double:
    """Double logistics, one per season and pixel, over one base level.

    Parameters
    ----------
    rise, fall
        Days of the steepest rise and fall, shape ``(season, pixel)``.
    rise_rate, fall_rate
        Rates per day: 10 to 90 % take ``4.4 / rate`` days.
    height
        Of each season above the base.
    base
        Shape ``(pixel,)``.
    """

    rise: Floats
    fall: Floats
    rise_rate: Floats
    fall_rate: Floats
    height: Floats
    base: Floats

    @classmethod
    def random(cls, n_pixels: int, seasons: int, seed: int) -> Double:
        """Return NDVI of one crop or of two; 10 to 90 % of a rise or fall take 29 to 110 days."""
        rng = np.random.default_rng(seed)
        shape = (seasons, n_pixels)
        quick = (0.04, 0.15) if seasons == 1 else (0.09, 0.15)
        if seasons == 1:
            rise = rng.uniform(80, 150, shape)
            fall = rise + rng.uniform(60, 150, shape)
        else:
            first = rng.uniform(60, 75, n_pixels)
            rise = np.stack([first, first + rng.uniform(130, 145, n_pixels)])
            fall = rise + rng.uniform(55, 75, shape)
        rates = rng.uniform(*quick, (2, *shape))
        height = rng.uniform(0.4, 0.7, shape)
        return cls(rise, fall, rates[0], rates[1], height, rng.uniform(0.1, 0.25, n_pixels))

    def at(self, days: Floats) -> Floats:
        """Return the series on days after the first one, shape ``(day, pixel)``."""
        t = days[:, None, None]
        up = 1 / (1 + np.exp(-self.rise_rate * (t - self.rise)))
        down = 1 / (1 + np.exp(self.fall_rate * (t - self.fall)))
        return np.asarray(self.base + (self.height * (up + down - 1)).sum(axis=1))

    def dates(self, start_fraction: float = 0.25, end_fraction: float = 0.15) -> Floats:
        """Return start, end and maximum, in days, shape ``(3, season, pixel)``; to 0.1 day."""
        values, (n_seasons, n_pixels) = self.at(FINE), self.rise.shape
        found = np.empty((3, n_seasons, n_pixels))
        middle = np.searchsorted(FINE, (self.fall[0] + self.rise[-1]) / 2)
        for p in range(n_pixels):
            own = values[:, p]
            cut = 0 if n_seasons == 1 else middle[p] - 200 + own[middle[p] - 200 :][:400].argmin()
            for season in range(n_seasons):
                first = cut if season else 0
                last = cut if n_seasons == 2 and not season else len(own) - 1
                top = first + own[first : last + 1].argmax()
                low, high = own[first : top + 1].min(), own[top : last + 1].min()
                rising = own[first : top + 1] < low + start_fraction * (own[top] - low)
                falling = own[top : last + 1] < high + end_fraction * (own[top] - high)
                found[0, season, p] = FINE[top - rising[::-1].argmax()]
                found[1, season, p] = FINE[top + falling.argmax()]
                found[2, season, p] = FINE[top]
        return found


class Errors(NamedTuple):
    """Errors of one way to fill, over pixels where all seasons were found."""

    found: float
    days: Floats
    median: tuple[float, ...]
    most: tuple[float, ...]


def errors(metrics: PhenologyMetrics, truth: Floats) -> Errors:
    """Compare dates with the truth, in days: median and 95th percentile of each date."""
    n_seasons = truth.shape[1]
    complete = np.all([metrics[name][:n_seasons] > 0 for name in METRICS], axis=(0, 1))
    if len(metrics["MAXD"]) > n_seasons:
        complete &= metrics["MAXD"][n_seasons] == 0
    days = np.stack(
        [
            metrics[name][:n_seasons].astype(float) % 1000 - 1 - known
            for name, known in zip(METRICS, truth, strict=True)
        ]
    )[:, :, complete]
    sizes = np.abs(days).reshape(3, -1)
    if not sizes.size:
        return Errors(0.0, sizes, (np.nan,) * 3, (np.nan,) * 3)
    medians, most = np.median(sizes, axis=1), np.percentile(sizes, 95, axis=1)
    return Errors(float(complete.mean()), days, tuple(medians), tuple(most))


def observe(double: Double, noise: float, hidden: float, seed: int) -> tuple[Floats, Floats]:
    """Return observations every five days, and whether each is clear."""
    rng = np.random.default_rng(seed)
    values = double.at(np.arange(0.0, 366, 5))
    return values + rng.normal(0, noise, values.shape), rng.random(values.shape) >= hidden


def filled(values: Floats, clear: Floats, smoothing: str) -> npt.NDArray[np.float32]:
    """Return observations on the grid, filled or smoothed."""
    days = (FIRST + 5 * np.arange(len(values))).astype(np.int32)
    kind, _, number = smoothing.partition(" ")
    if kind == "whittaker":
        return whittaker(
            values.astype(np.float32), clear.astype(np.float32), days, float(number), DAYS
        )
    stored = np.rint(values * 1e4).astype(np.int16)[:, None, :]
    linear = gapfill(stored, clear.astype(np.uint8), days, DAYS)[0][:, 0] * np.float32(1e-4)
    return savitzky_golay(linear, 7, 2) if kind == "savitzky_golay" else linear


def of_reflectances(ndvi: Floats) -> Floats:
    """Return NDVI of red and near infrared as products store them, their sum about 0.4."""
    red, nir = np.rint(2000 * (1 - ndvi)), np.rint(2000 * (1 + ndvi))
    return np.asarray((nir - red) / (nir + red))


def analytic_table(n_pixels: int) -> list[str]:
    """Return the errors of exact series, and of the same as NDVI is stored."""
    lines = [
        "| seasons | values | SOSD | EOSD | MAXD |",
        "|---|---|---|---|---|",
    ]
    for seasons in (1, 2):
        double = Double.random(n_pixels, seasons, seed=seasons)
        exact, truth = double.at((DAYS - FIRST).astype(float)), double.dates()
        ways = {
            "exact": exact,
            "of reflectances in steps of 0.0001": of_reflectances(exact),
            "in steps of 0.001, as stored": np.rint(exact * 1e3) / 1e3,
        }
        for name, values in ways.items():
            seen = np.full(values.shape, 2, np.uint8)
            found = phenology(values.astype(np.float32), DAYS, seen, PhenologySettings("NDVI"))
            made = errors(found, truth)
            if made.found < 1:
                raise SystemExit(f"found only {made.found:.1%} of the exact series")
            largest = np.abs(made.days).reshape(3, -1).max(axis=1)
            cells = [f"{a:.1f} / {b:.1f}" for a, b in zip(made.most, largest, strict=True)]
            lines.append(f"| {seasons} | {name} | " + " | ".join(cells) + " |")
    return lines


def noise_table(n_pixels: int, seasons: int) -> list[str]:
    """Return the errors with noise and gaps, a row per smoothing."""
    lines = [
        "| noise | hidden | smoothing | found | SOSD | EOSD | MAXD |",
        "|---|---|---|---|---|---|---|",
    ]
    double = Double.random(n_pixels, seasons, seed=10 + seasons)
    truth, settings = double.dates(), PhenologySettings("NDVI")
    for noise in (0.0, 0.02, 0.05):
        for hidden in (0.25, 0.5):
            values, clear = observe(double, noise, hidden, seed=5)
            days = (FIRST + 5 * np.arange(len(values))).astype(np.int32)
            seen = observations_per_date(clear, days, DAYS)
            for smoothing in SMOOTHINGS:
                series = filled(values, clear, smoothing)
                made = errors(phenology(series, DAYS, seen, settings), truth)
                cells = [f"{a:.1f} / {b:.1f}" for a, b in zip(made.median, made.most, strict=True)]
                lines.append(
                    f"| {noise:.2f} | {hidden:.0%} | {smoothing} | {made.found:.0%} | "
                    + " | ".join(cells)
                    + " |"
                )
    return lines


def costs(n_pixels: int) -> list[str]:
    """Return the processor time of each kernel, in microseconds per pixel."""
    double = Double.random(1000, 2, seed=1)
    values, clear = observe(double, 0.02, 0.5, seed=1)
    values, clear = (np.tile(one, (1, n_pixels // 1000)) for one in (values, clear))
    observed, weights = values.astype(np.float32), clear.astype(np.float32)
    days = (FIRST + 5 * np.arange(len(values))).astype(np.int32)
    series = filled(values, clear, "linear")
    seen, settings = observations_per_date(clear, days, DAYS), PhenologySettings("NDVI")
    works = {
        "phenology, two seasons": lambda: phenology(series, DAYS, seen, settings),
        "whittaker, 74 observations": lambda: whittaker(observed, weights, days, 10.0, DAYS),
        "savitzky_golay 7, 2": lambda: savitzky_golay(series, 7, 2),
    }
    lines = ["| work, 37 dates | microseconds per pixel |", "|---|---|"]
    for name, work in works.items():
        spent = []
        for _ in range(4):
            start = time.process_time()
            work()
            spent.append(time.process_time() - start)
        lines.append(f"| {name} | {min(spent[1:]) / values.shape[1] * 1e6:.1f} |")
    return lines


def main() -> None:
    """Measure, print, and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, default=2000)
    parser.add_argument("--publish", action="store_true")
    given = parser.parse_args()
    text = "\n".join(
        [
            f"Series without noise, {given.pixels} pixels: 95th percentile / largest error, days.",
            "",
            *analytic_table(given.pixels),
            "",
            f"Noise and gaps, one season, {given.pixels} pixels: share of pixels where exactly the "
            "true seasons were found; median / 95th percentile of the error in days there.",
            "",
            *noise_table(given.pixels, 1),
            "",
            "The same, two seasons.",
            "",
            *noise_table(given.pixels, 2),
            "",
            "Processor time of one thread.",
            "",
            *costs(100_000),
        ]
    )
    print(text)
    if given.publish:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
