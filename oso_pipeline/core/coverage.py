"""Classes of a map that a set of polygons can evaluate, as numbers and as text.

An accuracy holds for the classes with polygons in the set. A class without any is not evaluated:
pixels that are predicted as it count against the classes that they belong to, and say nothing of
how well the class itself is mapped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

NO_VALIDATION_POLYGON = "no validation polygon of this class"
"""Why a class is not evaluated, as ``accuracy.json`` says it."""


def coverage(
    entries: Mapping[str, Mapping[str, Any]], mapped: Collection[int] | None = None
) -> dict[str, Any]:
    """Return which classes are evaluated.

    Parameters
    ----------
    entries
        The classes by code, with ``pixels`` and ``predicted_pixels``.
    mapped
        Codes of the classes that the map can have; None for all.

    Returns
    -------
    dict
        Codes as text: ``judged``; ``not_judged``, with the reason of each; ``not_mapped``, those
        that the map cannot have and the set lacks.
    """
    evaluated = [code for code, one in entries.items() if one["pixels"]]
    rest = [code for code in entries if code not in evaluated]
    here = {
        code
        for code in rest
        if mapped is None or int(code) in mapped or entries[code]["predicted_pixels"]
    }
    return {
        "judged": evaluated,
        "not_judged": {code: NO_VALIDATION_POLYGON for code in rest if code in here},
        "not_mapped": [code for code in rest if code not in here],
    }


def coverage_of(level: Mapping[str, Any]) -> dict[str, Any]:
    """Return which classes a level of ``accuracy.json`` evaluates; earlier versions did not say."""
    found = level.get("covers") or coverage(level["classes"])
    return {**found}


def covered_in_words(level: Mapping[str, Any]) -> str:
    """Return a text on the classes that the overall accuracy of a level covers.

    Examples
    --------
    >>> one = {"pixels": 5, "predicted_pixels": 4, "name_en": "forest"}
    >>> other = {"pixels": 0, "predicted_pixels": 1, "name_en": "maize"}
    >>> covered_in_words({"classes": {"1": one, "2": other}})
    'over 1 of 2 classes; not evaluated: 2 maize'
    """
    names = not_evaluated_in_words(level)
    return counted_in_words(level) + (f"; not evaluated: {names}" if names else "")


def not_evaluated_in_words(level: Mapping[str, Any]) -> str:
    """Return the classes that nothing evaluates, by code; empty where there are none."""
    codes = sorted(coverage_of(level)["not_judged"], key=int)  # JSON sorts them as text
    return ", ".join(named(level, code) for code in codes)


def counted_in_words(level: Mapping[str, Any]) -> str:
    """Return a text on the number of classes that the overall accuracy of a level covers."""
    found = coverage_of(level)
    evaluated, rest = len(found["judged"]), len(found["not_judged"])
    return (
        f"over {evaluated} of {evaluated + rest} classes"
        if rest
        else f"over all {evaluated} classes"
    )


def named(level: Mapping[str, Any], code: str) -> str:
    """Return code and English name of a class."""
    return f"{code} {level['classes'][code]['name_en']}"
