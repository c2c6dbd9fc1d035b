"""Which products in the format of MUSCATE lie in a folder or zip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from oso_pipeline.imagery.archive import ArchiveError, Contents, contents_of, stems_in
from oso_pipeline.imagery.file_names import AllowList, is_clutter, is_packed
from oso_pipeline.imagery.muscate.files import DAMAGE, METADATA, ending, read_metadata
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name

Named = tuple[ProductName, str]
"""Name of a product, and the stem of its files; the stem is empty where none can be read."""


def products_at(path: Path, needed: AllowList) -> tuple[Named, ...]:
    """Return the products at `path` whose files are those `needed`, of whatever level.

    Each stem with metadata is a product, and each that is the name of one. A folder or zip with
    the name of a product is one also where nothing of it can be read, so that it gets named;
    unless the product lies one folder deeper, as some programs unpack them.
    """
    is_zip = path.suffix.lower() == ".zip" and not path.is_dir()
    if path.name.upper() in needed.folders and not is_zip:
        return ()
    outer = parse_product_name(path.stem if is_zip else path.name)
    try:
        stems = stems_in(path, needed)
    except (ArchiveError, OSError):
        stems = {}
    found = []
    for stem, names in stems.items():
        has_metadata = ending(names, METADATA) is not None
        folder = outer if len(stems) == 1 else None
        contents = contents_of(path, Path(), needed, stem) if has_metadata else None
        if (name := _name(stem, folder, contents)) is not None:
            found.append((name, stem))
    if found or outer is None or (not is_zip and _lies_deeper(path, needed)):
        return tuple(found)
    return ((outer, ""),)


def _name(stem: str, outer: ProductName | None, contents: Contents | None) -> ProductName | None:
    """Return the name of a product; `contents` are its files where metadata are among them.

    That of its folder where it is alone there, unless its files name another acquisition; or
    else that of its files, or that in its metadata, or that of a folder within a zip.
    """
    of_files = parse_product_name(PurePosixPath(stem).name)
    if of_files is not None:
        # Files of another tile are refused, as E-IMAGE-CRS, rather than moved to that tile.
        of_folder = outer is not None and outer.zone != of_files.zone
        same = outer is not None and outer.observation == of_files.observation
        return outer if of_folder or same else of_files
    if outer is not None or contents is None:
        return outer
    try:
        stated = read_metadata(contents).name
    except (*DAMAGE, OSError):
        stated = None
    return stated or next(
        filter(None, map(parse_product_name, PurePosixPath(stem).parent.parts)), None
    )


def _lies_deeper(folder: Path, needed: AllowList) -> bool:
    """Return whether a folder without files of a product holds folders or archives with some."""
    return any(
        products_at(path, needed) if path.is_dir() else _is_archive(path)
        for path in _children(folder)
    )


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == ".zip" or is_packed(path.name)


def _children(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (Path(e.path) for e in entries if not is_clutter(e.name))
    except OSError:
        return
