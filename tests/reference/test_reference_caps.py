"""Caps, and the draw behind them, against simple random draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from oso_pipeline.reference.split.balanced_draw import balanced_draw, draw_up_to
from oso_pipeline.reference.split.caps import Caps, within_caps


def voronoi_balance(x: npt.NDArray, y: npt.NDArray, drawn: npt.NDArray) -> float:
    """Return the variance of what lies nearest to each drawn unit (Stevens and Olsen 2004).

    Each drawn unit should stand for 1; the smaller, the better the spatial balance.
    """
    _, nearest = cKDTree(np.c_[x[drawn], y[drawn]]).query(np.c_[x, y])
    sums = np.bincount(nearest, minlength=drawn.sum()) * drawn.sum() / len(x)
    return float(((sums - 1) ** 2).mean())


def clustered(n: int) -> tuple[npt.NDArray, npt.NDArray]:
    rng = np.random.default_rng(5)
    centres = rng.uniform(0, 1e5, (12, 2))
    x, y = (centres[rng.integers(0, 12, n)] + rng.normal(0, 8e3, (n, 2))).T
    return x, y


@pytest.mark.parametrize("size", [30, 200])
def test_draws_are_better_balanced_than_simple_random_ones(size: int) -> None:
    x, y = clustered(3000)
    ours, simple = [], []
    for seed in range(20):
        ours.append(voronoi_balance(x, y, balanced_draw(x, y, size, seed)))
        random = np.zeros(len(x), bool)
        random[np.random.default_rng(seed).permutation(len(x))[:size]] = True
        simple.append(voronoi_balance(x, y, random))
    assert np.mean(ours) < 0.6 * np.mean(simple)


def test_every_unit_has_the_same_chance() -> None:
    x, y = clustered(40)
    times = sum(balanced_draw(x, y, 10, seed).astype(int) for seed in range(800))
    # Binomial with 800 draws at 1/4: standard deviation 12.
    assert abs(times - 200).max() < 5 * 12.3


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 80), size=st.integers(1, 90), seed=st.integers(0, 999))
def test_size_of_a_draw_is_exact_and_repeatable(n: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.round(rng.uniform(0, 50, (2, n)))  # with places that several units share
    drawn = balanced_draw(x, y, size, seed)
    assert drawn.sum() == min(n, size)
    assert (drawn == balanced_draw(x, y, size, seed)).all()


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 80), share=st.floats(0.01, 1.5), seed=st.integers(0, 999))
def test_amounts_stay_below_the_limit(n: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1e4, (2, n))
    amounts = rng.lognormal(0, 1, n)
    limit = share * amounts.sum()
    drawn = draw_up_to(x, y, amounts, limit, seed)
    assert amounts[drawn].sum() <= limit or drawn.sum() == 1
    assert drawn.all() or share < 1


def parts_of(counts: dict[int, int], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (1000 * code + i, code, "all", rng.uniform(0, 1e5), rng.uniform(0, 1e5), area)
        for code, n in counts.items()
        for i in range(n)
        for area in ([4e4] if i % 4 else [1e4, 3e4])  # every fourth polygon has two pieces
    ]
    table = pd.DataFrame(rows, columns=["polygon_id", "code", "stratum", "x", "y", "area_m2"])
    return table.assign(order=table["polygon_id"])


def test_caps_bind_each_class_alone() -> None:
    parts = parts_of({11: 100, 12: 30, 31: 5})
    polygons = parts[within_caps(parts, Caps(20, None, 0))].groupby("code")["polygon_id"].nunique()
    assert polygons.to_dict() == {11: 20, 12: 20, 31: 5}
    kept = parts[within_caps(parts, Caps(None, 100.0, 0))]
    hectares = kept.groupby("code")["area_m2"].sum() / 1e4
    assert hectares[31] == 20
    assert hectares[[11, 12]].between(90, 100).all()
    alone = parts[parts.code == 12].reset_index(drop=True)
    of_12 = within_caps(parts, Caps(20, 50.0, 3))[(parts.code == 12).to_numpy()]
    assert (within_caps(alone, Caps(20, 50.0, 3)) == of_12).all()


def test_order_of_rows_does_not_change_a_draw() -> None:
    parts = parts_of({11: 60, 12: 40})
    kept = parts[within_caps(parts, Caps(20, 30.0, 1))]
    shuffled = parts.sample(frac=1, random_state=2).reset_index(drop=True)
    again = shuffled[within_caps(shuffled, Caps(20, 30.0, 1))]
    keys = ["polygon_id", "x"]
    assert sorted(map(tuple, again[keys].to_numpy())) == sorted(map(tuple, kept[keys].to_numpy()))


def test_caps_through_the_stage(world, places) -> None:
    geometries = [places(i, j) for i in range(6) for j in range(6)]
    path = world.write(geometries, [11, 12] * 18)
    table, summary = world.run(path, reference={"caps": {"max_polygons": 4}})
    assert table.groupby("code")["polygon_id"].nunique().to_dict() == {11: 4, 12: 4}
    assert summary["classes"]["11"]["reasons"]["above the cap of the class"] == 14
    assert summary["classes"]["11"]["sources"]["p.gpkg"]["kept"]["count"] == 4
