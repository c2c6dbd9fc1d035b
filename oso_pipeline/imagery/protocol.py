"""Protocol of readers of product families, and requests to them.

Another family (STAC, Landsat, Venus) joins by a reader that follows `Reader` and a plug-in
that names it: see ``docs/write_your_own_reader.md``. Nothing else changes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from oso_pipeline.config import Config
from oso_pipeline.config.readers import ReaderSettings
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.clear import ClearPolicy


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder or archive that a reader takes for one of its products.

    Parameters
    ----------
    path
        The folder or archive.
    family
        The reader that claims it.
    product_id
        Name of the product.
    tile
        The Sentinel-2 tile it belongs to, ``31TCJ``; None where it belongs to none.
    acquired
        Date and time of acquisition, UTC.
    observation
        Identifier shared by all versions of one acquisition and no other acquisition.
    rank
        Greater for the better of two products of one observation.
    token
        Private data of the reader; not used elsewhere.
    stem
        If several products share `path`: prefix of the file names of this one; see the reader
        with, in an archive with its folder in front, ``FOLDER/STEM``, or ``FOLDER/`` where the
        product has a folder of the archive. Empty where the product has the path to itself.
    platform
        The satellite, ``S2A``; empty where the name does not say, or of a composite.
    """

    path: Path
    family: str
    product_id: str
    tile: str | None
    acquired: datetime
    observation: tuple[str, ...]
    rank: tuple[int, ...] = ()
    token: str = ""
    stem: str = ""
    platform: str = ""

    def to_json(self) -> list[Any]:
        """Return the candidate as JSON values."""
        return [
            str(self.path),
            self.family,
            self.product_id,
            self.tile,
            self.acquired.isoformat(),
            list(self.observation),
            list(self.rank),
            self.token,
            self.stem,
            self.platform,
        ]

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> Candidate:
        """Return the candidate that :meth:`to_json` wrote."""
        path, family, product_id, tile, acquired, observation, rank, token, stem, platform = content
        return cls(
            Path(path),
            family,
            product_id,
            tile,
            datetime.fromisoformat(acquired),
            tuple(observation),
            tuple(rank),
            token,
            stem,
            platform,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """Requested parts of a product.

    Parameters
    ----------
    tile
        The tile that is read.
    bands
        Names of the bands.
    incomplete
        Whether a product that lacks a band is left out or stops the run.
    clear
        Rule that masks a pixel.
    readers
        Settings of the readers, in the order in which they are tried.
    """

    tile: str
    bands: tuple[str, ...]
    incomplete: Literal["skip", "error"]
    clear: ClearPolicy
    readers: tuple[ReaderSettings, ...]

    @classmethod
    def of(cls, config: Config, tile: str, families: Collection[str] | None = None) -> Request:
        """Return what the configuration wants of the products of a tile.

        Parameters
        ----------
        config, tile
            The configuration and the tile.
        families
            The families of which there are products; the settings of others have no part in
            the request. All by default.
        """
        imagery = config.imagery
        readers = tuple(r for r in imagery.readers if families is None or r.kind in families)
        return cls(tile, imagery.bands, imagery.incomplete, imagery.clear, readers)

    def to_json(self) -> dict[str, Any]:
        """Return what decides which products are used, as JSON values.

        The settings of a single reader stand beside the other keys, as before there were others.
        Bits of the cloud mask have no part in it: they change the rules of a product alone.
        """
        settings = [reader.model_dump(mode="json") for reader in self.readers]
        flat = {} if len(settings) != 1 else {k: v for k, v in settings[0].items() if k != "kind"}
        return {
            "tile": self.tile,
            "bands": list(self.bands),
            "incomplete": self.incomplete,
            "conservative": self.clear == "conservative",
            **(flat if len(settings) == 1 else {"readers": settings}),
        }


class Product(Protocol):
    """A product whose metadata have been read."""

    @property
    def candidate(self) -> Candidate:
        """The product as its metadata name it; its rank decides between versions."""
        ...

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every file that `request` needs, and return where and what they are.

        Returns None where an error was added to `problems`. A product may offer a method
        ``completes(other)``: whether it and another one of the same observation show different
        parts of the tile. Then both are used.
        """
        ...


class Reader(Protocol):
    """A reader of one product family; made from the settings of its kind.

    It may offer a method ``refuses(clear)``, which returns why a value of ``imagery.clear`` has no
    meaning for its products, None where it has one. ``composite = True`` says that each product is
    made of many acquisitions: then it is no pass of a satellite, its candidates name none, and a
    season that holds acquisitions besides is warned of. ``named(candidate)`` returns the
    :class:`~oso_pipeline.imagery.processing.Processing` that the name tells, ``stated(candidate)``
    that of the metadata, None where they cannot be read: ``oso check`` warns by them where products
    of a tile were made in different ways.

    Images that are slow to read in blocks, or cannot be, are copied once into the cache of the run.
    A reader of such products says of which kind they are in an attribute ``cached``: ``jp2``,
    ``zarr`` or ``remote``. It may offer a method ``cached_bytes(candidate, request)``, which
    returns the size of the sources that are copied, 0 where there is none; else `size_bytes` is
    taken for it.

    It may offer a method ``angles(acquisition)``, which returns the mean
    :class:`~oso_pipeline.imagery.angles.Angles` of sun and sensor that the metadata of the product
    state, None where they state none: leaf area and the like are only estimated with them.

    A method ``meaning(asset, value)`` returns in words why a value of a quality layer hides a pixel
    (``cloud``, ``cloud shadow``, ``outside the swath``), for ``oso explain``.

    An attribute ``delivery``, a :class:`~oso_pipeline.imagery.delivery.Delivery`, says how products
    are named and which files they have, so that `oso fetch` finds versions, takes the files that
    are read and notices what a download lacks.
    """

    family: str
    """The kind of its plug-in."""

    expected: str
    """Description of its products, for the message about unrecognised files."""

    def recognise(self, path: Path) -> Candidate | Sequence[Candidate] | None:
        """Return the product at `path`, or None if it is not one of this family.

        A reader of which several products may lie in one folder or zip returns all of them, each
        with its stem. Called for every folder and zip below the folders of images, so it should
        look at names first. A reader may name the folders within its products in an attribute
        ``folders``, in capitals: they are not searched. ``omits_cloudy = True`` says that the
        family has no images of scenes that were too cloudy to be processed: fewer passes are
        expected of it.

        A reader whose products are described by files other than zips names the ends of their
        names in an attribute ``files``, in lower case; then this is called for such files too. It
        may offer ``faults(path)``, which returns what of such a file is not used, each with one of
        `REASONS`, and ``images(path)``, which returns the images that such a file names, so that
        they are not taken for images of no product. ``check(candidates)`` returns problems of
        all its products together, each said once. ``access(acquisition)`` returns the addresses
        with which images on the web are fetched, by those of the inventory, where they differ.
        ``stated_place(candidate)`` returns the 10 m grid of such images, for planning.
        """
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
            Requested parts of it.
        problems
            Takes errors and warnings.
        """
        ...


READER_MEMBERS = ("family", "expected", "recognise", "digest", "size_bytes", "peek", "open")
"""Required members of a reader."""
