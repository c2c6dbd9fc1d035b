"""Finding products below the folders of the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.muscate.reader import MuscateReader
from oso_pipeline.imagery.protocol import Candidate, ProductReader

MAX_DEPTH = 3
"""At most this many folders lie between a path of the configuration and a product."""

READERS: tuple[ProductReader, ...] = (MuscateReader(),)
"""The readers that are asked, in this order."""

_TILE_IN_PATH = re.compile(r"(?:^|[^A-Z0-9])T?(\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])(?![A-Z0-9])")


@dataclass(frozen=True)
class Findings:
    """What a search found.

    Parameters
    ----------
    candidates
        Products, in the order of their paths.
    strangers
        Archives, and folders with images, that no reader recognises.
    """

    candidates: tuple[Candidate, ...]
    strangers: tuple[Path, ...]

    def of_tile(self, tile: str) -> tuple[Candidate, ...]:
        """Return the products of one tile."""
        return tuple(c for c in self.candidates if c.name.tile == tile)

    def strangers_of(self, tile: str, is_first: bool) -> tuple[Path, ...]:
        """Return what is not recognised and may belong to `tile`.

        A path that names no tile is listed once, with the first tile of the configuration.
        """
        named = {path: _TILE_IN_PATH.findall(str(path)) for path in self.strangers}
        return tuple(
            path
            for path, tiles in named.items()
            if (tiles and tiles[-1] == tile) or (not tiles and is_first)
        )


def reader_of(family: str) -> ProductReader:
    """Return the reader of a product family."""
    return next(reader for reader in READERS if reader.family == family)


def find_products(folders: Iterable[Path], problems: Problems) -> Findings:
    """Look for products below `folders`.

    Folders of products are recognised by name and not entered, so that this stays fast with
    thousands of products. A folder that does not exist is reported to `problems`.
    """
    candidates: list[Candidate] = []
    strangers: list[Path] = []
    for folder in dict.fromkeys(folders):
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            problems.error(
                "E-INPUT-058",
                f"the folder of images {what}: {folder.absolute()}",
                folder,
                "correct `imagery.paths`; relative paths count from the configuration file",
            )
            continue
        itself = _recognise(folder)
        if itself is not None:
            candidates.append(itself)
        else:
            _search(folder, 1, candidates, strangers)
    return Findings(tuple(dict.fromkeys(candidates)), tuple(dict.fromkeys(strangers)))


def _search(folder: Path, depth: int, candidates: list[Candidate], strangers: list[Path]) -> None:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        strangers.append(folder)
        return
    for entry in found:
        path = Path(entry.path)
        is_folder = entry.is_dir()
        if entry.name.startswith(".") or not (is_folder or path.suffix.lower() == ".zip"):
            continue
        candidate = _recognise(path)
        if candidate is not None:
            candidates.append(candidate)
        elif not is_folder or _holds_images(path):
            strangers.append(path)
        elif depth <= MAX_DEPTH:
            _search(path, depth + 1, candidates, strangers)


def _recognise(path: Path) -> Candidate | None:
    return next(filter(None, (reader.recognise(path) for reader in READERS)), None)


def _holds_images(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(e.name.lower().endswith((".tif", ".tiff", ".jp2")) for e in entries)
    except OSError:
        return False
