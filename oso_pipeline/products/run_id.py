"""The identity of a run, as it stands in the metadata of its products."""

from __future__ import annotations

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import digest


def run_id(config: Config) -> str:
    """Return 12 hexadecimal digits that depend on what determines the result alone.

    Paths and the settings of the machine do not count: the same science has the same id
    everywhere.
    """
    return digest(config.science())[:12]
