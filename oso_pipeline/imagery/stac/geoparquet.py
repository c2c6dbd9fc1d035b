"""Items of a STAC-GeoParquet table.

The specification (1.0 and 1.1) has a row per item, ``assets`` as a struct with a struct per key,
and each property as a column of its own. Values that an item lacks are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from oso_pipeline.imagery.stac.fields import as_objects

MAX_ITEMS = 200_000
_COLUMNS = ("id", "assets")
_OF_THE_ITEM = ("id", "collection", "stac_version", "assets", "type", "stac_extensions")
_UNUSED = ("geometry", "bbox", "links")
_VERSION = "1.0.0"
"""Of tables that state none: the column is optional in version 1.0 of the specification."""


def items_of_table(path: Path) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """Return the items of a table as JSON objects, and what is wrong with the rest of it.

    Both are empty for a table that is none of items.
    """
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if not all(name in names for name in _COLUMNS):
            return (), ()
        faults = ()
        if file.metadata.num_rows > MAX_ITEMS:
            return (), (f"has {file.metadata.num_rows} items, at most {MAX_ITEMS} are read",)
        used = [name for name in names if name not in _UNUSED]
        items: list[Mapping[str, Any]] = []
        for batch in file.iter_batches(batch_size=256, columns=used):
            items += [_item(row) for row in as_objects(batch.to_pylist())]
    return tuple(items), faults


def _item(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as the object of an item, without the keys whose value is null."""
    bare = {key: _without_nulls(value) for key, value in row.items() if value is not None}
    own = {key: value for key, value in bare.items() if key in _OF_THE_ITEM}
    properties = {key: value for key, value in bare.items() if key not in _OF_THE_ITEM}
    return {"type": "Feature", "stac_version": _VERSION, **own, "properties": properties}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
