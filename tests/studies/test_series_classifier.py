"""A classifier of tables: scikit-learn's contract, the features and votes of the map, bad input."""

from __future__ import annotations

import pickle
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

import oso_pipeline as oso
from oso_pipeline.adaptation import AdaptationOptions, AdaptedForestClassifier, SeriesSpace
from oso_pipeline.core.errors import OsoError
from oso_pipeline.core.indices import Index
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.protocol import BlockPixels
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.plain_numpy import block_features
from oso_pipeline.timeseries.series import BlockSeries

BANDS = ("B4", "B8", "B11")
INDICES = ("NDVI", "NDWI", "brightness")
GRID = oso.DateGrid(date(2018, 1, 1), date(2018, 12, 31), 30)
FEW = {"n_trees": 15}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return oso.simulate_series(105, seed=1)


def classifier(**parameters: Any) -> oso.SeriesClassifier:
    known = {"bands": BANDS, "grid": GRID, "indices": INDICES, "scale": 10_000, "learning": FEW}
    return oso.SeriesClassifier(**{**known, **parameters})


def refused(kind: type[Exception], code: str, words: str) -> Any:
    """Expect an error of the package that is also the builtin it is."""
    assert issubclass(kind, OsoError) is False
    return pytest.raises(kind, match=f"(?s){code}.*{words}")


# `check_estimators_nan_inf` does not apply: NaN is a gap, and is filled. scikit-learn leaves it out
# for what says so by the tag `allow_nan`; infinity is refused below. `check_array_api_input` is
# skipped without SCIPY_ARRAY_API: arrays of other libraries are not taken.
@parametrize_with_checks([oso.SeriesClassifier(learning={"n_trees": 12, "min_samples_leaf": 1})])
def test_scikit_learn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


# ---- the features and votes of the map ---------------------------------------------------------


