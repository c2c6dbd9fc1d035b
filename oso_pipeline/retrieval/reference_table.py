"""The table of databases of labels: what is known of where they are, as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from oso_pipeline.config.findings import section_findings
from oso_pipeline.config.layers import merge
from oso_pipeline.config.nodes import Node, parse_yaml, read_yaml
from oso_pipeline.config.section import Section
from oso_pipeline.core.errors import ConfigError, Problem, Problems
from oso_pipeline.retrieval.provider_table import Limits, Provider
from oso_pipeline.retrieval.providers import OF_DATABASES

By = Literal["region", "department", "country"]

_OWN = "reference.yaml"
_HINT = "the form of a database is in docs/retrieval.md"


class _Database(Section):
    by: By
    """What a delivery covers."""
    hosts: tuple[str, ...] = ()
    """Hosts of files beside that of the address: requests and redirections go nowhere else."""
    edition: Literal["exact", "nearest"] = "exact"
    """exact: of the year of the source. nearest: the edition that is nearest to the middle of that
    year; the newest for a source without a year."""
    limits: Limits = Limits()
    """What the server allows."""
    state: Literal["recorded", "reported", "unverified"] = "unverified"
    """What is known of the addresses; see docs/retrieval.md."""


class FeedDatabase(_Database):
    """A database with a list of its editions in Atom, as of the Géoplateforme."""

    form: Literal["feed"]
    address: str
    """Of the list."""
    title: str
    """Pattern of the titles of editions, with groups `format`, `zone` and `date`."""
    formats: tuple[str, ...] = ()
    """Formats in order of preference."""
    whole: tuple[str, ...] = ()
    """Zones that cover the country, in order of preference; taken where a zone is not offered."""

    @model_validator(mode="after")
    def _pattern(self) -> Self:
        try:
            groups = re.compile(self.title).groupindex
        except re.error as error:
            raise ValueError(f"title is no pattern: {error}") from None
        if lacking := {"format", "zone", "date"} - {*groups}:
            raise ValueError(f"title lacks the groups {', '.join(sorted(lacking))}")
        return self

    @property
    def provider(self) -> Provider:
        """The server, as a session needs it."""
        return _provider(self.address, self)


class ListedEdition(Section):
    """An edition whose files are listed here."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$")
    """Name of the folder that it gets."""
    files: tuple[str, ...] = Field(min_length=1)
    """Addresses: an archive, or its parts in order."""
    checksums: tuple[str, ...] = ()
    """Multihash of each file, in hexadecimal, where they are known."""


class FilesDatabase(_Database):
    """A database whose editions are listed here."""

    form: Literal["files"]
    editions: dict[int, ListedEdition] = Field(min_length=1)
    """By year."""

    @property
    def provider(self) -> Provider:
        """The server, as a session needs it."""
        return _provider(next(iter(self.editions.values())).files[0], self)


Database = Annotated[FeedDatabase | FilesDatabase, Field(discriminator="form")]
DatabaseTable = Mapping[str, FeedDatabase | FilesDatabase]
"""Databases by name: the kind of the source, or ``admin_express``."""


class _Table(Section):
    databases: dict[str, Database]


def load_databases(file: Path | None = None) -> DatabaseTable:
    """Return the table of databases.

    Parameters
    ----------
    file
        File of the user, whose key `reference` is laid over the table of the package.

    Raises
    ------
    ConfigError
        With all that is wrong with the file, and where.
    """
    tree, problems = _own_tree(), Problems()
    if file is not None:
        above = read_yaml(file, problems)
        problems.raise_errors(ConfigError)
        own = above.child(OF_DATABASES) if above is not None else None
        if own is not None:
            if not isinstance(own.value, dict):
                text = f"{OF_DATABASES}: found {own.value!r}, allowed: databases by name"
                raise ConfigError(Problem("E-CONFIG-VALUE", text, own.where, _HINT))
            tree = merge(tree, own)
    return _validated(tree)


def _validated(tree: Node) -> DatabaseTable:
    whole = Node({"databases": tree}, tree.where, tree.folder)
    try:
        return _Table.model_validate_json(json.dumps(whole.plain())).databases
    except ValidationError as error:
        raise ConfigError(*section_findings(error, whole, _HINT)) from None


@cache
def _own_tree() -> Node:
    problems = Problems()
    text = (files("oso_pipeline.retrieval") / _OWN).read_text(encoding="utf-8")
    tree = parse_yaml(text, _OWN, Path(), problems)
    problems.raise_errors(ConfigError)
    assert tree is not None
    return tree


def _provider(address: str, database: _Database) -> Provider:
    return Provider(
        protocol="mirror",
        address=address,
        hosts=database.hosts,
        collections={},
        limits=database.limits,
    )
