"""Models trained by hand go into the chain, and those of the chain classify tables."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

import oso_pipeline as oso
from oso_pipeline.core.errors import InputDataError, OsoError
from oso_pipeline.learning.model_bank import export_models, find_models
from oso_pipeline.learning.model_file import load_model as load_model_file

GRID = oso.DateGrid(date(2018, 1, 1), date(2018, 12, 31), 30)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return oso.simulate_series(105, seed=1)


def classifier(**parameters: Any) -> oso.SeriesClassifier:
    known = {"grid": GRID, "indices": ("NDVI",), "scale": 10_000, "learning": {"n_trees": 12}}
    return oso.SeriesClassifier(**{**known, **parameters})


def refused(words: str, kind: type[Exception] = ValueError) -> Any:
    return pytest.raises(kind, match=f"(?s){words}", check=lambda e: isinstance(e, OsoError))


@pytest.mark.parametrize("vote", ["hard", "soft"])
def test_a_model_comes_back_as_it_was(table: pd.DataFrame, tmp_path: Path, vote: str) -> None:
    made = classifier(learning={"n_trees": 12, "vote": vote}).fit(table, table["code"])
    folder = oso.save_model(made, tmp_path, nomenclature="oso23", year=2018)
    assert folder == tmp_path / "all"
    again = oso.load_model(tmp_path, scale=10_000, learning={"vote": vote})
    np.testing.assert_array_equal(again.predict(table), made.predict(table))
    np.testing.assert_array_equal(again.predict_proba(table), made.predict_proba(table))
    stored = load_model_file(folder)
    assert stored.layout.names == tuple(made.features(table))
    assert stored.counts == table["code"].value_counts().to_dict()
    assert stored.parameters["n_trees"] == 12


def test_a_bank_takes_a_model_with_a_year(table: pd.DataFrame, tmp_path: Path) -> None:
    made = classifier().fit(table, table["code"])
    for stratum in ("north", "south"):
        oso.save_model(made, tmp_path / "mine", nomenclature="oso23", stratum=stratum, year=2018)
    assert set(find_models(tmp_path / "mine")) == {"north", "south"}
    export_models(tmp_path / "mine", tmp_path / "bank")
    again = oso.load_model(tmp_path / "bank", "south", scale=10_000)
    np.testing.assert_array_equal(again.predict(table), made.predict(table))
    with refused("E-MODEL-FOLDER.*several strata: north, south"):
        oso.load_model(tmp_path / "bank")
    with refused("E-MODEL-STRATA.*no model of west", KeyError):
        oso.load_model(tmp_path / "bank", "west")


def test_a_forest_of_scikit_learn_votes_as_it_does_there(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    samples = classifier().fit(table, table["code"]).features(table)
    forest = RandomForestClassifier(15, random_state=0).fit(samples, table["code"])
    oso.save_model(forest, tmp_path, nomenclature="oso23")
    again = oso.load_model(tmp_path, scale=10_000, learning={"vote": "soft"})
    np.testing.assert_allclose(again.predict_proba(table), forest.predict_proba(samples))


def test_what_was_altered_is_refused_on_load(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = oso.save_model(classifier().fit(table, table["code"]), tmp_path, nomenclature="oso23")
    description = json.loads((folder / "model.json").read_text())
    description["seed"] = 7
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputDataError, match="E-INPUT-MODEL"):
        oso.load_model(folder)


def test_models_that_cannot_serve_the_chain_are_refused(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    crops, codes = table["crop"], table["code"]
    with refused("E-SERIES-MODEL.*expected codes of the nomenclature"):
        oso.save_model(classifier().fit(table, crops), tmp_path)
    with refused("E-SERIES-MODEL.*labels 5, 6, .* are not codes of oso17"):
        oso.save_model(classifier().fit(table, codes), tmp_path)
    with refused("E-SERIES-MODEL.*the chain needs a grid"):
        oso.save_model(classifier(grid=None).fit(table, codes), tmp_path, nomenclature="oso23")
    with refused("E-SERIES-MODEL.*not trained on reflectances in units of 1e-4"):
        odd = classifier(scale=None, indices=()).fit(table, codes)
        oso.save_model(odd, tmp_path, nomenclature="oso23")
    with refused("E-SERIES-MODEL.*bands VH are not among those of the chain"):
        other = table.rename(columns=lambda name: name.replace("B12_", "VH_"))
        made = classifier(bands=("B4", "VH"), indices=()).fit(other, codes)
        oso.save_model(made, tmp_path, nomenclature="oso23")
    with refused("E-SERIES-MODEL.*cannot be the name of a stratum"):
        made = classifier().fit(table, codes)
        oso.save_model(made, tmp_path, nomenclature="oso23", stratum="a/b")
    assert list(tmp_path.iterdir()) == []


def test_forests_of_other_features_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    samples = classifier().fit(table, table["code"]).features(table)
    codes = table["code"]

    def saved(X: Any, y: Any = codes, **how: Any) -> None:
        forest = RandomForestClassifier(3, random_state=0, **how).fit(X, y)
        oso.save_model(forest, tmp_path, nomenclature="oso23")

    with refused("E-SERIES-MODEL.*does not know the names of its features"):
        saved(samples.to_numpy())
    with refused("E-SERIES-MODEL.*polygon are not features of the chain"):
        saved(samples.assign(polygon=1))
    with refused("E-SERIES-MODEL.*feature 0 is NDVI_20181227, expected B12_20180101"):
        saved(samples[samples.columns[::-1]])
    with refused("E-SERIES-MODEL.*not trained on the int16 features"):
        saved(samples / 10_000)
    with refused("E-SERIES-MODEL.*expected codes"):
        saved(samples, table["crop"])
    with refused("E-SERIES-MODEL.*no regular step"):
        saved(samples[[name for name in samples if not name.endswith("20180302")]])
    with refused("E-SERIES-MODEL.*cannot be converted"):
        saved(samples, bootstrap=False, class_weight={5: 0.3})
