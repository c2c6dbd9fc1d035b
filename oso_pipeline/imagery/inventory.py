"""The inventory of a tile: every product found, used or skipped, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from odc.geo.geobox import GeoBox

from oso_pipeline.core.commit import staged
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.grids import grid_from_json, grid_to_json
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.tile_grid import TileLayout

_SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("tile", pa.string()),
        ("acquired", pa.timestamp("us", tz="UTC")),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("platform", pa.string()),
        ("family", pa.string()),
        ("version", pa.string()),
        ("cloud_percent", pa.float64()),
        ("size_bytes", pa.int64()),
        ("path", pa.string()),
        ("processor", pa.string()),
        ("processor_version", pa.string()),
        ("baseline", pa.string()),
        ("cams", pa.bool_()),
        ("aerosol_optical_depth", pa.float64()),
        ("sun_zenith_deg", pa.float64()),
        ("relative_orbit", pa.int16()),
        ("aerosols", pa.string()),
        ("bands", pa.string()),
        ("quality", pa.string()),
        ("rules", pa.string()),
    ]
)
_KEY = b"oso_pipeline"
FORMAT = 3
"""Format of the file: since 2 each product has assets and rules, since 3 its processing."""


@dataclass(frozen=True)
class Inventory:
    """The products of one tile.

    Parameters
    ----------
    tile
        Name of the tile.
    grid
        The 10 m grid that all products share.
    block_shape
        Rows and columns of the internal blocks of the 10 m files.
    acquisitions
        The products that are used, in order of date and name.
    skipped
        The others, in the same order.
    """

    tile: str
    grid: GeoBox
    block_shape: tuple[int, int]
    acquisitions: tuple[Acquisition, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def layout(self) -> TileLayout:
        """Grid and blocks."""
        return TileLayout(self.grid, self.block_shape)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per product, used ones first."""
        return [a.to_row() for a in self.acquisitions] + [s.to_row() for s in self.skipped]

    def listing(self, others: Iterable[Skipped]) -> Inventory:
        """Return the inventory with some more products that are not used."""
        return replace(self, skipped=in_order((*self.skipped, *others)))

    def counts(self) -> dict[str, Any]:
        """Return numbers of products found, used and skipped by reason, and bytes used."""
        reasons = Counter(item.reason for item in self.skipped)
        return {
            "found": len(self.acquisitions) + len(self.skipped) - reasons["not_fetched"],
            "used": len(self.acquisitions),
            "skipped": dict(sorted(reasons.items())),
            "bytes": sum(item.size_bytes for item in self.acquisitions),
        }


def in_order(items: Sequence[Any]) -> tuple[Any, ...]:
    """Return acquisitions or skipped products by date and name, undated ones last."""
    return tuple(
        sorted(
            items,
            key=lambda item: (
                item.acquired is None,
                item.acquired.isoformat() if item.acquired else "",
                item.product_id,
                str(item.path),
            ),
        )
    )


def write_inventory(path: Path, inventory: Inventory) -> None:
    """Publish an inventory as Parquet; the same inventory gives the same bytes."""
    header = {
        "format": FORMAT,
        "tile": inventory.tile,
        "grid": grid_to_json(inventory.grid),
        "block_shape": list(inventory.block_shape),
    }
    metadata = {_KEY: json.dumps(header, sort_keys=True).encode()}
    table = pa.Table.from_pylist(inventory.rows, schema=_SCHEMA.with_metadata(metadata))
    with staged(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        if pq.read_table(temporary).num_rows != table.num_rows:
            raise OSError(f"{path} could not be read back")


def read_inventory(path: Path) -> Inventory:
    """Read an inventory.

    Raises
    ------
    InputDataError
        If the file is missing or damaged, or of another format.
    """
    try:
        # Only the one file: a folder name such as `tile=x` must not become a column.
        table = pq.ParquetFile(path).read()
        header = json.loads((table.schema.metadata or {})[_KEY])
        rows = table.to_pylist()
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputDataError(
            Problem(
                "E-INVENTORY-READ",
                f"the inventory cannot be read: {error}",
                str(path),
                "`oso verify RUN --repair`, then run again: it is made again",
            )
        ) from error
    if header.get("format") != FORMAT:
        raise InputDataError(
            Problem(
                "E-INVENTORY-FORMAT",
                f"found an inventory of format {header.get('format', 1)}, expected {FORMAT}",
                str(path),
                "`oso run` makes it again; nothing that was made from it is lost",
            )
        )
    return Inventory(
        tile=header["tile"],
        grid=grid_from_json(header["grid"]),
        block_shape=(header["block_shape"][0], header["block_shape"][1]),
        acquisitions=tuple(Acquisition.from_row(r) for r in rows if r["status"] == "used"),
        skipped=tuple(Skipped.from_row(r) for r in rows if r["status"] == "skipped"),
    )
