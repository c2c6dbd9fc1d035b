"""Formulas of users: what they mean, which are refused, and that no text ends in a traceback."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.core.elementary import exponential, logarithm
from oso_pipeline.core.expressions import FormulaError, Term, parsed
from oso_pipeline.core.formulas import evaluated, stored
from oso_pipeline.core.indices import INDICES, Index

NAMES = {"nir": "nir", "red": "red", "blue": "blue", "B8": "nir"}
NUMPY = {
    "__builtins__": {},
    **{name: getattr(np, name) for name in ("sqrt", "abs", "exp", "log")},
    "min": np.minimum,
    "max": np.maximum,
}
BANDS = {name: np.random.default_rng(1).uniform(0.01, 0.6, 20) for name in ("nir", "red", "blue")}
EVI = "2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)"


def by_python(text: str) -> np.ndarray:
    """Return the values by Python's own grammar and NumPy."""
    with np.errstate(all="ignore"):
        return np.float64(eval(text, NUMPY, {**BANDS, "B8": BANDS["nir"]})) + 0 * BANDS["nir"]


@pytest.mark.parametrize(
    "text",
    [
        EVI,
        "-nir ** 2",
        "2 ** -nir ** red",
        "nir - red - blue / nir / red",
        "-(nir - -red) ** 2 * 3",
        "nir-+red",
        "max(nir, min(red, 1e-1)) / sqrt(abs(red - blue))",
        "exp(-nir) * log(red + .5)",
        "(((B8)))",
        "2**3**nir",
    ],
)
def test_a_formula_means_what_it_means_in_python(text: str) -> None:
    term = parsed(text, NAMES)
    np.testing.assert_allclose(evaluated(term, BANDS), by_python(text), rtol=1e-12)
    assert parsed(str(term), NAMES) == term
    np.testing.assert_array_equal(by_python(str(term)), by_python(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1: found the end, expected a band, a number or ("),
        ("nir +", "character 6: found the end"),
        ("nir red", "character 5: found 'red', expected an operator"),
        ("(nir + red", "character 11: found the end, expected )"),
        ("nir + niir", "character 7: unknown band 'niir', did you mean nir?"),
        ("nir + zzz", "unknown band 'zzz', known are nir, red, blue, B8"),
        ("sin(nir)", "unknown function 'sin', known are sqrt"),
        ("min(nir)", "min takes 2, found 1"),
        ("nir.real", "character 4: found '.', which has no meaning"),
        ("__import__('os')", "character 1: found '_'"),
        ("nir == red", "found '='"),
        ("nir + é", "found 'é'"),
        ("1 + 2", "has no band"),
        ("nir * 1e999", "1e999 is too large a number"),
        ("(" * 30 + "nir" + ")" * 30, "nested more than 25 deep"),
        ("-" * 30 + "nir", "nested more than 25 deep"),
        ("nir" + "+nir" * 101, "more than 100 operations"),
        ("nir" + " " * 1000, "has 1003 characters, allowed are 1000"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parsed(text, NAMES)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "formula", "scale", "message"),
    [
        ("A", "nir / (red - red)", 1000, "divides by (red - red), which is zero everywhere"),
        ("A", "nir / 0", 1000, "divides by (0), which is zero everywhere"),
        ("A", "nir / (nir + red - nir - red)", 1000, "zero everywhere"),
        ("A", "sqrt(-1 - nir)", 1000, "gives no number"),
        ("A", "nir - nir", 1000, "is 0 for all reflectances at scale 1000"),
        ("A", "nir + 100", 1000, "exceeds int16 at scale 1000"),
        ("A", "nir", 0, "scale: found 0, allowed: 1 to 32767"),
        ("A", "nir", 40_000, "scale: found 40000"),
        ("NDVI", "nir", 1000, "the name NDVI is that of an index of this project"),
        ("B8", "nir", 1000, "the name B8 is that of a band"),
        ("nir", "red", 1000, "the name nir is that of a band"),
        ("A_1", "nir", 1000, "letters and digits"),
        ("1A", "nir", 1000, "a letter first"),
        ("", "nir", 1000, "letters and digits"),
        ("A" * 33, "nir", 1000, "1 to 32"),
    ],
)
def test_an_index_that_cannot_serve_is_refused(
    name: str, formula: str, scale: int, message: str
) -> None:
    with pytest.raises(FormulaError) as caught:
        Index.defined(name, formula, scale)
    assert message in str(caught.value)


def test_equal_formulas_are_equal_indices() -> None:
    assert Index.defined("A", "B8-(red)") == Index.defined("A", "nir - red")
    assert Index.defined("A", "nir") != Index.defined("A", "nir", 999)


@settings(max_examples=300, deadline=None)
@given(st.text("nired B8+-*/(),.eE0123_'\"^%é\n", max_size=40) | st.text(max_size=30))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    try:
        index = Index.defined("A", text)
    except FormulaError:
        return
    assert Index.defined("A", index.formula) == index


terms = st.recursive(
    st.sampled_from([Term("band", name=name) for name in ("nir", "red")])
    | st.floats(0.001, 50).map(lambda value: Term("number", value=value)),
    lambda inner: st.builds(
        lambda kind, a, b: Term(kind, (a,) if kind in ("neg", "sqrt") else (a, b)),
        st.sampled_from(["+", "-", "*", "/", "**", "neg", "sqrt", "max"]),
        inner,
        inner,
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(terms.filter(lambda term: term.bands))
def test_what_is_written_reads_the_same(term: Term) -> None:
    assert parsed(str(term), NAMES) == term


def test_stored_values_are_truncated_clipped_and_zero_where_there_is_none() -> None:
    values = np.array([0.1 + 0.2, -0.0019999, 40, -40, math.nan, math.inf, 0.57])
    assert stored(values, 1000).tolist() == [300, -1, 32767, -32768, 0, 0, 570]


@given(st.floats(-700, 700), st.floats(1e-300, 1e300))
def test_exponential_and_logarithm_are_those_of_the_library(x: float, y: float) -> None:
    assert exponential(x) == pytest.approx(math.exp(x), rel=1e-14)
    assert logarithm(y) == pytest.approx(math.log(y), rel=1e-14, abs=1e-16)


def test_exponential_and_logarithm_at_their_ends() -> None:
    assert [exponential(x) for x in (-math.inf, -800.0, 800.0, math.inf)] == [
        0,
        0,
        math.inf,
        math.inf,
    ]
    assert [logarithm(x) for x in (0.0, math.inf)] == [-math.inf, math.inf]
    assert all(math.isnan(x) for x in (logarithm(-1.0), logarithm(math.nan), exponential(math.nan)))


def test_built_in_indices_written_as_formulas_are_the_same_integers() -> None:
    """See tests/timeseries/test_formulas.py for the kernels."""
    numbers = np.random.default_rng(2).integers(-2000, 12_000, (2, 5000))
    one, other = numbers * 1e-4
    term = Index.defined("A", INDICES["NDVI"].formula)
    found = stored(evaluated(parsed(term.formula, NAMES), {"nir": one, "red": other}), 1000)
    change, total = numbers[0] - numbers[1], numbers.sum(axis=0)
    size = np.abs(change) * 1000 // np.maximum(np.abs(total), 1)
    exact = np.where(total == 0, 0, np.sign(change) * np.sign(total) * size)
    np.testing.assert_array_equal(found, np.clip(exact, -32768, 32767))
