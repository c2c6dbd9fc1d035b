"""The jobs of a run on a batch system, in the order they depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oso_pipeline.config.site import Site
from oso_pipeline.tasks.stage import Stage

SHARED_STAGES = ("samples", "predict")
"""Stages that are worth an array: they read all images. The others take minutes."""


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
    all stages up to the next shared one and whatever an array before it left undone, the last
    one does the rest. So an element of an array may be lost without harm, and bad input ends
    the chain in the driver after it.
    """
    if site.mode == "pilot":
        return [Link("driver", ())]
    names = [stage.name for stage in stages]
    links: list[Link] = []
    for stage in SHARED_STAGES:
        before = names[names.index(stage) - 1]
        links.append(Link(f"until-{before}", ("--until", before)))
        links.append(Link(stage, ("--stage", stage), site.jobs))
    links.append(Link("finish", ()))
    return links
