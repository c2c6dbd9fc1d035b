"""Tables of series from files and frames, and their accuracy, labels and adaptation."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

import oso_pipeline as oso
from oso_pipeline.core.errors import OsoError, OsoWarning

GRID = oso.DateGrid(date(2018, 1, 1), date(2018, 12, 31), 20)
FEW = {"n_trees": 20}


@pytest.fixture(scope="module")
def fields() -> pd.DataFrame:
    return oso.simulate_series(105, seed=1)


@pytest.fixture(scope="module")
def table(fields: pd.DataFrame) -> oso.SeriesTable:
    return oso.read_series(fields, label="crop", group="field")


def classifier(**parameters: Any) -> oso.SeriesClassifier:
    return oso.SeriesClassifier(
        **{"bands": ("B4", "B8"), "grid": GRID, "scale": 10_000, "learning": FEW, **parameters}
    )


def refused(kind: type[Exception], code: str, words: str) -> Any:
    return pytest.raises(
        kind, match=f"(?s){code}.*{words}", check=lambda e: isinstance(e, OsoError)
    )


# ---- reading -----------------------------------------------------------------------------------


def test_all_kinds_of_files_give_the_same_table(
    fields: pd.DataFrame, table: oso.SeriesTable, tmp_path: Path
) -> None:
    fields.to_parquet(tmp_path / "fields.parquet")
    fields.to_csv(tmp_path / "fields.csv", index=False, sep=";")
    names = [name for name in fields if "_" in name]
    dates = sorted({name[-8:] for name in names})
    bands = list(dict.fromkeys(name.split("_")[0] for name in names))
    cube = fields[[f"{b}_{d}" for d in dates for b in bands]].to_numpy()
    np.savez(
        tmp_path / "fields.npz",
        X=np.nan_to_num(cube, nan=-1).reshape(len(fields), len(dates), len(bands)),
        dates=np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in dates], "datetime64[D]"),
        bands=np.array([f"b-{band}" for band in bands]),
        crop=fields["crop"].to_numpy(str),
        field=fields["field"],
    )
    kinds = {
        "fields.parquet": {},
        "fields.csv": {},
        "fields.npz": {"nodata": -1, "bands": {band: f"b-{band}" for band in bands}},
    }
    for name, how in kinds.items():
        found = oso.read_series(tmp_path / name, label="crop", group="field", **how)
        pd.testing.assert_frame_equal(found.X[table.X.columns], table.X, check_dtype=False)
        assert found.y is not None
        assert found.y.tolist() == fields["crop"].tolist()
        assert found.groups is not None
        assert [int(one) for one in found.groups] == fields["field"].tolist()


def test_columns_by_pattern_where_and_text_codes(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "doy17": [0.2, 0.3, None],
            "doy001": [0.1, 0.2, 0.3],
            "class": ["01", "02", "01"],
            "region": ["a", "b", "a"],
            "year": [2017, 2018, 2018],
        }
    )
    frame.to_csv(tmp_path / "fields.csv", index=False)
    how: dict[str, Any] = {"bands": {"NDVI": "doy{day}"}, "label": "class"}
    found = oso.read_series(tmp_path / "fields.csv", where={"region": ["a"]}, **how)
    assert found.y is not None
    assert found.y.tolist() == ["01", "01"]
    assert found.X["NDVI_d1"].tolist() == [0.1, 0.3]
    seasons = oso.read_seasons(tmp_path / "fields.csv", "year", **how)
    assert {year: len(one.X) for year, one in seasons.items()} == {2017: 1, 2018: 2}


def test_some_bands_by_name(fields: pd.DataFrame, table: oso.SeriesTable) -> None:
    some = oso.read_series(fields, bands=["B4", "B8"])
    assert some.y is None
    names = [name for name in table.X if name.startswith(("B4_", "B8_"))]
    pd.testing.assert_frame_equal(some.X[names], table.X[names])


def test_polygons_of_a_geoparquet_are_groups(fields: pd.DataFrame, tmp_path: Path) -> None:
    points = gpd.points_from_xy(fields["field"], fields["field"])
    frame = gpd.GeoDataFrame(fields, geometry=shapely.buffer(points, 0.3), crs="EPSG:2154")
    frame.to_parquet(tmp_path / "fields.parquet")
    found = oso.read_series(tmp_path / "fields.parquet", label="crop", group="geometry")
    one = oso.cross_validate(classifier(), *found, folds=2)
    assert one.predictions["group"].nunique() == 105


@pytest.mark.parametrize(
    ("change", "how", "kind", "code", "words"),
    [
        ({}, {"label": "croq"}, KeyError, "E-SERIES-COLUMNS", "the table has no croq; it has"),
        ({}, {"bands": {"X": "X_{date}"}}, KeyError, "E-SERIES-BANDS", "no column fits 'X_{date}'"),
        ({}, {"bands": {"X": "B4"}}, ValueError, "E-SERIES-PATTERN", "neither {date} nor {day}"),
        (
            {"B4_20180104": "v1.5", "B4_20180109": "v2"},
            {"bands": {"B4": "v{day}"}},
            ValueError,
            "E-SERIES-DATES",
            "1.5 is not a whole day",
        ),
        (
            {"B4_20180104": "v1", "B4_20180109": "v01"},
            {"bands": {"B4": "v{day}"}},
            ValueError,
            "E-SERIES-DATES",
            "several columns are of the same band and day",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    change: dict[str, str], how: Any, kind: type[Exception], code: str, words: str
) -> None:
    frame = pd.DataFrame({"B4_20180104": [1, 2], "B4_20180109": [2, 3]}).rename(columns=change)
    with refused(kind, code, words.replace("{", r"\{").replace("}", r"\}")):
        oso.read_series(frame, **how)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "one.npz").write_bytes(b"PK")
    (tmp_path / "table.xlsx").write_bytes(b"")
    for name in ("cut.parquet", "one.npz", "table.xlsx", "absent.csv"):
        with refused(ValueError, "E-TABLE-READ", name):
            oso.read_series(tmp_path / name)
    np.savez(tmp_path / "odd.npz", X=np.zeros((5, 2, 3)), dates=[1, 11, 21], bands=["a", "b"])
    with refused(ValueError, "E-SERIES-SHAPE", "it is transposed"):
        oso.read_series(tmp_path / "odd.npz")
    np.savez(tmp_path / "late.npz", X=np.zeros((5, 2, 1)), dates=[11, 1], bands=["a"])
    with refused(ValueError, "E-SERIES-DATES", "must ascend"):
        oso.read_series(tmp_path / "late.npz")


# ---- accuracy ----------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learn(table: oso.SeriesTable) -> None:
    found = oso.cross_validate(classifier(), *table)
    truth, predicted = found.predictions["label"], found.predictions["predicted"]
    assert found.overall_accuracy.estimate == pytest.approx(accuracy_score(truth, predicted))
    assert found.kappa.estimate == pytest.approx(cohen_kappa_score(truth, predicted))
    labels = found.classes.index
    np.testing.assert_allclose(
        found.classes["f_score"], f1_score(truth, predicted, labels=labels, average=None)
    )
    assert found.confusion.to_numpy().sum() == len(truth) == 315
    accuracy = found.overall_accuracy
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.estimate is not None
    assert accuracy.low < accuracy.estimate < accuracy.high
    assert str(found).startswith(f"overall accuracy {accuracy.estimate:.3f} (")


def test_no_polygon_is_cut_and_what_is_unknown_is_left_out(table: oso.SeriesTable) -> None:
    assert table.y is not None
    y = table.y.astype(object)
    y[:6] = None
    X = table.X.copy()
    X.iloc[9:12] = np.nan
    found = oso.cross_validate(classifier(), X, y, table.groups)
    assert found.left_out == 9
    assert len(found.predictions[["group", "fold"]].drop_duplicates()) == 102
    again = oso.cross_validate(classifier(), X, y, table.groups)
    pd.testing.assert_frame_equal(found.predictions, again.predictions)


def test_a_copy_for_each_fold_has_not_seen_it(table: oso.SeriesTable) -> None:
    model = classifier()
    regions = np.array([f"region {group % 3}" for group in table.groups])  # type: ignore[union-attr]
    found = oso.cross_validate(model, *table, folds=regions)
    assert not hasattr(model, "classifier_")
    others = table.take(regions != "region 1")
    trained = classifier().fit(*others)
    own = found.predictions[found.predictions["fold"] == "region 1"]
    np.testing.assert_array_equal(trained.predict(table.X.iloc[own.index]), own["predicted"])


def test_folds_and_groups_that_cut_polygons_are_refused(table: oso.SeriesTable) -> None:
    X, y, polygons = table
    rows = np.arange(len(X))
    with refused(ValueError, "E-SERIES-CUT", "group 0, 1, .* lies in more than one fold"):
        oso.cross_validate(classifier(), X, y, polygons, folds=rows % 5)
    with refused(ValueError, "E-SERIES-CUT", "polygon .* lies in more than one group"):
        oso.cross_validate(classifier(), X, y, rows // 100, polygons=polygons, folds=2)
    with refused(ValueError, "E-SERIES-FOLDS", "in one fold"):
        oso.cross_validate(classifier(), X, y, polygons, folds=np.ones(len(X)))
    with refused(ValueError, "E-SERIES-FOLDS", "200 folds requested, expected 2 to 105"):
        oso.cross_validate(classifier(), X, y, polygons, folds=200)
    with refused(ValueError, "E-SERIES-CLASSES", "one class only"):
        oso.cross_validate(classifier(), X, np.where(y == "maize", y, "maize"), polygons)
    with refused(ValueError, "E-SERIES-CLASSES", "without fold a the labels show one class"):
        grass = np.where(y == "maize", "a", "b")
        oso.cross_validate(classifier(), X, np.where(y == "maize", "x", "y"), folds=grass)
    with refused(ValueError, "E-SERIES-METHOD", "use evaluate_adaptation"):
        oso.cross_validate(classifier(method="student"), *table)
    with refused(ValueError, "E-SERIES-EMPTY", "none of 315 samples has a label"):
        oso.cross_validate(classifier(), X, None)  # type: ignore[arg-type]
    with refused(ValueError, "E-SERIES-LEVEL", "level: found 95"):
        oso.cross_validate(classifier(), *table, level=95)


def test_wrong_labels_are_found(table: oso.SeriesTable) -> None:
    X, y, groups = table
    assert y is not None
    assert groups is not None
    wrong = np.unique(groups[y == "broadleaves"])[:2]
    labels = np.where(np.isin(groups, wrong), "maize", y)
    found = oso.check_labels(classifier(bands=None), X, labels, groups)
    assert len(found) == 105
    doubted = found[found["doubted"]]
    assert set(wrong) <= set(doubted["group"])
    assert len(doubted) < 15
    found_wrong = doubted.set_index("group").loc[wrong]
    assert (found_wrong["likely_label"] == "broadleaves").all()
    assert (found_wrong["label"] == "maize").all()
    with refused(ValueError, "E-SERIES-CUT", "group .* lies in more than one label"):
        oso.check_labels(classifier(), X, labels, groups // 2)


# ---- adaptation --------------------------------------------------------------------------------


def test_what_adaptation_gains_is_measured() -> None:
    seasons = {
        year: oso.read_series(
            oso.simulate_series(140, year=year, delay_days=delay, seed=2, pixels_per_field=2),
            label="crop",
            group="field",
        )
        for year, delay in ((2017, -25), (2018, 0))
    }
    stays = ["grassland", "broadleaves", "vineyard"]
    model = classifier(adaptation={"perennial_classes": stays})
    found = oso.evaluate_adaptation(model, seasons, 2018, methods=["student"], seeds=1)
    scores = found.methods
    assert list(scores.index) == ["upper bound", "none", "student, no label", "student"]
    none, student = (scores["overall_accuracy"][name] for name in ("none", "student"))
    assert scores["gain"]["student"] == pytest.approx(student - none)
    assert student > none + 5
    assert "| student |" in str(found)


def test_seasons_that_do_not_fit_are_refused(table: oso.SeriesTable) -> None:
    with refused(KeyError, "E-SERIES-YEAR", "no table of 2019, there are those of 2018"):
        oso.evaluate_adaptation(classifier(), {2018: table}, 2019)
    with refused(ValueError, "E-SERIES-METHOD", "methods magic are unknown"):
        oso.evaluate_adaptation(classifier(), {2017: table, 2018: table}, 2018, methods=["magic"])
    bare = oso.SeriesTable(table.X, None, None)
    with refused(ValueError, "E-SERIES-LABELS", "the table of 2017 has no labels"):
        oso.evaluate_adaptation(classifier(), {2017: bare, 2018: table}, 2018)
    with refused(ValueError, "E-SERIES-TABLE", "2017 is a DataFrame, expected a table"):
        oso.evaluate_adaptation(classifier(), {2017: table.X, 2018: table}, 2018)  # type: ignore[dict-item]
    with refused(ValueError, "E-SERIES-METHOD", "adaptation: .*no_option"):
        odd = classifier(adaptation={"no_option": 1})
        oso.evaluate_adaptation(odd, {2017: table, 2018: table}, 2018)


# ---- real series -------------------------------------------------------------------------------


def test_french_parcels_of_2023(shared_data: Path) -> None:
    table = oso.read_series(
        shared_data / "france_parcels_2023.npz",
        bands={"B4": "B04", "B8": "B08", "B11": "B11"},
        label="crop_group",
        group="sample_id",
        nodata=65_535,
    )
    assert table.y is not None
    common, counts = np.unique(table.y, return_counts=True)
    some = table.take(np.isin(table.y, common[counts >= 25]))
    grid = oso.DateGrid(date(2022, 9, 1), date(2023, 11, 1), 10)
    model = oso.SeriesClassifier(grid=grid, indices=("NDVI", "NDWI"), learning={"n_trees": 50})
    found = oso.cross_validate(model, *some)
    # A plain forest reached 0.783 on nine classes of these parcels (README of the data).
    assert found.overall_accuracy.estimate is not None
    assert found.overall_accuracy.estimate > 0.7


def test_surveyed_fields_of_two_years(shared_data: Path) -> None:
    seasons = oso.read_seasons(
        shared_data / "central_asia_fields" / "fields.parquet",
        "year",
        bands={"NDVI": "doy{day}"},
        label="label_1",
        group="geometry",
        where={"region": ["Fergana"]},
    )
    assert {2016, 2018} <= set(seasons)
    kept = {}
    for year in (2016, 2018):
        table = seasons[year]
        assert table.y is not None
        crops = np.array([str(crop).split("-")[0] for crop in table.y], object)
        kept[year] = oso.SeriesTable(table.X, crops, table.groups).take(
            np.isin(crops, ["wheat", "cotton", "orchard", "vineyard"])
        )
    model = oso.SeriesClassifier(
        learning={"n_trees": 30, "min_samples_leaf": 1},
        adaptation={"perennial_classes": ["orchard"]},
    )
    with pytest.warns(OsoWarning, match="W-ADAPT-RARE.*vineyard"):
        found = oso.evaluate_adaptation(model, kept, 2018, hide="all", seeds=1, min_samples=15)
    assert found.methods["gain"]["student, no label"] > 3
