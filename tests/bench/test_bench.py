"""The bench's own arithmetic, its table, and a comparison from end to end."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bench import figures, series, table
from bench.methods import numpy_block
from bench.rounds import Entry, compete, here

RESULTS = {
    "kind": "Quick",
    "machine": {
        "measured": "2026-01-01 00:00 UTC", "commit": "abc", "uncommitted_changes": False,
        "processor": "P", "cores": 2, "memory_gb": 24.0, "load_before": [0.1, 0, 0],
        "otherwise_idle": True,
    },
    "rows": [
        {"what": "ours against a", "times": {"median": 7.25, "least": 6.0, "greatest": 123.4},
         "reach": 7, "aim": 12, "ours": "1 us/px",
         "memory_mb": [10, 20], "agreement": "equal", "status": "ok"},
        {"what": "ours against b", "times": None, "reach": None, "aim": None, "ours": "",
         "memory_mb": None, "agreement": "", "status": "not installed: no | network"},
    ],
    "methods": {"exponent of pixels": {"status": "ok", "exponent": 1.004}},
}  # fmt: skip


def test_spread_is_that_of_the_statistics_module() -> None:
    spread = figures.RoundStatistics.of([3.0, 9.0, 1.0, 4.0])
    assert (spread.median, spread.least, spread.greatest, spread.rounds) == (3.5, 1.0, 9.0, 4)


def test_ratios_are_taken_round_by_round() -> None:
    # A machine that is half as fast in the second round leaves the ratio as it is.
    assert figures.ratio([1.0, 2.0, 1.0], [8.0, 16.0, 8.0]) == figures.RoundStatistics(
        8.0, 8.0, 8.0, 3
    )


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponent_of_a_power_law(power: float) -> None:
    sizes = [10.0, 20.0, 40.0]
    assert figures.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_table_goes_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    content = table.table(RESULTS)
    assert table.write(readme, content)
    assert not table.write(readme, content)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{table.BEGIN}\n*Quick bench, 2026")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "| ours against a | **7.2x** (6.0 to 123) | 7x / 12x | 1 us/px | 10 / 20 MB |" in text
    assert "not measured: not installed: no / network" in text
    assert "pixels 1.00" in text


def test_rows_of_a_later_run_take_the_place_of_the_same_and_name_their_own_machine() -> None:
    def run(commit: str, *rows: str) -> dict[str, object]:
        found = [{**RESULTS["rows"][1], "what": what, "status": commit} for what in rows]
        return {**RESULTS, "machine": {**RESULTS["machine"], "commit": commit}, "rows": found}

    joined = table.with_later(run("aaa", "forest", "series"), run("bbb", "series", "parcels"))
    text = table.table(table.with_later(joined, run("ccc", "parcels")))
    assert re.findall(r"^\| (\w+) \| not measured: (\w+)", text, re.MULTILINE) == [
        ("forest", "aaa"), ("series", "bbb"), ("parcels", "ccc"),
    ]  # fmt: skip
    assert re.findall(r"commit `(\w+)`", text) == ["aaa", "bbb", "ccc"]


@pytest.mark.parametrize("text", ["", table.BEGIN, f"{table.END}{table.BEGIN}"])
def test_a_file_without_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="must hold"):
        table.write(readme, "new")
    assert readme.read_text(encoding="utf-8") == text


def test_the_page_has_the_markers() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    assert text.count(table.BEGIN) == text.count(table.END) == 1


def test_the_numpy_method_interpolates_as_numpy_does() -> None:
    scenes = series.simulate(16, n_dates=12, seed=5)
    clear = scenes.clear.copy()
    clear[0] = 1
    filled = numpy_block.fill(scenes.values, clear > 0, scenes.days.astype(np.int64))
    out = np.array([np.datetime64(day) for day in series.GRID]).astype("M8[D]").astype(int)
    for pixel in range(0, 256, 17):
        seen = clear[:, pixel] > 0
        for band in range(len(series.BANDS)):
            expected = np.interp(out, scenes.days[seen], scenes.values[seen, band, pixel])
            assert np.abs(filled[:, band, pixel] - expected).max() <= 0.51


def test_the_series_repeat_and_are_cloudy() -> None:
    first, second = series.simulate(64, seed=3), series.simulate(64, seed=3)
    np.testing.assert_array_equal(first.values, second.values)
    assert first.values.shape == (40, 10, 4096)
    assert 0.2 < 1 - first.clear.mean() < 0.6
    assert set(np.unique(first.truth)) <= set(range(1, series.N_CLASSES + 1))


def test_methods_run_in_turn_and_failures_are_reported(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bench.rounds.WORK", tmp_path)
    scenes = series.simulate(32, n_dates=8, seed=1)
    for name, array in {**vars(scenes), "values": scenes.values}.items():
        np.save(tmp_path / f"{name}.npy", array)
    case = {"block": str(tmp_path)}
    runs = compete(
        [
            Entry("numpy pipeline", "numpy_block:gapfill_features", here(), case),
            Entry("absent", "numpy_block:gapfill_features", None, case, "no network"),
            Entry("broken", "numpy_block:classify", here(), {**case, "forest": "nowhere"}),
        ],
        rounds=2,
    )
    figures_of = runs["numpy pipeline"].to_json()
    assert figures_of["cpu_us_per_unit"]["rounds"] == 2
    assert figures_of["cpu_us_per_unit"]["least"] > 0
    assert runs["numpy pipeline"].result.shape == (468, 1024)
    assert runs["absent"].to_json() == {"status": "not installed: no network"}
    assert "nowhere" in runs["broken"].to_json()["status"]
