"""Other maps evaluated by the same independent set at the same pixels as the map of the run.

Accuracies of two maps measured on one set differ by less than their intervals suggest, as both
meet the same easy and hard places; so the difference has an interval of its own, by resampling
points or polygons with what both maps say of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.validation.accuracy import Method, number_or_none
from oso_pipeline.validation.confusion import Confusion
from oso_pipeline.validation.exact_intervals import is_exact, paired_difference
from oso_pipeline.validation.intervals import Interval

if TYPE_CHECKING:
    from oso_pipeline.validation.independent import MapPixels

_SAMPLES_AT_ONCE = 1 << 22


def compared(
    pixels: MapPixels, epsg: int, maps: Mapping[str, Path], method: Method, problems: Problems
) -> list[dict[str, Any]]:
    """Compare other maps at the same pixels.

    Parameters
    ----------
    pixels
        Those of the map of the run.
    epsg
        Its coordinate system.
    maps
        Rasters of classes by name; 0 and no data are not classes.
    method
        Classes, number of resamples and level of the intervals.
    problems
        Gets a warning for each map that is left out: not a raster with coordinates
        (``W-COMPARE-READ``), codes outside the nomenclature (``W-COMPARE-CLASSES``), no common
        pixels (``W-COMPARE-EMPTY``). The map of the run is evaluated without it.

    Returns
    -------
    list of dict
        One per usable map: `name`, `pixels` and `polygons` where both maps have a class,
        `overall_accuracy` of the run and of the other map, their `difference` with its interval,
        how often only one of them is right, and F-scores by class.
    """
    found = []
    for name, path in maps.items():
        try:
            theirs = _classes_at(path, pixels, epsg)
        except rasterio.errors.RasterioError as error:
            _left_out("W-COMPARE-READ", name, f"it cannot be read: {error}", path, problems)
            continue
        both = theirs > 0
        strange = sorted(set(np.unique(theirs[both]).tolist()) - set(method.nomenclature.codes))
        if strange:
            message = f"codes {strange[:10]} are not classes of {method.nomenclature.name}"
            _left_out("W-COMPARE-CLASSES", name, message, path, problems)
        elif not both.any():
            message = (
                "no pixel of the independent set has a class on this map and on that of the run"
            )
            _left_out("W-COMPARE-EMPTY", name, message, path, problems)
        else:
            found.append({"name": name, **_comparison(pixels, theirs, both, method)})
    return found


def _comparison(
    pixels: MapPixels, theirs: npt.NDArray[np.int64], both: npt.NDArray[np.bool_], method: Method
) -> dict[str, Any]:
    code, codes = pixels.code[both], method.nomenclature.codes
    maps = {"run": pixels.predicted[both], "other": theirs[both]}
    right = {name: predicted == code for name, predicted in maps.items()}
    units, unit = np.unique(pixels.feature[both], return_inverse=True)
    gain = right["run"].astype(np.float64) - right["other"]
    scores = {name: Confusion.of(codes, code, one).scores for name, one in maps.items()}
    return {
        "pixels": int(both.sum()),
        "polygons": len(units),
        "overall_accuracy": {name: float(one.mean()) for name, one in right.items()},
        "difference": {
            "estimate": float(gain.mean()),
            **_interval(gain, unit, method),
        },
        "only_run_right": int((gain > 0).sum()),
        "only_other_right": int((gain < 0).sum()),
        "f_score": {
            str(one): {name: number_or_none(of.f_score[place]) for name, of in scores.items()}
            for place, one in enumerate(sorted(codes))
        },
    }


def _interval(
    gain: npt.NDArray[np.float64], unit: npt.NDArray[np.intp], method: Method
) -> dict[str, float | None]:
    """Return the interval of the mean gain: percentiles over resampled units, or exact.

    Exact where units are few or all gain the same, as that of `paired_difference`.
    """
    size = np.bincount(unit)
    if len(size) < 2:
        return {"low": None, "high": None}
    found = _resampled(np.bincount(unit, gain).astype(np.float64), size, method)
    if is_exact(found, len(size)):
        shares = float((gain > 0).mean()), float((gain < 0).mean())
        found = paired_difference(*shares, len(size), method.level)
    return {"low": found.low, "high": found.high}


def _resampled(
    gain: npt.NDArray[np.float64], size: npt.NDArray[np.int64], method: Method
) -> Interval:
    """Return the percentile interval of ``sum(gain) / sum(size)`` by resampling units."""
    rng = np.random.default_rng(derived_seed(method.seed, "validate", "bootstrap", "other maps"))
    at_once = max(1, _SAMPLES_AT_ONCE // len(size))
    means = []
    for start in range(0, method.replicates, at_once):
        number = min(at_once, method.replicates - start)
        drawn = rng.integers(0, len(size), (number, len(size)))
        means.append(gain[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.5 - method.level / 2, 0.5 + method.level / 2])
    return Interval(float(low), float(high))


def check_maps(maps: Mapping[str, Path], problems: Problems) -> None:
    """Look at the headers of maps to compare with, and say which are left out (``W-COMPARE-READ``).

    One that is not there is an error (``E-PATH-MISSING``).
    """
    for name, path in maps.items():
        if not path.is_file():
            message = f"validation.independent.compare.{name}: there is no file at {path}"
            hint = "correct the path; relative paths begin at the configuration file"
            problems.error("E-PATH-MISSING", message, path, hint)
            continue
        try:
            with rasterio.open(path, driver="GTiff") as raster:
                _refuse_without_coordinates(raster)
        except rasterio.errors.RasterioError as error:
            _left_out("W-COMPARE-READ", name, f"it cannot be read: {error}", path, problems)


def _refuse_without_coordinates(raster: rasterio.DatasetReader) -> None:
    if raster.crs is None or raster.transform.is_identity:
        raise rasterio.errors.RasterioError("it has no coordinates")


def _left_out(code: str, name: str, why: str, path: Path, problems: Problems) -> None:
    message = f"the map {name!r} is not compared with: {why}"
    problems.warn(code, message, path, "name a GeoTIFF of the same classes and the same land")


def _classes_at(path: Path, pixels: MapPixels, epsg: int) -> npt.NDArray[np.int64]:
    """Return the class of another map at the centres of pixels; 0 where it has none.

    Raises
    ------
    RasterioError
        If it is not a raster with coordinates that can be read.
    """
    with rasterio.open(path, driver="GTiff") as raster:
        _refuse_without_coordinates(raster)
        try:
            theirs = CRS.from_user_input(raster.crs.to_wkt())
            turn = Transformer.from_crs(epsg, theirs, always_xy=True)
        except ProjError as error:
            raise rasterio.errors.RasterioError(f"its coordinates: {error}") from error
        x, y = turn.transform(pixels.x, pixels.y)
        columns, rows = ~raster.transform @ (np.asarray(x), np.asarray(y))
        return _read_at(raster, np.floor(rows), np.floor(columns))


def _read_at(
    raster: rasterio.DatasetReader, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return values at pixels, row of blocks by row of blocks; 0 outside and for no data."""
    values = np.zeros(rows.shape, np.int64)
    inside = (rows >= 0) & (rows < raster.height) & (columns >= 0) & (columns < raster.width)
    height = raster.block_shapes[0][0]
    for strip in np.unique(rows[inside] // height):
        chosen = np.flatnonzero(inside & (rows // height == strip))
        top = int(strip) * height
        left, right = int(columns[chosen].min()), int(columns[chosen].max()) + 1
        window = rasterio.windows.Window(left, top, right - left, min(height, raster.height - top))
        part = raster.read(1, window=window)
        values[chosen] = part[rows[chosen].astype(int) - top, columns[chosen].astype(int) - left]
    if raster.nodata is not None:
        values[values == raster.nodata] = 0
    return values
