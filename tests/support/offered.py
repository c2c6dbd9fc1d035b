"""Offers and candidates of small products, for tests of retrieval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.retrieval.offers import Need, Offer, RemoteFile

NEED = Need("muscate", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
MOMENT = datetime(2018, 1, 2, 10, 54, 35, tzinfo=UTC)


def offer(provider: str = "first", number: int = 0, version: int = 1, **changes: Any) -> Offer:
    """Return the offer of the product of a number, of a version."""
    name = f"P{number:03}_V{version}"
    made = Offer(
        provider,
        NEED,
        name,
        MOMENT,
        observation=("S2A", "31TCJ", str(number)),
        rank=(version, 0, 0),
        form="zip",
        files=(RemoteFile(f"{name}.zip", f"https://{provider}.test/{name}", 1000),),
        entry=f"urn:{name}",
    )
    return replace(made, **changes)


def candidate(of: Offer, path: Path = Path("there")) -> Candidate:
    """Return an offered product as one that is there."""
    return Candidate(
        path,
        of.need.family,
        of.product_id,
        of.need.tile,
        of.acquired,
        of.observation,
        of.rank,
    )
