"""Catalogues: one module per protocol, each of which answers a need with offers."""

from oso_pipeline.retrieval.catalogues.make import catalogue_of, is_on_this_machine

__all__ = ["catalogue_of", "is_on_this_machine"]
