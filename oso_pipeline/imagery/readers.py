"""The readers of a configuration, found by the kind of their settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config.readers import ReaderSettings
from oso_pipeline.core.errors import ConfigError, Problem
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.imagery.acquisition import Reason
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
        """Return the products at `path` as the first reader that recognises them.

        A file other than a zip is shown to the readers alone that name the end of its name.
        """
        named = path.name.lower().endswith(self.files) and not path.is_dir()
        for reader in self._naming(path) if named else self.readers:
            found = reader.recognise(path)
            if isinstance(found, Candidate):
                return (found,)
            if found:
                return tuple(found)
        return ()

    def faults(self, path: Path) -> tuple[tuple[Reason, str], ...]:
        """Return what is not used of a file that describes products, and why."""
        return tuple(
            fault
            for reader in self._naming(path)
            for fault in getattr(reader, "faults", _no_faults)(path)
        )

    def images(self, path: Path) -> Iterator[Path]:
        """Yield the images that a file which describes products names."""
        for reader in self._naming(path):
            yield from getattr(reader, "images", _no_images)(path)

    def check(self, candidates: Sequence[Candidate]) -> Iterator[Problem]:
        """Yield what readers say once of all their products together."""
        for reader in self.readers:
            own = [one for one in candidates if one.family == reader.family]
            if own and (check := getattr(reader, "check", None)):
                yield from check(own)

    def meaning(self, family: str, asset: str, value: int) -> str | None:
        """Return why a value of a quality layer hides a pixel, None where no reader says so."""
        for reader in self.readers:
            if reader.family == family and (meaning := getattr(reader, "meaning", None)):
                return str(meaning(asset, value))
        return None

    def _naming(self, path: Path) -> tuple[Reader, ...]:
        name = path.name.lower()
        return tuple(one for one in self.readers if name.endswith(_files(one)))

    @property
    def files(self) -> tuple[str, ...]:
        """Ends of the names of files that describe products."""
        return tuple(end for reader in self.readers for end in _files(reader))

    @property
    def families(self) -> tuple[str, ...]:
        """Kinds of the readers."""
        return tuple(reader.family for reader in self.readers)

    @property
    def composites(self) -> frozenset[str]:
        """Families whose products are made of many acquisitions."""
        return frozenset(one.family for one in self.readers if getattr(one, "composite", False))

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of folders within products, in capitals."""
        return tuple(name for reader in self.readers for name in getattr(reader, "folders", ()))

    @property
    def expected(self) -> str:
        """Descriptions of products, for messages."""
        return "; or ".join(reader.expected for reader in self.readers)


def _files(reader: Reader) -> tuple[str, ...]:
    return tuple(getattr(reader, "files", ()))


def _no_faults(path: Path) -> tuple[tuple[Reason, str], ...]:
    return ()


def _no_images(path: Path) -> tuple[Path, ...]:
    return ()


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
