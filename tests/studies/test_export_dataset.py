"""Samples as training sets: what other programs read is what the run learned from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pytest
from support import ROOT
from support.pipeline_tools import copy_as_demo, stdout_of
from support.typed_command import Oso

import oso_pipeline as oso_package
from oso_pipeline.core.errors import InputDataError, UnknownName
from oso_pipeline.studies.dataset.samples_table import sides_of


def test_sides_follow_the_variant_of_the_map() -> None:
    splits = pd.DataFrame({"split_0": ["train", "validation", None], "fold": [0, 1, -1]})
    assert sides_of(splits, "run0").tolist() == ["train", "validation", ""]
    assert sides_of(splits, "fold1").tolist()[:2] == ["train", "validation"]
    assert sides_of(splits, "map").tolist() == ["train"] * 3


@pytest.mark.slow
def test_the_table_reads_back_equal(small_run: Path, tmp_path: Path) -> None:
    said = stdout_of("export-dataset", small_run, tmp_path / "set")
    metadata = json.loads((tmp_path / "set" / "metadata.json").read_text(encoding="utf-8"))
    assert said.strip() == str(tmp_path / "set" / "metadata.json")
    run = oso_package.open_run(small_run.parent / "run")
    expected = run.samples
    path = tmp_path / "set" / "samples.parquet"
    found = pq.read_table(path).to_pandas()
    shared = [name for name in expected if name != "draw"]
    pd.testing.assert_frame_equal(found[shared], expected[shared])
    assert (found["split"] == found["split_0"]).all()
    table = oso_package.read_series(path, label="code", group="polygon_id")
    assert table.X.shape == (len(expected), len(metadata["grid"]) * (10 + 3))
    sides = found.groupby("polygon_id")["split"].nunique()
    assert sides.max() == 1
    counts = expected["code"].value_counts().to_dict()
    assert {c["code"]: sum(c["samples"].values()) for c in metadata["classes"]} == counts
    assert metadata["scale"]["B4"] == 1e-4
    assert metadata["scale"]["NDVI"] == 1e-3
    page = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert "Contains modified Copernicus Sentinel data 2018" in page


@pytest.mark.slow
def test_parcels_hold_the_observations_behind_the_samples(small_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    run = oso_package.open_run(small_run.parent / "run")
    metadata = oso_package.export_dataset(run, folder, "npz", tiles=["31UCU"])
    content = json.loads(metadata.read_text(encoding="utf-8"))
    listed = pd.read_parquet(folder / "parcels.parquet")
    samples = run.read_samples(["31UCU"])
    assert listed["pixels"].sum() == len(samples)
    assert {*listed["file"]} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.npz")
    }
    days_out = np.array(content["grid"], "datetime64[D]").astype(int)
    for row in listed.iloc[::7].to_dict("records"):
        with np.load(folder / row["file"], allow_pickle=False) as parcel:
            one = {name: parcel[name] for name in parcel.files}
        own = samples[samples["polygon_id"] == row["polygon_id"]]
        assert one["label"] == row["code"] == own["code"].iloc[0]
        np.testing.assert_array_equal(one["x"], own["x"])
        np.testing.assert_array_equal(one["mask"].sum(axis=1), own["validity"])
        assert (one["values"][one["mask"] == 0] == content["nodata"]).all()
        assert (np.diff(one["days"]) > 0).all()
        for number, band in enumerate(content["bands"]):
            names = [f"{band}_{day.replace('-', '')}" for day in content["grid"]]
            filled = interpolated(one, number, days_out)
            np.testing.assert_allclose(own[names].to_numpy(), filled, atol=0.51)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["training_sets.md", "explain.md"])
def test_the_code_of_the_pages_runs(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    copy_as_demo(small_run, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(block, page, "exec"), names)
    if page == "explain.md":
        assert names["found"].place.tile == "30UYD"
    else:
        assert names["data"].shape == (len(names["dates"]), 10)
        assert names["data"].min() > -1000


def interpolated(
    parcel: dict[str, Any], band: int, days_out: npt.NDArray[np.int_]
) -> npt.NDArray[np.float64]:
    """Fill gaps by NumPy alone, shape (pixel, date)."""
    rows = []
    for values, mask in zip(parcel["values"][:, :, band], parcel["mask"] == 1, strict=True):
        rows.append(np.interp(days_out, parcel["days"][mask], values[mask].astype(float)))
    return np.array(rows)


@pytest.mark.slow
def test_what_cannot_be_exported_is_named(oso: Oso, small_run: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    assert "E-DATASET-FOLDER" in oso(4, "export-dataset", small_run, full)
    assert (full / "thesis.txt").read_text() == "mine"
    assert "no form csv" in oso(2, "export-dataset", small_run, tmp_path / "new", "--form", "csv")
    run = oso_package.open_run(small_run)
    with pytest.raises(UnknownName, match="E-DATASET-FORM"):
        oso_package.export_dataset(run, tmp_path / "new", "csv")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="E-NAME-TILE"):
        oso_package.export_dataset(run, tmp_path / "new", tiles=["31TCJ"])
    assert not (tmp_path / "new").exists()
    empty = tmp_path / "run"
    empty.mkdir()
    for name in ("config.yaml", "run.json"):
        (empty / name).write_bytes((small_run.parent / "run" / name).read_bytes())
    with pytest.raises(InputDataError, match="E-RUN-MISSING"):
        oso_package.export_dataset(empty, tmp_path / "new")
    assert not (tmp_path / "new" / "metadata.json").exists()
