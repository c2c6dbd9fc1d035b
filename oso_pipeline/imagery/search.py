"""Finding products below the folders of the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers

MAX_DEPTH = 3
"""At most this many folders lie between a path of the configuration and a product."""

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
        return tuple(c for c in self.candidates if c.tile == tile)

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


def find_products(folders: Iterable[Path], readers: Readers, problems: Problems) -> Findings:
    """Look for products below `folders`.

    Folders of products are recognised by name and not entered, so that this stays fast with
    thousands of products. A folder that does not exist is reported to `problems`.
    """
    search = _Search(readers)
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
        itself = readers.recognise(folder)
        if itself is not None:
            search.candidates.append(itself)
        else:
            search.enter(folder, 1)
    return Findings(tuple(dict.fromkeys(search.candidates)), tuple(dict.fromkeys(search.strangers)))


@dataclass
class _Search:
    """A walk through folders, and what it came upon."""

    readers: Readers
    candidates: list[Candidate] = field(default_factory=list)
    strangers: list[Path] = field(default_factory=list)

    def enter(self, folder: Path, depth: int) -> None:
        """Look at what lies in a folder, and below it where it is not a product."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            self.strangers.append(folder)
            return
        for entry in found:
            path = Path(entry.path)
            is_folder = entry.is_dir()
            if entry.name.startswith(".") or not (is_folder or path.suffix.lower() == ".zip"):
                continue
            candidate = self.readers.recognise(path)
            if candidate is not None:
                self.candidates.append(candidate)
            elif not is_folder or _holds_images(path):
                self.strangers.append(path)
            elif depth <= MAX_DEPTH:
                self.enter(path, depth + 1)


def _holds_images(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(e.name.lower().endswith((".tif", ".tiff", ".jp2")) for e in entries)
    except OSError:
        return False
