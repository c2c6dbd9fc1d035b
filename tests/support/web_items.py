"""STAC items whose images are on a file server on loopback."""

from __future__ import annotations

from pathlib import Path

from support.file_server import FileServer
from support.stac_factory import Content, each_asset, edit


def to_web(item: Path, server: FileServer, query: str = "") -> Path:
    """Move the images of an item to the server; the item names them there."""

    def move(asset: Content) -> None:
        path = item.parent / asset["href"]
        asset["href"] = server.put(f"/{item.parent.name}/{path.name}", path.read_bytes()) + query
        path.unlink()

    return edit(item, lambda content: each_asset(content, move))
