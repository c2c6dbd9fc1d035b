"""The catalogue of a provider, by its protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from oso_pipeline.retrieval.catalogues.geodes import Geodes
from oso_pipeline.retrieval.catalogues.listings import FolderTree, Reads, Tree, WebTree
from oso_pipeline.retrieval.catalogues.mirror import Mirror
from oso_pipeline.retrieval.catalogues.odata import OData
from oso_pipeline.retrieval.catalogues.paged import Asks, Dialect, PagedCatalogue
from oso_pipeline.retrieval.catalogues.protocol import Catalogue
from oso_pipeline.retrieval.catalogues.stac import Stac
from oso_pipeline.retrieval.provider_table import Provider

_DIALECTS: Mapping[str, Callable[[str, Provider, Asks], Dialect]] = {
    "geodes": Geodes,
    "stac": Stac,
    "odata": OData,
}


class Serves(Asks, Reads, Protocol):
    """What all catalogues together use of a session."""


def catalogue_of(name: str, provider: Provider, session: Serves) -> Catalogue:
    """Return the catalogue of a provider.

    Parameters
    ----------
    name, provider
        The provider and its name in the table.
    session
        Sends the requests.
    """
    if provider.protocol == "mirror":
        return Mirror(name, provider, _tree_of(provider.address, session))
    dialect = _DIALECTS[provider.protocol](name, provider, session)
    return PagedCatalogue(name, provider, dialect)


def is_on_this_machine(provider: Provider) -> bool:
    """Return whether a provider is a mirror folder, which is there without a network."""
    return provider.protocol == "mirror" and urlsplit(provider.address).scheme in ("", "file")


def _tree_of(address: str, session: Serves) -> Tree:
    """Return the folders of a mirror: on the web, or of this machine."""
    scheme = urlsplit(address).scheme
    if scheme in ("http", "https"):
        return WebTree(address.rstrip("/") + "/", session)
    place = unquote(urlsplit(address).path) if scheme == "file" else address
    return FolderTree(Path(place).expanduser())
