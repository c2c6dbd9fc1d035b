"""Which of the offers of all providers are fetched, and from whom.

Two products of one tile and datatake are halves of the tile until their metadata show otherwise, so
both are fetched. Only a newer version of a product takes the place of an older one. Clouds decide
nothing: the cloud cover of a catalogue is that of the whole tile, and a cloudy scene has clear
parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from oso_pipeline.imagery.fetch_ledger import THERE, History, Key, Record
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.retrieval.offers import Offer

_VERSION = 2
"""The first numbers of a rank are the version of a product, in all families; what follows them
(time of production, profile) also differs between the halves of a tile."""

_Acquisition = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True)
class Wanted:
    """A product that is to be fetched.

    Parameters
    ----------
    offers
        Those of the providers, in the order in which they are tried.
    """

    offers: tuple[Offer, ...]

    @property
    def key(self) -> Key:
        """Family and name."""
        return key_of(self.offers[0])

    @property
    def size_bytes(self) -> int | None:
        """Size as the first catalogue states that does state one."""
        return next((one.size_bytes for one in self.offers if one.size_bytes is not None), None)

    def without_documents(self) -> Wanted:
        """Return the product without what is long and not needed once it is there."""
        return Wanted(tuple(replace(one, document={}, footprint=None) for one in self.offers))


@dataclass(frozen=True)
class Choice:
    """What is to be fetched, and what is not.

    Parameters
    ----------
    wanted
        Products to fetch, by date.
    there
        Names of the products that are there already.
    replaced
        Products that a newer version replaces, by their keys, with the name of the newer one; of
        those that are offered, and of those that were fetched before.
    """

    wanted: tuple[Wanted, ...]
    there: tuple[str, ...] = ()
    replaced: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stock:
    """What is there already.

    Parameters
    ----------
    candidates
        The products in the folders of images.
    history
        What the ledger says.
    is_there
        Whether what a record says that was published is still there.
    """

    candidates: Sequence[Candidate] = ()
    history: History = field(default_factory=History)
    is_there: Callable[[Record], bool] = lambda record: True

    def fetched(self) -> list[Record]:
        """Return the records of products that were fetched and are still there."""
        return [
            one for one in self.history.latest.values() if one.state in THERE and self.is_there(one)
        ]


@dataclass(frozen=True, slots=True)
class _Version:
    """A product of an acquisition, offered or there."""

    key: Key
    rank: tuple[int, ...]
    is_there: bool

    @property
    def number(self) -> tuple[int, ...]:
        return self.rank[:_VERSION]


def choose(offers: Iterable[Offer], order: Mapping[str, Sequence[str]], stock: Stock) -> Choice:
    """Choose among all offers.

    Parameters
    ----------
    offers
        Of all providers.
    order
        Names of providers in the order in which they are tried, by family.
    stock
        What is there already.
    """
    by_product: dict[Key, list[Offer]] = defaultdict(list)
    for offer in offers:
        if offer.provider in order.get(offer.need.family, ()):
            by_product[key_of(offer)].append(offer)
    versions = _versions(by_product, stock)
    wanted, there, replaced = [], [], dict[Key, str]()
    for group in versions.values():
        kept, older = _newest(group)
        replaced.update({one.key: kept[0].key[1] for one in older})
        for one in kept:
            if one.is_there:
                there.append(one.key[1])
            elif one.key in by_product:  # nobody offers some that were wanted before
                wanted.append(Wanted(_in_order(by_product[one.key], order[one.key[0]])))
    wanted.sort(key=lambda one: (one.offers[0].acquired, one.key))
    return Choice(tuple(wanted), tuple(sorted(there)), replaced)


def key_of(offer: Offer) -> Key:
    """Return family and name of an offered product."""
    return offer.need.family, offer.product_id


def _versions(offered: dict[Key, list[Offer]], stock: Stock) -> dict[_Acquisition, list[_Version]]:
    """Return all products, offered or there, by acquisition.

    Offers of one item under several names are put together, under the first of them.
    """
    found: dict[_Acquisition, dict[Key, _Version]] = defaultdict(dict)
    same: dict[tuple[_Acquisition, tuple[int, ...]], Key] = {}
    for record in stock.history.missing():
        acquisition = (record.family, record.tile, record.observation)
        found[acquisition][record.key] = _Version(record.key, record.rank, is_there=False)
    present: list[Candidate | Record] = [*stock.candidates, *stock.fetched()]
    for one in present:
        key = (one.family, one.product_id)
        acquisition = (one.family, one.tile or "", one.observation)
        found[acquisition][key] = _Version(key, one.rank, is_there=True)
        same[acquisition, one.rank] = key
    for key, offers in [*offered.items()]:
        first = offers[0]
        acquisition = (key[0], first.need.tile, first.observation)
        if key in found[acquisition] and found[acquisition][key].is_there:
            continue
        # Items of one product are named differently by each catalogue.
        other = same.get((acquisition, first.rank)) if _tells_items_apart(first) else None
        if other is not None:
            offered.setdefault(other, []).extend(offers)
            continue
        same[acquisition, first.rank] = key
        found[acquisition][key] = _Version(key, first.rank, is_there=False)
    return {acquisition: [*group.values()] for acquisition, group in found.items()}


def _tells_items_apart(offer: Offer) -> bool:
    """Return whether equal ranks of two items of an acquisition mean that they are the same."""
    return offer.form == "files" and any(offer.rank[_VERSION:])


def _newest(group: Sequence[_Version]) -> tuple[list[_Version], list[_Version]]:
    """Return what is kept of an acquisition, newest first, and what newer versions replace.

    Of a version that is offered for one half only, both halves of the version before are kept.
    """
    by_number: dict[tuple[int, ...], list[_Version]] = defaultdict(list)
    for one in sorted(group, key=lambda one: (one.rank, one.key), reverse=True):
        by_number[one.number].append(one)
    kept: list[_Version] = []
    older: list[_Version] = []
    most = 0
    for _, some in sorted(by_number.items(), reverse=True):
        (kept if len(some) > most else older).extend(some)
        most = max(most, len(some))
    return kept, older


def _in_order(offers: Iterable[Offer], names: Sequence[str]) -> tuple[Offer, ...]:
    """Return the offers of a product, the best provider first; of each the newest entry."""
    newest = {offer.provider: offer for offer in sorted(offers, key=lambda one: one.rank)}
    return tuple(newest[name] for name in names if name in newest)
