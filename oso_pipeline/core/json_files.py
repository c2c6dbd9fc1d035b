"""Small files of JSON that may hold anything, as they were cut, damaged or written by others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oso_pipeline.core.regular_files import read_regular

ODD_VALUES = (KeyError, TypeError, ValueError, OverflowError)
"""Exceptions raised by values of an object that are missing or of another type."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a file; an empty one where there is no file, or something else in it."""
    try:
        return object_in(read_regular(path).decode("utf-8"))
    except (OSError, ValueError):
        return {}


def object_in(text: str) -> dict[str, Any]:
    """Return the object that a text is; an empty one where it is something else."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # cut; nested without end
        return {}
    return content if isinstance(content, dict) else {}
