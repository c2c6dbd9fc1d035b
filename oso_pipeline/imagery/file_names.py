"""Names of files: which of a product are needed, which are of the system, which are packed."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

_PACKED = re.compile(
    r"\.(tar|tar\.\w+|t[gbx]z|tbz2|tzst|7z|7z\.\d+|rar|zip\.\d+|z\d\d)$", re.IGNORECASE
)
_CLUTTER = re.compile(
    r"(?:^|[/\\])(?:\.(?!\.?(?:[/\\]|$))"  # hidden, but not . and ..
    r"|(?:__MACOSX|@eaDir|\$RECYCLE\.BIN|lost\+found)(?:[/\\]|$))",
    re.IGNORECASE,
)
"""Hidden names, and folders that systems leave beside files."""

_NOWHERE = (errno.ELOOP, errno.ENAMETOOLONG)
"""Errors of links that can never be followed; the system itself reports missing targets."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Which files of a product are ever read; all others are not looked at.

    Parameters
    ----------
    names
        Text that the file names must contain.
    folders
        Folders within that of the product which are searched too, by name; ``*`` stands for any
        folder.
    metadata
        Ends of the names of metadata: small files whose content enters the digest of a product.
    """

    names: re.Pattern[str]
    folders: tuple[str, ...] = ()
    metadata: tuple[str, ...] = (".xml",)

    def __contains__(self, name: str) -> bool:
        return self.names.search(name) is not None and not is_clutter(name) and is_text(name)

    def stem_of(self, name: str) -> str:
        """Return what a name begins with before the part that `names` describes."""
        match = self.names.search(name)
        return name if match is None else name[: match.start()]

    def belongs(self, name: str, stem: str) -> bool:
        """Return whether a file is needed and of the product with this stem; '' for any."""
        return name in self and (not stem or self.stem_of(name).casefold() == stem.casefold())


def is_clutter(path: str) -> bool:
    """Return whether a file is hidden or of the system: ``._name``, or below ``__MACOSX``.

    Examples
    --------
    >>> is_clutter("._a.tif"), is_clutter("__MACOSX/p/a.tif"), is_clutter("../a.tif")
    (True, True, False)
    """
    return _CLUTTER.search(path) is not None


def is_packed(name: str) -> bool:
    """Return whether a name is that of an archive which the user has to unpack, such as a tar."""
    return _PACKED.search(name) is not None


def is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8; the system allows any bytes in a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, a link to one, or a link that may not be followed.

    The last cannot be opened, and the error says why. A broken link is not one.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        return error.errno not in _NOWHERE


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file or a link to one; a link that leads nowhere is none.

    Raises
    ------
    OSError
        A link cannot be followed now, or not by this user.
    """
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno in _NOWHERE:
            return False
        raise
