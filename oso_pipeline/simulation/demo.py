"""The demo: a simulated world and the configuration that maps it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from oso_pipeline import __version__
from oso_pipeline.core.commit import digest, publish_bytes, publish_json
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.simulation.simulate import simulate
from oso_pipeline.simulation.spec import WorldSpec

_CONTENT = 3
"""Raised when the same specification gives other files, so that older worlds are made anew."""


def prepare_demo(
    folder: Path, say: Callable[[str], None] = lambda _: None, spec: WorldSpec | None = None
) -> Path:
    """Write the world and the configuration of the demo where they are missing.

    Parameters
    ----------
    folder
        Gets ``demo.yaml`` and ``world/``; the run goes to ``run/``.
    say
        Is told what happens.
    spec
        Another world than the default one.

    Returns
    -------
    Path
        The configuration to run.
    """
    content = resources.files("oso_pipeline.simulation").joinpath("demo.yaml").read_bytes()
    config = folder / "demo.yaml"
    if not config.exists():
        publish_bytes(config, content)
    say(f"simulating a small world in {folder / 'world'}")
    if not ensure_world(folder / "world", spec or WorldSpec()):
        say("the world is there already")
    return config


def ensure_world(folder: Path, spec: WorldSpec) -> bool:
    """Simulate `spec` in `folder` unless that is done already; return whether it was made.

    The world is made beside `folder` and moved there when it is whole.

    Raises
    ------
    InputDataError
        If `folder` holds something that is no simulated world.
    """
    marker = folder / "world.json"
    identity = digest({"spec": asdict(spec), "software": __version__, "content": _CONTENT})
    try:
        if json.loads(marker.read_text(encoding="utf-8"))["identity"] == identity:
            return False
    except (OSError, ValueError, KeyError):
        pass
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        problem = "the folder holds something that is no simulated world"
        raise InputDataError(Problem("E-SIMULATE", problem, str(folder), "name another folder"))
    making = folder.with_name(f".{folder.name}.making")
    for old in (making, folder):
        if old.exists():
            shutil.rmtree(old)
    simulate(making, spec)
    publish_json(making / "world.json", {"identity": identity, "spec": asdict(spec)})
    making.rename(folder)
    return True
