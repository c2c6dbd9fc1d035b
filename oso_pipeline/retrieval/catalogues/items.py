"""What STAC items offer: an archive of a product, or its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.stac.fields import as_finite, as_mapping, as_moment, as_text
from oso_pipeline.imagery.stac.providers import choose
from oso_pipeline.imagery.stac.search import FAMILY as STAC
from oso_pipeline.retrieval.catalogues.entries import (
    geometry_of,
    identifier_of,
    misfit,
    plain_name,
    size_of,
)
from oso_pipeline.retrieval.catalogues.paging import Entry
from oso_pipeline.retrieval.families import delivery_of
from oso_pipeline.retrieval.names import Named, is_known, named, named_elsewhere, named_item
from oso_pipeline.retrieval.offers import Form, Need, Offer, RemoteFile
from oso_pipeline.retrieval.provider_table import Provider, StoreKey

_PICTURES = {"thumbnail", "overview", "visual"}
_NAMES = ("identifier", "title", "s2:product_uri")


def offer_of(entry: Entry, provider_name: str, provider: Provider, need: Need) -> Offer | str:
    """Return the product that an item offers, or why it is none of the need.

    Items of the family ``stac`` are products themselves: they come with the files of the bands and
    the classification. Products of other families come as the archive that an item names, or else
    as those of its files that the reader needs.

    Parameters
    ----------
    entry
        The item as JSON object.
    provider_name, provider
        The provider and its name in the table.
    need
        What was searched for.
    """
    reader_of = _of_item if need.family == STAC else _of_named
    found = reader_of(entry, provider, need)
    if isinstance(found, str):
        return found
    name, form, files, document = found
    properties = as_mapping(entry.get("properties"))
    return Offer(
        provider_name,
        need,
        name.product_id,
        name.acquired,
        name.observation,
        name.rank,
        form,
        files,
        entry=identifier_of(entry.get("id")) or "",
        is_online=_is_online(properties),
        cloud_percent=as_finite(properties.get("eo:cloud_cover")),
        footprint=geometry_of(entry.get("geometry")),
        document=document,
    )


_Found = tuple[Named, Form, tuple[RemoteFile, ...], Mapping[str, Any]]


def _of_item(entry: Entry, provider: Provider, need: Need) -> _Found | str:
    known = named_item(entry)
    if known is None:
        return "that are no Sentinel-2 L2A"
    name, item = known
    if reason := misfit(name, need):
        return reason
    chosen = choose(item)
    wanted = (*SENTINEL2.names, SCL)
    if lacking := [one for one in wanted if one not in chosen.assets]:
        return f"without the assets {', '.join(chosen.expected[one] for one in lacking)}"
    keys = [chosen.assets[one][0] for one in wanted]
    document = _reached(entry, keys, provider)
    files = _files_of(keys, document)
    return (name, "files", files, document) if files else "with names of files that no disk takes"


def _of_named(entry: Entry, provider: Provider, need: Need) -> _Found | str:
    properties = as_mapping(entry.get("properties"))
    name = _name_of(entry, properties, need)
    if name is None:
        return f"with a name that is none of {need.family}"
    if reason := misfit(name, need):
        return reason
    assets = {str(k): as_mapping(one) for k, one in as_mapping(entry.get("assets")).items()}
    for key, asset in assets.items():
        href = _href(asset, provider)
        if href.startswith("s3://") and href.rstrip("/").upper().endswith(".SAFE"):
            folder = _remote(f"{name.product_id}.SAFE", f"{href.rstrip('/')}/", {})
            return name, "files", (folder,), {}
        if href and _is_archive(key, asset, href):
            archive = _remote(f"{name.product_id}.zip", href, asset)
            return name, "zip", (archive,), {}
    delivery = delivery_of(need.family)
    if delivery is None:
        return _of_other(name, entry, provider)
    files = {
        plain: _remote(plain, href, asset)
        for asset in assets.values()
        if (href := _href(asset, provider))
        and (plain := plain_name(href)) and delivery.reads(plain)
    }  # fmt: skip
    return (name, "files", tuple(files.values()), {}) if files else "without an archive or files"


def _name_of(entry: Entry, properties: Mapping[str, Any], need: Need) -> Named | None:
    texts = (as_text(entry.get("id")), *(as_text(properties.get(key)) for key in _NAMES))
    if is_known(need.family):
        return next(filter(None, (named(need.family, text) for text in texts if text)), None)
    begin = as_moment(properties.get("start_datetime")) or as_moment(properties.get("datetime"))
    return named_elsewhere(
        need, as_text(entry.get("id")), begin, as_text(properties.get("platform"))
    )


def _of_other(name: Named, entry: Entry, provider: Provider) -> _Found | str:
    """Return an item of a family that another package reads, with all its files but pictures."""
    assets = as_mapping(entry.get("assets"))
    keys = [
        str(key)
        for key, asset in assets.items()
        if as_text(as_mapping(asset).get("href")) and not _PICTURES & _roles(as_mapping(asset))
    ]
    document = _reached(entry, keys, provider)
    files = _files_of(keys, document)
    return (name, "files", files, document) if files else "without an archive or files"


def _roles(asset: Mapping[str, Any]) -> set[str]:
    roles = asset.get("roles")
    return {str(role) for role in roles} if isinstance(roles, list | tuple) else set()


def _reached(entry: Entry, keys: list[str], provider: Provider) -> dict[str, Any]:
    """Return the item with these assets alone, at the addresses that the provider's key reaches.

    A campaign has thousands of items, and most of an item is assets that nobody reads, and links.
    """
    known = {str(key): as_mapping(one) for key, one in as_mapping(entry.get("assets")).items()}
    assets = {key: {**known[key], "href": _href(known[key], provider)} for key in keys}
    return {**entry, "assets": assets, "links": []}


def _files_of(keys: list[str], document: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """Return the files of assets; empty where one has no name. Equal names get their key."""
    files: dict[str, RemoteFile] = {}
    for key in keys:
        asset = document["assets"][key]
        plain = plain_name(asset["href"])
        if plain is None:
            return ()
        name = f"{key}_{plain}" if plain.casefold() in files else plain
        files[name.casefold()] = _remote(name, asset["href"], asset)
    return tuple(files.values())


def _href(asset: Mapping[str, Any], provider: Provider) -> str:
    """Return the address of an asset: that in a store with keys of one, else one of https."""
    alternate = as_mapping(asset.get("alternate"))
    stated = [
        as_text(one.get("href")) or ""
        for one in (asset, *(as_mapping(other) for other in alternate.values()))
    ]
    wanted = "s3://" if isinstance(provider.key, StoreKey) else "http"
    return next((href for href in stated if href.startswith(wanted)), stated[0])


def _is_archive(key: str, asset: Mapping[str, Any], href: str) -> bool:
    """Return whether an asset is the whole product in one file."""
    kind = as_text(asset.get("type")) or ""
    return kind == "application/zip" or any(one.lower().endswith(".zip") for one in (key, href))


def _remote(name: str, href: str, asset: Mapping[str, Any]) -> RemoteFile:
    checksum = (as_text(asset.get("file:checksum")) or "").lower() or None
    return RemoteFile(name, href, size_of(asset.get("file:size")), checksum)


def _is_online(properties: Mapping[str, Any]) -> bool | None:
    status = as_text(properties.get("storage:tier")) or as_text(properties.get("order:status"))
    known = {"standard": True, "online": True, "succeeded": True, "offline": False,
             "orderable": False}  # fmt: skip
    return known.get(status.lower()) if status else None
