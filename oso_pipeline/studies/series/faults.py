"""Errors of tables of series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from pydantic import ValidationError

from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, UnknownName

_SHOWN = 8


def refuse(code: str, message: str, hint: str, where: object = None) -> NoReturn:
    """Raise InputDataError with one finding."""
    raise InputDataError(Problem(code, message, None if where is None else str(where), hint))


def refuse_name(code: str, message: str, hint: str, where: object = None) -> NoReturn:
    """Raise UnknownName, which is a KeyError, with one finding."""
    raise UnknownName(Problem(code, message, None if where is None else str(where), hint))


def listed(values: Iterable[Any]) -> str:
    """Return values as text, the first few of many."""
    texts = [str(value) for value in values]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return (", ".join(texts[:_SHOWN]) + more) or "none"


def refuse_settings(error: ValidationError) -> NoReturn:
    """Raise ConfigError for settings of a learner that cannot be used (``E-SERIES-SETTINGS``)."""
    found = [
        Problem(
            "E-SERIES-SETTINGS",
            f"learning.{'.'.join(map(str, one['loc']))}: found {one['input']!r}; {one['msg']}",
            None,
            "docs/config.md describes the keys of section `learning`",
        )
        for one in error.errors(include_url=False)
    ]
    raise ConfigError(*found) from None
