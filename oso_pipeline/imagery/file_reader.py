"""What readers of products of files have in common: digest, size, and a raster to look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from oso_pipeline.imagery.archive import (
    ArchiveError,
    Contents,
    FolderContents,
    ZipContents,
    contents_of,
)
from oso_pipeline.imagery.file_names import AllowList
from oso_pipeline.imagery.protocol import Candidate


class FileReader(ABC):
    """Part of a reader whose products are files in a folder or zip."""

    needed: AllowList
    """The files of a product that are ever read."""

    @abstractmethod
    def shown(self, contents: Contents) -> str | None:
        """Return the name of a 10 m raster of a product, None without one."""

    def contents(self, candidate: Candidate, target: Path = Path()) -> FolderContents | ZipContents:
        """Return the needed files of a product; an archive is extracted to `target`."""
        return contents_of(candidate.path, target, self.needed, candidate.stem)

    def digest(self, candidate: Candidate) -> str:
        """Return a digest of names and sizes of the files and of the content of metadata."""
        try:
            return self.contents(candidate).digest()
        except (ArchiveError, OSError) as error:
            return f"unreadable: {error}"

    def size_bytes(self, candidate: Candidate) -> int:
        """Return how many bytes the images of a product have."""
        try:
            return sum(self.contents(candidate).sizes.values())
        except (ArchiveError, OSError):
            return 0

    def peek(self, candidate: Candidate) -> Path | str | None:
        """Return a 10 m raster of the product that GDAL opens in place, None without one."""
        try:
            contents = self.contents(candidate)
            name = self.shown(contents)
            if name is None:
                return None
            if isinstance(contents, ZipContents):
                return contents.member_path(name)
            return contents.paths([name])[name]
        except (ArchiveError, OSError):
            return None
