"""Key ``imagery.readers``: which families of products are read, and how."""

from __future__ import annotations

from typing import Annotated, ClassVar

from oso_pipeline.config.plugin_section import OfPlugins
from oso_pipeline.config.section import Section
from oso_pipeline.core.plugins import built_in


class ReaderSettings(Section):
    """Common settings of all readers.

    A reader derives its own from it, with ``kind: Literal["its kind"] = "its kind"``, a docstring
    that says what it reads, and its keys. If products of its family are described by files
    other than zips, it names the ends of their names in `files`; ``imagery.paths`` may then name
    such a file.
    """

    files: ClassVar[tuple[str, ...]] = ()

    kind: str
    """Family of products."""


AnyReader = Annotated[ReaderSettings, OfPlugins("readers")]
"""Settings of a reader, selected by `kind`."""


def built_in_readers() -> tuple[ReaderSettings, ...]:
    """Return the settings of the readers of this package, all at their defaults."""
    made = tuple(plugin.settings() for plugin in built_in("readers"))
    return tuple(one for one in made if isinstance(one, ReaderSettings))
