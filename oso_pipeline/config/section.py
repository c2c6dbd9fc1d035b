"""Base class of the sections of the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

_NAMED = 10
"""Doubles named at most; the others are counted."""


class Section(BaseModel):
    """A section of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    def without_folders(self, exclude: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the content as JSON values, files by their names alone.

        Where a file lies changes no result.

        Parameters
        ----------
        exclude
            Keys to leave out, as of `pydantic.BaseModel.model_dump`.
        """
        plain = self.model_dump(mode="json", exclude=exclude)
        typed = self.model_dump(exclude=exclude)
        return {name: _names_of_paths(plain[name], value) for name, value in typed.items()}

    def without_files(self, exclude: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the content as JSON values, without what files are called and where they lie.

        Parameters
        ----------
        exclude
            Keys to leave out, as of `pydantic.BaseModel.model_dump`.
        """
        typed = self.model_dump(exclude=exclude)
        kept: dict[str, Any] = _without_paths(self.model_dump(mode="json", exclude=exclude), typed)
        return kept


def doubles(values: Iterable[Any]) -> str:
    """Return what stands more than once, as text; empty where nothing does.

    Examples
    --------
    >>> doubles(["B4", "B8", "B4"])
    'B4'
    """
    found = sorted(value for value, times in Counter(values).items() if times > 1)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{', '.join(str(value) for value in found[:_NAMED])}{more}"


def _names_of_paths(plain: Any, typed: Any) -> Any:
    if isinstance(typed, Path):
        return typed.name
    if isinstance(typed, dict):
        # Keys that are numbers are text in JSON.
        pairs = zip(plain.items(), typed.values(), strict=True)
        return {key: _names_of_paths(value, other) for (key, value), other in pairs}
    if isinstance(typed, list | tuple):
        return [_names_of_paths(p, t) for p, t in zip(plain, typed, strict=True)]
    return plain


def _without_paths(plain: Any, typed: Any) -> Any:
    if isinstance(typed, dict):
        pairs = zip(plain.items(), typed.values(), strict=True)
        return {k: _without_paths(v, o) for (k, v), o in pairs if not isinstance(o, Path)}
    if isinstance(typed, list | tuple):
        pairs_of_items = zip(plain, typed, strict=True)
        return [_without_paths(p, t) for p, t in pairs_of_items if not isinstance(t, Path)]
    return plain
