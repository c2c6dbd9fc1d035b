"""Another version of the package, for tests only: the same code under another name."""

from __future__ import annotations

import importlib.metadata


def install(version: str) -> None:
    """Let this process take itself for another version of oso_pipeline."""
    import oso_pipeline

    right = importlib.metadata.version

    def patched(name: str) -> str:
        return version if name == "oso_pipeline" else right(name)

    oso_pipeline.__version__ = version
    importlib.metadata.version = patched
