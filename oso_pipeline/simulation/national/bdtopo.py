"""A department of BD TOPO v3, and Corine Land Cover for it, as large as real ones.

A square of 2.5 km holds one village, roads, vegetation and ponds; a row of squares is made at a
time. Counts per square are those of a rural department: 400,000 buildings, 30,000 roads, 60,000
patches of vegetation and 5,000 of water on 32 x 32 squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.writers import database_layouts as layouts
from oso_pipeline.simulation.writers.vector_files import Batch, Column, concatenate

Floats = npt.NDArray[np.float64]

_SQUARE_M = 2_500.0
_BUILDINGS, _ROADS, _PATCHES, _PONDS = 392, 29, 59, 5
_GOLDEN_ANGLE = np.pi * (3 - 5**0.5)
_USES = {"Résidentiel": 0.57, "Indifférencié": 0.3, "Annexe": 0.07, "Commercial et services": 0.03,
         "Agricole": 0.015, "Industriel": 0.01, "Sportif": 0.005}  # fmt: skip
_NATURES = {"Haie": 0.47, "Bois": 0.34, "Forêt fermée de feuillus": 0.1, "Forêt fermée mixte": 0.02,
            "Forêt fermée de conifères": 0.03, "Forêt ouverte": 0.01, "Lande ligneuse": 0.02,
            "Peupleraie": 0.004, "Verger": 0.003, "Vigne": 0.003}  # fmt: skip
_WATERS = {"Retenue": 0.3, "Réservoir-bassin": 0.3, "Mare": 0.2, "Plan d'eau de gravière": 0.1,
           "Ecoulement naturel": 0.1}  # fmt: skip
_IMPORTANCES = {"1": 0.02, "2": 0.04, "3": 0.08, "4": 0.16, "5": 0.55, "6": 0.15}


@dataclass(frozen=True)
class DepartmentSpec:
    """Which department to write.

    Parameters
    ----------
    squares
        Squares of 2.5 km along each side; 32 make a department.
    name
        As ``D012``.
    seed
        Everything random derives from it.
    origin
        Lower left corner in Lambert-93, metres.
    """

    squares: int = 32
    name: str = "D012"
    seed: int = 0
    origin: tuple[float, float] = (420_000.0, 6_250_000.0)

    def __post_init__(self) -> None:
        if self.squares < 1:
            raise ValueError(f"squares must be at least 1, got {self.squares}")

    def rng(self, *what: str | int) -> np.random.Generator:
        """Return the random numbers of a part of the department."""
        return np.random.default_rng(derived_seed(self.seed, "department", *what))

    def corners(self, row: int) -> Floats:
        """Return the lower left corners of a row of squares, shape ``(square, 2)``, metres."""
        x = self.origin[0] + np.arange(self.squares) * _SQUARE_M
        return np.stack([x, np.full(self.squares, self.origin[1] + row * _SQUARE_M)], axis=1)


@dataclass(frozen=True)
class Villages:
    """The villages of a row of squares: centres, number of buildings, metres between them."""

    centres: Floats
    counts: npt.NDArray[np.int64]
    spacing_m: Floats

    @classmethod
    def of(cls, spec: DepartmentSpec, row: int) -> Villages:
        """Return the villages of a row."""
        rng = spec.rng("villages", row)
        sizes = np.exp(rng.normal(0, 0.9, spec.squares) - 0.9**2 / 2)
        counts = np.clip(_BUILDINGS * sizes, 8, 4_000).astype(np.int64)
        spacing = np.where(counts > 900, 19.0, rng.uniform(24, 42, spec.squares))
        centres = spec.corners(row) + rng.uniform(0.42, 0.58, (spec.squares, 2)) * _SQUARE_M
        return cls(centres, counts, spacing)

    @property
    def radii(self) -> Floats:
        """Distance of the outermost building of each village, metres."""
        return np.asarray(self.spacing_m * np.sqrt(self.counts / np.pi) + self.spacing_m)


def write_department(folder: Path, spec: DepartmentSpec) -> dict[str, int]:
    """Write the layers of a department as it is delivered; return features per layer."""
    makers: dict[str, Callable[[DepartmentSpec, int], Batch]] = {
        "BATIMENT": _buildings,
        "ZONE_DE_VEGETATION": _vegetation,
        "SURFACE_HYDROGRAPHIQUE": _water,
        "TRONCON_DE_ROUTE": _roads,
    }
    root, counts = layouts.bdtopo_folder(folder, spec.name), {}
    for layer, make in makers.items():
        theme, layout = layouts.BDTOPO_FOLDERS[layer]
        counts[layer] = layout.write(root / theme / f"{layer}.shp", _numbered(spec, layer, make))
    return counts


def write_land_cover(path: Path, spec: DepartmentSpec) -> int:
    """Write the urban polygons of Corine Land Cover that belong to a department's villages."""
    return layouts.CLC.write(path, land_cover_of(spec))


