"""The files of a delivery, and its files that are still packed.

IGN delivers archives (``.7z``, ``.7z.001``), others ``.zip``. An archive with files beside it was
unpacked; any other archive is reported, since a department that is still packed would
be a hole of the map.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from oso_pipeline.core.errors import InputDataError, Problem, Problems

_ARCHIVE = re.compile(
    r"\.(7z|zip|tar|tgz|rar|tar\.(gz|bz2|xz|zst))(\.\d{3})?$|\.part\d+\.rar$", re.IGNORECASE
)
_OF_MACOS = "__MACOSX"
_SHOWN = 5
MAX_FILES = 300_000
"""BD TOPO of all of France has some 30,000."""


def files_below(path: Path) -> list[Path]:
    """Return the files of a folder at any depth, or the one file, sorted by path.

    Hidden folders are ignored, such as that of unfinished downloads, and the files that macOS adds
    to copies and archives, ``._NAME`` and ``__MACOSX``.

    Raises
    ------
    InputDataError
        If there are more than `MAX_FILES` (``E-DELIVERY-FILES``): a path such as ``/`` was
        probably not meant.
    """
    if path.is_file():
        return [path]
    found = []
    for root, folders, names in os.walk(path):
        folders[:] = [one for one in folders if one != _OF_MACOS and not one.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith("._")]
        if len(found) > MAX_FILES:
            message = f"more than {MAX_FILES:,} files lie below, and more follow (at {root})"
            hint = "name the folder that holds this database alone"
            raise InputDataError(Problem("E-DELIVERY-FILES", message, str(path), hint))
    return sorted(file for file in found if file.is_file())


def archives_left(
    files: Sequence[Path], is_here: Callable[[str], bool] = lambda name: False
) -> list[Path]:
    """Return the archives among the files of a delivery that nothing was unpacked from.

    Parameters
    ----------
    files
        All files of the delivery.
    is_here
        Function that returns, by the name of an archive, whether its content is there otherwise.
    """
    unpacked = {part for file in files if not _is_archive(file) for part in _names(file)}
    found = [file for file in files if _is_archive(file)]
    return [file for file in found if _stem(file) not in unpacked and not is_here(_stem(file))]


def report_archives(left: Iterable[Path], path: Path, is_all: bool, problems: Problems) -> None:
    """Name the archives that are not read.

    Problems found: an error where they are all there is (``E-DELIVERY-PACKED``), else a warning
    (``W-DELIVERY-PART-PACKED``).
    """
    names = sorted(file.name for file in left)
    if not names:
        return
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    hint = "unpack these into the folder, for example with `7z x FILE`; of parts, the first one"
    if is_all:
        message = f"only packed files are there, which are not read: {shown}{more}"
        problems.error("E-DELIVERY-PACKED", message, path, hint)
    else:
        message = f"files that are still packed are not read: {shown}{more}"
        problems.warn("W-DELIVERY-PART-PACKED", message, path, f"{hint}; or move them elsewhere")


def _is_archive(file: Path) -> bool:
    return _ARCHIVE.search(file.name) is not None


def _stem(file: Path) -> str:
    return _ARCHIVE.sub("", file.name)


def _names(file: Path) -> list[str]:
    return [file.stem, *(parent.name for parent in file.parents)]
