"""The databases of the simulated world: real layouts, every class, planted flaws, true labels."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from oso_pipeline.simulation import WorldSpec
from oso_pipeline.simulation.world.land_covers import OSO23
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers import bdtopo as bdtopo_writer
from oso_pipeline.simulation.writers import clc as clc_writer
from oso_pipeline.simulation.writers import rpg as rpg_writer
from oso_pipeline.simulation.writers.databases import Databases, write_databases

CROPS = {
    11: {"MIS", "MIE", "TRN"}, 12: {"BTH", "ORH", "ORP", "CZH", "TTH", "PPR", "FVL"},
    211: {"PPH", "PRL"}, 221: {"VRG", "PRU"}, 222: {"VRC", "VRT"},
}  # fmt: skip
VEGETATION = {
    31: "Forêt fermée de feuillus", 32: "Forêt fermée de conifères", 36: "Lande ligneuse",
}  # fmt: skip
LAND_COVER = {34: "321", 45: "332", 46: "331", 51: "523"}


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec())


@pytest.fixture(scope="module")
def databases(world: World, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return write_databases(tmp_path_factory.mktemp("databases"), world)


def layer(databases: Databases, name: str) -> gpd.GeoDataFrame:
    """Read a layer of both departments, each feature once, on the plane and valid."""
    paths = [next(root.rglob(f"{name}.shp")) for root in databases.bdtopo.values()]
    frame = pd.concat([gpd.read_file(path, encoding="utf-8") for path in paths])
    frame = frame.drop_duplicates("ID")
    return frame.set_geometry(shapely.make_valid(shapely.force_2d(frame.geometry.values)))


def truth(world: World, tile: str) -> gpd.GeoDataFrame:
    x, y = (axis.ravel() for axis in world.map_coordinates(tile))
    points = gpd.points_from_xy(x, y)
    kinds = world.kinds[world.field_at(x, y)]
    columns = {"truth": world.class_at(x, y), "oso23": OSO23[kinds]}
    return gpd.GeoDataFrame(columns, geometry=points, crs=2154)


def pixels(world: World, polygons: gpd.GeoDataFrame, erode_m: float) -> pd.DataFrame:
    """Return the pixels of a tile that lie in polygons: class in truth, unit."""
    shapes = polygons.set_geometry(shapely.buffer(polygons.geometry.values, -erode_m))
    return truth(world, world.spec.tiles[0]).sjoin(shapes, predicate="within")


@pytest.mark.slow
def test_parcels_have_the_crops_and_flaws(world: World, databases: Databases) -> None:
    parcels = gpd.read_file(databases.parcels)
    assert databases.parcels.parent.name == "RPG_2-0_SHP_LAMB93_R32-2018"
    assert list(parcels.columns[:6]) == [
        "ID_PARCEL", "SURF_PARC", "CODE_CULTU", "CODE_GROUP", "CULTURE_D1", "CULTURE_D2",
    ]  # fmt: skip
    codes = set(parcels["CODE_CULTU"])
    assert all(crops <= codes for crops in CROPS.values())
    assert {"NR", "PTR", "LUZ"} <= codes
    assert (parcels["CODE_CULTU"] == "NR").sum() >= rpg_writer.NO_CODE
    assert (parcels["SURF_PARC"] == 0).sum() >= rpg_writer.NO_AREA
    assert parcels.geometry.duplicated().sum() == rpg_writer.DUPLICATES
    assert parcels["ID_PARCEL"].duplicated().sum() == rpg_writer.DUPLICATES
    assert (~parcels.is_valid).sum() == rpg_writer.INVALID
    width = np.diff(shapely.bounds(parcels.geometry.values)[:, [0, 2]], axis=1)
    assert (width < 1.5).sum() == rpg_writer.SLIVERS
    blocks = gpd.read_file(databases.parcels.with_name("ILOTS_ANONYMES.shp"))
    assert "CODE_CULTU" not in blocks
    usable = parcels[parcels.is_valid]
    for code, crops in CROPS.items():
        inside = pixels(world, usable[usable["CODE_CULTU"].isin(crops)], 10)
        assert inside["ID_PARCEL"].nunique() >= 10
        assert (inside["truth"] == code).all()
    fine = {6: {"BTH", "ORH", "ORP", "TTH"}, 5: {"CZH"}, 7: {"PPR", "FVL"}, 9: {"TRN"}}
    for code, crops in fine.items():
        inside = pixels(world, usable[usable["CODE_CULTU"].isin(crops)], 10)
        assert (inside["oso23"] == code).all()


def test_ilots_hold_their_greatest_group_and_the_table_all(databases: Databases) -> None:
    ilots = gpd.read_file(databases.ilots)
    assert databases.ilots.parent.name == "RPG_1-0_SHP_LAMB93_R031-2014"
    assert ilots["CODE_CULTU"].str.fullmatch(r"\d\d").all()
    assert (ilots["SURF_CULTU"] == "NR").sum() >= rpg_writer.NO_CODE
    assert ilots["NUM_ILOT"].duplicated().sum() == rpg_writer.DUPLICATES
    assert (~ilots.is_valid).sum() == rpg_writer.INVALID
    table = pd.read_csv(
        databases.ilots.with_name("ILOTS-ANONYMES-GROUPES-CULTURE.csv"), sep=";", dtype=str
    )
    table["surface"] = table["SURFACE_GROUPE_CULTURE"].astype(float)
    assert set(table["NUM_ILOT"]) == set(ilots["NUM_ILOT"])
    greatest = table.sort_values("surface").groupby("NUM_ILOT")["CODE_GROUPE_CULTURE"].last()
    assert (ilots["NUM_ILOT"].map(greatest) == ilots["CODE_CULTU"]).mean() > 0.99  # ties
    groups = table.groupby("NUM_ILOT").size()
    assert 0.02 < (groups > 1).mean() < 0.25
    surfaces = table.groupby("NUM_ILOT")["surface"].sum()
    assert (surfaces > 3.5).any()  # several fields of 1.5 ha


def test_annual_crops_rotate_and_perennial_ones_mostly_stay(
    world: World, databases: Databases
) -> None:
    ilots = gpd.read_file(databases.ilots)
    ilots = ilots[ilots.is_valid]
    annual = pixels(world, ilots[ilots["CODE_CULTU"].isin(["01", "03", "05", "08"])], 10)
    assert 0.2 < (annual["truth"] == 12).mean() < 0.8
    vines = pixels(world, ilots[ilots["CODE_CULTU"] == "21"], 10)
    assert (vines["truth"] == 222).mean() > 0.8
    grass = pixels(world, ilots[ilots["CODE_CULTU"] == "18"], 10)
    assert 0.8 < (grass["truth"] == 211).mean() < 1


def test_vegetation_and_water_are_true(world: World, databases: Databases) -> None:
    vegetation = layer(databases, "ZONE_DE_VEGETATION")
    for code, nature in VEGETATION.items():
        inside = pixels(world, vegetation[vegetation["NATURE"] == nature], 10)
        assert inside["ID"].nunique() >= 10
        assert (inside["truth"] == code).all()
    water = layer(databases, "SURFACE_HYDROGRAPHIQUE")
    ice = pixels(world, water[water["NATURE"] == "Glacier, névé"], 10)
    assert (ice["truth"] == 53).all()
    assert ice["ID"].nunique() >= 10
    water = water[water["NATURE"] != "Glacier, névé"]
    lasting = (water["PERSISTANC"] == "Permanent") & (water["POS_SOL"] == "0")
    assert (pixels(world, water[lasting], 10)["truth"] == 51).all()
    # Whoever forgets the conditions gets wrong labels.
    assert (pixels(world, water[water["POS_SOL"] == "-1"], 10)["truth"] == 41).all()
    assert (pixels(world, water[water["PERSISTANC"] == "Intermittent"], 0)["truth"] == 211).all()


def test_main_roads_are_asphalt_and_the_tunnel_is_not(world: World, databases: Databases) -> None:
    roads = layer(databases, "TRONCON_DE_ROUTE")
    main = roads[roads["IMPORTANCE"].isin(["1", "2", "3"])]
    above = main[main["POS_SOL"] == "0"]
    strips = above.set_geometry(shapely.buffer(above.geometry.values, 10))
    inside = pixels(world, strips, 0)
    assert inside["ID"].nunique() >= 10
    assert (inside["truth"] == 44).mean() > 0.98
    assert (above["LARGEUR"] > 10).all()
    tunnel = main[main["POS_SOL"] == "-1"]
    assert len(tunnel) == 1
    assert (roads["IMPORTANCE"] == "5").any()


@pytest.mark.parametrize(
    ("code", "uses", "radius_m", "filter_code"),
    [
        (41, {"Résidentiel", "Indifférencié", "Annexe"}, 25, "111"),
        (42, {"Résidentiel", "Indifférencié", "Annexe"}, 25, "112"),
        (43, {"Industriel", "Commercial et services"}, 50, "121"),
    ],
)
def test_closed_buildings_inside_the_land_cover_are_the_built_up_classes(
    world: World, databases: Databases, code: int, uses: set[str], radius_m: float, filter_code: str
) -> None:
    buildings = layer(databases, "BATIMENT")
    chosen = buildings[buildings["USAGE1"].isin(uses) & (buildings["LEGER"] == "Non")]
    dilated = shapely.union_all(shapely.buffer(chosen.geometry.values, radius_m))
    closed = shapely.buffer(dilated, -radius_m)
    land_cover = gpd.read_file(databases.clc)
    towns = shapely.union_all(
        shapely.make_valid(land_cover[land_cover["CODE_18"] == filter_code].geometry.values)
    )
    parts = shapely.get_parts(shapely.intersection(closed, towns))
    frame = gpd.GeoDataFrame({"unit": range(len(parts))}, geometry=parts, crs=2154)
    inside = pixels(world, frame, 0)
    assert inside["unit"].nunique() >= 4
    assert (inside["truth"] == code).mean() > 0.97


def test_land_cover_gives_the_natural_classes(world: World, databases: Databases) -> None:
    frame = gpd.read_file(databases.clc)
    assert frame.geometry.duplicated().sum() == clc_writer.DUPLICATES
    assert (~frame.is_valid).sum() == clc_writer.INVALID
    frame = frame[frame.is_valid]
    for code, name in LAND_COVER.items():
        inside = pixels(world, frame[frame["CODE_18"] == name], 10)
        assert inside["ID"].nunique() >= 5
        assert (inside["truth"] == code).all()


def test_departments_share_what_lies_on_their_border(databases: Databases) -> None:
    frames = [
        gpd.read_file(next(root.rglob("ZONE_DE_VEGETATION.shp")))
        for root in databases.bdtopo.values()
    ]
    shared = set(frames[0]["ID"]) & set(frames[1]["ID"])
    assert 0 < len(shared) < 0.2 * len(frames[0])
    assert [root.name for root in databases.bdtopo.values()] == [
        f"BDT_3-3_SHP_LAMB93_{name}-ED2022-12-15" for name in bdtopo_writer.DEPARTMENTS
    ]


def test_layers_are_as_the_delivered_ones(databases: Databases, shared_data: Path) -> None:
    real = shared_data / "reference_vectors" / "bdtopo_v3_12174"
    for root in databases.bdtopo.values():
        assert not list(root.rglob("*.cpg"))
        for path in root.rglob("*.shp"):
            delivered = pyogrio.read_info(real / path.name)
            ours = pyogrio.read_info(path)
            for key in ("crs", "encoding", "geometry_type"):
                assert ours[key] == delivered[key], (path.name, key)
            if len(delivered["fields"]):  # the road table was not at hand
                assert list(ours["fields"]) == list(delivered["fields"][: len(ours["fields"])])
                count = len(ours["dtypes"])
                assert list(ours["dtypes"]) == list(delivered["dtypes"][:count])


@pytest.mark.parametrize("seed", [0, 5])
def test_a_tiny_world_has_every_class_too(tmp_path: Path, seed: int) -> None:
    databases = write_databases(tmp_path, World(WorldSpec.tiny(seed)))
    codes = set(gpd.read_file(databases.parcels)["CODE_CULTU"])
    assert all(crops & codes for crops in CROPS.values())
    assert set(VEGETATION.values()) <= set(layer(databases, "ZONE_DE_VEGETATION")["NATURE"])
    assert {"111", "112", "121", *LAND_COVER.values()} <= set(
        gpd.read_file(databases.clc)["CODE_18"]
    )
    assert len(layer(databases, "BATIMENT")) > 50


@pytest.mark.parametrize("field_area_m2", [60_000.0, 200_000.0])
def test_a_world_of_few_fields_has_empty_layers(tmp_path: Path, field_area_m2: float) -> None:
    spec = WorldSpec(size_px=64, seed=5, field_area_m2=field_area_m2)
    databases = write_databases(tmp_path, World(spec))
    assert len(gpd.read_file(databases.parcels)) > 0
