"""A small world written in the real formats."""

from oso_pipeline.simulation.simulate import SimulatedWorld, simulate
from oso_pipeline.simulation.world import CLASS_CODES, WorldSpec

__all__ = ["CLASS_CODES", "SimulatedWorld", "WorldSpec", "simulate"]
