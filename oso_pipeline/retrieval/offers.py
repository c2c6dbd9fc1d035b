"""What a season needs, and what catalogues offer, in the same words for all providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Form = Literal["zip", "files"]
"""How a product comes: as one archive that stays one, or as files of a folder."""


@dataclass(frozen=True, slots=True)
class Need:
    """Products that are needed: those of a family, of a tile, between two days.

    Parameters
    ----------
    family
        Kind of the reader that reads them: ``safe``, ``stac``.
    tile
        Name of the Sentinel-2 tile, ``31TCJ``.
    first, last
        Days of acquisition, UTC, both included.
    """

    family: str
    tile: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that a provider offers.

    Parameters
    ----------
    name
        Name within the folder of the product, with ``/`` between folders; that of the archive for
        a product that is one.
    url
        ``https``, ``s3``, or ``file`` for a mirror folder; not signed yet.
    size_bytes
        As the catalogue states it; None where it does not.
    checksum
        Multihash in hexadecimal, as the catalogue states it (MD5: ``d50110`` and the sum).
    is_size_a_hint
        Whether the size may be that of another form of the product, so that it decides nothing.
    """

    name: str
    url: str
    size_bytes: int | None = None
    checksum: str | None = None
    is_size_a_hint: bool = False


def total_bytes(files: Iterable[RemoteFile]) -> int | None:
    """Return the size of some files together; None where that of one is not stated."""
    sizes = [one.size_bytes for one in files]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


@dataclass(frozen=True)
class Offer:
    """A product as one provider offers it.

    Parameters
    ----------
    provider
        Name of the provider in the table.
    need
        What it was searched for.
    product_id
        Name of the product as its family names it, without the end of a file, for example
        ``S2A_MSIL2A_..._20180102T...`` without ``.SAFE``; the same with each provider.
    acquired
        Date and time of acquisition, UTC: never that of publication.
    observation
        Shared by all versions of one acquisition, as of `imagery.protocol.Candidate`.
    rank
        Greater for the newer of two versions, as of `imagery.protocol.Candidate`.
    form, files
        How it comes; one file for an archive.
    entry
        Identifier of the entry in the catalogue (URN, UUID), which changes when a product is
        published again.
    is_online
        What the catalogue says; it is a hint only. None where it says nothing.
    cloud_percent
        What the catalogue says; a hint only.
    endpoint
        Address in the store of the provider by which it is looked up whether the product is on
        tape; empty where there is none.
    footprint
        What it shows, a geometry of GeoJSON in longitude and latitude; None where it is not known.
    document
        The STAC item, where the family is described by one.
    """

    provider: str
    need: Need
    product_id: str
    acquired: datetime
    observation: tuple[str, ...]
    rank: tuple[int, ...]
    form: Form
    files: tuple[RemoteFile, ...]
    entry: str = ""
    is_online: bool | None = None
    cloud_percent: float | None = None
    endpoint: str = ""
    footprint: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size_bytes(self) -> int | None:
        """Size of all files; None where the catalogue does not state that of each."""
        return total_bytes(self.files)


@dataclass(frozen=True)
class Answered:
    """What a catalogue answered to a search.

    Parameters
    ----------
    offers
        Each entry once.
    n_matched
        How many the catalogue says that there are; None where it does not.
    faults
        What was wrong with the answer, for the log: entries that cannot be understood, doubles.
    as_of
        When the catalogue answered, UTC, where this comes from the disk; None for an answer of now.
    is_whole
        Whether all that the catalogue counts was had.
    """

    offers: tuple[Offer, ...]
    n_matched: int | None = None
    faults: tuple[str, ...] = ()
    as_of: datetime | None = None
    is_whole: bool = True
