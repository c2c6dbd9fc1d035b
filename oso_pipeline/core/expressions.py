"""Formulas of spectral indices as text: read, checked and written again.

A formula is arithmetic on the bands of one date. Text of a user is never run: a tokenizer and an
operator precedence parser (V. Pratt, Top down operator precedence, 1973) turn it into terms, and
only operators, functions and bands of the tables below exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

MOST_CHARACTERS = 1000
"""Length of a formula."""
MOST_OPERATIONS = 100
"""Operators and functions of a formula."""
DEEPEST = 25
"""Parentheses, signs and powers within each other."""

FUNCTIONS: Mapping[str, int] = {"sqrt": 1, "abs": 1, "exp": 1, "log": 1, "min": 2, "max": 2}
"""Functions, and how many values each takes; `log` is the natural logarithm."""

_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
_SIGN = 3
_ATOM = 5
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<sign>\*\*|[-+*/(),]))",
    re.ASCII,
)


class FormulaError(ValueError):
    """A formula that cannot be used; the message says why, and at which character."""


@dataclass(frozen=True, slots=True)
class Term:
    """A formula, or a part of it.

    Parameters
    ----------
    kind
        ``number``, ``band``, ``neg``, an operator as in ``a ** b``, or a function.
    parts
        What it is applied to.
    value
        Of a number.
    name
        Of a band: its common name.
    """

    kind: str
    parts: tuple[Term, ...] = ()
    value: float = 0.0
    name: str = ""

    @property
    def bands(self) -> tuple[str, ...]:
        """Common names of the bands, in the order in which they first occur."""
        own = (self.name,) if self.kind == "band" else ()
        return tuple(dict.fromkeys([*own, *(one for part in self.parts for one in part.bands)]))

    def __str__(self) -> str:
        """Return the formula as text, which is the same for equal formulas.

        Examples
        --------
        >>> bands = {"nir": "nir", "B8": "nir", "red": "red"}
        >>> str(parsed("(B8-red)/((nir+red))", bands))
        '(nir - red) / (nir + red)'
        """
        return _written(self)[0]


def parsed(text: str, names: Mapping[str, str]) -> Term:
    """Read a formula.

    Parameters
    ----------
    text
        For example ``2.5 * (nir - red) / (nir + 1)``. Operators are ``+ - * / **`` with the
        precedence of Python, functions those of `FUNCTIONS`.
    names
        Common name of each name that a band may be called by.

    Raises
    ------
    FormulaError
        If the text is no formula, has an unknown name, or is too long or too deep.
    """
    if len(text) > MOST_CHARACTERS:
        raise FormulaError(f"has {len(text)} characters, allowed are {MOST_CHARACTERS}")
    return _Parser(text, names).whole()


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._names = names
        self._tokens = [*_tokens(text), ("end", "", len(text) + 1)]
        self._at = 0
        self._operations = 0

    def whole(self) -> Term:
        term = self._expression(0, 0)
        kind, text, place = self._tokens[self._at]
        if kind != "end":
            raise FormulaError(f"character {place}: found {text!r}, expected an operator")
        if not term.bands:
            raise FormulaError("has no band")
        return term

    def _expression(self, weakest: int, depth: int) -> Term:
        left = self._operand(depth)
        while True:
            _, sign, place = self._tokens[self._at]
            strength = _STRENGTH.get(sign, 0)
            if strength <= weakest:
                return left
            self._at += 1
            # A power binds to the right, and less than a sign on its right: 2 ** -1.
            right = self._expression(_SIGN if sign == "**" else strength, depth + (sign == "**"))
            left = self._applied(sign, (left, right), place)

    def _operand(self, depth: int) -> Term:
        kind, text, place = self._tokens[self._at]
        if depth > DEEPEST:
            raise FormulaError(f"character {place}: nested more than {DEEPEST} deep")
        self._at += 1
        if kind == "number":
            value = float(text)
            if not isfinite(value):
                raise FormulaError(f"character {place}: {text[:20]} is too large a number")
            return Term("number", value=value)
        if kind == "name":
            return self._named(text, place, depth)
        if text == "(":
            inner = self._expression(0, depth + 1)
            self._expect(")")
            return inner
        if text in ("+", "-"):
            operand = self._expression(_SIGN - 1, depth + 1)
            return operand if text == "+" else self._applied("neg", (operand,), place)
        found = repr(text) if text else "the end"
        raise FormulaError(f"character {place}: found {found}, expected a band, a number or (")

    def _named(self, text: str, place: int, depth: int) -> Term:
        if self._tokens[self._at][1] != "(":
            if text in self._names:
                return Term("band", name=self._names[text])
            close = get_close_matches(text, [*self._names], n=3, cutoff=0.6)
            advice = f"did you mean {' or '.join(close)}?" if close else ""
            known = advice or f"known are {', '.join(self._names)}"
            raise FormulaError(f"character {place}: unknown band {text!r}, {known}")
        if text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise FormulaError(f"character {place}: unknown function {text!r}, known are {known}")
        self._at += 1
        parts = [self._expression(0, depth + 1)]
        while self._tokens[self._at][1] == ",":
            self._at += 1
            parts.append(self._expression(0, depth + 1))
        self._expect(")")
        if len(parts) != FUNCTIONS[text]:
            raise FormulaError(
                f"character {place}: {text} takes {FUNCTIONS[text]}, found {len(parts)}"
            )
        return self._applied(text, tuple(parts), place)

    def _expect(self, sign: str) -> None:
        _, text, place = self._tokens[self._at]
        if text != sign:
            found = repr(text) if text else "the end"
            raise FormulaError(f"character {place}: found {found}, expected {sign}")
        self._at += 1

    def _applied(self, kind: str, parts: tuple[Term, ...], place: int) -> Term:
        self._operations += 1
        if self._operations > MOST_OPERATIONS:
            raise FormulaError(f"character {place}: more than {MOST_OPERATIONS} operations")
        return Term(kind, parts)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the kind, the text and the place of each token, places from 1 on."""
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise FormulaError(
                f"character {place + 1}: found {text[place]!r}, which has no meaning"
            )
        kind = str(match.lastgroup)
        yield kind, match[kind], match.start(kind) + 1
        at = match.end()


def _written(term: Term) -> tuple[str, int]:
    """Return a term as text, and how strongly its outermost operator binds."""
    if term.kind == "number":
        return repr(term.value).removesuffix(".0"), _ATOM
    if term.kind == "band":
        return term.name, _ATOM
    if term.kind in FUNCTIONS:
        return f"{term.kind}({', '.join(_written(part)[0] for part in term.parts)})", _ATOM
    if term.kind == "neg":
        return f"-{_within(term.parts[0], _SIGN)}", _SIGN
    strength = _STRENGTH[term.kind]
    left, right = term.parts
    if term.kind == "**":
        return f"{_within(left, _ATOM)} ** {_within(right, _SIGN)}", strength
    return f"{_within(left, strength)} {term.kind} {_within(right, strength + 1)}", strength


def _within(term: Term, weakest: int) -> str:
    text, strength = _written(term)
    return text if strength >= weakest else f"({text})"
