"""Tables as pandas and NumPy write them: read exactly, or refused by name (4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.evaluated_table import DAYS, YAML, changed, table

from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.studies.adaptation.description import load_evaluation
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.table_reader import read_seasons

COLUMNS = [f"n{day}" for day in DAYS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pair.yaml").write_text(YAML, encoding="utf-8")
    return tmp_path


def of_kind(folder: Path, kind: str) -> Path:
    path = changed(folder / "pair.yaml", "kind: parquet", f"kind: {kind}")
    changed(path, "path: table.parquet", f"path: table.{kind}")
    return changed(path, '  bands: {NDVI: "n{day}"}\n', "") if kind == "npz" else path


def archive(folder: Path, **arrays: Any) -> Path:
    frame = table()
    content: dict[str, Any] = {
        "X": frame[COLUMNS].to_numpy()[:, :, None],
        "dates": np.array(DAYS),
        **{name: frame[name].to_numpy().astype(str) for name in ("crop", "year", "field")},
    }
    np.savez(folder / "table.npz", **{**content, **arrays})
    return of_kind(folder, "npz")


def seasons(path: Path) -> dict[int, Domain]:
    return read_seasons(load_evaluation(path))[0]


def refused(path: Path) -> str:
    with pytest.raises(InputDataError) as caught:
        seasons(path)
    return str(caught.value)


def same(one: dict[int, Domain], other: dict[int, Domain]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[year].features, other[year].features)
        and np.array_equal(one[year].labels, other[year].labels)
        and np.array_equal(one[year].polygons, other[year].polygons)
        for year in one
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_4_1_csv_and_parquet_of_pandas_give_the_same_seasons(folder: Path, separator: str) -> None:
    frame = table()
    frame.loc[0, ["n33", "n65"]] = np.nan
    frame["note"] = "a; b, c"
    frame = frame[[*reversed(frame.columns)]]  # the order of columns tells nothing
    frame.to_parquet(folder / "table.parquet")
    first = seasons(folder / "pair.yaml")
    frame.to_csv(folder / "table.csv", index=False, sep=separator, encoding="utf-8-sig")
    assert same(first, seasons(of_kind(folder, "csv")))


def test_4_1_years_are_read_from_numbers_and_dates(folder: Path) -> None:
    frame = table()
    frame.to_csv(folder / "table.csv", index=False)
    path = of_kind(folder, "csv")
    first = seasons(path)
    years = frame["year"].astype(int)
    for column in (years, years.astype(float), pd.to_datetime(frame["year"] + "-05-01")):
        frame.assign(year=column).to_csv(folder / "table.csv", index=False)
        assert same(first, seasons(path))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_4_1_a_season_that_is_no_year_is_named(folder: Path, kind: str) -> None:
    frame = table().replace({"year": {"2018": "summer"}})
    frame.to_parquet(folder / "table.parquet")
    frame.to_csv(folder / "table.csv", index=False)
    path = folder / "pair.yaml" if kind == "parquet" else of_kind(folder, kind)
    said = refused(path)
    assert "'summer' is not a year" in said
    assert "E-ADAPT-YEAR" in said
    assert "-1" not in said.replace(str(folder), "")


def test_4_1_texts_among_the_numbers_are_named_with_their_row(folder: Path) -> None:
    frame = table().astype({"n33": object})
    frame.loc[[4, 7], "n33"] = ["0,25", "cloud"]
    frame.to_csv(folder / "table.csv", index=False)
    path = of_kind(folder, "csv")
    said = refused(path)
    assert (
        "column n33 holds '0,25', which is not a number, in 2 of 240 rows, first in row 5" in said
    )


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"n33": "n33.5"}, "n33.5 is of day 33.5, which is not a whole day"),
        ({"n33": "n01"}, "columns n1 and n01 are of the same day"),
        ({name: f"n201801{number:02}" for number, name in enumerate(COLUMNS)}, "not a day"),
    ],
)
def test_4_1_days_in_the_names_of_columns(folder: Path, header: dict[str, str], words: str) -> None:
    table().rename(columns=header).to_parquet(folder / "table.parquet")
    assert words in refused(folder / "pair.yaml")


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (np.array([33, 1, 65, 97, 129]), "33 comes before 1: they must ascend"),
        (np.array([1, 33, 33, 97, 129]), "33 comes before 33"),
        (np.array([1, 33.5, 65.25, 97, 129]), "33.5 and 1 more: no whole day"),
        (np.array([1, 33, np.nan, 97, 129]), "nan: no whole day"),
        (np.array([1.0, 33, 65, 97, 1e12]), "is not a day"),
        (np.array([20180101, 20180202, 20180301, 20180401, 20181101]), "not a day"),
        (np.array(["a", "b", "c", "d", "e"]), "text, here 'a', is not a date"),
        (np.array([True, False, True, False, True]), "values of type bool"),
        (
            np.array(["2018-01-01T00", "2018-02-01T12"] + ["2018-03-01T00"] * 3, "M8[h]"),
            "not a whole",
        ),
        (np.array(["2018-01-01", "NaT"] + ["2018-03-01"] * 3, "M8[D]"), "a date is missing"),
        (np.array([DAYS]), r"shape (1, 5)"),
    ],
)
def test_4_1_days_of_an_archive_are_exact_or_refused(
    folder: Path, days: np.ndarray[Any, Any], words: str
) -> None:
    said = refused(archive(folder, dates=days))
    assert "E-ADAPT-DATES" in said
    assert words in said


def test_4_1_dates_and_whole_floats_are_days(folder: Path) -> None:
    first = seasons(archive(folder))
    dates = np.datetime64("2018-01-01") + np.array(DAYS)
    for days in (np.array(DAYS, float), dates, dates.astype(str), dates.astype("M8[ns]")):
        np.savez(
            folder / "table.npz",
            **{**np.load(folder / "table.npz"), "dates": days},
        )
        assert same(first, seasons(folder / "pair.yaml"))


@pytest.mark.parametrize("name", ["crop", "year", "X", "dates"])
def test_4_1_an_array_of_objects_is_named_and_not_run(folder: Path, name: str) -> None:
    content = np.load(archive(folder).with_name("table.npz"))[name].astype(object)
    np.savez(
        folder / "table.npz",
        **{**np.load(folder / "table.npz"), name: content},
    )
    said = refused(folder / "pair.yaml")
    assert f"array {name} holds Python objects" in said
    assert "astype(str)" in said


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"x" * 300])
@pytest.mark.parametrize("kind", ["npz", "parquet", "csv"])
def test_4_1_damaged_files_are_named(folder: Path, kind: str, content: bytes) -> None:
    path = folder / "pair.yaml" if kind == "parquet" else of_kind(folder, kind)
    (folder / f"table.{kind}").write_bytes(content)
    assert f"table.{kind}" in refused(path)


def test_4_1_another_kind_is_answered_with_those_there_are(folder: Path) -> None:
    path = changed(folder / "pair.yaml", "kind: parquet", "kind: excel")
    with pytest.raises(ConfigError, match="found 'excel', allowed: parquet, csv, npz"):
        load_evaluation(path)
    with pytest.raises(ConfigError, match="kind: is missing, allowed: parquet, csv, npz"):
        load_evaluation(changed(path, "  kind: excel\n", ""))
