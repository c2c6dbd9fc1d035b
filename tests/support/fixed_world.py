"""Inputs of runs whose every byte is written here: no library, no clock, no random number.

A plan reads names, sizes, headers and digests of its inputs. From these files it is the same
with every version of GDAL or NumPy, so that the keys of its tasks can be recorded. The files
hold just enough to be planned with; they make no map.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path

SIDE = 256
"""Rows and columns of the images."""
_ROWS_PER_STRIP = 64
_UPPER_LEFT = {
    "30UYD": (699960, 5900040),
    "31TCJ": (300000, 4900020),
    "31TDJ": (399960, 4900020),
    "30TYP": (699960, 4800000),
    "31UCU": (300000, 5900040),
    "31UDS": (399960, 5700000),
    "31UES": (499980, 5700000),
}
_LAMBERT_93 = (
    'PROJCS["RGF_1993_Lambert_93",GEOGCS["GCS_RGF_1993",DATUM["D_RGF_1993",'
    'SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],'
    'PARAMETER["False_Easting",700000.0],PARAMETER["False_Northing",6600000.0],'
    'PARAMETER["Central_Meridian",3.0],PARAMETER["Standard_Parallel_1",49.0],'
    'PARAMETER["Standard_Parallel_2",44.0],PARAMETER["Latitude_Of_Origin",46.5],'
    'UNIT["Meter",1.0]]'
)
_POLYGON, _LINE = 5, 3
Box = tuple[float, float, float, float]
IN_NORD: Box = (499000.0, 7349000.0, 499200.0, 7349150.0)


def write_products(folder: Path, tile: str, days: Iterable[str]) -> None:
    """Write a product of `tile`, with one band, for each of `days`, ``YYYYMMDD``."""
    for day in days:
        name = f"SENTINEL2A_{day}-105435-000_L2A_T{tile}_C_V2-2"
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}_MTD_ALL.xml").write_text(f"<Muscate>{name}</Muscate>\n")
        (folder / name / f"{name}_FRE_B2.tif").write_bytes(_tiff(*_UPPER_LEFT[tile]))


def _tiff(x: int, y: int) -> bytes:
    """Return an image of zeros, 10 m, int16, in strips."""
    strips = SIDE // _ROWS_PER_STRIP
    size = 2 * SIDE * _ROWS_PER_STRIP
    doubles = struct.pack("<3d", 10, 10, 0), struct.pack("<6d", 0, 0, 0, x, y, 0)
    geo_keys = struct.pack("<8H", 1, 1, 0, 1, 1024, 0, 1, 1)
    entries = 12
    after = 8 + 2 + 12 * entries + 4
    at_scale = after + 8 * strips
    at_tie, at_keys = at_scale + 24, at_scale + 24 + 48
    pixels = at_keys + len(geo_keys)
    offsets = struct.pack(f"<{strips}I", *(pixels + size * i for i in range(strips)))
    counts = struct.pack(f"<{strips}I", *[size] * strips)
    short, long, double = 3, 4, 12
    directory = [
        (256, short, 1, SIDE),
        (257, short, 1, SIDE),
        (258, short, 1, 16),
        (259, short, 1, 1),
        (262, short, 1, 1),
        (273, long, strips, after),
        (278, short, 1, _ROWS_PER_STRIP),
        (279, long, strips, after + 4 * strips),
        (339, short, 1, 2),
        (33550, double, 3, at_scale),
        (33922, double, 6, at_tie),
        (34735, short, 8, at_keys),
    ]
    head = b"II" + struct.pack("<HIH", 42, 8, entries)
    table = b"".join(struct.pack("<HHII", *entry) for entry in directory) + bytes(4)
    values = offsets + counts + doubles[0] + doubles[1] + geo_keys
    return head + table + values + bytes(size * strips)


def write_shapefile(
    path: Path, fields: Mapping[str, str], box: Box = IN_NORD, kind: int = _POLYGON
) -> None:
    """Write a shapefile of one rectangle, or of its outline, with text in its fields."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left, bottom, right, top = box
    ring = [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]
    points = b"".join(struct.pack("<2d", *point) for point in ring)
    record = struct.pack("<i4d3i", kind, *box, 1, len(ring), 0) + points
    words = len(record) // 2

    def header(length: int) -> bytes:
        return struct.pack(">7i", 9994, 0, 0, 0, 0, 0, length) + struct.pack(
            "<2i8d", 1000, kind, *box, 0, 0, 0, 0
        )

    path.write_bytes(header(54 + words) + struct.pack(">2i", 1, words) + record)
    path.with_suffix(".shx").write_bytes(header(54) + struct.pack(">2i", 50, words))
    path.with_suffix(".prj").write_text(_LAMBERT_93)
    width = 24
    names = b"".join(struct.pack("<11sc4xBB14x", name.encode(), b"C", width, 0) for name in fields)
    length = 33 + len(names)
    head = struct.pack("<4BIHH20x", 3, 119, 1, 1, 1, length, 1 + width * len(fields))
    row = b" " + b"".join(value.ljust(width).encode() for value in fields.values())
    path.with_suffix(".dbf").write_bytes(head + names + b"\r" + row + b"\x1a")


