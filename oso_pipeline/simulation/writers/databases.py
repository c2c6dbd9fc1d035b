"""The databases of the simulated world, each in the folder of its delivery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.simulation.world.known_land import KnownLand
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.bdtopo import write_bdtopo
from oso_pipeline.simulation.writers.clc import write_clc
from oso_pipeline.simulation.writers.rpg import (
    write_ilots,
    write_parcels,
    write_past_ilots,
)


@dataclass(frozen=True)
class Databases:
    """Where the databases of a world lie.

    Attributes
    ----------
    parcels
        ``PARCELLES_GRAPHIQUES.shp`` of the year of the images.
    ilots
        ``ILOTS_ANONYMES.shp`` of 2014, with the table of crop groups beside it.
    bdtopo
        Folder of each department of BD TOPO v3.
    clc
        Corine Land Cover 2018.
    past_ilots
        As `ilots`, of the past year of which there are images; None where there is none.
    """

    parcels: Path
    ilots: Path
    bdtopo: dict[str, Path]
    clc: Path
    past_ilots: Path | None = None


def write_databases(folder: Path, world: World, past: World | None = None) -> Databases:
    """Write RPG of two years or three, BD TOPO and Corine Land Cover; return where they lie.

    Parameters
    ----------
    folder
        Gets a folder per database.
    world, past
        The land in the year of the map, and in a past year.
    """
    land = KnownLand(world)
    return Databases(
        parcels=write_parcels(land, folder / "rpg"),
        ilots=write_ilots(land, folder / "rpg"),
        bdtopo=write_bdtopo(land, folder / "bdtopo"),
        clc=write_clc(land, folder / "clc"),
        past_ilots=write_past_ilots(KnownLand(past), folder / "rpg") if past else None,
    )
