"""The register of agricultural land of the simulated world, in both of its forms.

The year of the map comes as parcels with a crop each, earlier years as îlots of one to four
parcels with their greatest crop group: 2014, and the past year of which there are images. Annual
crops rotate in between; a few perennial fields of 2014 have been ploughed since.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.simulation.world.known_land import Indices, KnownLand, with_flaws
from oso_pipeline.simulation.world.land_covers import KINDS, NUMBER, OSO17, Codes, Kind, drawn_kinds
from oso_pipeline.simulation.writers import database_layouts as layouts
from oso_pipeline.simulation.writers.vector_files import Batch, Column

ILOTS_YEAR = 2014
REGION, OLD_REGION, DEPARTMENT = "R32", "R031", "059"
NO_CODE, NO_AREA = 3, 2
"""Parcels without a crop (``NR``) and with a surface of zero."""
DUPLICATES, INVALID, SLIVERS = 2, 2, 2

_ANNUAL, _PERENNIAL = (11, 12), (211, 221, 222)
_KNOWN_SHARE = 0.85
_MARGIN_M = 2.0
# Permanent crops are declared as one of these; group until 2014.
_LASTING: dict[int, tuple[tuple[str, ...], int]] = {
    211: (("PPH", "PPH", "PRL"), 18),
    221: (("VRG", "VRG", "PRU"), 20),
    222: (("VRC", "VRC", "VRT"), 21),
}
# By class of OSO 17, what no class of OSO learns from: sorghum, fallow, temporary grass, lucerne.
_LEFT_OUT = {11: ("SOG",), 12: ("J6S",), 211: ("PTR", "LUZ")}
_LEFT_OUT_SHARE = 0.07
_PLOUGHED_SHARE = 0.03
_JOINED_SHARE = 0.45  # of neighbours with one land use; of others:
_JOINED_MIXED_SHARE = 0.06


def parcels_of(land: KnownLand) -> Batch:
    """Return the parcels of the year of the images, with the fields of the shapefile."""
    fields = _declared_fields(land)
    rng = land.rng("rpg", "crops")
    crops = np.array([_crop(KINDS[int(kind)], rng) for kind in land.world.kinds[fields]])
    groups = np.array([str(layouts.CROP_GROUPS[crop]) for crop in crops])
    geometry = land.inset(fields, _MARGIN_M)
    surfaces = np.round(shapely.area(geometry) / 1e4, 2)
    unknown, empty = np.split(rng.permutation(fields.size)[: NO_CODE + NO_AREA], [NO_CODE])
    crops[unknown], groups[unknown] = "NR", ""
    surfaces[empty] = 0.0
    columns: dict[str, Column] = {
        "ID_PARCEL": (10_000_000 + rng.permutation(fields.size)).astype(str),
        "SURF_PARC": surfaces, "CODE_CULTU": crops, "CODE_GROUP": groups,
        "CULTURE_D1": np.where(rng.uniform(size=fields.size) < 0.05, "DTY", ""),
    }  # fmt: skip
    return with_flaws(Batch(geometry, columns), rng, DUPLICATES, INVALID, SLIVERS)


def write_parcels(land: KnownLand, folder: Path) -> Path:
    """Write the RPG of the year of the images; return its shapefile."""
    root = layouts.rpg_folder(folder, "SHP", land.world.spec.year, REGION)
    layouts.RPG_PARCELS.write(root / "PARCELLES_GRAPHIQUES.shp", [parcels_of(land)])
    fields = _declared_fields(land)
    ilots = _ilots(land, fields, land.world.kinds[fields], land.rng("rpg", "ilots"))
    shapes = _outlines(land, ilots)
    area_ha = np.round(shapely.area(shapes) / 1e4, 2)
    numbers = (2_000_000 + np.arange(len(ilots))).astype(str)
    blocks = Batch(shapes, {"ID_ILOT": numbers, "INSEE_COM": "59001", "SURF_ILOT": area_ha})
    layouts.RPG_ILOTS_ANONYMES.write(root / "ILOTS_ANONYMES.shp", [blocks])
    return root / "PARCELLES_GRAPHIQUES.shp"


@dataclass(frozen=True)
class _Declared:
    """Declarations of farmers in a year: fields and their kinds, and the draws of that year."""

    year: int
    fields: Indices
    kinds: Codes
    rng: np.random.Generator


def write_ilots(land: KnownLand, folder: Path) -> Path:
    """Write the RPG of 2014, for which the world has no images; return its shapefile."""
    fields = land.fields((*_ANNUAL, *_PERENNIAL), "ilots", _KNOWN_SHARE)
    rng = land.rng("ilots", "crops")
    kinds = _earlier(land.world.kinds[fields], rng)
    return _write_ilots(land, _Declared(ILOTS_YEAR, fields, kinds, rng), folder)


def write_past_ilots(past: KnownLand, folder: Path) -> Path:
    """Write the RPG of the past year in the form until 2014; return its shapefile.

    Parameters
    ----------
    past
        The land as it was in that year.
    folder
        Where deliveries of the RPG lie.
    """
    fields = past.fields((*_ANNUAL, *_PERENNIAL), "rpg", _KNOWN_SHARE)
    year = past.world.spec.year
    declared = _Declared(year, fields, past.world.kinds[fields], past.rng("ilots", year))
    return _write_ilots(past, declared, folder)


def _write_ilots(land: KnownLand, declared: _Declared, folder: Path) -> Path:
    """Write îlots and the table of their groups."""
    fields, rng = declared.fields, declared.rng
    groups = np.array([_group(KINDS[int(kind)]) for kind in declared.kinds])
    ilots = _ilots(land, fields, declared.kinds, rng)
    group_of = dict(zip(fields.tolist(), groups.tolist(), strict=True))
    geometry = _outlines(land, ilots)
    numbers = np.array([f"{DEPARTMENT}-{n:06d}" for n in range(1, len(ilots) + 1)])
    tables = [_surfaces(land, ilot, group_of) for ilot in ilots]
    main = np.array([max(table, key=lambda group: table[group]) for table in tables])
    graph = np.array([f"{hectares:.2f}" for hectares in shapely.area(geometry) / 1e4])
    cultivated = np.array([f"{t[group]:.2f}" for t, group in zip(tables, main, strict=True)])
    cultivated[rng.permutation(len(ilots))[:NO_CODE]] = "NR"
    columns: dict[str, Column] = {
        "NUM_ILOT": numbers, "COMMUNE": "59001", "FORME_JURI": "EARL", "DEP_RATTAC": DEPARTMENT,
        "SURF_DECLA": "NR", "SURF_GRAPH": graph, "SURF_CULTU": cultivated,
        "CODE_CULTU": np.array([f"{group:02d}" for group in main]),
        "NOM_CULTU": np.array([layouts.GROUP_NAMES[int(group)] for group in main]),
    }  # fmt: skip
    root = layouts.ilots_folder(folder, declared.year, OLD_REGION)
    batch = with_flaws(Batch(geometry, columns), rng, DUPLICATES, INVALID, slivers=0)
    layouts.RPG_ILOTS.write(root / "ILOTS_ANONYMES.shp", [batch])
    lines = [
        f"{number};{group:02d};{hectares:.2f};{layouts.GROUP_NAMES[group]}"
        for number, table in zip(numbers, tables, strict=True)
        for group, hectares in sorted(table.items())
    ]
    content = "\r\n".join([layouts.RPG_GROUPS_HEADER, *lines, ""])
    (root / "ILOTS-ANONYMES-GROUPES-CULTURE.csv").write_bytes(content.encode("ascii"))
    return root / "ILOTS_ANONYMES.shp"


def _declared_fields(land: KnownLand) -> Indices:
    return land.fields((*_ANNUAL, *_PERENNIAL), "rpg", _KNOWN_SHARE)


def _crop(kind: Kind, rng: np.random.Generator) -> str:
    """Return the crop of a parcel since 2015; a few are none that a class is learnt from."""
    left_out = _LEFT_OUT.get(kind.oso17, ())
    used = kind.crop.declared if kind.crop else _LASTING[kind.oso17][0]
    return str(rng.choice(left_out if left_out and rng.uniform() < _LEFT_OUT_SHARE else used))


def _group(kind: Kind) -> int:
    """Return the group of crops of a kind until 2014."""
    return kind.crop.group if kind.crop else _LASTING[kind.oso17][1]


def _earlier(kinds: Codes, rng: np.random.Generator) -> Codes:
    """Return the land use some years before: annual crops rotate, some grass was ploughed."""
    annual = np.isin(OSO17[kinds], _ANNUAL)
    rotated = drawn_kinds(rng.choice(np.array(_ANNUAL, np.int16), kinds.size), rng)
    grass_then = ~annual & (rng.uniform(size=kinds.size) < _PLOUGHED_SHARE)
    earlier = np.where(annual, rotated, kinds)
    was_grass = annual & (rng.uniform(size=kinds.size) < _PLOUGHED_SHARE)
    earlier[was_grass], earlier[grass_then] = NUMBER["grassland"], NUMBER["wheat"]
    return earlier.astype(np.int16)


def _ilots(
    land: KnownLand, fields: Indices, kinds: Codes, rng: np.random.Generator
) -> list[list[int]]:
    """Join neighbouring fields to îlots of up to four; mostly of one land use."""
    kind_of = dict(zip(fields.tolist(), kinds.tolist(), strict=True))
    shapes = land.outlines[fields]
    first, second = shapely.STRtree(shapes).query(shapes, predicate="touches")
    shared = shapely.length(shapely.intersection(shapes[first], shapes[second]))
    beside = (first < second) & (shared > 20)
    lot = rng.uniform(size=first.size)
    ilot_of = {field: [field] for field in kind_of}
    for a, b, chance in zip(
        fields[first[beside]], fields[second[beside]], lot[beside], strict=True
    ):
        one, other = ilot_of[int(a)], ilot_of[int(b)]
        same = len({kind_of[field] for field in (*one, *other)}) == 1
        share = _JOINED_SHARE if same else _JOINED_MIXED_SHARE
        if one is not other and len(one) + len(other) <= 4 and chance < share:
            one += other
            ilot_of |= dict.fromkeys(other, one)
    return sorted({id(ilot): sorted(ilot) for ilot in ilot_of.values()}.values())


def _outlines(land: KnownLand, ilots: list[list[int]]) -> npt.NDArray[np.object_]:
    shapes = [shapely.union_all(land.outlines[ilot], grid_size=0.01) for ilot in ilots]
    inner = shapely.buffer(np.array(shapes, dtype=object), -_MARGIN_M, join_style="mitre")
    return np.asarray(shapely.set_precision(inner, 0.01), dtype=object)


def _surfaces(land: KnownLand, ilot: list[int], group_of: dict[int, int]) -> dict[int, float]:
    """Return the hectares of each crop group of an îlot."""
    table: dict[int, float] = {}
    for field in ilot:
        hectares = round(shapely.area(land.outlines[field]) / 1e4, 2)
        table[group_of[field]] = table.get(group_of[field], 0.0) + hectares
    return table