def block(seed: int) -> tuple[BlockSeries, np.ndarray]:
    """Return a block with bands of 10 and 20 m, and its pixels (pixel, date, band) with gaps."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.choice(np.arange(17_530, 17_897), 17, replace=False)).astype(np.int32)
    fine = rng.integers(-200, 9000, (17, 2, 48)).astype(np.int16)
    coarse = rng.integers(-200, 9000, (17, 1, 12)).astype(np.int16)
    clear = (rng.uniform(size=(17, 48)) < 0.6).astype(np.uint8)
    clear[:, 5] = 0
    series = BlockSeries((6, 8), fine, coarse, np.array([0, 1, -1], np.int32), clear, days)
    values = np.moveaxis(series.values, 2, 0).astype(np.float64)
    return series, np.where(clear.T[..., np.newaxis] > 0, values, np.nan)


def test_features_are_those_of_the_plain_definition() -> None:
    series, values = block(0)
    seen = np.delete(values, 5, axis=0)
    dates = [date.fromordinal(date(1970, 1, 1).toordinal() + int(day)) for day in series.days]
    model = classifier(dates=dates, scale=1).fit(seen, np.arange(47) % 3 + 1)
    layout = FeatureLayout.optical(BANDS, GRID.dates, INDICES)
    expected, validity = block_features(series.values, series.clear, series.days, layout)
    found = model.features(values)
    assert list(found) == list(layout.names)
    np.testing.assert_array_equal(found.to_numpy().T, expected)
    np.testing.assert_array_equal(model.validity(values), validity)


@pytest.mark.parametrize("vote", ["hard", "soft"])
def test_votes_are_those_of_the_compiled_way_from_images_to_classes(vote: str) -> None:
    series, values = block(1)
    dates = [date.fromordinal(date(1970, 1, 1).toordinal() + int(day)) for day in series.days]
    settings = {"n_trees": 9, "vote": vote, "min_samples_leaf": 1}
    model = classifier(dates=dates, scale=1, no_data=0, learning=settings)
    model.fit(np.delete(values, 5, axis=0), np.arange(47) % 3 + 1)
    pixels = np.arange(48)
    asked = BlockPixels(series, model.space_.layout, pixels, np.zeros(48, np.int64))
    made = model.classifier_
    layers = type(made).classify_block(asked, [{0: made}])[0]
    np.testing.assert_array_equal(model.predict(values), layers[0])
    np.testing.assert_array_equal(model.confidence(values), layers[1])
    np.testing.assert_array_equal(model.validity(values), layers[2])
    assert np.isnan(model.predict_proba(values)[5]).all()
    best = np.delete(model.predict_proba(values), 5, axis=0).argmax(axis=1)
    np.testing.assert_array_equal(np.delete(model.predict(values), 5), best + 1)


def test_probabilities_are_those_of_scikit_learn(table: pd.DataFrame) -> None:
    settings = {"n_trees": 15, "engine": "sklearn", "vote": "soft"}
    model = classifier(learning=settings, random_state=7).fit(table, table["crop"])
    known = ForestSettings(**settings)
    forest = RandomForestClassifier(
        15, max_depth=known.max_depth, min_samples_leaf=5, max_features="sqrt", random_state=7
    )
    features = model.features(table).to_numpy().astype(np.float32)
    forest.fit(features, model.legend_.encoded(table["crop"].to_numpy(str)))
    np.testing.assert_allclose(model.predict_proba(table), forest.predict_proba(features))


def test_reflectances_and_their_whole_numbers_are_the_same(table: pd.DataFrame) -> None:
    whole = table.copy()
    names = [name for name in table if "_" in name]
    whole[names] = (table[names].astype(np.float64) * 10_000).round()
    one = classifier().fit(table, table["crop"])
    other = classifier(scale=None).fit(whole, whole["crop"])
    np.testing.assert_array_equal(one.predict_proba(table), other.predict_proba(whole))


def test_columns_in_any_order_arrays_and_frames_are_the_same(table: pd.DataFrame) -> None:
    names = [f"{b}_{s}" for s in sorted({n[-8:] for n in table if "_" in n}) for b in BANDS]
    dates = [name[-8:] for name in names[::3]]
    shuffled = table[names].sample(frac=1, axis=1, random_state=0)
    cube = table[names].to_numpy().reshape(len(table), -1, 3)
    flat = classifier(dates=dates).fit(table[names].to_numpy(), table["crop"])
    for given, model in (
        (shuffled, classifier()),
        (table, classifier()),
        (cube, classifier(dates=dates)),
    ):
        made = model.fit(given, table["crop"])
        np.testing.assert_array_equal(
            made.predict_proba(given), flat.predict_proba(cube.reshape(len(cube), -1))
        )


def test_indices_of_the_samples_of_a_run_are_computed_anew(table: pd.DataFrame) -> None:
    made = classifier().fit(table, table["crop"])
    samples = made.features(table)
    again = classifier(bands=None, scale=1).fit(samples, table["crop"])
    np.testing.assert_array_equal(again.features(samples), samples)


def test_another_year_is_brought_to_the_days_of_the_season(table: pd.DataFrame) -> None:
    made = classifier().fit(table, table["crop"])
    later = table.rename(columns=lambda n: n.replace("_2018", "_2019") if "_2018" in n else n)
    np.testing.assert_array_equal(made.features(later), made.features(table))


def test_numbers_beyond_int16_serve_without_indices(table: pd.DataFrame) -> None:
    odd = table.copy()
    names = [name for name in table if "_" in name]
    odd[names] = table[names] * 1e6 - 3e5
    half = table["field"] % 2 == 0
    made = classifier(indices=(), scale=None).fit(odd[half], odd["crop"][half])
    assert made.score(odd[~half], odd["crop"][~half]) > 0.75
    assert not made.space_.scale.exact


@pytest.mark.parametrize("kind", ["str", "object", "string", "category"])
def test_text_labels_come_back(table: pd.DataFrame, kind: str) -> None:
    made = classifier().fit(table, table["crop"].astype(kind))
    assert set(made.predict(table)) <= set(table["crop"])
    assert made.classes_.tolist() == sorted(set(table["crop"]))


def test_samples_without_observation_teach_nothing_and_get_no_class(table: pd.DataFrame) -> None:
    holed = table.copy()
    holed.loc[3:5, [name for name in table if "_" in name]] = np.nan
    made = classifier(no_data="no data").fit(holed, holed["crop"])
    assert made.n_left_out_ == 3
    seen = table.drop(index=[3, 4, 5])
    np.testing.assert_array_equal(
        made.predict_proba(table), classifier().fit(seen, seen["crop"]).predict_proba(table)
    )
    assert (made.predict(holed)[3:6] == "no data").all()
    made.no_data = None
    with refused(
        ValueError, "E-SERIES-EMPTY", "3 of 315 samples have no observation: rows 3, 4, 5"
    ):
        made.predict(holed)


def test_searches_and_folds_of_scikit_learn_take_it(table: pd.DataFrame) -> None:
    search = GridSearchCV(
        classifier(), {"learning": [{"n_trees": 1}, {"n_trees": 20}]}, cv=GroupKFold(2)
    )
    search.fit(table, table["crop"], groups=table["field"])
    assert search.best_params_ == {"learning": {"n_trees": 20}}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(table), search.predict(table))


@pytest.mark.slow
def test_adaptation_is_that_of_the_chain(table: pd.DataFrame) -> None:
    past = oso.simulate_series(105, year=2017, delay_days=-25, seed=1)
    known = table["code"].where(table["crop"] == "vineyard")
    settings = {"gate": "always", "perennial_classes": [15], "source_weight": 0.5}
    model = classifier(method="student", adaptation=settings, random_state=3)
    model.fit(
        past, past["code"], past["field"],
        target=table, target_labels=known, target_groups=table["field"],
    )  # fmt: skip
    features, unlabelled = (model.features(one).to_numpy() for one in (past, table))
    anchors = known.notna().to_numpy()
    expected = AdaptedForestClassifier(
        "student",
        SeriesSpace.of(model.space_.layout),
        ForestSettings(**FEW),
        AdaptationOptions(source_weight=0.5),
        "always",
        random_state=3,
    ).fit(
        features,
        past["code"].to_numpy(),
        polygons=past["field"],
        target=unlabelled,
        target_polygons=table["field"],
        anchors=unlabelled[anchors],
        anchor_labels=known[anchors].astype(int),
        anchor_polygons=table["field"][anchors],
        perennial_classes=[15],
    )
    for name, array in model.classifier_.arrays().items():
        np.testing.assert_array_equal(array, getattr(expected.forest_, name))


def test_a_delay_is_seen_and_corrected() -> None:
    past = oso.simulate_series(210, year=2017, delay_days=-18, seed=2)
    now = oso.simulate_series(210, year=2018, seed=2)
    stays = now["crop"].isin(["grassland", "broadleaves", "vineyard"])
    judges = now["field"] % 2 == 1
    known = now["crop"].where(stays & ~judges)
    score = {}
    for method in ("none", "student"):
        model = classifier(bands=None, method=method, grid=oso.DateGrid(GRID.start, GRID.end, 15))
        model.fit(
            past, past["crop"], past["field"],
            target=now, target_labels=known, target_groups=now["field"],
        )  # fmt: skip
        score[method] = model.score(now[judges & ~stays], now["crop"][judges & ~stays])
    assert model.adaptation_ is not None
    assert model.adaptation_.gate.adapted
    assert model.adaptation_.shift is not None
    assert model.adaptation_.shift.mean_days == pytest.approx(18, abs=5)
    assert score["student"] > score["none"] + 0.05


# ---- bad input ---------------------------------------------------------------------------------

DATES = ("2018-03-01", "2018-05-01", "2018-07-01", "2018-09-01")
CUBE = np.arange(20 * 4 * 3, dtype=np.float64).reshape(20, 4, 3)
LABELS = np.arange(20) % 2 + 1


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (CUBE.transpose(0, 2, 1), "found an array of shape .20, 3, 4., .*it is transposed"),
        (CUBE.T, "it is transposed"),
        (CUBE[:, :3], r"expected \(sample, 4, 3\)"),
        (CUBE.reshape(20, -1).T, "it is transposed"),
        (CUBE.reshape(20, -1)[:, :10], r"expected \(sample, 12\)"),
    ],
)
def test_other_shapes_are_refused(X: np.ndarray, words: str) -> None:
    model = classifier(dates=DATES, scale=1)
    with refused(ValueError, "E-SERIES-SHAPE", words):
        model.fit(X, LABELS)
    model.fit(CUBE, LABELS)
    with refused(ValueError, "E-SERIES-SHAPE", words):
        model.predict(X)


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (("2018-03-01", "2018-07-01", "2018-05-01", "2018-09-01"), "must ascend"),
        (("2018-03-01", "2018-03-01", "2018-05-01", "2018-09-01"), "must ascend"),
        ((1, 11.5, 21, 31), "11.5 is not a whole day"),
        (("2018-03-01T12:00", "2018-05-01", "2018-07-01", "2018-09-01"), "not a whole day"),
        ((1, "2018-05-01", 21, 31), "beside dates"),
        (("spring", "2018-05-01", "2018-07-01", "2018-09-01"), "'spring' is not a date"),
        ((20180301, 20180501, 20180701, 20180901), "not a day of a season"),
        ((1, 11, float("nan"), 31), "nan is not a"),
    ],
)
def test_dates_that_are_none_are_refused(dates: tuple[Any, ...], words: str) -> None:
    with refused(ValueError, "E-SERIES-DATES", words):
        classifier(dates=dates, scale=1, grid=None).fit(CUBE, LABELS)


def test_columns_that_name_no_whole_day_are_refused(table: pd.DataFrame) -> None:
    odd = table.rename(columns={table.columns[5]: f"{table.columns[5][:-1]}"})
    with refused(ValueError, "E-SERIES-DATES", "name no whole day"):
        classifier().fit(odd, odd["crop"])
    short = table.drop(columns=table.columns[5])
    with refused(ValueError, "E-SERIES-BAND-DATES", "differ in their dates"):
        classifier().fit(short, short["crop"])


def test_unknown_bands_and_indices_are_refused(table: pd.DataFrame) -> None:
    with refused(KeyError, "E-SERIES-BANDS", "bands B13 are not in the table, it has B2"):
        classifier(bands=("B4", "B13")).fit(table, table["crop"])
    with refused(KeyError, "E-SERIES-BANDS", "NDVI needs B8 among the bands"):
        classifier(bands=("B4", "B11")).fit(table, table["crop"])
    with refused(KeyError, "E-SERIES-BANDS", "unknown index 'EVI9'"):
        classifier(indices=("EVI9",)).fit(table, table["crop"])
    with refused(KeyError, "E-SERIES-BANDS", "EVI needs B2 among the bands"):
        classifier(indices=("EVI",)).fit(table, table["crop"])
    own = Index.defined("own", "red / blue")
    with refused(KeyError, "E-SERIES-BANDS", "own needs B2 among the bands"):
        classifier(indices=("NDVI", own)).fit(table, table["crop"])
    made = classifier().fit(table, table["crop"])
    with refused(KeyError, "E-SERIES-BANDS", "B11 are not in the table"):
        made.predict(table[[name for name in table if not name.startswith("B11")]])


def test_labels_that_cannot_be_learnt_are_refused(table: pd.DataFrame) -> None:
    with refused(ValueError, "E-SERIES-CLASSES", "one class only, wheat"):
        classifier().fit(table, ["wheat"] * len(table))
    with refused(ValueError, "E-SERIES-LABELS", "2 of 315 samples have no label, first in row 1"):
        classifier().fit(table, table["crop"].where(~table.index.isin([1, 7])))
    with refused(ValueError, "E-SERIES-LABELS", "texts and numbers"):
        classifier().fit(table, table["crop"].astype(object).where(table.index > 3, 5))
    with refused(ValueError, "E-SERIES-LENGTH", "315 rows, 314 labels"):
        classifier().fit(table, table["crop"][1:])
    with refused(ValueError, "E-SERIES-LENGTH", "315 rows, 3 groups"):
        classifier().fit(table, table["crop"], [1, 2, 3])


def test_values_that_are_none_are_refused(table: pd.DataFrame) -> None:
    name = next(n for n in table if n.startswith("B4_"))
    with refused(ValueError, "E-SERIES-VALUES", "infinity"):
        classifier().fit(table.assign(**{name: np.inf}), table["crop"])
    with refused(ValueError, "E-SERIES-VALUES", "'cloud', which is not a number"):
        classifier().fit(table.assign(**{name: "cloud"}), table["crop"])
    with refused(ValueError, "E-SERIES-SCALE", "times scale 1e.08 lie outside"):
        classifier(scale=1e8).fit(table, table["crop"])
    with refused(ValueError, "E-SERIES-SCALE", "NDVI is computed from reflectances"):
        classifier(scale=None).fit(table, table["crop"])
    made = classifier().fit(table, table["crop"])
    with refused(ValueError, "E-SERIES-SCALE", "lie outside"):
        made.predict(table.assign(**{n: 65_535 for n in table if "_" in n}))
    nothing = table.assign(**{n: np.nan for n in table if "_" in n})
    with refused(ValueError, "E-SERIES-EMPTY", "no sample has an observation"):
        classifier().fit(nothing, table["crop"])


def test_seasons_that_do_not_meet_are_refused(table: pd.DataFrame) -> None:
    spring = oso.DateGrid(date(2018, 1, 1), date(2018, 2, 1), 10)
    autumn = table[[n for n in table if n[-4:] > "0901" or "_" not in n]]
    with refused(ValueError, "E-SERIES-SEASON", "no date lies in the season"):
        classifier(grid=spring).fit(autumn, autumn["crop"])
    with refused(ValueError, "E-SERIES-SEASON", "the series have days of the season"):
        classifier(dates=(1, 11, 21, 31), scale=1).fit(CUBE, LABELS)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"scale": 0}, "E-SERIES-SCALE", "expected a number above 0"),
        ({"scale": "x"}, "E-SERIES-SCALE", "expected a number above 0"),
        ({"grid": ("2018-01-01", "2018-12-31")}, "E-SERIES-GRID", "expected dates at a regular"),
        ({"learning": [1]}, "E-SERIES-SETTINGS", "learning: found .1., expected keys"),
        ({"method": "student", "adaptation": 5}, "E-SERIES-SETTINGS", "adaptation: found 5"),
    ],
)
def test_parameters_that_are_none_are_refused(
    table: pd.DataFrame, changes: dict[str, Any], code: str, words: str
) -> None:
    with refused(ValueError, code, words):
        classifier(**changes).fit(table, table["crop"], target=table)


def test_a_single_name_may_stand_alone(table: pd.DataFrame) -> None:
    made = classifier(bands="B4", indices="brightness").fit(table, table["crop"])
    assert made.space_.layout.series.bands == ("B4",)
    assert made.space_.layout.series.indices == ("brightness",)


def test_settings_that_are_none_are_refused(table: pd.DataFrame) -> None:
    with refused(ValueError, "E-SERIES-SETTINGS", "learning.n_tree: found 5"):
        classifier(learning={"n_tree": 5}).fit(table, table["crop"])
    with refused(ValueError, "E-PLUGIN-KIND", "found kind 'wood'"):
        classifier(learning={"kind": "wood"}).fit(table, table["crop"])
    with refused(ValueError, "E-SERIES-TARGET", "needs series of the year"):
        classifier(method="student").fit(table, table["crop"])
    with refused(ValueError, "E-SERIES-METHOD", "method must be one of"):
        classifier(method="magic").fit(table, table["crop"], target=table)
    with refused(KeyError, "E-SERIES-PERENNIAL", "no sample is labelled rice"):
        classifier(method="student", adaptation={"perennial_classes": ["rice"]}).fit(
            table, table["crop"], target=table
        )
