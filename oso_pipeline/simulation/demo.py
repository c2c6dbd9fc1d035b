"""The demo: a simulated world of two years and the configurations that map it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from oso_pipeline import __version__
from oso_pipeline.core.commit import digest, publish_bytes, publish_json, writing_into
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.json_files import read_object
from oso_pipeline.simulation.simulate import simulate
from oso_pipeline.simulation.world.spec import WorldSpec

_CONFIGS = ("demo.yaml", "past_forest.yaml", "one_year.yaml")
_MARK = "world.json"
_CONTENT = 5
"""Raised when the same specification gives other files, so that older worlds are made again."""


@dataclass(frozen=True)
class DemoConfigs:
    """The configurations of the demo.

    Parameters
    ----------
    main
        Maps 2018 with the crops of 2017, adapted, and compares with `past_forest`.
    past_forest
        The same without adaptation.
    one_year
        Maps 2018 with the crops of 2018; needs no past year.
    """

    main: Path
    past_forest: Path
    one_year: Path


def prepare_demo(
    folder: str | Path,
    say: Callable[[str], None] = lambda _: None,
    spec: WorldSpec | None = None,
) -> DemoConfigs:
    """Write the world and the configurations of the demo where they are missing.

    Parameters
    ----------
    folder
        Gets ``demo.yaml``, ``past_forest.yaml``, ``one_year.yaml`` and ``world/``; their runs go
        to ``run/``, ``run_past_forest/`` and ``run_one_year/``.
    say
        Called with progress messages.
    spec
        Another world than that of two years.

    Returns
    -------
    DemoConfigs
        Paths of the configurations to run.

    Raises
    ------
    InputDataError
        If ``world/`` contains files that are not of a simulated world.
    EnvironmentFailure
        If the folder cannot be written.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> spec = oso.WorldSpec(size_px=64, dates_per_orbit=10, partial_dates=2)
    >>> oso.prepare_demo("small", spec=spec).one_year.name
    'one_year.yaml'
    """
    with writing_into(folder := Path(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in _CONFIGS]
        for path in paths:
            content = resources.files("oso_pipeline.simulation").joinpath(path.name).read_bytes()
            if not path.exists():
                publish_bytes(path, content)
            elif path.read_bytes() != content:
                say(f"{path} is yours and stays as it is; remove it to get that of the demo")
        say(f"simulating a small world of two years in {folder / 'world'}")
        if not ensure_world(folder / "world", spec or WorldSpec.two_years()):
            say("the world is there already")
    return DemoConfigs(*paths)


def ensure_world(folder: Path, spec: WorldSpec) -> bool:
    """Simulate `spec` in `folder` unless that is done already; return whether it was made.

    The world is made beside `folder` and moved there when it is whole.

    Raises
    ------
    InputDataError
        If `folder` holds something that is not a simulated world.
    """
    marker = folder / _MARK
    content = read_object(marker)
    identity = digest({"spec": asdict(spec), "software": __version__, "content": _CONTENT})
    if content.get("identity") == identity:
        return False
    there = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if others := there - {_MARK, *content.get("entries", ())} if "identity" in content else there:
        problem = f"the folder holds something that is not a simulated world: {min(others)}"
        raise InputDataError(Problem("E-SIMULATE", problem, str(folder), "name another folder"))
    making = folder.with_name(f".{folder.name}.making")
    for old in (making, folder):
        if old.exists():
            shutil.rmtree(old)
    simulate(making, spec)
    entries = sorted(entry.name for entry in making.iterdir())
    content = {"identity": identity, "spec": asdict(spec), "entries": entries}
    publish_json(making / _MARK, content)
    making.rename(folder)
    return True