def write_geojson(
    path: Path, rows: Iterable[tuple[Mapping[str, str | int], Box]], epsg: int
) -> None:
    """Write rectangles with their fields as GeoJSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = []
    for fields, (left, bottom, right, top) in rows:
        ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": dict(fields), "geometry": shape})
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    content = {"type": "FeatureCollection", "crs": crs, "features": features}
    path.write_text(json.dumps(content), encoding="utf-8")


def write_databases(folder: Path, departments: Iterable[str]) -> None:
    """Write RPG of 2014, 2017 and 2018, BD TOPO, CLC and Randolph as they are delivered."""
    for year in (2014, 2017):
        name = f"RPG_1-0_SHP_LAMB93_R031-{year}"
        below = folder / "rpg" / name / "RPG" / f"1_DONNEES_LIVRAISON_{year}" / name
        blocks = {"NUM_ILOT": "059-000001", "CODE_CULTU": "01", "NOM_CULTU": "BLE TENDRE"}
        write_shapefile(below / "ILOTS_ANONYMES.shp", blocks)
        table = "NUM_ILOT;CODE_GROUPE_CULTURE;SURFACE_GROUPE_CULTURE;NOM_GROUPE_CULTURE\n"
        line = f"059-000001;01;3.0{year % 10};BLE TENDRE\n"
        (below / "ILOTS-ANONYMES-GROUPES-CULTURE.csv").write_text(table + line)
    name = "RPG_2-0__SHP_LAMB93_R32_2018-01-01"
    below = folder / "rpg" / name / "RPG" / "1_DONNEES_LIVRAISON_2018" / name
    parcels = {"ID_PARCEL": "10000216", "CODE_CULTU": "ORH", "CODE_GROUP": "3"}
    write_shapefile(below / "PARCELLES_GRAPHIQUES.shp", parcels)
    for department in departments:
        _write_bdtopo(folder / "bdtopo", department)
    corine = {"ID": "FR-1", "CODE_18": "332"}
    write_shapefile(folder / "clc" / "CLC18_SHP_RGF" / "CLC18_FR.shp", corine)
    write_shapefile(folder / "rgi" / "11_rgi60_CentralEurope.shp", {"RGIId": "RGI60-11.1"})


def _write_bdtopo(folder: Path, department: str) -> None:
    name = f"BDTOPO_3-3_TOUSTHEMES_SHP_LAMB93_D{department}_2022-12-15"
    below = folder / name / f"BDT_3-3_SHP_LAMB93_D{department}-ED2022-12-15"
    dated = {"DATE_CREAT": "2011-12-20", "ETAT": "En service"}
    layers: dict[str, tuple[dict[str, str], int]] = {
        "BATI/BATIMENT": (
            {"NATURE": "Industriel", "USAGE1": "Industriel", "LEGER": "Non"},
            _POLYGON,
        ),
        "HYDROGRAPHIE/SURFACE_HYDROGRAPHIQUE": (
            {"NATURE": "Lac", "PERSISTANC": "Permanent", "POS_SOL": "0"},
            _POLYGON,
        ),
        "OCCUPATION_DU_SOL/ZONE_DE_VEGETATION": ({"NATURE": "Bois"}, _POLYGON),
        "SERVICES_ET_ACTIVITES/ZONE_D_ACTIVITE_OU_D_INTERET": (
            {"CATEGORIE": "Industriel et commercial", "NATURE": "Usine", "FICTIF": "Non"},
            _POLYGON,
        ),
        "TRANSPORT/TRONCON_DE_ROUTE": (
            {"NATURE": "Autoroute", "IMPORTANCE": "1", "LARGEUR": "21", "FICTIF": "Non",
             "POS_SOL": "0"},
            _LINE,
        ),
    }  # fmt: skip
    for number, (layer, (fields, kind)) in enumerate(layers.items()):
        named = {"ID": f"{department}{number:021d}"}
        write_shapefile(below / f"{layer}.shp", named | fields | dated, kind=kind)


def write_fixed_world(root: Path) -> None:
    """Write what the configurations of ``tests/data/0.1/configs`` name.

    They lie in ``root/project/configs``, those of the demo in ``root/demo``; OSO_DATA is to name
    ``root/nation``. GeoPackages hold the version of SQLite, so GeoJSON stands in for them.
    """
    seasons = {
        year: [f"{year}{day}" for day in ("0115", "0520", "0905")] for year in range(2017, 2020)
    }
    demo = root / "demo" / "world"
    for tile, (folder, year) in product(
        ("30UYD", "31UCU"), (("products", 2018), ("products_2017", 2017))
    ):
        write_products(demo / folder / f"T{tile}", tile, seasons[year])
    write_databases(demo, ("059", "062"))
    west: Box = (496000.0, 7347000.0, 499400.0, 7353000.0)
    east: Box = (499400.0, 7347000.0, 503000.0, 7353000.0)
    south: Box = (496000.0, 7347000.0, 503000.0, 7350000.0)
    write_geojson(demo / "truth" / "fields.geojson", [({"oso23": 5}, IN_NORD)], 2154)
    write_geojson(
        demo / "strata.geojson", [({"region": "west"}, west), ({"region": "east"}, east)], 2154
    )
    other_map = root / "demo" / "run_past_forest" / "maps" / "OCS_2018.tif"
    other_map.parent.mkdir(parents=True)
    other_map.write_bytes(_tiff(*_UPPER_LEFT["31UCU"]))
    write_geojson(demo / "area.geojson", [({"name": "south"}, south)], 2154)
    for year, tile in ((2018, "31UDS"), (2019, "31UES")):
        below = root / "shared" / "data" / f"flanders_{year}"
        write_products(below / "products", tile, seasons[year])
        parcels = [({"crop_code": "1200"}, (3.6, 51.3, 3.61, 51.31)),
                   ({"crop_code": "5100"}, (3.62, 51.3, 3.63, 51.31))]  # fmt: skip
        write_geojson(below / "reference" / "parcels.geojson", parcels, 4326)
        classes = "code,name,colour\n1200,maize,#ff5500\n5100,potatoes,#aaaa61\n"
        (below / "reference" / "nomenclature.csv").write_text(classes, encoding="utf-8")
    for place, tiles in (
        ("project/data", ("31TCJ", "31TDJ", "30TYP")),
        ("nation", ("31TCJ", "31TDJ")),
    ):
        for tile in tiles:
            write_products(root / place / "products", tile, seasons[2018])
        write_databases(root / place, ("031",))
    region = [({"region": "south"}, (300000.0, 6000000.0, 900000.0, 6500000.0))]
    write_geojson(root / "nation" / "regions.geojson", region, 2154)
