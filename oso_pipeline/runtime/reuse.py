"""Let a run begin with what another run committed.

Resume compares keys and checksums, never where a file came from: what does not fit is made anew.
So files of another run can only save work, never change a result.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

_SEASONS = ("", "past/*/")
_PREPARED = ("reference.parquet*", "reference/**/*", "samples/**/*")
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def begin_with_preparation(other: Path, run_dir: Path) -> int:
    """Link the labels and samples of the run in `other` into `run_dir`, where it has none.

    A committed file is replaced, never written to, so that both runs may go on with a link; where
    the file system knows none, the file is copied. Inventories are not taken: they name files that
    were extracted into the folder of the other run.

    Parameters
    ----------
    other, run_dir
        Folders of runs.

    Returns
    -------
    int
        How many files were linked or copied.
    """
    found = {
        path for season in _SEASONS for what in _PREPARED for path in other.glob(season + what)
    }
    # Temporary files of a run under way begin with a dot.
    whole = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    return sum(_linked(path, run_dir / path.relative_to(other)) for path in whole)


def _linked(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(source, target)
        return True
    return False


def _copy(source: Path, target: Path) -> None:
    """Copy under another name first: a copy that is cut short must not bear the name."""
    if target.exists():
        raise FileExistsError(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.copy2(source, partial)
    partial.replace(target)
