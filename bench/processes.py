"""What a command and the processes it starts take, read from /proc while they run."""

from __future__ import annotations

from pathlib import Path

import psutil


class Watch:
    """Watches a process and its descendants.

    Attributes
    ----------
    core_seconds
        To be filled in when the command has ended.

    Parameters
    ----------
    pid
        The command.
    """

    def __init__(self, pid: int) -> None:
        self.core_seconds = 0.0
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._read: dict[int, int] = {}

    def look(self) -> None:
        """Take down peaks and bytes of all processes that are there now."""
        try:
            family = psutil.Process(self._pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for pid in [self._pid, *(process.pid for process in family)]:
            self._peaks[pid] = max(self._peaks.get(pid, 0), 1024 * _field(pid, "status", "VmHWM"))
            self._read[pid] = max(self._read.get(pid, 0), _field(pid, "io", "rchar"))

    @property
    def peak_of_children(self) -> int:
        """Greatest resident memory of one descendant, bytes; of the command if it has none."""
        children = [peak for pid, peak in self._peaks.items() if pid != self._pid]
        return max(children or self._peaks.values(), default=0)

    @property
    def bytes_read(self) -> int:
        """Bytes that all processes have read from files, those in the page cache included."""
        return sum(self._read.values())


def _field(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)
