"""Classes with too few polygons to be split."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.sides import SIDES
from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.event_log import EventCounts
from oso_pipeline.reference.split.jobs import Seasons
from oso_pipeline.reference.split.split import SplitRules, numbered

WHERE = "reference.sources"
Policy = Literal["error", "drop"]


def rare_rows(
    parts: pd.DataFrame,
    seen: EventCounts,
    nomenclature: Nomenclature,
    policy: tuple[Policy, int],
    problems: Problems,
) -> npt.NDArray[np.bool_]:
    """Refuse (``E-CLASS-RARE``) or name classes with fewer polygons than a split needs.

    The counts are those of polygons with at least one usable part.

    Parameters
    ----------
    parts
        The usable pieces.
    seen
        Polygons read.
    nomenclature
        The classes.
    policy
        Action, and the minimum number of polygons of a class.
    problems
        Receives the findings.

    Returns
    -------
    bool array of shape ``(parts,)``
        The rows to drop.
    """
    what, least = policy
    left = polygons_of(parts["code"], parts["polygon_id"])
    drawn = {code: seen.count(event_log.READ, code) for code in nomenclature.codes}
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
        problems.error("E-CLASS-RARE", message, WHERE, hint)
    elif gone.all():
        problems.error("E-CLASS-RARE", f"no class is left: {message}", WHERE, hint)
    else:
        problems.warn("W-CLASS-RARE", f"dropped {message}", WHERE)
    return gone


def polygons_of(values: pd.Series, polygon_id: pd.Series) -> dict[int, int]:
    """Return the number of different polygons with each value, a value at a time."""
    number, ids = values.to_numpy(), polygon_id.to_numpy()
    return {int(one): len(np.unique(ids[number == one])) for one in np.unique(number)}


def warn_of_absent(
    seen: EventCounts, nomenclature: Nomenclature, seasons: Seasons, problems: Problems
) -> None:
    """Warn of classes without any polygon in the sources (``W-CLASS-NO-POLYGON``).

    Without past seasons the map cannot have them. Where labels of past seasons serve, it can:
    then nothing evaluates them.
    """
    absent = [code for code in nomenclature.codes if not seen.count(event_log.READ, code)]
    if not absent:
        return
    names = ", ".join(f"{c} {nomenclature.by_code[c].name_en}" for c in absent)
    if not seasons.past:
        problems.warn(
            "W-CLASS-NO-POLYGON", f"classes without any polygon, absent from the map: {names}"
        )
        return
    years = ", ".join(map(str, seasons.past))
    message = (
        f"classes without any polygon of {seasons.year}, mapped only if labels of {years} have "
        f"them, and not evaluated by held-out polygons: {names}"
    )
    problems.warn("W-CLASS-NO-POLYGON", message)


def check_sides(parts: pd.DataFrame, split: SplitRules, what: Policy, problems: Problems) -> None:
    """Refuse a split that leaves a class without training or without validation polygons.

    A class that one side lacks can either not be mapped or not be evaluated; a copy on both
    sides would be a lie. It is an error (``E-CLASS-ONE-SIDE``), or a warning (``W-CLASS-ONE-SIDE``)
    under ``rare_classes: drop`` and where a column dictates the split.
    """
    accepted = what == "drop" or split.method == "column"
    codes_of_rows = parts["code"].to_numpy()
    for column in split.columns:
        side = parts[column]
        in_split = side.isin(SIDES).to_numpy() if column != "fold" else np.ones(len(parts), bool)
        number = numbered(side)
        sides = {
            int(code): len(np.unique(number[in_split & (codes_of_rows == code)]))
            for code in np.unique(codes_of_rows)
        }
        if codes := [code for code, found in sides.items() if found < 2]:
            message = f"{column}: classes {codes} are on one side only, their accuracy is unknown"
            if accepted:
                problems.warn("W-CLASS-ONE-SIDE", message, WHERE)
                continue
            hint = (
                "add polygons of these classes, merge strata, choose smaller blocks or a smaller "
                "buffer, or set `rare_classes: drop` to accept it"
            )
            problems.error("E-CLASS-ONE-SIDE", message, WHERE, hint)
