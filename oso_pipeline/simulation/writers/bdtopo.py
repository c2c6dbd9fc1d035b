"""BD TOPO v3 of the simulated world: two departments that both hold what lies on their border.

Towns are rows of buildings in the built-up fields, roads run along the asphalt ones, so that
closing and buffering give land of the class and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from oso_pipeline.simulation.world.known_land import KnownLand, with_flaws
from oso_pipeline.simulation.world.world import Floats
from oso_pipeline.simulation.writers import database_layouts as layouts
from oso_pipeline.simulation.writers.vector_files import Batch, Column, Geometries, concatenate

DEPARTMENTS = ("D059", "D062")
DUPLICATES, INVALID, SLIVERS = 1, 2, 3
"""Flaws of the vegetation and the water of the whole world, each."""

_KNOWN_SHARE = 0.85
_MARGIN_M = 3.0
_VEGETATION = {
    31: ("Forêt fermée de feuillus",) * 9 + ("Forêt fermée mixte",),
    32: ("Forêt fermée de conifères",) * 9 + ("Bois",),
    36: ("Lande ligneuse",),
    34: ("Lande herbacée",),
    221: ("Verger",),
    222: ("Vigne",),
}
_UNDATED_SHARE = 0.3  # of orchards, vineyards and herbaceous moor
_WATERS = ("Plan d'eau de gravière", "Retenue", "Ecoulement naturel", "Lac")
# Half sides of buildings and metres from one to the next, along and across a row.
_TOWNS = {41: ((6.0, 5.0), (19.0, 16.0)), 42: ((5.0, 4.0), (28.0, 24.0)),
          43: ((15.0, 9.0), (40.0, 27.0))}  # fmt: skip
_FROM_BORDER_M = 7.0


def layers_of(land: KnownLand) -> dict[str, Batch]:
    """Return the content of the database by layer, as it is delivered."""
    layers = {
        "BATIMENT": _buildings(land),
        "ZONE_DE_VEGETATION": _vegetation(land),
        "SURFACE_HYDROGRAPHIQUE": _water(land),
        "ZONE_D_ACTIVITE_OU_D_INTERET": _activity(land),
        "TRONCON_DE_ROUTE": _roads(land),
    }
    types = {name: layout.geometry_type for name, (_, layout) in layouts.BDTOPO_FOLDERS.items()}
    return {name: _in_space(batch, types[name]) for name, batch in layers.items()}


def write_layers(root: Path, layers: dict[str, Batch]) -> None:
    """Write the layers of a department into its folder."""
    for name, batch in layers.items():
        theme, layout = layouts.BDTOPO_FOLDERS[name]
        layout.write(root / theme / f"{name}.shp", [batch])


def write_bdtopo(land: KnownLand, folder: Path) -> dict[str, Path]:
    """Write the two departments; return the folder of each."""
    layers = layers_of(land)
    x0, _, x1, _ = land.world.bounds
    border = (x0 + x1) / 2
    roots = {name: layouts.bdtopo_folder(folder, name) for name in DEPARTMENTS}
    parts: dict[str, dict[str, Batch]] = {name: {} for name in DEPARTMENTS}
    for layer, batch in layers.items():
        west, _, east, _ = shapely.bounds(batch.geometry).T
        for name, inside in zip(DEPARTMENTS, (west <= border, east >= border), strict=True):
            parts[name][layer] = batch.take(inside)
    for name, part in parts.items():
        write_layers(roots[name], part)
    return roots


def _in_space(batch: Batch, geometry_type: str) -> Batch:
    """Return the batch with a height, if that is how its layer is delivered."""
    if not geometry_type.endswith("Z"):
        return batch
    return Batch(np.asarray(shapely.force_3d(batch.geometry, 120.0)), batch.columns)


def _common(stem: str, count: int) -> dict[str, Column]:
    """Return the columns that all layers have: identifier, origin, state."""
    numbers = range(60_000_000, 60_000_000 + count)
    return {
        "ID": np.array([f"{stem}{n:0{24 - len(stem)}d}" for n in numbers], dtype="U24"),
        "DATE_CREAT": "2011-12-20 15:36:04",
        "ACQU_PLANI": "Photogrammétrie", "PREC_PLANI": 2.5,
    }  # fmt: skip


def _vegetation(land: KnownLand) -> Batch:
    rng = land.rng("bdtopo", "vegetation")
    dated = land.fields((31, 32, 36), "bdtopo", _KNOWN_SHARE)
    undated = land.fields((34, 221, 222), "bdtopo", _KNOWN_SHARE)
    undated = undated[rng.uniform(size=undated.size) < _UNDATED_SHARE]
    fields = np.concatenate([dated, undated])
    natures = [rng.choice(_VEGETATION[int(code)]) for code in land.world.codes[fields]]
    hedges = _hedges(land, rng)
    geometry = np.concatenate([land.inset(fields, _MARGIN_M), hedges])
    columns = {
        **_common("ZONEVEGE", len(geometry)),
        "NATURE": np.array([*natures, *["Haie"] * len(hedges)]),
    }
    return with_flaws(Batch(geometry, columns), rng, DUPLICATES, INVALID, SLIVERS)


def _hedges(land: KnownLand, rng: np.random.Generator) -> Geometries:
    """Return narrow strips along the borders of some meadows."""
    meadows = land.fields((211,), "bdtopo", 0.3)
    lines = shapely.boundary(land.inset(meadows, 4.0))
    starts = rng.uniform(0, 0.6, meadows.size)
    parts = [
        shapely.LineString(
            [line.interpolate(t, normalized=True) for t in np.linspace(start, start + 0.2, 5)]
        )
        for line, start in zip(lines, starts, strict=True)
    ]
    return np.asarray(shapely.buffer(np.array(parts, dtype=object), 2.0, quad_segs=2))


def _water(land: KnownLand) -> Batch:
    rng = land.rng("bdtopo", "water")
    water, _ = land.lakes_and_sea(_KNOWN_SHARE)
    ice = land.fields((53,), "bdtopo", _KNOWN_SHARE)
    meadows = land.fields((211,), "ponds", 0.08)
    ponds = shapely.buffer(shapely.points(land.world.seeds[meadows]), 9.0, quad_segs=4)
    geometry = np.concatenate([land.inset(water, _MARGIN_M), land.inset(ice, _MARGIN_M), ponds])
    natures = [*rng.choice(_WATERS, water.size), *["Glacier, névé"] * ice.size]
    columns: dict[str, Column] = {
        **_common("SURF_EAU", len(geometry)), "CODE_PAYS": "FR", "ETAT": "En service",
        "NATURE": np.array([*natures, *["Mare"] * len(ponds)]), "STATUT": "Validé",
        "PERSISTANC": np.array(["Permanent"] * len(natures) + ["Intermittent"] * len(ponds)),
        "POS_SOL": "0", "SALINITE": "Non", "ORIGINE": "Naturelle non aménagée",
    }  # fmt: skip
    batch = with_flaws(Batch(geometry, columns), rng, DUPLICATES, INVALID, slivers=0)
    return concatenate([batch, _culvert(land, len(batch))])


def _culvert(land: KnownLand, number: int) -> Batch:
    """Return a stream that runs under ground, below a town."""
    towns = land.fields((41,), "bdtopo")[:1]
    columns: dict[str, Column] = {
        "ID": f"SURF_EAU{90_000_000 + number:016d}", "NATURE": "Conduit buse",
        "POS_SOL": "-1", "PERSISTANC": "Permanent", "ETAT": "En service", "SALINITE": "Non",
    }  # fmt: skip
    return Batch(land.inset(towns, 15.0), columns)


def _buildings(land: KnownLand) -> Batch:
    rng = land.rng("bdtopo", "buildings")
    parts = []
    for code, (half, step) in _TOWNS.items():
        fields = land.fields((code,), "bdtopo", _KNOWN_SHARE)
        rows = [_rows(land, field, half, step, rng) for field in fields]
        shapes = np.concatenate([np.array([], dtype=object), *rows])
        industrial = code == 43
        uses = ("Industriel", "Commercial et services") if industrial else (
            "Résidentiel", "Résidentiel", "Indifférencié", "Annexe")  # fmt: skip
        light = rng.uniform(size=shapes.size) < (0.0 if industrial else 0.06)
        columns: dict[str, Column] = {
            "NATURE": "Industriel, agricole ou commercial" if industrial else "Indifférenciée",
            "USAGE1": rng.choice(uses, shapes.size), "LEGER": np.where(light, "Oui", "Non"),
            "HAUTEUR": np.round(rng.uniform(3, 16 if code == 41 else 9, shapes.size), 1),
        }  # fmt: skip
        parts.append(Batch(shapes, columns))
    batch = concatenate(parts)
    common = {**_common("BATIMENT", len(batch)), "ETAT": "En service", "ORIGIN_BAT": "Cadastre"}
    return Batch(batch.geometry, {**common, **batch.columns})


def _rows(
    land: KnownLand, field: int, half: tuple[float, float], step: tuple[float, float],
    rng: np.random.Generator,
) -> Geometries:  # fmt: skip
    """Return rectangles in rows that run along a field, whole ones inside it only."""
    axis, centre, reach = _long_axis(land.outlines[field])
    across = np.array([-axis[1], axis[0]])
    u, v = np.meshgrid(*(np.arange(-reach, reach, distance) for distance in step))
    places = centre + np.stack([u.ravel(), v.ravel()], axis=1) @ np.stack([axis, across])
    places += rng.uniform(-1.5, 1.5, places.shape)
    size = np.array(half) * rng.uniform(0.8, 1.1, (len(places), 1, 2))
    unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
    corners = places[:, None, :] + (unit * size) @ np.stack([axis, across])
    shapes = np.asarray(shapely.polygons(np.round(corners, 1)), dtype=object)
    inner = shapely.buffer(land.outlines[field], -_FROM_BORDER_M, join_style="mitre")
    return shapes[shapely.covers(inner, shapes)]


def _activity(land: KnownLand) -> Batch:
    fields = land.fields((43,), "bdtopo", _KNOWN_SHARE)
    quarries = land.fields((45,), "quarries", 0.1)[:2]
    geometry = land.inset(np.concatenate([fields, quarries]), _MARGIN_M)
    natures = ["Zone industrielle"] * fields.size + ["Carrière"] * quarries.size
    columns: dict[str, Column] = {
        **_common("SURFACTI", len(geometry)), "CATEGORIE": "Industriel et commercial",
        "NATURE": np.array(natures), "STATUT_TOP": "Collecté", "IMPORTANCE": "5", "FICTIF": "Non",
    }  # fmt: skip
    return Batch(geometry, columns)


def _roads(land: KnownLand) -> Batch:
    """Return main roads in the asphalt fields, minor roads around others, and a tunnel."""
    rng = land.rng("bdtopo", "roads")
    asphalt = land.fields((44,), "bdtopo", _KNOWN_SHARE)
    minor = land.fields((12, 211), "lanes", 0.15)
    main = np.array([_along(land.outlines[field]) for field in asphalt], dtype=object)
    small = shapely.boundary(land.inset(minor, 0.5))
    towns = land.fields((42,), "bdtopo")[:1]
    tunnel = np.array([_along(land.outlines[field]) for field in towns], dtype=object)
    importance = np.array(
        [*rng.choice(["1", "2", "3"], main.size), *["5"] * minor.size, *["1"] * tunnel.size],
        dtype="U1",
    )
    columns: dict[str, Column] = {
        **_common("TRONROUT", importance.size), "IMPORTANCE": importance, "FICTIF": "Non",
        "NATURE": np.where(importance < "3", "Type autoroutier", "Route à 1 chaussée"),
        "POS_SOL": np.repeat(["0", "-1"], [main.size + minor.size, tunnel.size]),
        "ETAT": "En service",
        "NB_VOIES": np.where(importance < "3", "4", "2"),
        "LARGEUR": np.where(importance < "3", 21.0, np.where(importance == "3", 14.0, 4.0)),
    }  # fmt: skip
    return Batch(np.concatenate([main, small, tunnel]), columns)


def _along(field: shapely.Polygon) -> shapely.LineString:
    """Return a slightly bent line along a field that keeps 14 m from its border."""
    axis, centre, reach = _long_axis(field)
    bend = np.array([-axis[1], axis[0]]) * 3.0
    line = shapely.LineString([centre - reach * axis, centre + bend, centre + reach * axis])
    inside = shapely.intersection(line, shapely.buffer(field, -14.0, join_style="mitre"))
    return max(shapely.get_parts(inside), key=shapely.length, default=line)


def _long_axis(field: shapely.Polygon) -> tuple[Floats, Floats, float]:
    """Return the direction of the long side (unit vector), the centre, and half the length."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(field))[:3]
    sides = np.diff(corners, axis=0)
    lengths = np.hypot(*sides.T)
    longest = int(np.argmax(lengths))
    centre = shapely.get_coordinates(field.centroid)[0]
    return sides[longest] / lengths[longest], centre, float(lengths[longest]) / 2
