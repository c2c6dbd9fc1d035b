"""What is read with every configuration stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oso_pipeline.core.errors import ConfigError
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.registry import late_settings, learner_of, model_settings

LOADED = """
import sys
from oso_pipeline.config.model import Config
Config.model_json_schema()
from oso_pipeline.learners.forest import PLUGIN
print([name for name in ("numba", "sklearn", "rasterio") if name in sys.modules])
"""


def test_to_load_a_configuration_loads_no_learner() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_settings_are_those_of_the_model_or_of_its_use() -> None:
    settings = ForestSettings(n_trees=7, vote="soft")
    assert late_settings(settings) == {"vote": "soft"}
    assert model_settings(settings) == {
        "n_trees": 7,
        "max_depth": 25,
        "min_samples_leaf": 5,
        "max_features": "sqrt",
        "engine": "histogram",
    }


def test_an_unknown_kind_names_the_installed_ones() -> None:
    with pytest.raises(ConfigError, match=r"'oracle' of learners, installed: forest"):
        learner_of("oracle")
