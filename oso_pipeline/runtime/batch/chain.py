"""The jobs of a run on a batch system, in the order they depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oso_pipeline.config.site import Site
from oso_pipeline.tasks.stage import Stage


@dataclass(frozen=True, slots=True)
class Link:
    """A job, or an array of jobs, of the chain.

    Parameters
    ----------
    name
        What it is called; scripts and logs are named after it.
    arguments
        Of ``oso run``, behind the configuration.
    elements
        Number of elements of an array; None for a single job.
    """

    name: str
    arguments: tuple[str, ...]
    elements: int | None = None


def chain_of(stages: Sequence[Stage], site: Site) -> list[Link]:
    """Return the jobs of a run.

    With a pilot that is one driver. With arrays, drivers and arrays take turns: a driver does
    all stages up to the next one in an array and whatever an array before it left undone, the last
    one does the rest. So an element of an array may be lost without harm, and bad input ends
    the chain in the driver after it.
    """
    if site.mode == "pilot":
        return [Link("driver", ())]
    links: list[Link] = []
    for number, stage in enumerate(stages):
        if not stage.in_array:
            continue
        if number:
            before = stages[number - 1].name
            links.append(Link(f"until-{before}", ("--until", before)))
        links.append(Link(stage.name, ("--stage", stage.name), site.jobs))
    links.append(Link("finish", ()))
    return links
