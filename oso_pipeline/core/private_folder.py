"""A folder for temporary files that only this user can write or read."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def private_folder(name: str) -> Path | None:
    """Return a folder of this user below that for temporary files; None where there is none.

    All processes of the user on a machine get the same one. A folder of that name that somebody
    else made, or that others can write to, is not used: what is read there may be code.
    """
    try:
        top = Path(tempfile.gettempdir()) / f"oso_pipeline-{os.geteuid()}"
        for folder in (top, top / name):
            folder.mkdir(mode=0o700, exist_ok=True)
            status = folder.lstat()
            is_mine = status.st_uid == os.geteuid() and not status.st_mode & 0o077
            if not stat.S_ISDIR(status.st_mode) or not is_mine:
                return None
    except OSError:  # no folder for temporary files, a full disk
        return None
    return folder