def land_cover_of(spec: DepartmentSpec) -> Iterator[Batch]:
    """Yield the same polygons, row of squares by row."""
    return (_urban(spec, row) for row in range(spec.squares))


def _numbered(
    spec: DepartmentSpec, layer: str, make: Callable[[DepartmentSpec, int], Batch]
) -> Iterator[Batch]:
    """Yield the rows of a layer with identifiers; one in 5,000 features comes twice."""
    stem = {"SURFACE_HYDROGRAPHIQUE": "SURF_EAU", "TRONCON_DE_ROUTE": "TRONROUT",
            "ZONE_DE_VEGETATION": "ZONEVEGE"}.get(layer, layer)  # fmt: skip
    first = 1
    for row in range(spec.squares):
        batch = make(spec, row)
        numbers = np.char.zfill(np.arange(first, first + len(batch)).astype(str), 13)
        ids = np.char.add(f"{stem}{spec.name[1:]}", numbers)
        first += len(batch)
        common: dict[str, Column] = {
            "ID": ids,
            "DATE_CREAT": "2011-04-13 13:09:40",
            "PREC_PLANI": 3.0,
        }
        whole = Batch(batch.geometry, {**common, **batch.columns})
        yield concatenate([whole, whole.take(np.arange(row, len(whole), 5_000))])


def _buildings(spec: DepartmentSpec, row: int) -> Batch:
    villages, rng = Villages.of(spec, row), spec.rng("buildings", row)
    of = np.repeat(np.arange(spec.squares), villages.counts)
    rank = np.arange(of.size) - np.repeat(
        np.cumsum(villages.counts) - villages.counts, villages.counts
    )
    # Sunflower heads: points that are about equally far from each other.
    distance = villages.spacing_m[of] * np.sqrt((rank + 0.5) / np.pi)
    place = np.stack([np.cos(rank * _GOLDEN_ANGLE), np.sin(rank * _GOLDEN_ANGLE)], axis=1)
    centres = villages.centres[of] + distance[:, None] * place + rng.normal(0, 2, (of.size, 2))
    use = _drawn(rng, _USES, of.size)
    large = np.isin(use, ["Industriel", "Commercial et services", "Agricole"])
    size = rng.uniform((7, 5), (14, 9), (of.size, 2)) * np.where(large, 2.2, 1.0)[:, None]
    light = (use == "Indifférencié") & (rng.uniform(size=of.size) < 0.6)
    height = np.round(rng.uniform(2.5, 9, of.size), 1)
    outlines = _rectangles(centres, size, rng.uniform(0, np.pi, of.size))
    columns: dict[str, Column] = {
        "NATURE": np.where(large, "Industriel, agricole ou commercial", "Indifférenciée"),
        "USAGE1": use,
        "LEGER": np.where(light, "Oui", "Non"),
        "ETAT": "En service", "HAUTEUR": height, "ORIGIN_BAT": "Cadastre",
    }  # fmt: skip
    return Batch(shapely.force_3d(outlines, 200 + height), columns)


def _urban(spec: DepartmentSpec, row: int) -> Batch:
    villages = Villages.of(spec, row)
    discs = shapely.buffer(shapely.points(villages.centres), villages.radii, quad_segs=6)
    cores = shapely.buffer(shapely.points(villages.centres), 0.5 * villages.radii, quad_segs=6)
    dense = villages.counts > 900
    rings = discs.copy()
    rings[dense] = shapely.difference(discs[dense], cores[dense])
    geometry = np.concatenate([rings, cores[dense]])
    codes = np.array(["112"] * len(rings) + ["111"] * int(dense.sum()))
    number = np.char.zfill((np.arange(len(codes)) + 10_000 * row).astype(str), 8)
    columns: dict[str, Column] = {
        "ID": np.char.add(f"FR-{spec.name[1:]}-", number),
        "CODE_18": codes,
    }
    return Batch(geometry, {**columns, "AREA_HA": shapely.area(geometry) / 1e4})


