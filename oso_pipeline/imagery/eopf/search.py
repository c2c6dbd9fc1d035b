"""Which EOPF products lie in a folder or zip."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.eopf.metadata import parse_metadata
from oso_pipeline.imagery.metadata_file import MetadataError
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.sen2cor.candidates import candidate_of
from oso_pipeline.imagery.sen2cor.names import (
    ProductName,
    parse_product_name,
)
from oso_pipeline.imagery.zarr.array import Documents
from oso_pipeline.imagery.zarr.store import SUFFIX, is_store, open_store, roots_in

FAMILY = "eopf"

DAMAGE = (ArchiveError, MetadataError)
"""What is a fault of the product; errors of the system, such as a full disk, are not."""


def products_at(path: Path) -> tuple[Candidate, ...]:
    """Return the products at `path`: by its name, or by the attributes of the store."""
    if path.is_dir():
        found = _of_folder(path)
        return () if found is None else (found,)
    return _of_zip(path) if path.suffix.lower() == ".zip" else ()


def _of_folder(folder: Path) -> Candidate | None:
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    named = _product_name(folder.name)
    if not is_store(names):
        # Without its metadata, only the end of the name tells that a folder is a store.
        return candidate_of(FAMILY, folder, named) if named and SUFFIX.search(folder.name) else None
    return candidate_of(FAMILY, folder, named) if named else _identified(folder)


def _of_zip(path: Path) -> tuple[Candidate, ...]:
    """Return a product per store in a zip, or that which the zip is named after."""
    bare = path.name[: -len(path.suffix)]
    named = _product_name(bare)
    try:
        roots = roots_in(path)
    except (ArchiveError, OSError):
        return (candidate_of(FAMILY, path, named),) if named and SUFFIX.search(bare) else ()
    found = []
    for root in roots:
        stem = f"{root}/" if len(roots) > 1 else ""
        name = _product_name(PurePosixPath(root).name) or (named if len(roots) == 1 else None)
        one = candidate_of(FAMILY, path, name, stem) if name else _identified(path, stem)
        if one is not None:
            found.append(one)
    return tuple(found)


def _identified(path: Path, stem: str = "") -> Candidate | None:
    """Return a product under another name, by the attributes of its store; None if it is none."""
    try:
        metadata = parse_metadata(Documents(open_store(path, stem)).attributes())
    except (*DAMAGE, OSError):
        return None
    return None if metadata.name is None else candidate_of(FAMILY, path, metadata.name, stem)


def _product_name(text: str) -> ProductName | None:
    return parse_product_name(SUFFIX.sub("", re.sub(r"\.SAFE$", "", text, flags=re.IGNORECASE)))
