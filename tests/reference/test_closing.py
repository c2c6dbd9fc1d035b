"""Built-up units of a window: which buildings are closed together, and where they count.

Units are counted by SciPy's connected components, areas by arithmetic on rectangles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from scipy.sparse.csgraph import connected_components

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.buildings import SQUARE_M
from oso_pipeline.reference.databases.closing import BuiltUp, Closing, Zones, whole_squares
from oso_pipeline.reference.databases.vector_features import VectorFeatures
from oso_pipeline.reference.rules.parts import Operation
from oso_pipeline.reference.rules.rule_set import Rule
from oso_pipeline.vectors.window import Window

X, Y, EPSG = 600_000.0, 6_300_000.0, 2154
RADIUS_M = 10.0
Box = tuple[float, float, float, float]


def features(boxes: Sequence[Box], name: str = "B", crs: int = EPSG) -> VectorFeatures:
    """Return rectangles by left, bottom, width and height, metres from (X, Y)."""
    shapes = [shapely.box(X + x, Y + y, X + x + w, Y + y + h) for x, y, w, h in boxes]
    return of_shapes(shapes, name, crs)


def of_shapes(shapes: Sequence[object], name: str = "B", crs: int = EPSG) -> VectorFeatures:
    table = pd.DataFrame({"ID": [f"{name}{number:03d}" for number in range(len(shapes))]})
    owned = np.ones(len(shapes), dtype=bool)
    return VectorFeatures(table, np.array(shapes, dtype=object), CRS.from_epsg(crs), owned)


def rule(code: int | None, *inside: str, name: str = "r", metres: float | None = RADIUS_M) -> Rule:
    places = {"clc": inside} if inside else {}
    return Rule(name, "BATIMENT", {}, Operation("close", metres), places, code)


ANYWHERE = Closing.of([rule(1)])


@dataclass
class Cover:
    """A land cover of rectangles that notes what it is asked for."""

    zones_by_code: dict[str, Box]
    asked: list[tuple[tuple[str, ...], Window]] = field(default_factory=list)

    def zones(self, codes: Sequence[str], window: Window, problems: Problems) -> Zones:
        self.asked.append((tuple(codes), window))
        found = {code: self.zones_by_code[code] for code in codes if code in self.zones_by_code}
        shapes = features(list(found.values())).geometries
        return Zones(np.array(list(found), dtype=object), shapes)


def units(built: BuiltUp, cover: Cover | None = None) -> geopandas.GeoDataFrame:
    frames, _ = built.units(cover, Problems())
    return pd.concat(frames, ignore_index=True)


def window(x_min: float, y_min: float, x_max: float, y_max: float, margin_m: float = 0) -> Window:
    return Window(X + x_min, Y + y_min, X + x_max, Y + y_max, EPSG, margin_m)


def test_a_closing_is_what_its_rules_say() -> None:
    given = [rule(2, "112", name="b"), rule(1, "111", name="a"), rule(None, "113")]
    closing = Closing.of(given)
    assert closing == Closing(RADIUS_M, (((("111",), 1), "a"), ((("112",), 2), "b")))
    renamed = [rule(1, "111", name="other"), rule(2, "112")]
    assert Closing.of(renamed).key == closing.key, "names of rules keep no buildings apart"
    assert Closing.of([rule(1, "111", metres=5.0)]).key != closing.key
    assert Closing.of([rule(1, metres=None)]).radius_m == 0


@given(
    st.integers(-3000, 3000), st.integers(-3000, 3000), st.integers(1, 2500), st.integers(0, 100)
)
def test_squares_that_reach_into_a_window_are_read_whole(
    x: int, y: int, side: int, margin: int
) -> None:
    read = whole_squares(window(x, y, x + side, y + side, margin))
    reach = margin + 2 * SQUARE_M
    place = window(x - reach, y - reach, x + side + reach, y + side + reach).bounds
    step = int(SQUARE_M)
    overlapping = [
        (left, bottom)
        for left, bottom in itertools.product(
            range(int(X) - 7 * step, int(X) + 10 * step, step),
            range(int(Y) - 7 * step, int(Y) + 10 * step, step),
        )
        if left < place[2] and left + step > place[0] and bottom < place[3]
        and bottom + step > place[1]
    ]  # fmt: skip
    low, high = np.min(overlapping, axis=0), np.max(overlapping, axis=0) + step
    assert read.bounds == (*low, *high)


def test_without_bounds_all_is_read() -> None:
    assert whole_squares(Window.everywhere(EPSG)) == Window.everywhere(EPSG)


PLACES = st.lists(
    st.tuples(
        st.integers(0, 95).map(lambda n: 20.0 * n),
        st.integers(0, 45).map(lambda n: 20.0 * n),
        st.sampled_from([5.0, 12.0]),
        st.sampled_from([5.0, 12.0]),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda box: box[:2],
)


def groups(boxes: Sequence[Box]) -> set[frozenset[int]]:
    """Return which rectangles of a square are neighbours: gaps of less than twice the radius."""
    low = np.array([(x, y) for x, y, _, _ in boxes])
    high = low + [(w, h) for _, _, w, h in boxes]
    apart = np.maximum(0, np.maximum(low[:, None] - high[None], low[None] - high[:, None]))
    # The first vertex of shapely's box is its lower right corner.
    square = np.floor(np.column_stack([high[:, 0], low[:, 1]]) / SQUARE_M)
    same = (square[:, None] == square[None]).all(axis=2)
    _, label = connected_components((np.hypot(*apart.T).T < 2 * RADIUS_M) & same, directed=False)
    return {frozenset(np.flatnonzero(label == one).tolist()) for one in set(label.tolist())}


@settings(max_examples=25)
@example([(20.0 * n, 0, 5, 5) for n in range(12)], 30, 500)  # a row that goes on far outside
@given(PLACES, st.integers(1, 1999), st.integers(1, 999))
def test_windows_side_by_side_have_each_unit_of_the_whole_once(
    boxes: list[Box], column: int, row: int
) -> None:
    whole = BuiltUp(Window.everywhere(EPSG))
    whole.add(features(boxes), ANYWHERE)
    expected = units(whole)
    names = {f"B{min(group):03d}" for group in groups(boxes)}
    assert set(expected["source_id"]) == names
    found = []
    for x, y in itertools.product([(-1000, column), (column, 3000)], [(-1000, row), (row, 2000)]):
        part = window(x[0], y[0], x[1], y[1])
        read = shapely.box(*whole_squares(part).bounds)
        given = features(boxes)
        built = BuiltUp(part)
        built.add(given.take(shapely.intersects(given.geometries, read)), ANYWHERE)
        if not sum(len(some) for some in built.buildings[ANYWHERE]):
            continue
        frame = units(built)
        found.append(frame[part.owns(np.asarray(frame.geometry), frame.crs)])
    together = pd.concat(found).sort_values("source_id", ignore_index=True)
    expected = expected.sort_values("source_id", ignore_index=True)
    assert together["source_id"].tolist() == expected["source_id"].tolist()
    assert (shapely.to_wkb(together.geometry) == shapely.to_wkb(expected.geometry)).all()


def test_layers_with_the_same_outcome_are_closed_together() -> None:
    near = BuiltUp(Window.everywhere(EPSG))
    near.add(features([(0, 0, 10, 10)], "A"), Closing.of([rule(1, name="houses")]))
    near.add(features([(15, 0, 10, 10)], "B"), Closing.of([rule(1, name="stables")]))
    near.add(features([(15, 15, 10, 10)], "C"), Closing.of([rule(2)]))
    found = units(near).set_index("source_id")
    assert found["code"].to_dict() == {"A000": 1, "C000": 2}
    # Two squares of 10 m and the gap of 5 m, but for what a circle of 10 m reaches of it.
    segment = RADIUS_M**2 * math.asin(0.25) - 2.5 * math.sqrt(RADIUS_M**2 - 2.5**2)
    assert found.loc["A000"].geometry.area == pytest.approx(250 - 2 * segment, abs=0.5)
    assert found.loc["C000"].geometry.area == pytest.approx(100, abs=0.5)


def test_units_are_cut_by_the_land_cover_and_counted_outside_of_it() -> None:
    town = [
        (0, 0, 40, 10),  # three quarters in 111, the rest in 112
        (200, 0, 10, 10),  # in 112
        (400, 0, 10, 10),  # in neither
        (-115, 0, 10, 10),  # in neither, and counted by the next window
    ]
    cover = Cover({"111": (-50, -50, 80, 100), "112": (30, -50, 270, 100), "113": (0, 0, 1, 1)})
    closing = Closing.of([rule(1, "111"), rule(2, "112", "133", name="loose")])
    built = BuiltUp(window(-100, -100, 900, 900), year=2018)
    built.add(features(town), closing)
    problems = Problems()
    frames, outside = built.units(cover, problems)
    found = pd.concat(frames, ignore_index=True)
    areas = dict(zip(found["source_id"], shapely.area(found.geometry), strict=True))
    assert areas == pytest.approx(
        {"B000 in 111": 300, "B000 in 112+133": 100, "B001 in 112+133": 100}, abs=0.5
    )
    assert found["code"].tolist() == [1, 2, 2]
    assert set(found["year"]) == {2018}
    assert found["area_ha"].tolist() == pytest.approx(shapely.area(found.geometry) / 1e4)
    assert outside == {"built-up unit outside of CLC 111/112/133": 1}
    ((codes, asked),) = cover.asked  # once for all classes
    assert codes == ("111", "112", "133")
    assert asked.bounds[0] <= X
    assert asked.bounds[2] >= X + 410
    assert list(problems) == []


@pytest.mark.parametrize("cover", [None, Cover({})])
def test_without_land_cover_a_unit_inside_it_is_none(cover: Cover | None) -> None:
    built = BuiltUp(Window.everywhere(EPSG))
    built.add(features([(0, 0, 10, 10)]), Closing.of([rule(1, "111")]))
    frames, outside = built.units(cover, Problems())
    assert [len(frame) for frame in frames] == [0]
    assert outside == {"built-up unit outside of CLC 111": 1}


def test_shapes_without_area_are_left_out_and_crooked_ones_repaired() -> None:
    bow_tie = shapely.Polygon([(X, Y), (X + 20, Y + 20), (X + 20, Y), (X, Y + 20)])
    assert not shapely.is_valid(bow_tie)
    shapes = [bow_tie, None, shapely.Polygon(), shapely.LineString([(X, Y), (X + 9, Y)])]
    built = BuiltUp(Window.everywhere(EPSG))
    built.add(of_shapes(shapes), ANYWHERE)
    (parts,) = built.buildings[ANYWHERE]
    assert parts.ids.tolist() == ["B000"]
    assert parts.geometries[0].area == pytest.approx(200)  # two triangles of 20 m by 10 m


def test_buildings_come_to_the_coordinates_of_the_map() -> None:
    there = Transformer.from_crs(EPSG, 4326, always_xy=True)
    corners = [there.transform(X + x, Y + y) for x, y in ((0, 0), (10, 0), (10, 10), (0, 10))]
    built = BuiltUp(Window.everywhere(EPSG))
    built.add(of_shapes([shapely.Polygon(corners)], crs=4326), ANYWHERE)
    (found,) = units(built).geometry
    expected = shapely.box(X, Y, X + 10, Y + 10)
    assert shapely.symmetric_difference(found, expected).area < 0.1
