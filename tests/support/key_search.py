"""Whether files tell a private key of TLS."""

from __future__ import annotations

import base64
from pathlib import Path


def files_with_keys(keys: Path, run_dir: Path) -> list[Path]:
    """Return the files of a run folder that hold a line, or the bytes, of the private key."""
    pem = (keys / "key.pem").read_text(encoding="ascii")
    lines = [line.encode() for line in pem.splitlines() if not line.startswith("-----")]
    assert len(lines) >= 2
    secrets = [*lines, base64.b64decode(b"".join(lines))[-32:], b"PRIVATE KEY"]
    files = [path for path in run_dir.rglob("*") if path.is_file()]
    return [file for file in files if any(secret in file.read_bytes() for secret in secrets)]
