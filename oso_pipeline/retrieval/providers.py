"""Loading the table of providers: that of this package, and over it a file of the user."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from oso_pipeline.config.findings import findings_of_details, nearest, shown
from oso_pipeline.config.layers import merge
from oso_pipeline.config.model import NAME_PATTERN
from oso_pipeline.config.nodes import Node, parse_yaml, read_yaml
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.retrieval.provider_table import Provider

_HINT = "the form of a provider is in docs/retrieval.md"
_OWN = "providers.yaml"

OF_DATABASES = "reference"
"""Key of a file of the user for databases of labels, see `reference_table`."""

Table = Mapping[str, Provider]
"""Providers by name, in the order in which they are used."""


def load_providers(file: Path | None = None) -> Table:
    """Return the table of providers.

    Parameters
    ----------
    file
        YAML file of the user. New names add providers. Of known ones, values replace those of the
        package key by key, but a `key` of another kind replaces the whole key, and an entry with
        a `protocol` replaces the whole provider. Paths of mirrors are relative to its folder.

    Raises
    ------
    ConfigError
        With all that is wrong with the file, and where.
    """
    if file is None:
        return _own_table()
    problems = Problems()
    above = read_yaml(file, problems)
    problems.raise_errors(ConfigError)
    if above is None:
        return _own_table()
    above = without_key(above, OF_DATABASES)
    table = _validated(_laid_over(_own_tree(), above), problems)
    problems.raise_errors(ConfigError)
    return table


def order_of(table: Table, names: tuple[str, ...], family: str) -> tuple[str, ...]:
    """Return the providers of a family, the preferred one first.

    Parameters
    ----------
    table
        All providers.
    names
        Those that the user names, in order; all where empty.
    family
        Kind of the reader of the products.
    """
    return tuple(name for name in names or table if family in table[name].collections)


def check_names(table: Table, names: tuple[str, ...], problems: Problems) -> None:
    """Record names of providers that are unknown (``E-FETCH-PROVIDER``)."""
    for name in names:
        if name not in table:
            close = nearest(name, table)
            problems.error(
                "E-FETCH-PROVIDER",
                f"there is no provider {name!r}, known: {', '.join(table)}",
                None,
                f"did you mean {close}?" if close else "add it to a file of providers",
            )


def without_key(tree: Node, key: str) -> Node:
    """Return a mapping without one of its keys."""
    kept = {name: value for name, value in tree.value.items() if name != key}
    return Node(kept, tree.where, tree.folder, tree.keys)


@cache
def _own_table() -> Table:
    tree, problems = _own_tree(), Problems()
    table = _validated(tree, problems)
    problems.raise_errors(ConfigError)
    return table


@cache
def _own_tree() -> Node:
    problems = Problems()
    text = (files("oso_pipeline.retrieval") / _OWN).read_text(encoding="utf-8")
    tree = parse_yaml(text, _OWN, Path(), problems)
    problems.raise_errors(ConfigError)
    assert tree is not None
    return tree


def _laid_over(below: Node, above: Node) -> Node:
    """Lay the table of the user over that of the package; kinds of keys are not mixed."""
    kept = dict(below.value)
    for name, given in above.value.items():
        if name in kept and given.child("protocol") is not None:
            kept[name] = Node({}, given.where, given.folder)  # in its place in the order
            continue
        key, known = given.child("key"), below.child(name)
        kind = key.child("kind") if key is not None else None
        own = known.child("key") if known is not None else None
        own_kind = own.child("kind") if own is not None else None
        if known is not None and kind and own_kind and kind.value != own_kind.value:
            values = {part: value for part, value in known.value.items() if part != "key"}
            kept[name] = Node(values, known.where, known.folder, known.keys)
    return merge(Node(kept, below.where, below.folder, below.keys), above)


def _validated(tree: Node, problems: Problems) -> Table:
    """Return the providers of a tree, and record what is wrong with some of them."""
    table: dict[str, Provider] = {}
    for name, node in tree.value.items():
        if not re.fullmatch(NAME_PATTERN, name):
            message = f"{shown(name)}: expected a name of letters, digits, _ . -"
            problems.error("E-CONFIG-VALUE", message, tree.keys.get(name), _HINT)
            continue
        try:
            content = json.dumps(node.plain())
            table[name] = _in_place(Provider.model_validate_json(content, strict=True), node)
        except ValidationError as error:
            known = _own_tree().value if name not in _own_tree().value else {}
            close = nearest(name, known)
            hint = f"did you mean {close}? {_HINT}" if close else _HINT
            details = [_below(name, one) for one in error.errors(include_url=False)]
            problems.extend(findings_of_details(details, tree, hint))
    return table


def _below(name: str, error: ErrorDetails) -> ErrorDetails:
    """Return an error of a provider as one of the table.

    Its place does not name the kind of a key, since keys of sections are called so too.
    """
    place = error["loc"]
    if place[:1] == ("key",) and len(place) > 1:
        place = ("key", *place[2:])
    return {**error, "loc": (name, *place)}


def _in_place(provider: Provider, node: Node) -> Provider:
    """Return a provider whose folder, if it is one, is found from everywhere."""
    address = node.child("address")
    if provider.protocol != "mirror" or "://" in provider.address or address is None:
        return provider
    place = os.path.abspath(address.folder / os.path.expanduser(provider.address))
    return provider.model_copy(update={"address": place})
