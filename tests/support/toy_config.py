"""The configuration of toy runs; processes that only run them import no pytest."""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.config import Config


def make_config(run_dir: Path, **changes: object) -> Config:
    content = {
        "name": "toy",
        "year": 2018,
        "run_dir": run_dir,
        "season": {"start": "2018-01-01", "end": "2018-12-31"},
        "imagery": {"paths": ["products"], "tiles": ["31TCJ"]},
        "reference": {"sources": [{"path": "reference.gpkg"}]},
    }
    return Config.model_validate({**content, **changes})