def _vegetation(spec: DepartmentSpec, row: int) -> Batch:
    rng, count = spec.rng("vegetation", row), spec.squares * _PATCHES
    centres = _scattered(spec, rng, row, _PATCHES)
    nature = _drawn(rng, _NATURES, count)
    hedge = nature == "Haie"
    radius = np.where(hedge, 40.0, np.clip(np.exp(rng.normal(3.9, 0.7, count)), 15, 800))
    squeeze = np.where(hedge, 0.12, 1.0)
    return Batch(_blobs(rng, centres, radius, squeeze), {"NATURE": nature})


def _water(spec: DepartmentSpec, row: int) -> Batch:
    rng, count = spec.rng("water", row), spec.squares * _PONDS
    nature = _drawn(rng, _WATERS, count)
    radius = np.clip(np.exp(rng.normal(3.3, 0.7, count)), 6, 400)
    geometry = _blobs(rng, _scattered(spec, rng, row, _PONDS), radius, np.ones(count))
    columns: dict[str, Column] = {
        "NATURE": nature, "POS_SOL": "0", "CODE_PAYS": "FR", "ETAT": "En service",
        "PERSISTANC": np.where(rng.uniform(size=count) < 0.4, "Intermittent", "Permanent"),
        "SALINITE": "Non",
    }  # fmt: skip
    return Batch(shapely.force_3d(geometry, 150.0), columns)


def _roads(spec: DepartmentSpec, row: int) -> Batch:
    rng, count = spec.rng("roads", row), spec.squares * _ROADS
    turns = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(rng.normal(0, 0.25, (count, 7)), 1)
    steps = rng.uniform(15, 60, (count, 1, 1)) * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    line = _scattered(spec, rng, row, _ROADS)[:, None, :] + np.cumsum(steps, axis=1)
    importance = _drawn(rng, _IMPORTANCES, count)
    width = np.array([14.0, 10.5, 7.0, 5.5, 4.0, 3.0])[importance.astype(int) - 1]
    columns: dict[str, Column] = {
        "NATURE": np.where(importance == "1", "Type autoroutier", "Route à 1 chaussée"),
        "IMPORTANCE": importance, "FICTIF": "Non", "ETAT": "En service", "LARGEUR": width,
        "POS_SOL": np.where(rng.uniform(size=count) < 0.01, "-1", "0"),
    }  # fmt: skip
    return Batch(shapely.force_3d(shapely.linestrings(line), 180.0), columns)


def _scattered(spec: DepartmentSpec, rng: np.random.Generator, row: int, count: int) -> Floats:
    """Return `count` places in each square of a row, one after the other, shape ``(n, 2)``."""
    corners = np.repeat(spec.corners(row), count, axis=0)
    return corners + rng.uniform(0, _SQUARE_M, corners.shape)


def _drawn(rng: np.random.Generator, shares: dict[str, float], count: int) -> npt.NDArray[np.str_]:
    limits = np.cumsum([*shares.values()]) / sum(shares.values())
    return np.array([*shares])[np.searchsorted(limits, rng.uniform(size=count))]


def _rectangles(centres: Floats, size: Floats, angle: Floats) -> npt.NDArray[np.object_]:
    """Return rectangles of the given half sides (metres), turned by `angle` (radians)."""
    unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
    x, y = (unit * size[:, None, :] / 2).transpose(2, 0, 1)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1)
    return np.asarray(shapely.polygons(np.round(turned + centres[:, None, :], 1)), dtype=object)


def _blobs(
    rng: np.random.Generator, centres: Floats, radius: Floats, squeeze: Floats
) -> npt.NDArray[np.object_]:
    """Return star-shaped patches; `squeeze` makes them narrow."""
    count, corners = len(centres), 18
    angle = np.linspace(0, 2 * np.pi, corners + 1)
    wobble = 1 + 0.25 * rng.uniform(-1, 1, (count, corners))
    reach = radius[:, None] * np.concatenate([wobble, wobble[:, :1]], axis=1)
    x, y = reach * np.cos(angle), reach * np.sin(angle) * squeeze[:, None]
    turn = rng.uniform(0, np.pi, (count, 1))
    turned = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=-1
    )
    return np.asarray(shapely.polygons(np.round(turned + centres[:, None, :], 1)), dtype=object)
