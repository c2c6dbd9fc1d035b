"""The file of an answer of a catalogue: GeoParquet, a row per offer with its footprint.

What was searched for stands in the metadata. Any program that reads GeoParquet shows it on a map.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from shapely import to_wkb
from shapely.errors import ShapelyError
from shapely.geometry import shape

from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.retrieval.offers import Answered, Need, Offer, RemoteFile

_KEY = b"oso_pipeline:catalogue"
_VERSION = 1
_OF_OFFER = (
    "product_id", "acquired", "observation", "rank", "form", "files", "entry", "is_online",
    "cloud_percent", "endpoint", "document",
)  # fmt: skip
_SCHEMA = pa.schema(
    {
        "product_id": pa.string(),
        "acquired": pa.timestamp("us", "UTC"),
        "observation": pa.list_(pa.string()),
        "rank": pa.list_(pa.int64()),
        "form": pa.string(),
        "files": pa.list_(
            pa.struct(
                {
                    "name": pa.string(),
                    "url": pa.string(),
                    "size_bytes": pa.int64(),
                    "checksum": pa.string(),
                    "is_size_a_hint": pa.bool_(),
                }
            )
        ),
        "entry": pa.string(),
        "is_online": pa.bool_(),
        "cloud_percent": pa.float64(),
        "endpoint": pa.string(),
        "document": pa.string(),
        "geometry": pa.binary(),
        "footprint": pa.string(),
    }
)


class DamagedAnswer(ValueError):
    """A file of the cache that cannot be used; the text says why."""


class UnusualAnswer(ValueError):
    """An answer that no file can hold, for example with numbers that are too large."""


@dataclass(frozen=True)
class Stored:
    """An answer as it was read.

    Parameters
    ----------
    span
        First and last day of acquisition that it is about.
    at
        When the catalogue gave it, UTC.
    answered
        The answer.
    """

    span: tuple[date, date]
    at: datetime
    answered: Answered

    def covers(self, need: Need) -> bool:
        """Return whether it is about all days of a need."""
        return self.span[0] <= need.first and need.last <= self.span[1]


def write_answer(path: Path, provider: str, need: Need, answered: Answered, at: datetime) -> None:
    """Write an answer to a file, which is read back.

    Raises
    ------
    UnusualAnswer
        If it holds what no table takes.
    OSError
        If it cannot be written.
    """
    try:
        table = _table(need, answered, provider, at)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UnusualAnswer(f"{type(error).__name__}: {error}") from error
    pq.write_table(table, path, compression="zstd")
    pq.read_metadata(path)


def read_answer(path: Path, provider: str, need: Need) -> Stored:
    """Return the answer of a file, which must be one to a search of this provider and tile.

    Raises
    ------
    DamagedAnswer
        If it is none, or damaged.
    OSError
        If it cannot be opened.
    """
    with damage_as(DamagedAnswer, "it is damaged"):
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[_KEY])
        stated = about["need"]
        span = date.fromisoformat(stated["first"]), date.fromisoformat(stated["last"])
        if (about["provider"], stated["family"], stated["tile"]) != (
            provider,
            need.family,
            need.tile,
        ) or about["version"] != _VERSION:
            raise DamagedAnswer("it is one of another search or version")
        own = Need(need.family, need.tile, *span)
        offers = tuple(_offer(row, provider, own) for row in table.to_pylist())
        if len(offers) != about["n_offers"]:
            raise DamagedAnswer(f"it holds {len(offers)} of {about['n_offers']} offers")
        answered = Answered(
            offers, about["n_matched"], tuple(about["faults"]), is_whole=bool(about["is_whole"])
        )
        return Stored(span, datetime.fromisoformat(about["at"]), answered)


def _table(need: Need, answered: Answered, provider: str, at: datetime) -> pa.Table:
    rows = [_row(offer) for offer in answered.offers]
    about = {
        "version": _VERSION,
        "provider": provider,
        "need": {**asdict(need), "first": str(need.first), "last": str(need.last)},
        "at": at.astimezone(UTC).isoformat(),
        "n_matched": answered.n_matched,
        "faults": list(answered.faults),
        "is_whole": answered.is_whole,
        "n_offers": len(rows),
    }
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": []}},
    }
    metadata = {_KEY: json.dumps(about).encode(), b"geo": json.dumps(geo).encode()}
    return pa.Table.from_pylist(rows, schema=_SCHEMA).replace_schema_metadata(metadata)


def _row(offer: Offer) -> dict[str, Any]:
    row = {name: getattr(offer, name) for name in _OF_OFFER}
    return row | {
        "files": [asdict(file) for file in offer.files],
        "document": json.dumps(dict(offer.document)) if offer.document else None,
        "geometry": _as_wkb(offer.footprint),
        "footprint": None if offer.footprint is None else json.dumps(dict(offer.footprint)),
    }


def _as_wkb(footprint: Mapping[str, Any] | None) -> bytes | None:
    if footprint is None:
        return None
    try:
        found: bytes = to_wkb(shape(dict(footprint)), output_dimension=2)
    except (ShapelyError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return None  # as it came from the catalogue, it stays in the column beside
    return found


def _offer(row: Mapping[str, Any], provider: str, need: Need) -> Offer:
    values = {name: row[name] for name in _OF_OFFER}
    return Offer(
        provider,
        need,
        **values
        | {
            "acquired": row["acquired"].astimezone(UTC),
            "observation": tuple(row["observation"]),
            "rank": tuple(row["rank"]),
            "files": tuple(RemoteFile(**file) for file in row["files"]),
            "document": json.loads(row["document"]) if row["document"] else {},
            "footprint": json.loads(row["footprint"]) if row["footprint"] else None,
        },
    )
