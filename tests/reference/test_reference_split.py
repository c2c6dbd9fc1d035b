"""The split deals whole polygons; the promises hold for any set of polygons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference_world import rules

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.split.rare_classes import check_sides
from oso_pipeline.reference.split.split import add_split, polygon_table, verify_split

CLASSES = [(11, "a"), (12, "a"), (11, "b"), (222, "b")]


def table_of(counts: list[int], seed: int = 0) -> pd.DataFrame:
    """Return as many squares per class and stratum; every third polygon has two parts."""
    rng = np.random.default_rng(seed)
    labels = [label for label, n in zip(CLASSES, counts, strict=True) for _ in range(n)]
    order = rng.permutation(len(labels))
    rows = []
    for polygon_id, position in enumerate(order):
        code, stratum = labels[position]
        rows += [
            (polygon_id, code, stratum, "", *rng.uniform(0, 20_000, 2), 50.0 + part)
            for part in range(2 if polygon_id % 3 == 0 else 1)
        ]
    columns = ["polygon_id", "code", "stratum", "side", "x_min", "y_min", "width"]
    return measured(pd.DataFrame(rows, columns=columns))


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of each rectangle, 50 m high."""
    width = rows["width"]
    return rows.assign(
        x_max=rows["x_min"] + width,
        y_max=rows["y_min"] + 50,
        x=rows["x_min"] + width / 2,
        y=rows["y_min"] + 25,
        area_m2=width * 50,
        order=rows["polygon_id"],
    )


def sides_of(table: pd.DataFrame, column: str) -> pd.DataFrame:
    grouped = table.groupby("polygon_id")
    assert grouped[column].nunique().max() == 1, "a polygon lies on both sides"
    return grouped[["code", "stratum", column]].first()


counts = st.lists(st.integers(0, 25), min_size=4, max_size=4).filter(any)


@settings(max_examples=40, deadline=None)
@given(counts=counts, seed=st.integers(0, 99), share=st.floats(0.05, 0.95))
def test_each_class_and_stratum_is_on_both_sides_near_its_share(
    counts: list[int], seed: int, share: float
) -> None:
    table = table_of(counts, seed)
    found = sides_of(add_split(table, rules(seed=seed, train_share=share)), "split_0")
    for _, group in found.groupby(["code", "stratum"]):
        n, train = len(group), int((group["split_0"] == "train").sum())
        assert set(group["split_0"]) <= {"train", "validation"}
        assert train == 1 if n == 1 else 1 <= train <= n - 1
        assert abs(train - share * n) <= 1


@settings(max_examples=30, deadline=None)
@given(counts=counts, seed=st.integers(0, 99), folds=st.integers(2, 8))
def test_folds_are_even_within_each_class_and_stratum(
    counts: list[int], seed: int, folds: int
) -> None:
    split = add_split(table_of(counts, seed), rules(seed=seed, folds=folds))
    assert split["fold"].dtype == np.int8
    found = sides_of(split, "fold")
    assert found["fold"].between(0, folds - 1).all()
    for _, group in found.groupby(["code", "stratum"]):
        sizes = group["fold"].value_counts()
        assert len(sizes) == min(len(group), folds)
        assert sizes.max() - (sizes.min() if len(sizes) == folds else 1) <= 1


@settings(max_examples=30, deadline=None)
@given(counts=counts, seed=st.integers(0, 99), folds=st.sampled_from([None, 4]))
def test_blocks_keep_neighbours_together(counts: list[int], seed: int, folds: int | None) -> None:
    table = table_of(counts, seed)
    split_rules = rules(method="blocks", seed=seed, folds=folds)
    split = add_split(table, split_rules)
    (column,) = split_rules.columns
    found = sides_of(split, column)
    polygons = polygon_table(table)
    squares = np.floor(polygons[["x", "y"]] / 1000).apply(tuple, axis=1)
    assert found[column].groupby(squares).nunique().max() == 1


def test_blocks_come_near_the_share_of_every_class() -> None:
    table = table_of([200, 150, 120, 90])
    found = sides_of(add_split(table, rules(method="blocks")), "split_0")
    shares = (found["split_0"] == "train").groupby([found["code"], found["stratum"]]).mean()
    assert shares.between(0.62, 0.78).all()


