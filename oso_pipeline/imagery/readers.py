"""The readers of a configuration, found by the kind of their settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config.readers import ReaderSettings
from oso_pipeline.core.errors import ConfigError, Problem
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.imagery.protocol import READER_MEMBERS, Candidate, Reader


@dataclass(frozen=True)
class Readers:
    """Readers in the order in which they are tried.

    Parameters
    ----------
    readers
        One per family.
    """

    readers: tuple[Reader, ...]

    @classmethod
    def of(cls, settings: Iterable[ReaderSettings]) -> Readers:
        """Return the readers of the settings.

        Raises
        ------
        ConfigError
            If a plug-in is not installed, cannot be imported, or what it offers is not a reader
            (``E-PLUGIN-KIND``, ``E-PLUGIN-LOAD``, ``E-PLUGIN-FAULT``).
        """
        return cls(tuple(_made(one) for one in settings))

    def __getitem__(self, family: str) -> Reader:
        """Return the reader of a family."""
        return next(reader for reader in self.readers if reader.family == family)

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the products at `path` as the first reader that recognises them."""
        for reader in self.readers:
            found = reader.recognise(path)
            if isinstance(found, Candidate):
                return (found,)
            if found:
                return tuple(found)
        return ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of folders within products, in capitals."""
        return tuple(name for reader in self.readers for name in getattr(reader, "folders", ()))

    @property
    def expected(self) -> str:
        """Descriptions of products, for messages."""
        return "; or ".join(reader.expected for reader in self.readers)


def _made(settings: ReaderSettings) -> Reader:
    plugin = plugin_of("readers", settings.kind)
    reader: Reader = plugin.load()(settings)
    fault = None
    if missing := [name for name in READER_MEMBERS if not hasattr(reader, name)]:
        fault = f"lacks {', '.join(missing)}; expected {', '.join(READER_MEMBERS)}"
    elif reader.family != settings.kind:
        fault = f"is of family {reader.family!r}, expected the kind of its plug-in"
    if fault is not None:
        raise ConfigError(
            Problem(
                "E-PLUGIN-FAULT",
                f"the reader of kind {settings.kind!r} {fault}",
                plugin.member,
                "fix the package that offers it; see docs/write_your_own_reader.md",
            )
        )
    return reader
