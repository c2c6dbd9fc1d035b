"""The text of a configuration file, or why there is none."""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.regular_files import open_regular

MAX_BYTES = 1_000_000
"""Largest file read; a configuration is some kilobytes."""


def read_text(path: Path, problems: Problems) -> str | None:
    """Return the text of a UTF-8 file, with or without byte order mark.

    Problems: not a file, or not readable (``E-PATH-READ``); a file that is too large
    (``E-CONFIG-YAML``); another encoding (``E-TEXT-ENCODING``). The result is then None.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = getattr(error, "strerror", None) or error
        message = f"cannot read the configuration {path.name}: {reason}"
        hint = "give the path of a YAML file that you may read; `oso init DIR` writes one"
        problems.error("E-PATH-READ", message, path, hint)
        return None
    if len(content) > MAX_BYTES:
        problems.error(
            "E-CONFIG-YAML", f"larger than {MAX_BYTES} bytes", path, "is this the configuration?"
        )
        return None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in content[:4]:
        problems.error("E-TEXT-ENCODING", "text is UTF-16 or UTF-32", path, "save it as UTF-8")
        return None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.error(
            "E-TEXT-ENCODING", "text is not UTF-8", f"{path}:{line}:1", "save it as UTF-8"
        )
        return None
