"""The rows of the table: who is compared with whom, on what, and whether the results agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import joblib
import numpy as np

from bench import WORK
from bench.attention import save_network
from bench.environments import Peer
from bench.figures import RoundStatistics, exponent
from bench.material import Material, save_block
from bench.rounds import Entry, Run, against, compete, here
from oso_pipeline.timeseries.plain_numpy import NODATA

Say = Callable[[str], None]


@dataclass
class Row:
    """A row of the table.

    Parameters
    ----------
    what
        What is compared.
    times
        How many times our processor time the peer takes; None where it did not run.
    reach
        The goal.
    aim
        The goal behind the goal.
    ours
        Our own cost, with its unit.
    memory_mb
        Peak memory of our process and of the peer's.
    agreement
        How the results compare, in words.
    status
        Why there is no figure.
    """

    what: str
    times: RoundStatistics | None
    reach: float | None
    aim: float | None
    ours: str = ""
    memory_mb: tuple[int, int] | None = None
    agreement: str = ""
    status: str = "ok"

    def to_json(self) -> dict[str, Any]:
        """Return the row."""
        times = None if self.times is None else self.times.to_json()
        return {**asdict(self), "times": times}


@dataclass
class Outcome:
    """What a comparison gave.

    Attributes
    ----------
    rows
        Rows of the table.
    runs
        Figures of every method, by name.
    faults
        Results that had to agree and do not.
    """

    rows: list[Row] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What all comparisons share."""

    material: Material
    peers: Mapping[str, Peer]
    say: Say

    def entry(self, name: str, function: str, peer: str | None = None, **case: Any) -> Entry:
        """Return a method: one of ours or scikit-learn without `peer`."""
        common = {"block": str(self.material.block), "samples": str(self.material.samples)}
        found = Peer(here()) if peer is None else self.peers[peer]
        return Entry(name, function, found.python, {**common, **case}, found.reason)

    def compete(self, entries: list[Entry], outcome: Outcome) -> dict[str, Run]:
        """Run methods and take their figures into the outcome."""
        runs = compete(entries, self.material.size.rounds)
        for name, run in runs.items():
            outcome.runs[name] = run.to_json()
            median = outcome.runs[name].get("cpu_us_per_unit", {}).get("median")
            self.say(f"  {name}: {f'{median} us' if run.status == 'ok' else run.status}")
        return runs


def forests(bench: Bench, with_peers: bool = True) -> Outcome:
    """Compare voting of the same forest: ours, scikit-learn, onnxruntime, dea-tools, OTB."""
    outcome = Outcome()
    goals = {25: (7, 12), 5: (5, 9), 1: (4, 7)}
    for leaf in bench.material.size.leaves:
        bench.say(f"forest, min_samples_leaf {leaf}")
        case = {"forest": str(bench.material.forests[leaf])}
        hard, soft, peer = (f"{who}, leaf {leaf}" for who in ("hard vote", "soft vote", "sklearn"))
        entries = [
            bench.entry(hard, "ours:hard_vote", **case),
            bench.entry(peer, "sklearn_forest:predict_proba", **case),
            bench.entry(soft, "ours:soft_vote", **case),
        ]
        if leaf == 25 and with_peers:
            entries += _other_forests(bench, case)
        runs = bench.compete(entries, outcome)
        sklearn = runs[peer].result
        what = f"forest against scikit-learn `predict_proba`, min leaf {leaf}"
        outcome.rows += [
            _row(f"hard-vote {what}", runs, hard, peer, goals[leaf],
                 _hard_agreement(runs[hard], case["forest"], bench, outcome)),
            _row(f"soft-vote {what}", runs, soft, peer, (3, 5),
                 _soft_agreement(runs[soft], sklearn, outcome)),
        ]  # fmt: skip
        for name in [entry.name for entry in entries[3:]]:
            goal = (30, 50) if name.startswith("OTB") else (None, None)
            same = _same_classes(runs[name].result, runs[hard].result, _codes(case["forest"]))
            outcome.rows.append(
                _row(f"hard-vote forest against {name}", runs, hard, name, goal, same)
            )
    return outcome


