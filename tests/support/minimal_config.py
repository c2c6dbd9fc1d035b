"""The least that a configuration must say; processes that only run it import no pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oso_pipeline.config import Config

MINIMAL: dict[str, Any] = {
    "name": "minimal",
    "year": 2018,
    "season": {"start": "2018-01-01", "end": "2018-12-31"},
    "imagery": {"paths": ["products"], "tiles": ["31TCJ"]},
    "reference": {"sources": [{"path": "reference.gpkg"}]},
}
MINIMAL_YAML = """\
year: 2018
season: {start: 2018-01-01, end: 2018-12-31}
imagery: {paths: [products], tiles: [31TCJ]}
reference: {sources: [{path: reference.gpkg}]}
"""


def minimal_config(run_dir: Path, **sections: Any) -> Config:
    """Return a configuration of `run_dir`; `sections` replace those of `MINIMAL` as a whole."""
    return Config.model_validate({**MINIMAL, "run_dir": run_dir, **sections})
