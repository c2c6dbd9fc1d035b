"""Which images are copied: decided before any work, from the products found and their sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from oso_pipeline.config import Config
from oso_pipeline.config.seasons import cache_of_season
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.image_kinds import IN_PLACE, Kind
from oso_pipeline.imagery.protocol import Candidate, Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.season_check import period_of

SIZE_OF_COPY: Mapping[Kind, float] = {"jp2": 1.3, "zarr": 1.2, "remote": 1.2}
"""Bytes of a copy per byte of its source: somewhat more than measured, so that a limit holds."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A product whose images are copied.

    Parameters
    ----------
    candidate
        The product.
    kind
        Of its images.
    source_bytes
        Size of the images that are copied.
    """

    candidate: Candidate
    kind: Kind
    source_bytes: int

    @property
    def bytes_written(self) -> int:
        """Expected size of the copies."""
        return int(self.source_bytes * SIZE_OF_COPY[self.kind])


@dataclass(frozen=True)
class Choice:
    """The products that are copied, and those that would be if more fitted.

    Parameters
    ----------
    copied
        In the order in which they were chosen.
    left_out
        Products beyond the limit.
    limit_bytes
        Most bytes of all copies; None without a limit.
    """

    copied: tuple[Copied, ...]
    left_out: tuple[Copied, ...] = ()
    limit_bytes: float | None = None

    def of_tile(self, candidates: Iterable[Candidate]) -> tuple[Copied, ...]:
        """Return what is copied of some candidates."""
        wanted = set(candidates)
        return tuple(one for one in self.copied if one.candidate in wanted)

    def problems(self) -> Problems:
        """Return what the limit leads to: an error where images can only be read from a copy."""
        problems = Problems()
        if self.limit_bytes is None:
            return problems
        limit = f"imagery.cache.max_gb allows {self.limit_bytes / 1e9:.3g} GB"
        needed = [one for one in chain(self.copied, self.left_out) if one.kind not in IN_PLACE]
        if any(one.kind not in IN_PLACE for one in self.left_out):
            size = sum(one.bytes_written for one in needed) / 1e9
            problems.error(
                "E-CACHE-SIZE",
                f"the images of {counted(len(needed), 'product')} can only be read from a copy, "
                f"which takes about {size:.3g} GB; {limit}",
                "imagery.cache.max_gb",
                f"set it to {size * 1.05:.2g} or more, or to null, or map fewer tiles",
            )
        elif self.left_out and self.limit_bytes > 0:
            problems.warn(
                "W-CACHE-SIZE",
                f"the JPEG 2000 images of {len(self.copied)} of "
                f"{counted(len(self.copied) + len(self.left_out), 'product')} are copied; {limit}",
                "imagery.cache.max_gb",
                "the others are read where they are: the same map, but each reading takes about "
                "twenty times as long",
            )
        return problems


def choose(config: Config, readers: Readers, products: Mapping[str, Sequence[Candidate]]) -> Choice:
    """Return the products to copy: what cannot be read in place, then as much as fits, by date.

    The order is that of dates, so that images which are added later displace no earlier ones.

    Parameters
    ----------
    config
        Of one season: of the map, with the past seasons that share the limit, or of a past one.
    readers
        Say what is slow to read in place.
    products
        The products found, by tile.
    """
    limit = cache_of_season(config).max_gb
    limit_bytes = None if limit is None else limit * 1e9
    found = sorted(_slow(config, readers, products), key=_order)
    copied: list[Copied] = []
    left_out: list[Copied] = []
    size = 0
    for one in found:
        if limit_bytes is None or size + one.bytes_written <= limit_bytes:
            copied.append(one)
            size += one.bytes_written
        else:
            left_out.append(one)
    return Choice(tuple(copied), tuple(left_out), limit_bytes)


def _slow(
    config: Config, readers: Readers, products: Mapping[str, Sequence[Candidate]]
) -> Iterable[Copied]:
    """Yield the products of the season whose readers say that their images are copied first."""
    period = period_of(config)
    for tile, candidates in products.items():
        request = Request.of(config, tile)
        for candidate in candidates:
            reader = readers[candidate.family]
            kind: Kind | None = getattr(reader, "cached", None)
            if kind is None or candidate.acquired not in period:
                continue
            sized = getattr(reader, "cached_bytes", None)
            size = sized(candidate, request) if sized else reader.size_bytes(candidate)
            if size:
                yield Copied(candidate, kind, size)


def _order(one: Copied) -> tuple[bool, str, str, str]:
    candidate = one.candidate
    named = (candidate.tile or "", candidate.product_id + str(candidate.path))
    return one.kind in IN_PLACE, candidate.acquired.isoformat(), *named