def _other_forests(bench: Bench, case: dict[str, Any]) -> list[Entry]:
    size = bench.material.size
    entries = [bench.entry("onnxruntime", "onnx_forest:predict_proba", "onnx", **case)]
    entries.append(bench.entry("dea-tools predict_xr", "dea_predict:predict", "deatools", **case))
    model = bench.material.otb
    folder = WORK / "otb"
    folder.mkdir(parents=True, exist_ok=True)
    otb = {"model": str(model), "folder": str(folder), "pixels": size.side**2 // 2}
    entries.append(bench.entry("OTB ImageClassifier", "otb:classify", "otb", **otb))
    return entries


def attention(bench: Bench) -> Outcome:
    """Compare a network that attends to dates with torch and onnxruntime, on the same features."""
    outcome = Outcome()
    bench.say("attention over dates")
    case = {"network": str(save_network()), "pixels": bench.material.size.slow_pixels}
    ours = "attention"
    peers = {
        "torch": ("attention_torch:predict_proba", (None, None)),
        "onnxruntime": ("attention_onnx:plain", (5, 10)),
        "onnxruntime, folded as ours": ("attention_onnx:folded", (None, None)),
    }
    entries = [bench.entry(ours, "ours:attention", **case)]
    entries += [bench.entry(f"attention, {name}", function, "deep", **case)
                for name, (function, _) in peers.items()]  # fmt: skip
    runs = bench.compete(entries, outcome)
    for name, (_, goal) in peers.items():
        peer = f"attention, {name}"
        agreement = _same_probabilities(runs[ours].result, runs[peer].result, outcome)
        outcome.rows.append(_row(f"attention over dates, one network, against {name}", runs, ours,
                                 peer, goal, agreement))  # fmt: skip
    return outcome


def gap_filling(bench: Bench) -> Outcome:
    """Compare gap-filling and features with NumPy, and with the gap-filling of eo-learn."""
    outcome = Outcome()
    bench.say("gap-filling and features")
    ours, careful, eolearn = "gap-fill + features", "NumPy gap-fill + features", "eo-learn"
    derived = "gap-fill + features with derived"
    runs = bench.compete(
        [
            bench.entry(ours, "ours:gapfill_features"),
            bench.entry(careful, "numpy_block:gapfill_features"),
            bench.entry(eolearn, "eolearn_gapfill:interpolate", "eolearn"),
            bench.entry(derived, "ours:gapfill_features", derived=["relative", "harmonics"]),
        ],
        outcome,
    )
    what = "gap-fill + features against"
    outcome.rows += [
        _row(f"{what} eo-learn interpolation alone", runs, ours, eolearn, (25, 40),
             _same_series(runs[ours].result, runs[eolearn].result)),
        _row(f"{what} NumPy, vectorised", runs, ours, careful, (None, None),
             _same_features(runs[ours].result, runs[careful].result, outcome)),
        _row("gap-fill + features, relative and harmonics too, against without", runs, derived,
             ours, (None, None), "twice the features, which are written too"),
    ]  # fmt: skip
    return outcome


def series(bench: Bench) -> Outcome:
    """Compare series with the features of the map, and with those of xarray and dask."""
    outcome = Outcome()
    bench.say("series of NDVI and LAI")
    both, ndvi, ours = "series of NDVI and LAI", "series of NDVI", "features of the map"
    plain = "xarray + dask NDVI"
    slow = {"pixels": bench.material.size.slow_pixels}
    runs = bench.compete(
        [
            bench.entry(both, "ours:series", variables=["NDVI", "LAI"]),
            bench.entry(ours, "ours:gapfill_features"),
            bench.entry(ndvi, "ours:series", variables=["NDVI"]),
            bench.entry(plain, "xarray_block:ndvi", "xarray", **slow),
        ],
        outcome,
    )
    agreement = _same_ndvi(runs[ndvi].result, runs[plain].result, outcome)
    outcome.rows += [
        _row(f"{both} without I/O, against gap-fill + features", runs, both, ours,
             (None, None), "other results; the goal of 1.3 includes reading"),
        _row(f"{ndvi} without I/O, against xarray `interpolate_na` + dask", runs, ndvi, plain,
             (None, None), agreement),
    ]  # fmt: skip
    return outcome


def points(bench: Bench) -> Outcome:
    """Compare the features of scattered points with OTB's extraction from a finished stack."""
    outcome = Outcome()
    bench.say("features of points")
    size, folder = bench.material.size, WORK / "otb"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.random.default_rng(4).choice(size.side**2, size.points, replace=False)
    np.save(folder / "points.npy", np.sort(chosen))
    case = {"points": str(folder / "points.npy"), "folder": str(folder)}
    ours, peer = "features of points", "OTB SampleExtraction"
    entries = [
        bench.entry(ours, "ours:extract", **case),
        bench.entry(peer, "otb:extract", "otb", **case),
    ]
    runs = bench.compete(entries, outcome)
    agreement = ""
    if runs[ours].result is not None and runs[peer].result is not None:
        agreement = "all values equal"
        if not np.array_equal(runs[ours].result, runs[peer].result):
            outcome.faults.append("features of points differ from what OTB takes from the stack")
            agreement = "values differ"
    what = "features of points, computed, against OTB SampleExtraction from a finished stack"
    outcome.rows.append(_row(what, runs, ours, peer, (None, None), agreement, "us/point"))
    return outcome


def blocks(bench: Bench) -> Outcome:
    """Compare a whole block without reading and writing, from reflectances to classes."""
    outcome = Outcome()
    for leaf in bench.material.size.block_leaves:
        _blocks_of(bench, leaf, outcome)
    return outcome


def _blocks_of(bench: Bench, leaf: int, outcome: Outcome) -> None:
    bench.say(f"whole block without I/O, min_samples_leaf {leaf}")
    case = {"forest": str(bench.material.forests[leaf])}
    hard, soft, careful, plain = (
        f"{who}, leaf {leaf}"
        for who in ("block", "soft block", "NumPy + sklearn block", "xarray + dask block")
    )
    entries = [
        bench.entry(hard, "ours:classify", **case),
        bench.entry(careful, "numpy_block:classify", **case),
        bench.entry(soft, "ours:classify", vote="soft", **case),
    ]
    if leaf == bench.material.size.leaves[0]:
        slow = {**case, "pixels": bench.material.size.slow_pixels}
        entries.append(bench.entry(plain, "xarray_block:classify", "xarray", **slow))
    runs = bench.compete(entries, outcome)
    same = {name: _same_classes(run.result, runs[soft].result) for name, run in runs.items()}
    if _differ(runs[careful].result, runs[soft].result) > 1e-3:
        outcome.faults.append(f"{soft}: {same[careful]} as NumPy and scikit-learn find")
    what = f"whole block without I/O, min leaf {leaf},"
    other = _same_classes(runs[careful].result, runs[hard].result)
    outcome.rows += [
        _row(f"{what} hard vote, against NumPy + scikit-learn", runs, hard, careful, (8, 15),
             f"mean probability there: {other}" if other else ""),
        _row(f"{what} soft vote, against NumPy + scikit-learn", runs, soft, careful, (None, None),
             same[careful]),
    ]  # fmt: skip
    if plain in runs:
        outcome.rows += [
            _row(f"{what} {vote} vote, against xarray + dask + scikit-learn", runs, ours, plain,
                 goal, same[plain] if ours == soft else "")
            for vote, ours, goal in (("hard", hard, (100, 300)), ("soft", soft, (None, None)))
        ]  # fmt: skip


def training(bench: Bench) -> Outcome:
    """Compare training on the same samples, one thread each."""
    outcome = Outcome()
    for splitter, leaf in (("best", 5), ("extra", 5), ("extra", 1)):
        _training_of(bench, splitter, leaf, outcome)
    return outcome


def _training_of(bench: Bench, splitter: str, leaf: int, outcome: Outcome) -> None:
    trees = 10
    bench.say(f"training {trees} trees, splitter {splitter}, min_samples_leaf {leaf}")
    case = {"trees": trees, "leaf": leaf, "splitter": splitter}
    suffix = "" if splitter == "best" else f", extra, leaf {leaf}"
    ours, peer = f"training{suffix}", f"sklearn training{suffix}"
    entries = [
        bench.entry(ours, "ours:fit", **case),
        bench.entry(peer, "sklearn_forest:fit", **case),
    ]
    runs = bench.compete(entries, outcome)
    truth = np.load(bench.material.block / "truth.npy")
    shares = [f"{100 * float(np.mean(runs[name].result == truth)):.2f} %"
              for name in (ours, peer) if runs[name].result is not None]  # fmt: skip
    agreement = f"accuracy on other fields {' and '.join(shares)}" if len(shares) == 2 else ""
    named = "scikit-learn" if splitter == "best" else "scikit-learn's `ExtraTreesClassifier`"
    what = f"training against {named}, {trees} trees"
    what += "" if splitter == "best" else f", min leaf {leaf}"
    goal = (3, 8) if splitter == "best" else (1, 2)
    outcome.rows.append(_row(what, runs, ours, peer, goal, agreement, "ms/tree"))


def growth(bench: Bench) -> Outcome:
    """Measure how the cost of a block grows with its pixels and with its dates."""
    outcome = Outcome()
    bench.say("growth with pixels and with dates")
    side = bench.material.size.side
    leaf = bench.material.size.leaves[0]
    case = {"forest": str(bench.material.forests[leaf])}
    for what, sizes in (
        ("pixels", {s * s: save_block("growth", s, seed=0) for s in (side // 2, side, 2 * side)}),
        ("dates", {n: save_block("growth", side, seed=0, n_dates=n) for n in (20, 40, 80)}),
    ):
        function = "ours:classify" if what == "pixels" else "ours:gapfill_features"
        names = {size: f"{function.partition(':')[2]}, {size} {what}" for size in sizes}
        entries = [
            bench.entry(names[size], function, **{**case, "block": str(folder)})
            for size, folder in sizes.items()
        ]
        runs = bench.compete(entries, outcome)
        if all(run.status == "ok" for run in runs.values()):
            costs = [RoundStatistics.of(runs[name].cpu).median for name in names.values()]
            outcome.runs[f"exponent of {what}"] = {
                "status": "ok", "sizes": list(sizes), "cpu_s": costs,
                "exponent": round(exponent(list(sizes), costs), 3),
            }  # fmt: skip
    return outcome


def calibration(bench: Bench) -> Outcome:
    """Compare the look-up of a probability with scikit-learn; measure the other bands alone."""
    outcome = Outcome()
    bench.say("calibration")
    ours, peer = "calibrated probability", "scikit-learn isotonic predict"
    runs = bench.compete(
        [
            bench.entry(ours, "calibration:look_up"),
            bench.entry(peer, "calibration:isotonic"),
            bench.entry("set size, 20 classes", "calibration:set_size"),
            bench.entry("out of domain, 20 classes", "calibration:out_of_domain"),
        ],
        outcome,
    )
    found, theirs = runs[ours].result, runs[peer].result
    agreement = ""
    if found is not None and theirs is not None:
        difference = np.abs(found.astype(float) - theirs.astype(float))
        agreement = f"Venn-Abers; within {difference.max():.0f} % of isotonic regression"
    outcome.rows.append(
        _row(f"{ours} against {peer}", runs, ours, peer, (None, None), agreement)
    )  # fmt: skip
    return outcome


def _row(
    what: str, runs: Mapping[str, Run], ours: str, peer: str,
    goal: tuple[float | None, float | None], agreement: str, unit: str = "us/px",
) -> Row:  # fmt: skip
    failed = [f"{name}: {runs[name].status}" for name in (ours, peer) if runs[name].status != "ok"]
    row = Row(what, against(runs, ours, peer), *goal, agreement=agreement)
    if runs[ours].status == "ok":
        cost = RoundStatistics.of(runs[ours].cpu_per_unit).median
        row.ours = f"{cost / 1000:.3g} ms/tree" if unit == "ms/tree" else f"{cost:.3g} {unit}"
    if failed:
        row.status = failed[0]
    else:
        row.memory_mb = (round(runs[ours].rss_peak / 1e6), round(runs[peer].rss_peak / 1e6))
    return row


def _codes(forest: str) -> np.ndarray:
    return joblib.load(forest).classes_


def _hard_agreement(run: Run, forest: str, bench: Bench, outcome: Outcome) -> str:
    """Compare the votes with those of every single scikit-learn tree."""
    if run.result is None:
        return ""
    fitted = joblib.load(forest)
    pixels = np.load(bench.material.block / "features.npy").T.astype(np.float32)
    counts = np.zeros(run.result.shape, np.int64)
    for tree in fitted.estimators_:
        np.add.at(counts, (np.arange(len(pixels)), tree.predict(pixels).astype(np.int64)), 1)
    if not np.array_equal(counts, run.result):
        outcome.faults.append(f"{run.entry.name}: votes differ from those of scikit-learn's trees")
        return "votes differ"
    return "votes of every tree equal"


def _soft_agreement(run: Run, sklearn: np.ndarray | None, outcome: Outcome) -> str:
    if run.result is None or sklearn is None:
        return ""
    apart = float(np.abs(run.result - sklearn).max())
    same = float(np.mean(run.result.argmax(axis=1) == sklearn.argmax(axis=1)))
    if apart > 1e-6 or same < 0.9999:
        outcome.faults.append(f"{run.entry.name}: probabilities differ by {apart:.2g}")
    return f"probabilities within {apart:.1g}, same class on {100 * same:.3f} %"


def _same_probabilities(
    ours: np.ndarray | None, theirs: np.ndarray | None, outcome: Outcome
) -> str:
    """Compare the probabilities of the pixels that the peer was given."""
    if ours is None or theirs is None:
        return ""
    apart = float(np.abs(ours[: len(theirs)] - theirs).max())
    if apart > 1e-4:
        outcome.faults.append(f"probabilities of attention differ by {apart:.2g}")
    return f"probabilities within {apart:.1g}"


def _same_classes(
    theirs: np.ndarray | None, ours: np.ndarray | None, codes: np.ndarray | None = None
) -> str:
    """Say on how many pixels the classes are equal; votes and probabilities are `codes` wide."""
    if theirs is None or ours is None:
        return ""
    flat = [x if x.ndim == 1 or codes is None else codes[x.argmax(axis=1)] for x in (theirs, ours)]
    n = min(len(x) for x in flat)
    return f"same class on {100 * float(np.mean(flat[0][:n] == flat[1][:n])):.2f} %"


def _differ(theirs: np.ndarray | None, ours: np.ndarray | None) -> float:
    """Return the share of pixels whose classes differ, 0 where one did not run."""
    if theirs is None or ours is None:
        return 0.0
    n = min(len(theirs), len(ours))
    return float(np.mean(theirs[:n] != ours[:n]))


def _same_series(ours: np.ndarray | None, eolearn: np.ndarray | None) -> str:
    if ours is None or eolearn is None:
        return ""
    filled = ours[: eolearn.shape[0] * eolearn.shape[1]].reshape(eolearn.shape)
    known = np.isfinite(eolearn)
    apart = np.abs(filled - eolearn)[known].max()
    return f"within {apart:.2g} of 10,000 where eo-learn gives a value ({100 * known.mean():.1f} %)"


def _same_features(ours: np.ndarray | None, theirs: np.ndarray | None, outcome: Outcome) -> str:
    if ours is None or theirs is None:
        return ""
    differ = float(np.mean(ours != theirs))
    if differ > 1e-3:
        outcome.faults.append(f"features differ from NumPy's on {100 * differ:.2f} % of values")
    return f"{100 * (1 - differ):.3f} % of values equal, greatest difference " + str(
        int(np.abs(ours.astype(np.int32) - theirs).max())
    )


def _same_ndvi(ours: np.ndarray | None, theirs: np.ndarray | None, outcome: Outcome) -> str:
    """Compare NDVI times 1000; bands are rounded here before NDVI is taken, there they are not."""
    if ours is None or theirs is None:
        return ""
    known = np.isfinite(theirs) & (ours[:, : theirs.shape[1]] != NODATA)
    apart = np.abs(ours[:, : theirs.shape[1]] - theirs)[known]
    far = float(np.mean(apart > 2))
    if far > 1e-3:
        outcome.faults.append(
            f"NDVI of series differs from xarray's on {100 * far:.2f} % of values"
        )
    return (
        f"within 0.002 on {100 * (1 - far):.3f} % of values, within {apart.max() / 1000:.1g} on all"
    )


def file_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON values."""
    return {
        "rows": [row.to_json() for row in outcome.rows],
        "methods": outcome.runs,
        "faults": outcome.faults,
    }
