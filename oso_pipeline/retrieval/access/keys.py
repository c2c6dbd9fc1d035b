"""Keys of providers, from the environment or from a file that only its owner reads.

A key is never shown: not in a message, a file, a log, nor in what Python shows of an object.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.regular_files import open_regular

_MOST_BYTES = 65_536
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class Keys:
    """Values by the names of variables; the environment comes before the file.

    Parameters
    ----------
    environ
        Variables of the environment.
    filed
        What the file holds.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, filed: Mapping[str, str] | None = None
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._filed = dict(filed or {})

    @classmethod
    def of(cls, file: Path | None, environ: Mapping[str, str] | None = None) -> Keys:
        """Return the keys of the environment and of a file.

        Parameters
        ----------
        file
            Lines ``NAME=value``, comments with ``#``; None without.
        environ
            Variables of the environment; those of the process by default.

        Raises
        ------
        ConfigError
            If the file cannot be used, or others may read it (``E-FETCH-KEYS``).
        """
        problems = Problems()
        filed = read_keys(file, problems) if file is not None else {}
        problems.raise_errors(ConfigError)
        return cls(environ, filed)

    def __repr__(self) -> str:
        return f"Keys({len(self._filed)} of a file)"

    def __reduce__(self) -> str:
        raise TypeError("keys are not written anywhere")

    def get(self, name: str) -> str | None:
        """Return the value of a variable; None where it is not set, or empty."""
        return (self._environ.get(name) or self._filed.get(name) or "").strip() or None

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return which of some variables have no value."""
        return [name for name in names if self.get(name) is None]


def read_keys(file: Path, problems: Problems) -> dict[str, str]:
    """Read a file of keys, recording all that is wrong with it; no message holds a value.

    Problems (``E-FETCH-KEYS``): it cannot be read, others can read it, a line is not
    ``NAME=value``, a value holds characters that no key has, a name stands twice.
    """
    try:
        with open_regular(file) as opened:
            mode, owner = (status := os.fstat(opened.fileno())).st_mode, status.st_uid
            content = opened.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        hint = "write it with lines NAME=value, then `chmod 600` it"
        problems.error("E-FETCH-KEYS", f"the file of keys cannot be read: {reason}", file, hint)
        return {}
    if loose := stat.S_IMODE(mode) & 0o077:
        message = f"others than its owner may use the file of keys: found mode {mode & 0o777:03o}"
        if loose & 0o022:
            message = f"others than its owner may write the file of keys: mode {mode & 0o777:03o}"
        hint = f"expected 600: `chmod 600 {file.name}`; if others could read it, renew the keys"
        problems.error("E-FETCH-KEYS", message, file, hint)
    if owner not in (os.getuid(), 0):
        message = "the file of keys belongs to another user"
        problems.error("E-FETCH-KEYS", message, file, "copy it, so that it is yours")
    return _parsed(content, file, problems)


def _parsed(content: bytes, file: Path, problems: Problems) -> dict[str, str]:
    hint = "expected lines NAME=value, and comments that begin with #"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
        problems.error("E-FETCH-KEYS", "the file of keys is not UTF-8", file, hint)
    if len(content) > _MOST_BYTES:
        message = f"the file of keys is larger than {_MOST_BYTES} bytes"
        problems.error("E-FETCH-KEYS", message, file, hint)
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        where, match = f"{file}:{number}", _LINE.fullmatch(line)
        if match is None:  # the line may hold a key: it is not shown
            problems.error("E-FETCH-KEYS", "this line is not NAME=value", where, hint)
            continue
        name, value = match[1], _without_quotes(match[2].strip())
        if name in found:
            problems.error("E-FETCH-KEYS", f"{name} stands twice", where, "keep one of the two")
        if fault := fault_of_value(value):
            problems.error("E-FETCH-KEYS", f"the value of {name} {fault}", where, "copy it again")
        found[name] = value
    return found


def fault_of_value(value: str) -> str | None:
    """Return what keeps a text from being a key; None where nothing does."""
    if not value:
        return "is empty"
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        return "holds a character that cannot be printed"
    return None


def _without_quotes(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
