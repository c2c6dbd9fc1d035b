"""Training: which rows, which forests, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.learning_tools import GRID, LAYOUT, train_job

from oso_pipeline.core import lowest_draws, parquet_pieces
from oso_pipeline.core.errors import ExitCode, InputDataError
from oso_pipeline.core.lowest_draws import groups_of, lowest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learning.model_file import load_model
from oso_pipeline.learning.train_stage import train
from oso_pipeline.learning.training_set import (
    Choice,
    check_classes,
    read_training_set,
    refuse_leaks,
)
from oso_pipeline.reference.split.variants import training_rows, validation_rows
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do


def samples(n: int, seed: int = 0, **columns: Any) -> pa.Table:
    rng = np.random.default_rng(seed)
    polygon = rng.integers(0, 12, n)
    content = {
        "polygon_id": polygon,
        "code": (polygon % 3 + 1).astype(np.int32),
        "stratum": np.full(n, "all"),
        "validity": np.full(n, 9, np.uint16),
        "draw": rng.integers(0, 2**63, n).astype(np.uint64),
        "split_0": np.where(polygon < 9, "train", "validation"),
        "fold": (polygon % 4).astype(np.int8),
        **columns,
    }
    for number, name in enumerate(LAYOUT.names):
        values = content["code"] * 1000 + rng.integers(-900, 900, n) + number
        content[name] = values.astype(np.int16)
    return pa.table(content)


def reference(*parts: pa.Table) -> pa.Table:
    return pa.concat_tables(parts).select(["polygon_id", "code", "stratum", "split_0", "fold"])


def task_on(folder: Path, tables: Mapping[str, pa.Table], **fields: Any) -> Task:
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / "samples" / f"{name}.parquet")
    if not (folder / "reference.parquet").exists():
        pq.write_table(reference(*tables.values()), folder / "reference.parquet")
    return Task(
        "train",
        "run0/all",
        "oso_pipeline.learning.train_stage:train",
        folder,
        ("models/run0/all/model.json", "models/run0/all/forest.npz"),
        job=train_job(*(f"samples/{name}.parquet" for name in sorted(tables)), **fields),
    )


@pytest.mark.parametrize(
    ("engine", "package"), [("histogram", "numba"), ("sklearn", "scikit-learn")]
)
def test_trains_and_commits(tmp_path: Path, engine: Any, package: str) -> None:
    tables = {"31TCJ": samples(300), "31TDJ": samples(200, 1)}
    settings = ForestSettings(n_trees=6, min_samples_leaf=1, engine=engine)
    task = task_on(tmp_path, tables, learning=settings)
    result = do(task)
    assert result.status == "done", result.error
    assert task.commit_record() is not None
    model = load_model(tmp_path / "models" / "run0" / "all")
    assert model.counts == {1: 40, 2: 40, 3: 40}
    assert model.classifier.forest.n_trees == 6
    assert (model.layout, model.grid, model.seed) == (LAYOUT, GRID, 5)
    assert model.parameters["engine"] == engine
    assert model.software[package]


@pytest.mark.parametrize("engine", ["histogram", "sklearn"])
def test_threads_and_repetition_make_the_same_bytes(tmp_path: Path, engine: Any) -> None:
    made = []
    for threads in (1, 2, 1):
        folder = tmp_path / f"{len(made)}"
        settings = ForestSettings(n_trees=6, min_samples_leaf=1, engine=engine)
        task = task_on(folder, {"31TCJ": samples(300)}, learning=settings, threads=threads)
        train(task.job, task)
        made.append([(folder / output).read_bytes() for output in task.outputs])
    assert made[0] == made[1] == made[2]


def test_a_calibration_is_a_part_of_the_model_and_does_not_change_its_trees(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(3)
    polygon = rng.integers(0, 60, 400)
    table = samples(400, polygon_id=polygon, split_0=np.where(polygon < 45, "train", "validation"))
    made = []
    for number, calibration in enumerate((None, {"folds": 3, "vote": "hard"})):
        fields = {"calibration": calibration, "max_pixels": None}
        task = task_on(tmp_path / f"{number}", {"31TCJ": table}, **fields)
        result = do(task)
        assert result.status == "done", result.error
        made.append(load_model(tmp_path / f"{number}" / "models/run0/all"))
        assert ("calibration" in task.params) == (calibration is not None)
    plain, calibrated = made
    assert plain.tables is None
    assert calibrated.tables is not None
    trained = pc.equal(table["split_0"], "train")
    polygons = len(np.unique(table.filter(trained)["polygon_id"]))
    assert calibrated.tables.facts == {"polygons": polygons, "settings": {"vote": "hard"}}
    for name, array in plain.classifier.arrays().items():
        np.testing.assert_array_equal(calibrated.classifier.arrays()[name], array)


def test_too_few_polygons_for_a_calibration_stop_the_training(tmp_path: Path) -> None:
    task = task_on(tmp_path, {"31TCJ": samples(300)}, calibration={"folds": 3, "vote": "hard"})
    with pytest.raises(InputDataError, match="9 training polygons") as caught:
        train(task.job, task)
    assert "E-CONFIDENCE-POLYGONS" in str(caught.value)


def test_draw_over_tiles_is_the_draw_from_the_whole(tmp_path: Path) -> None:
    tables = [samples(300, seed) for seed in range(3)]
    paths = []
    for number, table in enumerate(tables):
        paths.append(tmp_path / f"{number}.parquet")
        pq.write_table(table, paths[-1])
    chosen = read_training_set(paths, Choice("run0", "all", ("split_0",), 25), LAYOUT)
    whole = pa.concat_tables(tables).to_pandas().query("split_0 == 'train'")
    expected = whole.sort_values("draw").groupby("code").head(25).sort_index()
    np.testing.assert_array_equal(chosen.codes, expected["code"])
    np.testing.assert_array_equal(chosen.features, expected[list(LAYOUT.names)])
    assert chosen.polygons == expected["polygon_id"].nunique()


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 6)), max_size=40),
    st.one_of(st.none(), st.integers(1, 5)),
    st.integers(0, 40),
)
def test_lowest_of_parts_is_lowest_of_whole(
    rows: list[tuple[int, int]], limit: int | None, cut: int
) -> None:
    group = np.array([g for g, _ in rows], np.int64)
    draw = np.array([d * 100 + i for i, (_, d) in enumerate(rows)], np.uint64)
    whole = lowest(draw, group, limit)
    for number in set(group.tolist()):
        expected = [] if number < 0 else sorted(draw[group == number].tolist())[:limit]
        assert sorted(draw[whole & (group == number)].tolist()) == expected
    parts = [slice(0, cut), slice(cut, None)]
    kept = np.concatenate([lowest(draw[part], group[part], limit) for part in parts])
    again = np.zeros_like(whole)
    again[kept] = lowest(draw[kept], group[kept], limit)
    np.testing.assert_array_equal(again, whole)


def test_groups_number_combinations() -> None:
    group = groups_of(np.array([1, 1, 2, 1]), np.array(["a", "b", "a", "a"]))
    assert group[0] == group[3]
    assert len(set(group.tolist())) == 3


def test_variants_share_out_the_rows() -> None:
    table = samples(50)
    train_rows, held = training_rows(table, "run0"), validation_rows(table, "run0")
    assert (train_rows ^ held).all()
    for fold in range(4):
        np.testing.assert_array_equal(
            validation_rows(table, f"fold{fold}"), np.asarray(table["fold"]) == fold
        )
        assert (training_rows(table, f"fold{fold}") ^ validation_rows(table, f"fold{fold}")).all()
    assert training_rows(table, "map").all()
    assert not validation_rows(table, "map").any()
    np.testing.assert_array_equal(
        training_rows(table.to_pandas(), "fold1"), np.asarray(table["fold"]) != 1
    )
    with pytest.raises(ValueError, match="not a variant"):
        training_rows(table, "other")


def test_row_46_classes_without_pixels_are_listed(tmp_path: Path) -> None:
    whole = samples(300)
    extra = {"polygon_id": 99, "code": 7, "stratum": "all", "split_0": "train", "fold": 0}
    table = reference(whole)
    more = pa.table(
        {name: pa.array([extra[name]], table[name].type) for name in table.schema.names}
    )
    pq.write_table(pa.concat_tables([table, more]), tmp_path / "reference.parquet")
    kept = whole.filter(pa.array(np.asarray(whole["code"]) != 2))
    result = do(task_on(tmp_path, {"31TCJ": kept}))
    assert result.status == "failed"
    assert result.exit_code == ExitCode.INPUT
    for words in ("E-CLASS-NO-PIXEL", "2 (3 polygons), 7 (1 polygons)", "allow_missing_classes"):
        assert words in str(result.error)
    allowed = do(task_on(tmp_path, {"31TCJ": kept}, allow_missing=True))
    assert allowed.status == "done"
    assert "W-CLASS-NO-PIXEL" in allowed.summary["warnings"][0]


@pytest.mark.parametrize("codes", [(1,), ()])
def test_row_47_one_class_is_refused(tmp_path: Path, codes: tuple[int, ...]) -> None:
    whole = samples(100)
    kept = whole.filter(pa.array(np.isin(np.asarray(whole["code"]), codes)))
    result = do(task_on(tmp_path, {"31TCJ": kept}))
    assert result.exit_code == ExitCode.INPUT
    assert "E-CLASS-SINGLE" in str(result.error)
    assert ("only class 1" if codes else "no class at all") in str(result.error)


def test_row_49_a_polygon_on_both_sides_is_refused(tmp_path: Path) -> None:
    table = samples(100)
    split = np.asarray(table["split_0"]).copy()
    split[np.flatnonzero(np.asarray(table["polygon_id"]) == 3)[0]] = "validation"
    place = table.schema.get_field_index("split_0")
    leaking = table.set_column(place, "split_0", pa.array(split))
    result = do(task_on(tmp_path, {"31TCJ": leaking}))
    assert result.exit_code == ExitCode.INPUT
    assert "E-SPLIT-OVERLAP" in str(result.error)
    assert "polygon_id 3" in str(result.error)
    refuse_leaks(leaking, "map")
    with pytest.raises(InputDataError, match="E-SPLIT-OVERLAP"):
        refuse_leaks({**leaking.to_pydict(), "fold": np.arange(100) % 2}, "fold0")


def test_row_50_imbalance_is_a_warning() -> None:
    choice = Choice("run0", "all", ("split_0",), None)
    problems = check_classes({1: 10_000, 2: 100}, {1: 5, 2: 2}, choice, False, Path("r"))
    assert [found.code for found in problems] == ["W-CLASS-BALANCE"]
    assert "max_train_pixels" in str(problems.warnings[0])
    assert not list(check_classes({1: 9_900, 2: 100}, {}, choice, False, Path("r")))


def test_how_the_map_votes_and_the_threads_outdate_no_forest(tmp_path: Path) -> None:
    key = task_on(tmp_path, {"31TCJ": samples(10)}).key
    soft = ForestSettings(n_trees=6, min_samples_leaf=1, vote="soft")
    assert task_on(tmp_path, {"31TCJ": samples(10)}, learning=soft, threads=4).key == key
    deep = ForestSettings(n_trees=6, min_samples_leaf=1, max_depth=30)
    assert task_on(tmp_path, {"31TCJ": samples(10)}, learning=deep).key != key


@given(
    parts=st.lists(st.lists(st.integers(-1, 2), max_size=30), max_size=6),
    limit=st.one_of(st.none(), st.integers(1, 5)),
    seed=st.integers(0, 9),
)
def test_lowest_of_parts_added_one_by_one_is_lowest_of_whole(
    parts: list[list[int]], limit: int | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    groups = [np.array(part, np.int64) for part in parts]
    draws = [rng.integers(0, 20, len(part)).astype(np.uint64) for part in groups]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lowest_draws, "_FIRST_TRIM", 5)
        drawn = lowest_draws.LowestOfParts(limit)
        drawn._trim_at = 5
        for draw, group in zip(draws, groups, strict=True):
            drawn.add(draw, group)
        rows = drawn.rows()
    taken = [np.isin(np.arange(len(part)), own) for part, own in zip(groups, rows, strict=True)]
    whole = lowest_draws.lowest(
        np.concatenate([np.empty(0, np.uint64), *draws]),
        np.concatenate([np.empty(0, np.int64), *groups]),
        limit,
    )
    assert np.concatenate([np.empty(0, bool), *taken]).tolist() == whole.tolist()


def test_row_groups_without_a_chosen_row_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table = pa.table({"a": np.arange(100), "b": np.arange(100) % 7})
    pq.write_table(table, path, row_group_size=10)
    rows = np.array([0, 9, 10, 55, 99])
    found = [*parquet_pieces.chosen_rows(path, ["a"], rows)]
    assert [part["a"].to_pylist() for part in found] == [[0, 9], [10], [55], [99]]
    assert [*parquet_pieces.chosen_rows(path, None, rows[:0])] == []
    parts = [*parquet_pieces.pieces(path, None, 32)]
    assert max(map(len, parts)) <= 32
    assert pa.Table.from_batches(parts).equals(table)
