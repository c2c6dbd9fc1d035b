"""Sections that come in kinds, each with the settings of a plug-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from oso_pipeline.core.errors import ConfigError, Problem
from oso_pipeline.core.plugins import Group, Plugin, built_in, plugins

_GROUP = "oso_plugins"


@dataclass(frozen=True)
class OfPlugins:
    """Annotation of a field that holds the settings of one of the plug-ins of a group.

    The plug-ins are looked up when the model is built, so the model must be declared with
    ``defer_build``: their settings derive from sections, which are not there before.

    Parameters
    ----------
    group
        Which plug-ins.
    default
        The kind where `kind` is absent; by default it has to be there.
    without
        Kinds that are not admitted here.
    """

    group: Group
    default: str = ""
    without: tuple[str, ...] = ()

    def kind_of(self, section: Any) -> str:
        """Return the kind that a section claims to be of; other than text is left to validation."""
        kind = section.get("kind") if isinstance(section, dict) else getattr(section, "kind", None)
        return kind if isinstance(kind, str) else self.default

    def __get_pydantic_core_schema__(
        self, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the union of the settings of all installed kinds, distinguished by `kind`.

        Raises
        ------
        ConfigError
            If settings do not derive from the class that is annotated (``E-PLUGIN-FAULT``).
        """
        found = plugins(self.group)
        offered = {kind: one for kind, one in found.items() if kind not in self.without}
        others = [one for one in offered.values() if not issubclass(one.settings, source)]
        if others:
            raise ConfigError(*(_not_derived(one, source) for one in others))
        kinds = {kind: handler.generate_schema(one.settings) for kind, one in offered.items()}
        return core_schema.tagged_union_schema(kinds, self.kind_of, metadata={_GROUP: self.group})


class OwnKinds(GenerateJsonSchema):
    """Makes the JSON schema of models without the kinds of other packages."""

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Return the schema of a union, of plug-ins those of this package."""
        group = schema.get("metadata", {}).get(_GROUP)
        if group is not None:
            ours = {plugin.kind for plugin in built_in(group)}
            choices = {kind: one for kind, one in schema["choices"].items() if kind in ours}
            schema = {**schema, "choices": choices}
        return super().tagged_union_schema(schema)


def _not_derived(plugin: Plugin, base: type[BaseModel]) -> Problem:
    return Problem(
        "E-PLUGIN-FAULT",
        f"the settings of {plugin.kind!r} do not derive from {base.__module__}.{base.__name__}",
        plugin.member,
        "fix or uninstall the package that offers it; see docs/plugins.md",
    )
