"""Section ``retrieval``: how `oso fetch` fills the folders with images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from oso_pipeline.config.section import Section, doubles


class ReferenceData(Section):
    """What `oso fetch --reference` has to know beside the items of `reference.sources`."""

    regions: tuple[str | int, ...] = ()
    """Regions of the RPG by their INSEE code, for example 76 or R76. By default those that the
    tiles meet, where the list of IGN says where they lie."""
    departments: tuple[str | int, ...] = ()
    """Departments of BD TOPO, for example 31 or 2A, where the source does not name its own. By
    default those that the tiles meet, where the list of IGN says where they lie."""
    admin_express: Path | None = None
    """Folder for Admin Express, the limits of communes, departments and regions, for example for
    `map.area`; null fetches none."""


class Retrieval(Section):
    """Download of images by `oso fetch`; a run fetches nothing, and no result depends on it."""

    into: Path | None = None
    """Folder for images of the season: one of `imagery.paths`, or below one. By default the first
    of them; images of a past season go to the first folder of that season."""
    providers: tuple[str, ...] = ()
    """Names of providers, the preferred one first; the next is used where one fails or lacks a
    product. By default all that offer the product family, in the order of docs/retrieval.md."""
    providers_file: Path | None = None
    """YAML file that adds providers, or replaces values of known ones: addresses, collections,
    limits; its key `reference` does the same for databases of labels."""
    keys_file: Path | None = None
    """File with the keys of providers, one NAME=value a line, which only its owner can read (mode
    600). Variables of the environment come before it."""
    max_gb: float | None = Field(None, gt=0)
    """Maximum size of what one `oso fetch` downloads, in GB; null sets no limit."""
    keep_free_gb: float = Field(20.0, ge=0)
    """Disk space to leave free, in GB; before it is used up, `oso fetch` stops."""
    reference: ReferenceData = ReferenceData()
    """Databases of labels, for `oso fetch --reference`."""

    pauses_s: tuple[Annotated[float, Field(ge=0)], ...] = (60.0, 300.0, 900.0, 3600.0)
    """Seconds before what failed with all providers is searched for and tried again: as many more
    rounds as there are numbers. A provider that does not answer is awaited for the longest."""

    @model_validator(mode="after")
    def _without_doubles(self) -> Retrieval:
        if twice := doubles(self.providers):
            raise ValueError(f"providers names {twice} more than once")
        return self
