"""No function of the package is longer than a screen, or takes more than a handful of things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "oso_pipeline"
MOST_LINES = 80
MOST_ARGUMENTS = 8

EXCEPTIONS = {
    # One compiled loop: what numba cannot inline across functions would be passed by hand.
    ("learners/forest/histogram_tree.py:grow_tree", "lines"),
    # typer makes an option of each argument.
    ("cli/runs.py:run", "arguments"),
    ("cli/fetching.py:fetch", "arguments"),
    # scikit-learn's `fit`: what belongs to the samples comes as keywords that are arrays.
    ("adaptation/estimator.py:AdaptedForestClassifier.fit", "arguments"),
    # scikit-learn's parameters, each of which its searches set by name.
    ("studies/series/classifier.py:SeriesClassifier.__init__", "arguments"),
}


def offences(name: str, source: str) -> Iterator[tuple[str, str, int]]:
    """Yield each function that is too long or takes too much: its name, of what, how many."""
    pending: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
    while pending:
        above, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            own = above
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own = f"{above}.{child.name}".lstrip(".")
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (child.end_lineno or 0) - child.lineno + 1
                if lines > MOST_LINES:
                    yield f"{name}:{own}", "lines", lines
                given = child.args
                words = [*given.posonlyargs, *given.args, *given.kwonlyargs]
                arguments = [word for word in words if word.arg not in ("self", "cls")]
                if len(arguments) > MOST_ARGUMENTS:
                    yield f"{name}:{own}", "arguments", len(arguments)
            pending.append((own, child))


def test_functions_stay_within_the_limits() -> None:
    found = {
        (where, what): number
        for path in sorted(PACKAGE.rglob("*.py"))
        for where, what, number in offences(
            path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")
        )
    }
    too_much = [
        f"{where} has {number} {what}"
        for (where, what), number in found.items()
        if (where, what) not in EXCEPTIONS
    ]
    assert too_much == [], f"at most {MOST_LINES} lines and {MOST_ARGUMENTS} arguments"
    assert set(found) == EXCEPTIONS, "an exception that is needed no more"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n" + "    x = 1\n" * 80, [("m:f", "lines", 81)]),
        ("def f():\n" + "    x = 1\n" * 79, []),
        (
            "class C:\n def f(self, a, b, c, d, /, e, f, g, *, h, i): ...",
            [("m:C.f", "arguments", 9)],
        ),
        ("class C:\n def f(self, a, b, c, d, e, f, g, *args, h): ...", []),
    ],
)
def test_the_limits_are_counted(source: str, expected: list[tuple[str, str, int]]) -> None:
    assert list(offences("m", source)) == expected
