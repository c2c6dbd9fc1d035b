"""A small world written in the real formats."""

from oso_pipeline.simulation.simulate import SimulatedWorld, simulate
from oso_pipeline.simulation.world.spec import PastYear, WorldSpec
from oso_pipeline.simulation.world.world import CLASS_CODES

__all__ = ["CLASS_CODES", "PastYear", "SimulatedWorld", "WorldSpec", "simulate"]
