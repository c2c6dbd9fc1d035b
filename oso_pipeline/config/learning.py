"""Section ``learning``: which learner makes the models; its keys are those of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from oso_pipeline.config.plugin_section import OfPlugins
from oso_pipeline.config.section import Section
from oso_pipeline.core.plugins import plugin_of, plugins

DEFAULT_KIND = "forest"
"""The learner where the configuration names none."""


class LearnerSettings(Section):
    """Common settings of all learners.

    A learner derives its own from it, with ``kind: Literal["its kind"] = "its kind"``, a
    docstring that says what it is, and its keys.
    """

    adaptable: ClassVar[bool] = False
    """Whether models can learn from past seasons, section `adaptation`."""

    kind: str
    """The learner."""
    model: Path | None = None
    """Folder of existing models: another run, a part of its folder `models`, or a model bank of
    `oso export-models`. The map is made with these models; no model is trained, and `reference` is
    not read."""
    freeze: bool = False
    """Keep a model that this run has trained even if its samples have changed since, for example
    with a late product. A changed setting or reference still trains it again."""


AnyLearner = Annotated[LearnerSettings, OfPlugins("learners", DEFAULT_KIND)]
"""Settings of a learner, selected by `kind`; forest if it is absent."""


OF_NO_LEARNER = ("model", "freeze")
"""Keys that say where models come from: no learner looks at them."""


def default_learner() -> LearnerSettings:
    """Return the settings of the learner of a configuration that names none."""
    settings = plugin_of("learners", DEFAULT_KIND).settings()
    assert isinstance(settings, LearnerSettings)
    return settings


def adaptable_kinds() -> tuple[str, ...]:
    """Return the installed learners that can learn from past seasons."""
    offered = plugins("learners").items()
    return tuple(kind for kind, one in offered if getattr(one.settings, "adaptable", False))
