"""What a reader of a product family has to offer.

Another family (SAFE, STAC, Landsat, Venus) joins by a reader that follows `ProductReader`
and stands in `READERS` of :mod:`oso_pipeline.imagery.search`; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from oso_pipeline.config import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder or archive that a reader takes for one of its products.

    Parameters
    ----------
    path
        The folder or archive.
    family
        The reader that claims it.
    name
        Name of the product: that of the folder, or from the metadata where the folder was
        renamed.
    """

    path: Path
    family: str
    name: ProductName

    def to_json(self) -> list[str]:
        """Return the candidate as JSON values."""
        return [str(self.path), self.family, self.name.text]

    @classmethod
    def from_json(cls, content: Sequence[str]) -> Candidate:
        """Return the candidate that :meth:`to_json` wrote."""
        path, family, text = content
        name = parse_product_name(text)
        if name is None:
            raise ValueError(f"{text!r} is not a product name")
        return cls(Path(path), family, name)


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a product.

    Parameters
    ----------
    tile
        The tile that is read.
    reflectance
        FRE (corrected for slopes) or SRE.
    bands
        Names of the bands.
    incomplete
        Whether a product that lacks a band is left out or stops the run.
    conservative
        Whether the masks of the conservative policy, SAT_R2 and MG2_R1, are wanted too.
    """

    tile: str
    reflectance: Literal["FRE", "SRE"]
    bands: tuple[str, ...]
    incomplete: Literal["skip", "error"]
    conservative: bool

    @classmethod
    def of(cls, config: Config, tile: str) -> Request:
        """Return what the configuration wants of the products of a tile."""
        imagery = config.imagery
        return cls(
            tile,
            imagery.reflectance,
            imagery.bands,
            imagery.incomplete,
            imagery.clear == "conservative",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        return {
            "tile": self.tile,
            "reflectance": self.reflectance,
            "bands": list(self.bands),
            "incomplete": self.incomplete,
            "conservative": self.conservative,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Request:
        """Return the request that :meth:`to_json` wrote."""
        return cls(**{**content, "bands": tuple(content["bands"])})


class Product(Protocol):
    """A product whose metadata have been read."""

    @property
    def name(self) -> ProductName:
        """Name of the product as its metadata give it."""
        ...

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every file that `request` needs.

        Returns None where an error was added to `problems`.
        """
        ...


class ProductReader(Protocol):
    """A reader of one product family."""

    family: str

    def recognise(self, path: Path) -> Candidate | None:
        """Return the product at `path`, or None if it is none of this family."""
        ...

    def digest(self, candidate: Candidate) -> str:
        """Return a digest of names and sizes of the files and of the content of metadata."""
        ...

    def size_bytes(self, candidate: Candidate) -> int:
        """Return how many bytes the images of a product have."""
        ...

    def peek(self, candidate: Candidate) -> Path | str | None:
        """Return a 10 m raster of the product that GDAL opens in place, None without one."""
        ...

    def open(
        self, candidate: Candidate, extracted: Path, request: Request, problems: Problems
    ) -> Product | Skipped | None:
        """Read the metadata of a product; None where an error was added to `problems`.

        Parameters
        ----------
        candidate
            The product.
        extracted
            Folder below which an archive may be extracted.
        request
            What is wanted of it.
        problems
            Takes errors and warnings.
        """
        ...
