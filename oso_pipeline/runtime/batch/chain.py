"""The jobs of a run on a batch system, in the order they depend on each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from oso_pipeline.config.site import Site
from oso_pipeline.core.errors import OsoError
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.tasks.stage import Stage


@dataclass(frozen=True, slots=True)
class Link:
    """A job, or an array of jobs, of the chain.

    Parameters
    ----------
    name
        Name of the job; scripts and logs are named after it.
    arguments
        Of ``oso run``, behind the configuration.
    elements
        Number of elements of an array; None for a single job.
    workers
        Worker processes of the job, or of each element, with a core each; None for as many as the
        site gives.
    """

    name: str
    arguments: tuple[str, ...]
    elements: int | None = None
    workers: int | None = None


def widths_of(planner: Planner) -> dict[str, int]:
    """Return how many cores the tasks of each stage can use at once.

    A stage that cannot be planned yet is left out.
    """
    widths = {}
    for stage in planner.stages:
        with suppress(OsoError):
            tasks = planner.tasks(stage.name)
            widths[stage.name] = sum(getattr(task.job, "threads", 1) for task in tasks)
    return widths


def chain_of(stages: Sequence[Stage], site: Site, widths: Mapping[str, int]) -> list[Link]:
    """Return the jobs of a run.

    With a pilot that is one driver. With arrays, drivers and arrays take turns: a driver does
    all stages up to the next one in an array and whatever an array before it left undone, the last
    one does the rest. So an element of an array may be lost without harm, and bad input ends
    the chain in the driver after it.

    Parameters
    ----------
    stages
        In the order of the flow.
    site
        Where the jobs run.
    widths
        How many cores each stage can use, where that is known: an array has no more elements, and
        a job no more cores.
    """
    if site.mode == "pilot":
        return [Link("driver", ())]
    arrays = [s.name for s in stages if s.in_array and widths.get(s.name, site.jobs) > 1]
    links: list[Link] = []
    own: list[str] = []
    for number, stage in enumerate(stages):
        if stage.name not in arrays:
            own.append(stage.name)
            continue
        if number:
            before = stages[number - 1].name
            cores = _cores(own, site, widths)
            links.append(Link(f"until-{before}", ("--until", before), workers=cores))
        links.append(_array(stage.name, site, widths, len(arrays)))
        own = []
    links.append(Link("finish", (), workers=_cores(own, site, widths)))
    return links


def _array(stage: str, site: Site, widths: Mapping[str, int], arrays: int) -> Link:
    """Return the array of a stage; all arrays, and a driver beside each, wait in one queue."""
    queued = (site.max_queued - arrays - 1) // arrays
    width = widths.get(stage, site.jobs * site.cores)
    elements = max(2, min(site.jobs, queued, width))
    cores = min(site.cores, math.ceil(width / elements))
    workers = None if cores == site.cores else cores
    return Link(stage, ("--stage", stage), elements, workers)


def _cores(stages: Sequence[str], site: Site, widths: Mapping[str, int]) -> int | None:
    """Return the workers of a driver that does some stages; None for those of the site."""
    needed = max((widths.get(name, site.cores) for name in stages), default=site.cores)
    return None if needed >= site.cores else max(1, needed)
