"""A Registre Parcellaire Graphique of any size: faithful in layout, sizes and flaws.

The land is cut into îlots by an irregular, warped grid; a smooth pattern leaves out what is not
farmed; an îlot holds one to four parcels. Neighbours overlap or gape by some square metres where
one has corners that the other lacks, as digitised parcels do. Everything is a function of the
seed and the row of îlots, so rows are made one after the other in little memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.world.world import smooth_noise
from oso_pipeline.simulation.writers import database_layouts as layouts
from oso_pipeline.simulation.writers.vector_files import Batch, concatenate, write_geopackage

Floats = npt.NDArray[np.float64]

# Order of size of the national frequencies, per cent; the rest of the list is thinly spread.
_FREQUENCIES = {
    "PPH": 27, "BTH": 15, "PTR": 8, "MIS": 7, "ORH": 5.5, "VRC": 5, "PRL": 4.5, "CZH": 4.5,
    "MIE": 4, "J6S": 3, "TRN": 2.6, "J5M": 2, "TTH": 1.6, "LUZ": 1.4, "SNE": 1.3, "BTN": 1.2,
    "ORP": 1.2, "J6P": 1, "BTA": 0.9, "SPH": 0.8, "VRG": 0.8, "SPL": 0.6, "BDH": 0.6, "SOJ": 0.5,
    "RGA": 0.5, "PTC": 0.4, "AVH": 0.4, "MLG": 0.4, "SOG": 0.3, "FVL": 0.3, "PHI": 0.3,
    "TRE": 0.2, "NOX": 0.2, "LIF": 0.2, "BOP": 0.2, "OLI": 0.1, "VRN": 0.1, "FLA": 0.1, "BFS": 0.1,
}  # fmt: skip
_CODES = np.array([*_FREQUENCIES])
_GROUPS = np.array([str(layouts.CROP_GROUPS[code]) for code in _FREQUENCIES])
_CUMULATED = np.cumsum([*_FREQUENCIES.values()]) / sum(_FREQUENCIES.values())

_ILOT_SIDE_M = 235.0
_SPREAD = 0.5  # of the logarithm of the widths of the columns and rows of îlots
_PARCELS_OF_ILOT = (0.5, 0.8, 0.92)  # cumulated shares of one, two, three; the rest holds four
_FARMED = 0.62
_SAME_CROP = 0.35  # chance that the next parcel of an îlot has the crop of the first
_FLAWS = {"duplicate": 4e-4, "invalid": 3e-4, "sliver": 1e-3, "no code": 5e-4, "no area": 1e-3}
_SIDES = np.array([(0, 0), (1 / 3, 0), (2 / 3, 0), (1, 0), (1, 0.5), (1, 1), (2 / 3, 1),
                   (1 / 3, 1), (0, 1), (0, 0.5), (0, 0)])  # fmt: skip


@dataclass(frozen=True)
class RpgSpec:
    """Which RPG to write.

    Parameters
    ----------
    parcels
        How many, within ten per cent.
    year
        2015 or later.
    seed
        Everything random derives from it.
    origin
        Lower left corner in Lambert-93, metres.
    """

    parcels: int
    year: int = 2018
    seed: int = 0
    origin: tuple[float, float] = (420_000.0, 6_250_000.0)

    def __post_init__(self) -> None:
        if self.parcels < 1 or self.year < 2015:
            raise ValueError(f"parcels >= 1 and year >= 2015, got {self}")

    @property
    def ilots_per_side(self) -> int:
        """Îlots in a row, farmed or not, and number of rows."""
        per_ilot = 4 - sum(_PARCELS_OF_ILOT)
        return max(2, round((self.parcels / per_ilot / _FARMED) ** 0.5))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Bounds of the parcels in Lambert-93, to some hundred metres."""
        x, y = self.origin
        across, up = (float(self._lines(axis)[-1]) for axis in ("columns", "rows"))
        return x, y, x + across, y + up

    def _lines(self, axis: str) -> Floats:
        rng = np.random.default_rng(derived_seed(self.seed, "rpg", axis))
        widths = np.exp(rng.normal(0, _SPREAD, self.ilots_per_side)) * _ILOT_SIDE_M
        return np.concatenate([[0.0], np.cumsum(widths)])

    def batches(self) -> Iterator[Batch]:
        """Yield the parcels, some ten thousand at a time, with the fields of the GeoPackage."""
        columns, rows = self._lines("columns"), self._lines("rows")
        step = max(1, 20_000 // self.ilots_per_side)
        first_id = 1
        for row in range(0, self.ilots_per_side, step):
            chosen = rows[row : row + step + 1]
            batch = _parcels(self, columns, chosen, row)
            ids = np.arange(first_id, first_id + len(batch)).astype(str)
            first_id += len(batch)
            yield _with_flaws(Batch(batch.geometry, {"id_parcel": ids, **batch.columns}), self, row)


def write_rpg(folder: Path, spec: RpgSpec, form: str = "GPKG") -> Path:
    """Write an RPG of many parcels in the layout of a delivery and return its file.

    Parameters
    ----------
    folder
        Folder of the delivery.
    spec
        How many parcels, of which year.
    form
        ``GPKG``: national, lower-case fields, multi-polygons. ``SHP``: of a region.
    """
    if form == "GPKG":
        path = layouts.rpg_folder(folder, form, spec.year, "FXX") / "PARCELLES_GRAPHIQUES.gpkg"
        write_geopackage(path, "parcelles_graphiques", spec.batches(), layouts.RPG_PARCELS_GPKG)
    else:
        path = layouts.rpg_folder(folder, form, spec.year, "R76") / "PARCELLES_GRAPHIQUES.shp"
        layouts.RPG_PARCELS.write(path, (_upper(batch) for batch in spec.batches()))
    return path


def _upper(batch: Batch) -> Batch:
    return Batch(batch.geometry, {name.upper(): cells for name, cells in batch.columns.items()})


def _parcels(spec: RpgSpec, columns: Floats, rows: Floats, first_row: int) -> Batch:
    """Return the parcels of some rows of îlots."""
    rng = np.random.default_rng(derived_seed(spec.seed, "rpg", "row", first_row))
    j, i = (axis.ravel() for axis in np.mgrid[0 : rows.size - 1, 0 : columns.size - 1])
    x, y = columns[i] + spec.origin[0], rows[j] + spec.origin[1]
    wild = smooth_noise(x, y, 9_000.0, derived_seed(spec.seed, "rpg", "farmed"))
    farmed = rng.uniform(size=x.size) < _FARMED + 1.6 * (wild - 0.5)
    i, j = i[farmed], j[farmed]
    number = 1 + np.searchsorted(_PARCELS_OF_ILOT, rng.uniform(size=i.size))
    ilot = np.repeat(np.arange(i.size), number)
    place = np.arange(ilot.size) - np.repeat(np.cumsum(number) - number, number)
    cuts = np.sort(rng.uniform(0.12, 0.88, (i.size, 3)), axis=1)
    cuts = np.where(np.arange(3) < number[:, None] - 1, cuts, 1.0)
    bounds = np.concatenate([np.zeros((i.size, 1)), cuts, np.ones((i.size, 1))], axis=1)
    low, high = bounds[ilot, place], bounds[ilot, place + 1]
    # Corners and middles of the sides in the îlot's own units; strips run along its height.
    u = low[:, None] + (high - low)[:, None] * _SIDES[:, 0]
    v = np.broadcast_to(_SIDES[:, 1], u.shape)
    across = columns[i][ilot, None] + u * np.diff(columns)[i][ilot, None] + spec.origin[0]
    up = rows[j][ilot, None] + v * np.diff(rows)[j][ilot, None] + spec.origin[1]
    geometry = shapely.polygons(np.stack(_warped(across, up, spec.seed), axis=-1))
    crop = _crops(rng, ilot, i.size)
    area_ha = np.round(shapely.area(geometry) / 1e4, 2)
    return Batch(
        geometry,
        {
            "code_cultu": _CODES[crop],
            "code_group": _GROUPS[crop],
            "culture_d1": np.where(rng.uniform(size=crop.size) < 0.06, "DTY", ""),
            "culture_d2": "",
            "surf_parc": area_ha,
        },
    )


def _warped(x: Floats, y: Floats, seed: int) -> tuple[Floats, Floats]:
    """Bend the straight lines of the grid; the same place always moves the same way."""
    bend = [smooth_noise(x, y, 700.0, derived_seed(seed, "rpg", axis)) - 0.5 for axis in ("x", "y")]
    return np.round(x + 180 * bend[0], 2), np.round(y + 180 * bend[1], 2)


def _crops(
    rng: np.random.Generator, ilot: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """Return the index of the crop of each parcel; parcels of an îlot often share it."""
    own = np.searchsorted(_CUMULATED, rng.uniform(size=ilot.size))
    of_ilot = np.searchsorted(_CUMULATED, rng.uniform(size=count))
    return np.where(rng.uniform(size=ilot.size) < _SAME_CROP, of_ilot[ilot], own)


def _with_flaws(batch: Batch, spec: RpgSpec, row: int) -> Batch:
    """Put in what real deliveries have in small numbers."""
    rng = np.random.default_rng(derived_seed(spec.seed, "rpg", "flaws", row))
    lot = rng.uniform(size=len(batch))
    limits = np.cumsum([*_FLAWS.values()])
    kind = np.searchsorted(limits, lot)
    at = {name: np.flatnonzero(kind == n) for n, name in enumerate(_FLAWS)}
    columns = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in batch.columns.items()}
    geometry = batch.geometry.copy()
    geometry[at["invalid"]] = _bow_ties(geometry[at["invalid"]])
    geometry[at["sliver"]] = _slivers(geometry[at["sliver"]])
    columns["code_cultu"][at["no code"]] = "NR"  # type: ignore[index]
    columns["code_group"][at["no code"]] = ""  # type: ignore[index]
    columns["surf_parc"][at["no area"]] = 0.0  # type: ignore[index]
    flawed = Batch(geometry, columns)
    return concatenate([flawed, flawed.take(at["duplicate"])])


def _bow_ties(polygons: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Exchange two corners of each polygon, so that its outline crosses itself."""
    count = len(_SIDES)
    corners = shapely.get_coordinates(polygons).reshape(-1, count, 2)
    order = np.arange(count)
    order[[3, 5]] = order[[5, 3]]
    return np.asarray(shapely.polygons(corners[:, order]), dtype=object)


def _slivers(polygons: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Return the south-western metre of each polygon's bounds, as digitising leaves."""
    x0, y0, _, y1 = shapely.bounds(polygons).T
    return np.asarray(shapely.box(x0, y0, x0 + 1.0, y1), dtype=object)
