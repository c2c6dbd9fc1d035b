"""Whether the products of a season were made alike, by what their metadata tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.processing import Processing

_SHOWN = 4
_HINT = (
    "fetch the products of the smaller group in the version of the others, or take them out; "
    "reflectance may differ by some percent between them"
)


@dataclass(frozen=True, slots=True)
class Made:
    """How a product was made that is known only by its name or metadata.

    Parameters
    ----------
    acquired
        Date and time of acquisition, UTC.
    family, version
        As of an acquisition; the version is empty where it is not known.
    processing
        What is known.
    """

    acquired: datetime
    family: str
    version: str
    processing: Processing


def check_alike(used: Sequence[Acquisition | Made], tile: str, problems: Problems) -> None:
    """Warn where products of a tile were made in different ways.

    Parameters
    ----------
    used
        The products that are used, or what is known of them.
    tile
        Name of the tile, for the message.
    problems
        Takes ``W-SEASON-BASELINES`` for several processing baselines, ``W-SEASON-PROCESSORS`` for
        several processors or major versions, ``W-SEASON-CAMS`` where only some were corrected with
        the aerosol types of CAMS. Products that do not say are not compared.
    """
    _compare(used, _baseline, "W-SEASON-BASELINES", "processing baselines", tile, problems)
    _compare(
        used, _processor, "W-SEASON-PROCESSORS", "processors or major versions", tile, problems
    )
    _compare(used, _cams, "W-SEASON-CAMS", "aerosol models", tile, problems)


def _compare(
    used: Sequence[Acquisition | Made],
    trait: Callable[[Acquisition | Made], str | None],
    code: str,
    what: str,
    tile: str,
    problems: Problems,
) -> None:
    groups: dict[str, list[date]] = {}
    for item in used:
        if (value := trait(item)) is not None:
            groups.setdefault(value, []).append(item.acquired.date())
    if len(groups) > 1:
        found = "; ".join(f"{value}: {_described(groups[value])}" for value in sorted(groups))
        problems.warn(code, f"the season mixes {what}: {found}", f"tile {tile}", _HINT)


def _described(days: Sequence[date]) -> str:
    """Return number and dates of products: each of a few, else the first and the last."""
    ordered = sorted(days)
    dates = (
        ", ".join(map(str, ordered)) if len(ordered) <= _SHOWN else f"{ordered[0]} to {ordered[-1]}"
    )
    return f"{counted(len(ordered), 'product')} ({dates})"


def _baseline(item: Acquisition | Made) -> str | None:
    return item.processing.baseline


def _processor(item: Acquisition | Made) -> str | None:
    """Return processor and major version; those of the product where the processor has none.

    Products with a baseline are all of Sen2Cor, in whichever format they come, and are compared by
    it.
    """
    made = item.processing
    if made.baseline is not None:
        return "Sen2Cor"
    major = (made.processor_version or item.version).partition(".")[0]
    return f"{made.processor or item.family} {major}" if major else None


def _cams(item: Acquisition | Made) -> str | None:
    return {None: None, True: "with CAMS", False: "without CAMS"}[item.processing.cams]
