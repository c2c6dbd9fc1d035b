"""A mirror: a folder of this machine, or a directory on the web, with products by their names.

Products may lie in folders of tiles and years, or all in one. Checksums are taken from files
``MD5SUMS`` and ``SHA256SUMS`` beside them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.stac.fields import as_mapping, as_text, as_tile
from oso_pipeline.imagery.stac.search import FAMILY as STAC
from oso_pipeline.retrieval.catalogues.entries import misfit, multihash
from oso_pipeline.retrieval.catalogues.items import offer_of
from oso_pipeline.retrieval.catalogues.listings import Listed, Tree, sums_in
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.names import Named, named
from oso_pipeline.retrieval.offers import Answered, Form, Need, Offer, RemoteFile
from oso_pipeline.retrieval.provider_table import Provider

MOST_FOLDERS = 5000
"""Folders, items and files of checksums that a search reads; folders of other tiles and years are
passed over."""

_DEPTH, _DEPTH_OF_PRODUCT = 4, 6
_YEAR = re.compile(r"^20\d\d$")
_SUMS = {"MD5SUMS": ("MD5", 32), "SHA256SUMS": ("SHA256", 64)}
_UNREAD = frozenset({"AUX_DATA", "HTML", "REP_INFO", "QI_DATA", "R60M"})
"""Folders within products that no reader looks into."""


@dataclass(frozen=True)
class Mirror:
    """The catalogue of a mirror.

    Parameters
    ----------
    name, provider
        The provider and its name in the table; its collections say which families it has.
    tree
        Its folders.
    """

    name: str
    provider: Provider
    tree: Tree

    def search(self, need: Need, deadline: Deadline) -> Answered:
        """Return all products of a need, by the names of archives and folders.

        Raises
        ------
        Failure
            If a folder cannot be listed before the deadline.
        """
        if need.family not in self.provider.collections:
            text = f"{self.name} has no collection for products of the kind {need.family}"
            raise Failure("E-FETCH-COLLECTION", text, self.provider.address)
        deadline = deadline.sooner(self.provider.limits.search_s)
        walk = _Walk(self, need, deadline)
        walk.enter("", 0)
        offers = {offer.product_id: offer for offer in walk.offers}
        faults = [
            f"{counted(number, 'product')} {reason}" for reason, number in walk.faults.items()
        ]
        ordered = sorted(offers.values(), key=lambda one: (one.acquired, one.product_id))
        return Answered(tuple(ordered), None, tuple(faults))

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return True: nothing of a mirror is on tape."""
        return True


@dataclass
class _Walk:
    """A search through the folders of a mirror."""

    mirror: Mirror
    need: Need
    deadline: Deadline
    offers: list[Offer] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    _steps: int = 0

    def enter(self, folder: str, depth: int) -> None:
        """Take the products of a folder and of those below it."""
        listed = self._listed(folder)
        sums = self._sums(listed)
        for one in listed:
            found = None if self.need.family == STAC else named(self.need.family, one.name)
            if found is not None:
                self._product(one, found, sums)
            elif self.need.family == STAC and one.name.lower().endswith(".json"):
                self._item(one)
            elif one.is_folder and depth < _DEPTH and self._may_hold(one.name):
                self.enter(one.path, depth + 1)

    def _product(self, one: Listed, found: Named, sums: dict[str, str]) -> None:
        is_zip = one.name.lower().endswith(".zip") and not one.is_folder
        if misfit(found, self.need) or not (is_zip or one.is_folder):
            return  # a mirror holds more than what is needed
        form: Form = "zip" if is_zip else "files"
        files = (
            (self._file(one, f"{found.product_id}.zip", sums),)
            if is_zip
            else tuple(self._files(one, "", 0))
        )
        if not files:
            self.faults["without a file"] += 1
            return
        self.offers.append(
            Offer(
                self.mirror.name,
                self.need,
                found.product_id,
                found.acquired,
                found.observation,
                found.rank,
                form,
                files,
                entry=f"{one.path} {one.mark}".strip(),
                is_online=True,
            )
        )

    def _item(self, one: Listed) -> None:
        """Take the product of a STAC item whose files lie in the mirror."""
        try:
            content = as_mapping(json.loads(self._text(one)))
        except (ValueError, RecursionError):
            self.faults["with an item that is not usable JSON"] += 1
            return
        base, root = self.mirror.tree.url(one.path), self.mirror.tree.url("").rstrip("/") + "/"
        assets = {}
        for key, asset in as_mapping(content.get("assets")).items():
            href = urljoin(base, as_text(as_mapping(asset).get("href")) or "")
            if href.startswith(root):
                assets[key] = {**asset, "href": href}
        found = offer_of(
            {**content, "assets": assets}, self.mirror.name, self.mirror.provider, self.need
        )
        if isinstance(found, Offer):
            self.offers.append(replace(found, entry=f"{one.path} {one.mark}".strip()))

    def _files(self, folder: Listed, before: str, depth: int) -> Iterator[RemoteFile]:
        """Yield the files of a product that is a folder, by their names within it."""
        listed = self._listed(folder.path)
        sums = self._sums(listed)
        for one in listed:
            name = f"{before}{one.name}"
            if not one.is_folder:
                yield self._file(one, name, sums)
            elif depth < _DEPTH_OF_PRODUCT and one.name.upper() not in _UNREAD:
                yield from self._files(one, f"{name}/", depth + 1)

    def _file(self, one: Listed, name: str, sums: dict[str, str]) -> RemoteFile:
        return RemoteFile(name, self.mirror.tree.url(one.path), one.size_bytes, sums.get(one.name))

    def _listed(self, folder: str) -> list[Listed]:
        self._step()
        return self.mirror.tree.listed(folder, self.deadline)

    def _text(self, one: Listed) -> str:
        self._step()
        return self.mirror.tree.text(one.path, self.deadline)

    def _step(self) -> None:
        """Count what is read of the mirror; raise where it is too much or takes too long."""
        address = self.mirror.provider.address
        if self.deadline.left_s <= 0:
            text = f"the search did not end in time, after {counted(self._steps, 'folder')}"
            raise Failure("E-FETCH-CATALOGUE", text, address, is_passing=True)
        self._steps += 1
        if self._steps > MOST_FOLDERS:
            text = f"the mirror has more than {MOST_FOLDERS} folders; sort its products by tile"
            raise Failure("E-FETCH-CATALOGUE", text, address)

    def _sums(self, listed: list[Listed]) -> dict[str, str]:
        """Return the checksums of the files of a folder, SHA-256 before MD5."""
        found: dict[str, str] = {}
        for name, (method, digits) in _SUMS.items():
            for one in listed:
                if one.name == name and not one.is_folder:
                    for file, value in sums_in(self._text(one), digits).items():
                        if (checksum := multihash(method, value)) is not None:
                            found[file] = checksum
        return found

    def _may_hold(self, name: str) -> bool:
        """Return whether a folder may hold what is needed: none of another tile or year."""
        tile = as_tile(name)
        if tile is not None:
            return tile == self.need.tile
        if _YEAR.match(name):
            return self.need.first.year <= int(name) <= self.need.last.year
        return not name.lower().endswith((".safe", ".zarr", ".zip"))
