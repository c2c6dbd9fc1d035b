"""Files with STAC items: an item, an item collection, a table of items, a static catalogue.

Anything may lie in a folder of images under the name of a JSON file. Only what says early that it
is STAC is parsed, and a catalogue can neither lead out of its folder nor round in circles.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.stac.fields import as_mapping, as_objects, as_text
from oso_pipeline.imagery.stac.geoparquet import items_of_table
from oso_pipeline.imagery.stac.item import Item, parse_item
from oso_pipeline.imagery.stac.places import local_of

MAX_BYTES = 256 * 1024**2
"""A real item has 20 to 130 kB, so this is a collection of some thousands; larger ones have to be
split, or be tables."""

MAX_FILES, MAX_DEPTH = 100_000, 32
"""Of a catalogue."""

_SNIFFED = 1024**2
_OF_OTHERS = ("tileinfo.json", "productinfo.json", "zarr.json", "package.json")
_CATALOGUES = ("Catalog", "Collection")
_SHOWN = 3


class DocumentError(ValueError):
    """A file of items that cannot be used; the text says why."""


@dataclass(frozen=True)
class Found:
    """The items of a file, and what is wrong with the rest of it.

    Parameters
    ----------
    items
        Each with the file in which it stands.
    faults
        Texts.
    """

    items: tuple[tuple[Path, Item], ...] = ()
    faults: tuple[str, ...] = ()


def items_at(path: Path) -> Found:
    """Return the items of a file, or of the files that it links to as a catalogue.

    Raises
    ------
    DocumentError
        If it is a file of STAC that cannot be read.
    OSError
        If it cannot be opened.
    """
    status = path.stat()
    content = _content(path, status.st_size, status.st_mtime_ns)
    if content.links is None:
        return Found(tuple((path, item) for item in content.items), content.faults)
    walk = _Walk(path)
    walk.follow(path, content, 0)
    return Found(tuple(walk.items), walk.faults)


def item_in(path: Path, identifier: str) -> Item | None:
    """Return an item of a file by its identifier; None where it is not there.

    Raises
    ------
    DocumentError
        If the file cannot be read.
    OSError
        If it cannot be opened.
    """
    status = path.stat()
    items = _content(path, status.st_size, status.st_mtime_ns).items
    return next((item for item in items if item.id == identifier), None)


@dataclass(frozen=True)
class _Content:
    """What a file says; `links` are those of a catalogue, None for other files."""

    items: tuple[Item, ...] = ()
    faults: tuple[str, ...] = ()
    links: tuple[str, ...] | None = None
    own: str | None = None


@lru_cache(maxsize=64)
def _content(path: Path, size: int, _modified_ns: int) -> _Content:
    """Return what a file says; read again when it changes."""
    if path.suffix.lower() == ".parquet":
        with damage_as(DocumentError, "is not a table that can be read"):
            objects, faults = items_of_table(path)
        return _of_items(objects, faults)
    if path.name.lower() in _OF_OTHERS:
        return _Content()
    with open_regular(path) as stream:
        start = stream.read(_SNIFFED)
        if b'"stac_version"' not in start:
            return _Content()
        if size > MAX_BYTES:
            raise DocumentError(
                f"has {size} bytes, at most {MAX_BYTES} are read; split it, or write it as "
                "STAC-GeoParquet"
            )
        with damage_as(DocumentError, "is not usable JSON"):
            document = json.loads(start + stream.read())
    return _of_json(as_mapping(document))


def _of_json(document: Mapping[str, Any]) -> _Content:
    kind = document.get("type")
    if kind == "FeatureCollection" or "features" in document:
        return _of_items(as_objects(document.get("features")), ())
    if kind in _CATALOGUES or (kind is None and "assets" not in document):
        links = as_objects(document.get("links"))
        followed = [
            as_text(one.get("href")) for one in links if one.get("rel") in ("item", "child")
        ]
        own = next((as_text(one.get("href")) for one in links if one.get("rel") == "self"), None)
        return _Content(links=tuple(href for href in followed if href), own=own)
    return _of_items((document,), ())


def _of_items(objects: tuple[Mapping[str, Any], ...], faults: tuple[str, ...]) -> _Content:
    items = []
    for number, one in enumerate(objects):
        with damage_as(DocumentError, f"its item {number + 1} cannot be understood"):
            item = parse_item(one)
        if item is not None:
            items.append(item)
    unusable = len(objects) - len(items)
    if unusable and objects:
        faults = (*faults, f"{unusable} of {len(objects)} entries are no STAC items")
    twice = len(items) - len({item.id for item in items})
    if twice:
        faults = (*faults, f"{twice} identifiers of items occur more than once; the first counts")
    return _Content(tuple({item.id: item for item in reversed(items)}.values())[::-1], faults)


@dataclass
class _Walk:
    """A walk along the links of a catalogue, within its folder."""

    root: Path
    items: list[tuple[Path, Item]] = field(default_factory=list)
    _seen: set[Path] = field(default_factory=set)
    _outside: list[str] = field(default_factory=list)
    _dead: list[str] = field(default_factory=list)
    _others: list[str] = field(default_factory=list)

    def follow(self, path: Path, content: _Content, depth: int) -> None:
        """Take the items that a catalogue links to, and those of catalogues below it."""
        self._seen.add(path)
        self._others += content.faults
        for item in content.items:
            self.items.append((path, item))
        for href in content.links or ():
            target = _target(href, path, content.own)
            if target is None or not target.is_relative_to(_normal(self.root.parent)):
                self._outside.append(href)
            elif target not in self._seen:
                self._visit(target, href, depth)

    def _visit(self, target: Path, href: str, depth: int) -> None:
        if len(self._seen) >= MAX_FILES or depth >= MAX_DEPTH:
            self._others.append(
                f"its links lead to more than {MAX_FILES} files, or deeper than "
                f"{MAX_DEPTH} catalogues"
            )
            return
        try:
            status = target.stat()
            content = _content(target, status.st_size, status.st_mtime_ns)
        except (DocumentError, OSError) as error:
            self._seen.add(target)
            reason = str(error) if isinstance(error, DocumentError) else error.strerror
            self._dead.append(f"{href}: {reason}")
            return
        if content.links is None and not content.items:
            self._dead.append(f"{href}: it holds no STAC item")
        self.follow(target, content, depth + 1)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the links, as texts."""
        return tuple(self._texts())

    def _texts(self) -> Iterator[str]:
        if self._dead:
            yield f"{len(self._dead)} of its links lead to no file of items ({_few(self._dead)})"
        if self._outside:
            yield (
                f"{len(self._outside)} of its links lead out of its folder or to the web, and are "
                f"not followed ({_few(self._outside)}); save those items as an item collection"
            )
        yield from dict.fromkeys(self._others)


def _target(href: str, catalogue: Path, own: str | None) -> Path | None:
    """Return the file that a link of a catalogue leads to; None for one on the web.

    An absolute link below the catalogue's own address leads to the copy in the same folder.
    """
    href = local_of(href)
    base = local_of(own or "").rpartition("/")[0]
    is_absolute = bool(urlsplit(href).scheme) or href.startswith("/")
    if is_absolute and base and href.startswith(f"{base}/"):
        href = href[len(base) + 1 :]
    if urlsplit(href).scheme:
        return None
    bare = href.partition("#")[0].partition("?")[0]
    plain = catalogue.parent / bare
    return _normal(plain if plain.exists() else catalogue.parent / unquote(bare))


def _normal(path: Path) -> Path:
    """Return a path without ``..``, whatever links it leads through."""
    return Path(os.path.normpath(path))


def _few(texts: list[str]) -> str:
    shown = "; ".join(text[:200] for text in texts[:_SHOWN])
    return f"{shown} ..." if len(texts) > _SHOWN else shown
