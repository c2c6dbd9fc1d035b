"""The stage on real and written files: outputs, key, strata."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely

from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.tasks.worker import do
from oso_pipeline.vectors.strata import strata_names

FOUR = [11, 11, 12, 12]


def four(places: Any) -> list[Any]:
    return [places(i, 0) for i in range(4)]


@pytest.mark.parametrize(("year", "kept"), [(2018, 16), (2019, 16)])
def test_flanders_parcels(world: Any, shared_data: Path, year: int, kept: int) -> None:
    folder = shared_data / f"flanders_{year}" / "reference"
    table, summary = world.run(
        folder / "parcels.gpkg",
        source={"code_field": "crop_code", "year": year},
        nomenclature=str(folder / "nomenclature.csv"),
        reference={"rare_classes": "drop", "erosion_m": 10, "min_area_m2": 0},
        validation={"folds": 5},
        imagery={"paths": [folder], "tiles": ["31UDS", "31UES"]},
    )
    plain = geopandas.read_file(folder / "parcels.gpkg").to_crs(2154)
    survivors = plain[~plain.buffer(-10).is_empty]
    assert len(survivors) == 17  # as the description of the data says
    frequent = survivors["crop_code"].value_counts()
    expected = survivors[survivors["crop_code"].isin(frequent.index[frequent >= 2])]
    assert sorted(set(table.feature)) == expected.index.tolist()
    assert len(set(table.code)) == 3
    assert summary["polygons"] == len(expected)
    assert set(table.year) == {year}
    assert table.geometry.area.sum() == pytest.approx(expected.buffer(-10).area.sum(), rel=1e-3)
    assert sum(side["polygons"] for side in summary["splits"]["fold"].values()) == len(expected)


def test_columns_types_and_summary(world: Any, places: Any) -> None:
    table, summary = world.run(world.write(four(places), FOUR), validation={"runs": 2})
    assert table.columns.tolist()[:10] == [
        "polygon_id",
        "part",
        "code",
        "source",
        "source_id",
        "year",
        "rule",
        "stratum",
        "split_0",
        "split_1",
    ]
    assert table.polygon_id.dtype == np.int64
    assert table.code.dtype == np.int32
    assert set(table.stratum) == {"all"}
    assert summary["splits"]["split_0"] == {
        "train": {"polygons": 2, "hectares": 2.0},
        "validation": {"polygons": 2, "hectares": 2.0},
    }
    assert summary["classes"]["11"]["hectares"] == 2.0
    assert any("W-CLASS-NO-POLYGON" in text and "51 water" in text for text in summary["warnings"])


def test_output_is_byte_identical_and_committed(world: Any, places: Any) -> None:
    config = world.config(world.write(four(places), FOUR))
    task = world.task(config)
    digests = []
    for order in (1, -1):
        for one in [*world.cells(config)[::order], task]:
            assert do(one).status == "done"
        digests.append(hashlib.sha256(task.output().read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    assert task.state().status == "done"


@pytest.mark.parametrize("suffix", [".shp", ".dbf", ".shx", ".prj", ".cpg"])
def test_key_follows_every_companion_of_a_shapefile(world: Any, places: Any, suffix: str) -> None:
    path = world.write(four(places), FOUR, "p.shp")
    config = world.config(path)
    before = world.task(config).key
    assert world.task(config).key == before
    companion = path.with_suffix(suffix)
    content = companion.read_bytes()
    companion.write_bytes(content + b" ")
    assert world.task(config).key != before
    companion.write_bytes(content)
    assert world.task(config).key == before


def test_key_follows_crosswalk_and_rules_but_not_the_folder(world: Any, places: Any) -> None:
    crosswalk = world.folder / "c.csv"
    crosswalk.write_text("v,c\n11,11\n12,12\n")
    path = world.write(four(places), FOUR)
    config = world.config(path, source={"crosswalk": crosswalk})
    before = world.task(config).key
    crosswalk.write_text("v,c\n11,12\n12,11\n")
    assert world.task(config).key != before
    crosswalk.write_text("v,c\n11,11\n12,12\n")
    for change in ({"seed": 1}, {"validation": {"folds": 3}}, {"reference": {"erosion_m": 5}}):
        assert (
            world.task(world.config(path, source={"crosswalk": crosswalk}, **change)).key != before
        )
    moved = world.folder / "elsewhere"
    moved.mkdir()
    for file in (path, crosswalk):
        file.rename(moved / file.name)
    config = world.config(moved / path.name, source={"crosswalk": moved / crosswalk.name})
    assert world.task(config).key == before


def test_crosswalk_in_the_configuration(world: Any, places: Any) -> None:
    path = world.write(four(places), ["BTH", "MIS", "BTH", "MIS"])
    table, _ = world.run(path, source={"crosswalk": {"BTH": 12, "MIS": 11}})
    assert table.code.tolist() == [12, 11, 12, 11]
    numbers = world.write(four(places), [1, 2, 1, 2], "q.gpkg")
    table, _ = world.run(numbers, source={"crosswalk": {1: 12, 2: 11}})
    assert table.code.tolist() == [12, 11, 12, 11]


def regions(world: Any, *boxes: tuple[str | None, Any]) -> dict[str, Any]:
    frame = geopandas.GeoDataFrame(
        {"region": [name for name, _ in boxes]}, geometry=[box for _, box in boxes], crs=2154
    )
    path = world.folder / "regions.gpkg"
    frame.to_crs(4326).to_file(path)
    return {"path": path, "field": "region"}


def half(first: int, last: int) -> Any:
    return shapely.box(560_000 + first, 6_259_000, 560_000 + last, 6_261_000)


def test_strata_cut_polygons_and_keep_their_split(world: Any, places: Any) -> None:
    strata = regions(world, ("west", half(-500, 430)), ("east", half(430, 760)))
    geometries = [places(i, j) for j in range(3) for i in range(5)]
    codes = [11, 12, 11, 12, 11] * 3
    table, summary = world.run(world.write(geometries, codes), strata=strata)
    assert set(table.stratum) == {"east", "west"}
    cut = table[table.feature == 2]
    areas = dict(zip(cut.stratum, cut.geometry.area.round(), strict=True))
    assert areas == pytest.approx({"west": 3000, "east": 7000}, abs=2)
    assert cut["split_0"].nunique() == 1
    assert 4 not in set(table.feature)
    assert summary["reasons"]["outside every stratum"]["11"]["count"] == 3
    assert summary["reasons"]["outside every stratum"]["11"]["hectares"] == pytest.approx(
        3, abs=0.01
    )


def test_strata_names(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR)
    assert strata_names(world.config(path)) == ("all",)
    strata = regions(world, ("b", half(0, 10)), ("a", half(20, 30)), ("b", half(40, 50)))
    assert strata_names(world.config(path, strata=strata)) == ("a", "b")
    with pytest.raises(InputDataError, match="E-VECTOR-COLUMN"):
        strata_names(world.config(path, strata={**strata, "field": "regoin"}))


def test_strata_that_cannot_be_used_are_reported(world: Any, places: Any) -> None:
    path = world.write([*four(places)], FOUR)
    message = world.refused(path, strata=regions(world, (None, half(0, 9)), ("a/b", half(9, 20))))
    assert "1 regions have no name" in message
    assert "a/b" in message
    assert "E-STRATA-NAME" in message


def test_overlapping_strata_give_every_place_one_model(world: Any, places: Any) -> None:
    strata = regions(world, ("b", half(-500, 500)), ("a", half(430, 900)))
    table, summary = world.run(world.write(four(places), FOUR), strata=strata)
    assert table.geometry.area.sum() == pytest.approx(40_000, abs=2)
    assert set(table.stratum[table.feature == 2]) == {"a", "b"}
    assert any("strata overlap" in text for text in summary["warnings"])


def test_column_and_folds_exclude_each_other(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR, side=["train"] * 4)
    split = {"split": {"method": "column", "column": "side"}}
    with pytest.raises((ConfigError, ValueError), match="column"):
        world.task(world.config(path, reference=split, validation={"folds": 2}))


def test_column_split_through_the_stage(world: Any, places: Any) -> None:
    sides = ["Train", "validation ", "VALIDATION", "train"]
    path = world.write(four(places), FOUR, side=sides)
    table, _ = world.run(path, reference={"split": {"method": "column", "column": "side"}})
    assert table["split_0"].tolist() == ["train", "validation", "validation", "train"]


def test_spatial_blocks_through_the_stage(world: Any, places: Any) -> None:
    geometries = [places(i, j) for i in range(10) for j in range(10)]
    path = world.write(geometries, [11, 12] * 50)
    split = {"split": {"method": "blocks", "block_size_m": 400}}
    table, _ = world.run(path, reference=split)
    centres = table.geometry.centroid
    squares = np.floor(centres.x / 400) * 1e6 + np.floor(centres.y / 400)
    assert (table["split_0"].groupby(squares).nunique() == 1).all()
    assert 60 <= (table["split_0"] == "train").sum() <= 80
