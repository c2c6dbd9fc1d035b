"""What a campaign left, as messages: what, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from oso_pipeline.core.errors import Problem
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.remote.failures import remedy_of
from oso_pipeline.retrieval.outcome import Left, Outcome, Unanswered

_REMEDIES = {
    "E-DISK": "free disk space, or set `retrieval.keep_free_gb` lower, then run again",
    "E-FOLDER": "take away what is in its place, or name a folder with write permission in "
    "`retrieval.into`",
    "E-FETCH-BUSY": "the provider limits requests: run again later",
    "E-FETCH-CHANGED": "run again: the catalogue is searched again",
    "E-FETCH-CHECKSUM": "run again later; if it stays, tell the provider",
    "E-FETCH-DENIED": "check the key of the provider, keys expire (docs/a_year.md); and whether "
    "the account accepted the terms of use",
    "E-FETCH-FAULT": "report it with this line; the other products are not affected",
    "E-FETCH-GONE": "run again: the catalogue is searched again",
    "E-FETCH-REFUSED": "if the provider has moved, correct its addresses in a file of your own "
    "(`retrieval.providers_file`)",
    "W-FETCH-DAMAGED": "run again later: providers repair archives; what came is in "
    ".oso_fetch/quarantine",
    "W-FETCH-LIMIT": "run again, or allow more (`retrieval.max_gb`, --max-gb)",
    "W-FETCH-TAPE": "run again later: it was requested, and comes when the provider has read it",
    "W-FETCH-UNUSED": "set the key of a provider that has it (docs/a_year.md), or go online",
}
"""Where what helps `oso fetch` is another thing than what helps a run that reads from the web."""

_STATES = {
    "ready": "not tried yet",
    "running": "its download was under way",
    "waiting": "it waits for its tape",
    "resting": "it would be tried again later",
}
_One = TypeVar("_One", Left, Unanswered)
_TILES = 6
_AGAIN = "run the same command again; what is done is kept"


def problems_of(outcome: Outcome) -> list[Problem]:
    """Return one message for each reason for which something is left, the most frequent first."""
    left, unanswered = _grouped(outcome.left), _grouped(outcome.unanswered)
    return [
        *(_of_products(code, reason, some) for (code, reason), some in left),
        *(_of_searches(code, reason, some) for (code, reason), some in unanswered),
    ]


def remedy(code: str) -> str:
    """Return what to do about a code of what is left."""
    return _REMEDIES.get(code) or remedy_of(code) or _AGAIN


def _grouped(some: Iterable[_One]) -> list[tuple[tuple[str, str], list[_One]]]:
    groups: dict[tuple[str, str], list[_One]] = {}
    for one in some:
        groups.setdefault((one.code, one.reason), []).append(one)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _of_products(code: str, reason: str, some: list[Left]) -> Problem:
    others = f" and {len(some) - 1} more" if len(some) > 1 else ""
    text = f"{some[0].product_id}{others}: {reason or _STATES.get(some[0].why, some[0].why)}"
    products = counted(len(some), "product is", "products are")
    return Problem(code or "W-FETCH-LEFT", f"{products} left: {text}", None, remedy(code))


def _of_searches(code: str, reason: str, some: list[Unanswered]) -> Problem:
    tiles = sorted({one.need.tile for one in some})
    shown = ", ".join(tiles[:_TILES]) + (f" and {len(tiles) - _TILES} more" * (len(tiles) > _TILES))
    who = ", ".join(sorted({one.provider for one in some}))
    text = f"it is not known what {who} offers of {shown}: {reason}"
    return Problem(code or "W-FETCH-LEFT", text, None, remedy(code))
