"""The folder that is filled, and what of it is not products: parts, ledger, locks, quarantine."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.commit import temporary_beside
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.retrieval.transfer.part import sweep_parts

HOME = ".oso_fetch"
"""Name of the folder of everything that is not a product; hidden ones are not searched."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@-]{0,199}")
_TILE = re.compile(r"\d{2}[A-Z]{3}")


class UnsafeName(ValueError):
    """A name of a catalogue that is no name of a file; the text says which."""


@dataclass(frozen=True, slots=True)
class FetchFolder:
    """A folder of products that `oso fetch` fills.

    Parameters
    ----------
    into
        One of ``imagery.paths``: products lie in a folder of it for each tile. All else is below
        ``.oso_fetch`` of it, on the same file system, so that products appear there by a rename.
    """

    into: Path

    @property
    def home(self) -> Path:
        """Folder of what is not a product."""
        return self.into / HOME

    @property
    def ledger(self) -> Path:
        """What is known of each product, a line for each change."""
        return self.home / "ledger.jsonl"

    @property
    def log(self) -> Path:
        """What happened, for people."""
        return self.home / "log.jsonl"

    @property
    def parts(self) -> Path:
        """Folder of downloads that are not whole yet."""
        return self.home / "parts"

    @property
    def quarantine(self) -> Path:
        """Folder of downloads that are damaged where they come from."""
        return self.home / "quarantine"

    @property
    def locks(self) -> Path:
        """Folder of the locks of products and of the ledger."""
        return self.home / "locks"

    @property
    def catalogue(self) -> Path:
        """Folder of answers of catalogues."""
        return self.home / "catalogue"

    def place_of(self, tile: str) -> Path:
        """Return the folder of the products of a tile, ``T31TCJ``.

        Raises
        ------
        UnsafeName
            If it is no name of a tile.
        """
        bare = tile.removeprefix("T")
        if not _TILE.fullmatch(bare):
            raise UnsafeName(f"{tile!r} is not the name of a tile such as 31TCJ")
        return self.into / f"T{bare}"

    def prepare(self) -> None:
        """Make the folders, try whether files can be written, and remove forgotten parts.

        Raises
        ------
        EnvironmentFailure
            If that is refused (``E-FOLDER``).
        """
        probe = temporary_beside(self.home / "probe")
        with self.writing():
            for folder in (self.parts, self.quarantine, self.locks, self.catalogue):
                folder.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"")
            finally:
                with suppress(OSError):
                    probe.unlink()
            sweep_parts(self.parts, self.locks)

    def free_bytes(self) -> int:
        """Return the free disk space of this user."""
        return shutil.disk_usage(self.into if self.into.exists() else self.into.parent).free

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raise EnvironmentFailure where the system refuses to write below the folder.

        Raises
        ------
        EnvironmentFailure
            ``E-DISK`` where the disk is full, else ``E-FOLDER``.
        """
        try:
            yield
        except EnvironmentFailure:
            raise
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> EnvironmentFailure:
        reason, where = error.strerror or str(error), str(error.filename or self.into)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            with suppress(OSError):
                reason += f"; {self.free_bytes() / 1e6:.1f} MB are free"
            hint = (
                f"free space on the disk of {self.into}, or set `retrieval.keep_free_gb`, then run "
                "again: what came so far is kept"
            )
            return EnvironmentFailure(Problem("E-DISK", f"the disk is full: {reason}", where, hint))
        hint = "name a folder with write permission in `retrieval.into`"
        text = f"the folder cannot be written: {reason}"
        return EnvironmentFailure(Problem("E-FOLDER", text, where, hint))


def safe_name(name: str) -> str:
    """Return a name for a file or folder as it is.

    Examples
    --------
    >>> safe_name("S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022157.SAFE")
    'S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022157.SAFE'

    Raises
    ------
    UnsafeName
        If it is hidden, or has other than letters, digits and ``._+=@-``, or over 200 of them.
    """
    if not _SAFE.fullmatch(name):
        raise UnsafeName(f"{name[:80]!r} is not the name of a file")
    return name


def safe_path(name: str) -> Path:
    """Return a relative path that stays in its folder, of parts as of :func:`safe_name`.

    Examples
    --------
    >>> safe_path("GRANULE/L2A_T31TCJ/MTD_TL.xml").as_posix()
    'GRANULE/L2A_T31TCJ/MTD_TL.xml'

    Raises
    ------
    UnsafeName
        If it leads out of the folder, is absolute or too long.
    """
    parts = name.split("/")
    if len(parts) > 12 or len(name) > 1000:
        raise UnsafeName(f"{name[:80]!r} is not a path of a product")
    return Path(*(safe_name(part) for part in parts))
