"""Members of other packages: readers of images, learners, sources of labels.

A package offers a member by an entry point whose name is its kind and whose object is a `Plugin`.
Those of this package stand in `BUILT_IN`. A plug-in is light: it brings the model of its settings,
and names the member, which is imported when it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from typing import Any, Literal

from pydantic import BaseModel

from oso_pipeline.core.errors import ConfigError, Problem

Group = Literal["readers", "learners", "sources"]

BUILT_IN: Mapping[Group, tuple[str, ...]] = {
    "readers": (
        "oso_pipeline.imagery.muscate:PLUGIN",
        "oso_pipeline.imagery.safe:PLUGIN",
        "oso_pipeline.imagery.l3a:PLUGIN",
        "oso_pipeline.imagery.stac:PLUGIN",
        "oso_pipeline.imagery.eopf:PLUGIN",
    ),
    "learners": (
        "oso_pipeline.learners.forest:PLUGIN",
        "oso_pipeline.learners.attention:PLUGIN",
        "oso_pipeline.learners.mean:PLUGIN",
    ),
    "sources": tuple(
        f"oso_pipeline.reference.databases.kinds:{name}"
        for name in ("VECTOR", "RPG", "BDTOPO", "CLC", "BDFORET", "RANDOLPH")
    ),
}
"""Plug-ins of this package as ``module:attribute``, in the order of the docs."""

RESERVED_KEYS: Mapping[Group, frozenset[str]] = {
    "readers": frozenset({"paths", "tile", "tiles", "bands", "incomplete", "conservative"}),
    "learners": frozenset({"seed", "classes"}),
    "sources": frozenset({"erosion_m", "unknown_codes", "split"}),
}
"""Names that the settings of a plug-in may not use: the program's own keys beside them."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A member that joins one of the groups.

    Parameters
    ----------
    kind
        Its name in the configuration, the value of ``kind``.
    settings
        Model of its settings: a pydantic model with a field ``kind`` that admits `kind` alone.
    member
        Object as ``module:attribute``; imported when it is first used.
    """

    kind: str
    settings: type[BaseModel]
    member: str

    def load(self) -> Any:
        """Return the member.

        Raises
        ------
        ConfigError
            If it cannot be imported (``E-PLUGIN-LOAD``).
        """
        return _imported(self.member, f"plug-in {self.kind}")


@cache
def plugins(group: Group) -> Mapping[str, Plugin]:
    """Return the plug-ins of a group by kind, those of this package first.

    Raises
    ------
    ConfigError
        If two are of one kind, one cannot be imported, or its settings do not fit; all at once.
    """
    found: dict[str, tuple[str, Plugin]] = {}
    problems: list[Problem] = []
    offers = [("oso_pipeline", plugin) for plugin in built_in(group)]
    for point in sorted(entry_points(group=f"oso_pipeline.{group}"), key=lambda p: p.name):
        try:
            offers.append((_package(point), _imported(point.value, f"entry point {point.name}")))
        except ConfigError as error:
            problems.extend(error.problems)
    for package, plugin in offers:
        fault = _fault(group, plugin)
        if fault is None and plugin.kind in found:
            fault = f"{found[plugin.kind][0]} offers the kind {plugin.kind!r} already"
        if fault is None:
            found[plugin.kind] = (package, plugin)
        else:
            problems.append(
                Problem(
                    "E-PLUGIN-FAULT",
                    f"a plug-in of {group} cannot be used: {fault}",
                    package,
                    f"fix or uninstall {package}; see docs/plugins.md",
                )
            )
    if problems:
        raise ConfigError(*problems)
    return {kind: plugin for kind, (_, plugin) in found.items()}


def built_in(group: Group) -> tuple[Plugin, ...]:
    """Return the plug-ins of this package, in the order of the docs."""
    return tuple(_imported(place, place) for place in BUILT_IN[group])


def plugin_of(group: Group, kind: str) -> Plugin:
    """Return the plug-in of a kind.

    Raises
    ------
    ConfigError
        If it is not installed; the message names the kinds that are (``E-PLUGIN-KIND``).
    """
    known = plugins(group)
    if kind not in known:
        raise ConfigError(
            Problem(
                "E-PLUGIN-KIND",
                f"found kind {kind!r} of {group}, installed: {', '.join(known)}",
                None,
                "correct `kind`, or install the package that offers it",
            )
        )
    return known[kind]


def _fault(group: Group, plugin: Any) -> str | None:
    """Return the fault of a plug-in; None if it has none."""
    if not isinstance(plugin, Plugin):
        return f"found a {type(plugin).__name__}, expected an oso_pipeline.core.plugins.Plugin"
    fields = getattr(plugin.settings, "model_fields", None)
    if fields is None:
        return f"the settings of {plugin.kind!r} are not a pydantic model"
    if reserved := sorted(RESERVED_KEYS[group] & set(fields)):
        return f"the settings of {plugin.kind!r} use the reserved key {', '.join(reserved)}"
    if "kind" not in fields or fields["kind"].annotation != Literal[plugin.kind]:
        return f"the settings of {plugin.kind!r} lack the field `kind: Literal[{plugin.kind!r}]`"
    return None


def _imported(place: str, what: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return attrgetter(attribute)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            Problem(
                "E-PLUGIN-LOAD",
                f"{what} cannot be imported from {place}: {error}",
                None,
                "install what it needs, or uninstall the package that offers it",
            )
        ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
