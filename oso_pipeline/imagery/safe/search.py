"""Which SAFE products lie in a folder or zip."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from oso_pipeline.imagery.archive import ArchiveError, contents_of, member_names
from oso_pipeline.imagery.file_names import is_text
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.safe.files import DAMAGE, METADATA, NEEDED, OF_LEVEL_1, read_metadata
from oso_pipeline.imagery.safe.names import parse_granule_name, parse_sinergise_path
from oso_pipeline.imagery.sen2cor.candidates import LEVEL_1, candidate_of
from oso_pipeline.imagery.sen2cor.names import (
    observation_of,
    parse_product_name,
)
from oso_pipeline.imagery.zarr.store import is_store, roots_in

FAMILY = "safe"

SINERGISE = "sinergise"
"""Token of candidates in a layout that is named and not read."""

_IMAGE_STEM = re.compile(r"^(?:L2A_)?T(\d{2}[A-Z]{3})_(\d{8}T\d{6})_", re.IGNORECASE)


def products_at(path: Path) -> tuple[Candidate, ...]:
    """Return the products at `path`: by its name, or by the metadata or granule inside."""
    if path.is_dir():
        found = _of_folder(path)
        return () if found is None else (found,)
    return _of_zip(path) if path.suffix.lower() == ".zip" else ()


def _of_folder(folder: Path) -> Candidate | None:
    named = parse_product_name(folder.name)
    names = _names_in(folder)
    if is_store(names):
        return None  # a product of this name in another format
    if named is not None and not _lies_deeper(folder, names) and not _is_described(names):
        return candidate_of(FAMILY, folder, named)
    if "tileInfo.json" in names and (place := parse_sinergise_path(folder.absolute().as_posix())):
        return _bare(folder, folder.name, *place, SINERGISE)
    if any(METADATA.match(name) for name in names):
        return _identified(folder)
    if any(OF_LEVEL_1.match(name) for name in names):
        place = _place_of_images(folder)
        return _bare(folder, folder.name, *place, LEVEL_1) if place else None
    if "GRANULE" in names or parse_granule_name(folder.name):
        place = parse_granule_name(folder.name) or _place_of_images(folder)
        return _bare(folder, folder.name, *place) if place else None
    return None


def _of_zip(path: Path) -> tuple[Candidate, ...]:
    """Return a product per metadata file in a zip, or that which the zip is named after."""
    named = parse_product_name(re.sub(r"\.SAFE$", "", path.stem, flags=re.IGNORECASE))
    try:
        members = [PurePosixPath(name) for name in member_names(path)]
    except (ArchiveError, OSError):
        members = []
    roots = [m.parent for m in members if METADATA.match(m.name) or OF_LEVEL_1.match(m.name)]
    if len(roots) < 2:
        folder = parse_product_name(roots[0].name) if roots else None
        if named and not roots and members and roots_in(path):
            return ()  # a product of this name in another format
        if found := folder or named:
            return (candidate_of(FAMILY, path, found),)
        one = _identified(path) if roots else None
        return () if one is None else (one,)
    found_in = []
    for root in sorted(set(roots)):
        name, stem = parse_product_name(root.name), f"{root}/"
        one = candidate_of(FAMILY, path, name, stem) if name else _identified(path, stem)
        if one is not None:
            found_in.append(one)
    return tuple(found_in)


def _identified(path: Path, stem: str = "") -> Candidate | None:
    """Return a product under another name, by its metadata, or else by its images."""
    place = _place_of_images(path, stem)
    try:
        metadata = read_metadata(contents_of(path, Path(), NEEDED, stem))
    except (*DAMAGE, OSError):
        metadata = None
    if metadata is not None and metadata.name is not None:
        return candidate_of(FAMILY, path, metadata.name, stem)
    if place is None and metadata is not None and metadata.sensed and len(metadata.tiles) == 1:
        place = metadata.tiles[0], metadata.sensed
    return None if place is None else replace(_bare(path, path.name, *place), stem=stem)


def _place_of_images(path: Path, stem: str = "") -> tuple[str, datetime] | None:
    """Return tile and time by the names of the images of a product, or of its granule."""
    try:
        names = sorted(contents_of(path, Path(), NEEDED, stem).sizes)
    except (ArchiveError, OSError):
        names = []
    for name in names:
        if match := _IMAGE_STEM.match(name):
            return parse_granule_name(f"L2A_T{match[1].upper()}_A000000_{match[2]}")
    granules = _names_in(path / "GRANULE") if path.is_dir() else set()
    return next((place for one in sorted(granules) if (place := parse_granule_name(one))), None)


def _bare(path: Path, name: str, tile: str | None, moment: datetime, token: str = "") -> Candidate:
    """Return a product of which only tile and time are known."""
    observation = observation_of("S2", tile, moment)
    return Candidate(path, FAMILY, name, tile, moment, observation, rank=(0, 0, 0), token=token)


def _lies_deeper(folder: Path, names: set[str]) -> bool:
    """Return whether a folder of the name of a product only holds the product's folder or zip."""
    if "GRANULE" in names or any(name in NEEDED for name in names):
        return False
    below = (re.sub(r"\.zip$", "", name, flags=re.IGNORECASE) for name in names)
    return any(parse_product_name(name) for name in below)


def _is_described(names: set[str]) -> bool:
    """Return whether a folder holds no SAFE product but images that a file elsewhere describes."""
    own = {"GRANULE", "IMG_DATA", "R10m", "tileInfo.json"}
    if names & own or any(METADATA.match(name) or OF_LEVEL_1.match(name) for name in names):
        return False
    images = [name for name in names if name.lower().endswith((".tif", ".tiff", ".jp2"))]
    is_named = any(name in NEEDED for name in images)
    return bool(images) and (not is_named or any(name.lower().endswith(".json") for name in names))


def _names_in(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if is_text(name)}
    except OSError:
        return set()