def test_runs_are_independent_and_reproducible() -> None:
    table = table_of([20, 20, 20, 20])
    split = add_split(table, rules(runs=3))
    again = add_split(table, rules(runs=3))
    columns = ["split_0", "split_1", "split_2"]
    pd.testing.assert_frame_equal(split[columns], again[columns])
    assert not split["split_0"].equals(split["split_1"])
    assert not split["split_0"].equals(add_split(table, rules(seed=1))["split_0"])
    assert split["split_0"].equals(add_split(table, rules())["split_0"])


def test_order_of_rows_and_other_classes_do_not_change_a_draw() -> None:
    table = table_of([20, 15, 10, 5])
    expected = sides_of(add_split(table, rules()), "split_0")
    shuffled = table.sample(frac=1, random_state=3).reset_index(drop=True)
    assert sides_of(add_split(shuffled, rules()), "split_0").equals(expected)
    only = table[(table.code == 11) & (table.stratum == "a")].reset_index(drop=True)
    alone = sides_of(add_split(only, rules()), "split_0")
    assert alone["split_0"].equals(expected.loc[alone.index, "split_0"])


def test_a_polygon_in_two_strata_is_split_once_where_most_of_it_lies() -> None:
    table = table_of([4, 4, 4, 4])
    big = table.iloc[:1].assign(width=500.0, stratum="z")
    both = measured(pd.concat([table, big], ignore_index=True))
    chosen = polygon_table(both)["stratum"]
    assert chosen[table.polygon_id[0]] == "z"
    sides_of(add_split(both, rules()), "split_0")


def test_column_dictates_the_split() -> None:
    table = table_of([4, 4, 4, 4])
    table["side"] = np.where(table.polygon_id % 2 == 0, "train", "validation")
    split = add_split(table, rules(method="column"))
    assert split["split_0"].tolist() == table["side"].tolist()


def test_row_049_leaks_are_found() -> None:
    split = add_split(table_of([4, 4, 4, 4]), rules())
    problems = Problems()
    verify_split(split, ["split_0"], problems)
    assert len(problems) == 0
    leak = split[split["split_0"] == "train"].iloc[:1].assign(split_0="validation")
    verify_split(pd.concat([split, leak], ignore_index=True), ["split_0"], problems)
    (problem,) = problems
    assert problem.code == "E-SPLIT-OVERLAP"
    assert "1 polygons lie on both sides of split_0" in problem.message


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), buffer_m=st.sampled_from([50.0, 300.0, 2000.0]))
def test_no_training_within_the_buffer_of_validation(seed: int, buffer_m: float) -> None:
    table = table_of([60, 50, 40, 30], seed)
    split = add_split(table, rules(method="blocks", seed=seed, buffer_m=buffer_m))
    plain = add_split(table, rules(method="blocks", seed=seed))
    boxes = shapely.box(*(split[name] for name in ("x_min", "y_min", "x_max", "y_max")))
    train, held_out = split["split_0"] == "train", split["split_0"] == "validation"
    nearest = shapely.distance(boxes[train], shapely.union_all(boxes[held_out]))
    assert (nearest > buffer_m).all()
    unused = split["split_0"] == ""
    assert (plain["split_0"][unused] == "train").all()
    assert (plain["split_0"][~unused] == split["split_0"][~unused]).all()
    near = shapely.distance(boxes[plain["split_0"] == "train"], shapely.union_all(boxes[held_out]))
    dropped = set(table["polygon_id"][plain["split_0"] == "train"][near <= buffer_m])
    assert set(table["polygon_id"][unused]) == dropped  # rectangles are their own boxes
    sides_of(split, "split_0")


def test_a_class_on_one_side_is_refused_with_a_proposal() -> None:
    table = table_of([4, 4, 4, 4])
    lone = table[
        (table.code != 222) | (table.polygon_id == table.polygon_id[table.code == 222].min())
    ]
    split = add_split(lone.reset_index(drop=True), rules())
    problems = Problems()
    check_sides(split, rules(), "error", problems)
    (problem,) = problems
    assert problem.code == "E-CLASS-ONE-SIDE"
    assert "[222]" in problem.message
    assert "merge strata" in (problem.hint or "")
    problems = Problems()
    check_sides(split, rules(), "drop", problems)
    assert [one.code for one in problems] == ["W-CLASS-ONE-SIDE"]
