"""How a case ended, and which ends are forbidden."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CLEAN = "clean error"
"""The command refused: a coded message names the file; no traceback, an exit code of 2 to 6."""
SAME = "same result"
"""The command went well, and what it made is what the undamaged input makes."""
REPORTED = "reported"
"""Another result, and a warning or the headline of a stage says what was left out."""
OTHER = "another input"
"""A foreign reader finds other valid values in the damaged file, so another result is due."""
FORBIDDEN = "forbidden"

CLEAN_CODES = frozenset({2, 3, 4, 5, 6})
_CODED = re.compile(r"error\[E-[A-Z0-9-]+\]")
_LEFT_OUT = re.compile(r"warning\[W-[A-Z0-9-]+\]|left out")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and all that it said."""

    code: int
    said: str


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Parameters
    ----------
    kind
        One of the classes above.
    why
        The reason, where it is forbidden.
    said
        The last that the command said.
    """

    kind: str
    why: str = ""
    said: str = ""

    @property
    def is_forbidden(self) -> bool:
        """Whether this must not happen."""
        return self.kind == FORBIDDEN

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def forbidden(why: str, ended: Ended | None = None) -> Outcome:
    """Return the outcome of what must not happen."""
    return Outcome(FORBIDDEN, why, ended.said[-6000:] if ended else "")


def crash(ended: Ended) -> Outcome | None:
    """Return why the end of a command is forbidden, whatever it was asked; None if it is not."""
    if _TRACEBACK in ended.said:
        return forbidden("traceback", ended)
    if ended.code not in CLEAN_CODES | {0}:
        return forbidden(f"exit code {ended.code}", ended)
    return None


def refused(ended: Ended, names: Iterable[str]) -> Outcome:
    """Evaluate a command that did not go well: its message has a code and names the file.

    Parameters
    ----------
    names
        Any of them names the file: itself, its product, its folder, its source.
    """
    if (found := crash(ended)) is not None:
        return found
    if ended.code != 2 and not _CODED.search(ended.said):
        return forbidden("no code in the message", ended)
    if not any(name in unwrapped(ended.said) for name in names):
        return forbidden(f"the message names none of {sorted(names)}", ended)
    return Outcome(CLEAN)


def is_reported(ended: Ended, names: Iterable[str]) -> bool:
    """Tell whether a command that went well said that something of the file was left out."""
    lines = unwrapped(ended.said).splitlines()
    told = [n for n, line in enumerate(lines) if _LEFT_OUT.search(line)]
    around = "\n".join("\n".join(lines[n : n + 3]) for n in told)
    headline = any(re.search(r"\d+ of \d+ products used.*left out", line) for line in lines)
    return headline or any(name in around for name in names)


def unwrapped(said: str) -> str:
    """Return a message as it was before a terminal broke its lines."""
    return said.replace("│", "").replace("\r", "")


def snapshot(folder: Path, apart: Iterable[str] = ("run",)) -> dict[str, str]:
    """Return what lies in a folder, by name, with a digest of each content."""
    import hashlib

    found = {}
    left_out = set(apart)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] in left_out:
            continue
        if path.is_file() and not path.is_symlink():
            found[str(inside)] = hashlib.blake2b(path.read_bytes()).hexdigest()
        else:
            found[str(inside)] = "folder" if path.is_dir() else "special"
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> Outcome | None:
    """Return what is forbidden about inputs that changed, or None."""
    new = after.keys() - before.keys()
    # Run folders that a changed configuration names lie where it says.
    runs = {name.split("/")[0] for name in new if name.endswith("activity/driver.json")}
    more = sorted(name for name in new if name.split("/")[0] not in runs)
    if more:
        return forbidden(f"written beside inputs: {more[:5]}")
    if names := [name for name in before if before[name] != after.get(name)]:
        return forbidden(f"inputs changed: {names[:5]}")
    return None
