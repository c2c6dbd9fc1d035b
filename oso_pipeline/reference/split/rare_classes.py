"""Classes with too few polygons to be split."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.sides import SIDES
from oso_pipeline.reference.polygons import event_log as tally
from oso_pipeline.reference.polygons.event_log import Tally
from oso_pipeline.reference.split.jobs import Seasons
from oso_pipeline.reference.split.split import SplitRules, numbered

WHERE = "reference.sources"
Policy = Literal["error", "drop"]


def rare_rows(
    parts: pd.DataFrame,
    seen: Tally,
    nomenclature: Nomenclature,
    policy: tuple[Policy, int],
    problems: Problems,
) -> npt.NDArray[np.bool_]:
    """Refuse (``E-INPUT-048``) or name classes with fewer polygons than a split needs.

    The counts are those of polygons with at least one usable part.

    Parameters
    ----------
    parts
        The usable pieces.
    seen
        What was read.
    nomenclature
        The classes.
    policy
        What to do, and how many polygons a class needs.
    problems
        Receives the findings.

    Returns
    -------
    bool array of shape ``(parts,)``
        The rows to drop.
    """
    what, least = policy
    left = polygons_of(parts["code"], parts["polygon_id"])
    drawn = {code: seen.count(tally.READ, code) for code in nomenclature.codes}
    rare = [c for c in nomenclature.codes if drawn[c] and left.get(c, 0) < least]
    gone: npt.NDArray[np.bool_] = parts["code"].isin(rare).to_numpy()
    if not rare:
        return gone
    counts = "; ".join(
        f"{code} {nomenclature.by_code[code].name_en}: {left.get(code, 0)} of {drawn[code]} left"
        for code in rare
    )
    message = f"classes with fewer than {least} usable polygons: {counts}"
    hint = "add polygons, lower erosion_m or min_area_m2, or set `rare_classes: drop`"
    if what == "error":
        problems.error("E-INPUT-048", message, WHERE, hint)
    elif gone.all():
        problems.error("E-INPUT-048", f"no class is left: {message}", WHERE, hint)
    else:
        problems.warn("W-INPUT-048", f"dropped {message}", WHERE)
    return gone


def polygons_of(values: pd.Series, polygon_id: pd.Series) -> dict[int, int]:
    """Return the number of different polygons with each value, a value at a time."""
    number, ids = values.to_numpy(), polygon_id.to_numpy()
    return {int(one): len(np.unique(ids[number == one])) for one in np.unique(number)}


def warn_of_absent(
    seen: Tally, nomenclature: Nomenclature, seasons: Seasons, problems: Problems
) -> None:
    """Name the classes that no source has a polygon of (``W-INPUT-046``), and what that means.

    Without past seasons the map cannot have them. Where labels of past seasons serve, it can:
    then nothing judges them.
    """
    absent = [code for code in nomenclature.codes if not seen.count(tally.READ, code)]
    if not absent:
        return
    names = ", ".join(f"{c} {nomenclature.by_code[c].name_en}" for c in absent)
    if not seasons.past:
        problems.warn("W-INPUT-046", f"classes without any polygon, absent from the map: {names}")
        return
    years = ", ".join(map(str, seasons.past))
    message = (
        f"classes without any polygon of {seasons.year}, which the map has as far as labels of "
        f"{years} do, and which no polygon held out judges: {names}"
    )
    problems.warn("W-INPUT-046", message)


def check_sides(parts: pd.DataFrame, split: SplitRules, what: Policy, problems: Problems) -> None:
    """Refuse a split that leaves a class without training or without validation polygons.

    A class that one side lacks can either not be mapped or not be judged; a copy on both
    sides would be a lie. It is an error (``E-INPUT-048``), or a warning (``W-INPUT-048``)
    under ``rare_classes: drop`` and where a column dictates the split.
    """
    accepted = what == "drop" or split.method == "column"
    codes_of_rows = parts["code"].to_numpy()
    for column in split.columns:
        side = parts[column]
        dealt = side.isin(SIDES).to_numpy() if column != "fold" else np.ones(len(parts), bool)
        number = numbered(side)
        sides = {
            int(code): len(np.unique(number[dealt & (codes_of_rows == code)]))
            for code in np.unique(codes_of_rows)
        }
        if codes := [code for code, found in sides.items() if found < 2]:
            message = f"{column}: classes {codes} are on one side only, their accuracy is unknown"
            if accepted:
                problems.warn("W-INPUT-048", message, WHERE)
                continue
            hint = (
                "add polygons of these classes, merge strata, choose smaller blocks or a smaller "
                "buffer, or set `rare_classes: drop` to accept it"
            )
            problems.error("E-INPUT-048", message, WHERE, hint)
