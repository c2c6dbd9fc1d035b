"""Put a product that is whole where readers find it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import publish_file, publish_folder
from oso_pipeline.imagery.remote.addresses import without_secrets
from oso_pipeline.imagery.stac.fields import as_mapping, as_text
from oso_pipeline.retrieval.folder import FetchFolder, safe_name
from oso_pipeline.retrieval.offers import Offer


def final_path(folder: FetchFolder, offer: Offer) -> Path:
    """Return where a product of an offer is published; the same for each provider."""
    name = safe_name(offer.product_id)
    if offer.form == "zip":
        name = f"{name}.zip"
    elif offer.need.family == "safe":
        name = f"{name}.SAFE"
    return folder.place_of(offer.need.tile) / name


def publish_archive(part: Path, final: Path) -> None:
    """Publish an archive by a rename, in place of what is there."""
    if final.is_dir():
        raise IsADirectoryError(21, "a folder is in the place of an archive", str(final))
    publish_file(part, final)


def publish_tree(tree: Path, final: Path) -> None:
    """Publish the folder of a product by a rename, in place of what is there."""
    aside = tree.with_name("replaced")
    if final.exists() and not final.is_dir():
        raise NotADirectoryError(20, "a file is in the place of a folder", str(final))
    shutil.rmtree(aside, ignore_errors=True)
    publish_folder(tree, final, aside)
    shutil.rmtree(aside, ignore_errors=True)


def item_name(offer: Offer) -> str | None:
    """Return the name of the file of the STAC item of a product; None where it has none."""
    return f"{safe_name(offer.product_id)}.json" if offer.document else None


def local_item(offer: Offer) -> dict[str, Any]:
    """Return the STAC item of a product with relative addresses of the files that were fetched.

    Assets that were not fetched are left out, and all links: they lead to the catalogue.
    """
    names = {without_secrets(file.url): file.name for file in offer.files}
    assets = {}
    for key, asset in as_mapping(offer.document.get("assets")).items():
        known = [without_secrets(href) for href in _hrefs(as_mapping(asset))]
        own = next((names[href] for href in known if href in names), None)
        if own is not None:
            kept = {name: value for name, value in asset.items() if name != "alternate"}
            assets[key] = {**kept, "href": f"./{own}"}
    return {**offer.document, "assets": assets, "links": []}


def as_bytes(item: Mapping[str, Any]) -> bytes:
    """Return an item as the content of a file."""
    return json.dumps(item, ensure_ascii=False, default=str).encode() + b"\n"


def _hrefs(asset: Mapping[str, Any]) -> Iterator[str]:
    """Yield where an asset is: its address, and those in other stores."""
    for one in (asset, *as_mapping(asset.get("alternate")).values()):
        if href := as_text(as_mapping(one).get("href")):
            yield href
