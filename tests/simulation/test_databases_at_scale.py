"""Large simulated databases: layout of the real ones, planted flaws, any size in little memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely

from oso_pipeline.simulation.national.bdtopo import DepartmentSpec, write_department
from oso_pipeline.simulation.national.command import main
from oso_pipeline.simulation.national.rpg import RpgSpec, write_rpg

RPG_2022 = (
    "RPG_2-0__GPKG_LAMB93_FXX_2022-01-01/RPG/1_DONNEES_LIVRAISON_2023-08-01/"
    "RPG_2-0_GPKG_LAMB93_FXX-2022/PARCELLES_GRAPHIQUES.gpkg"
)


@pytest.fixture(scope="module")
def national(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rpg(tmp_path_factory.mktemp("rpg"), RpgSpec(20_000))


@pytest.fixture(scope="module")
def parcels(national: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(national)


def test_the_geopackage_looks_like_the_delivered_one(national: Path, shared_data: Path) -> None:
    real = pyogrio.read_info(shared_data / "reference_vectors" / RPG_2022)
    ours = pyogrio.read_info(national)
    for key in ("layer_name", "crs", "encoding", "geometry_type", "geometry_name", "fid_column"):
        assert ours[key] == real[key], key
    assert dict(zip(ours["fields"], ours["dtypes"], strict=True)) == dict(
        zip(real["fields"], real["dtypes"], strict=True)
    )
    assert national.parent.name == "RPG_2-0_GPKG_LAMB93_FXX-2018"


def test_parcels_have_the_sizes_and_flaws_of_real_ones(parcels: gpd.GeoDataFrame) -> None:
    assert len(parcels) == pytest.approx(20_000, rel=0.1)
    hectares = parcels.area / 1e4
    assert 2 < hectares.median() < 5
    assert hectares.quantile(0.99) > 6 * hectares.median()
    assert 0 < parcels.geometry.duplicated().sum() < 50
    assert parcels.loc[parcels.geometry.duplicated(), "id_parcel"].isin(parcels["id_parcel"]).all()
    assert 0 < (~parcels.is_valid).sum() < 50
    assert 0 < (parcels["code_cultu"] == "NR").sum() < 50
    assert 0 < (parcels["surf_parc"] == 0).sum() < 60
    shares = parcels["code_cultu"].value_counts(normalize=True)
    assert shares.iloc[0] > 0.2
    assert len(shares) > 35


def test_parcels_hardly_overlap(parcels: gpd.GeoDataFrame) -> None:
    valid = parcels[parcels.is_valid].drop_duplicates("id_parcel")
    x, y = RpgSpec(1).origin
    near = valid[valid.intersects(shapely.box(x, y, x + 4_000, y + 4_000))]
    assert len(near) > 150
    assert near.area.sum() / shapely.area(shapely.union_all(near.geometry)) < 1.02


def test_the_codes_belong_to_their_groups(parcels: gpd.GeoDataFrame, shared_data: Path) -> None:
    crops = pd.read_csv(shared_data / "nomenclatures" / "rpg_crops.csv", dtype=str)
    groups = crops.set_index("code")["group_code"]
    known = parcels[parcels["code_cultu"] != "NR"]
    assert (known["code_cultu"].map(groups) == known["code_group"]).all()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def digests(folder: str, seed: int) -> list[str]:
        files = [
            write_rpg(tmp_path / folder, RpgSpec(500, seed=seed), form) for form in ("GPKG", "SHP")
        ]
        write_department(tmp_path / folder, DepartmentSpec(1, seed=seed))
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    assert digests("one", 0) == digests("two", 0)
    assert digests("three", 1) != digests("one", 0)


def test_batches_do_not_grow_with_the_number_of_parcels() -> None:
    sizes = [max(len(batch) for batch in RpgSpec(count).batches()) for count in (30_000, 90_000)]
    assert max(sizes) < 35_000


def test_the_shapefile_has_the_table_of_the_delivered_one(
    tmp_path: Path, shared_data: Path
) -> None:
    name = "RPG_2-0_SHP_RGR92UTM40S_D974-2019"
    folder = shared_data / "reference_vectors" / name / "RPG" / "1_DONNEES_LIVRAISON_2019" / name
    path = write_rpg(tmp_path, RpgSpec(300), "SHP")
    assert table_fields(path.with_suffix(".dbf")) == table_fields(
        folder / "PARCELLES_GRAPHIQUES.dbf"
    )
    assert path.with_suffix(".cpg").read_bytes() == b"UTF-8"


def table_fields(path: Path) -> list[tuple[bytes, bytes, int, int]]:
    """Read the field descriptors of a dBASE table: name, type, width, decimals."""
    head = path.read_bytes()[:4000]
    end = head.index(b"\r", 32)
    cells = [head[i : i + 32] for i in range(32, end, 32)]
    return [(c[:11].rstrip(b"\0"), c[11:12], c[16], c[17]) for c in cells]


def test_a_department_has_the_layers_and_their_tables(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["bdtopo", str(tmp_path), "--squares", "2"])
    assert "BATIMENT: " in capsys.readouterr().out
    real = shared_data / "reference_vectors"
    for layer in ("ZONE_DE_VEGETATION", "SURFACE_HYDROGRAPHIQUE"):
        (ours,) = tmp_path.rglob(f"{layer}.dbf")
        assert table_fields(ours) == table_fields(real / "bdtopo_v3_35236" / f"{layer}.dbf")
    (buildings,) = tmp_path.rglob("BATIMENT.shp")
    own = table_fields(buildings.with_suffix(".dbf"))
    assert own == table_fields(real / "bdtopo_v3_12174" / "BATIMENT.dbf")[: len(own)]
    info = pyogrio.read_info(buildings)
    assert info["geometry_type"] == "Polygon Z"
    assert info["encoding"] == "ISO-8859-1"  # what GDAL assumes: there is no .cpg
    frame = gpd.read_file(buildings, encoding="utf-8")
    assert "Résidentiel" in set(frame["USAGE1"])
    assert frame["ID"].str.fullmatch(r"BATIMENT\d{16}").all()
    (roads,) = tmp_path.rglob("TRONCON_DE_ROUTE.shp")
    assert pyogrio.read_info(roads)["geometry_type"] == "LineString Z"
    (urban,) = tmp_path.rglob("CLC18_FR.shp")
    assert set(gpd.read_file(urban)["CODE_18"]) <= {"111", "112"}
