"""Configurations whose models are given: they need no ``reference``, and none is read."""

from __future__ import annotations

from oso_pipeline.config.model import Config
from oso_pipeline.config.nodes import Node
from oso_pipeline.config.reference import Reference


def without_reference(tree: Node) -> Node:
    """Return a tree in which a source of nothing stands for ``reference`` where models are given.

    The demand for labelled polygons is that of the model of the configuration, so something has
    to stand there until the rest is checked; `without_labels` takes it away.
    """
    learning = tree.child("learning")
    model = learning.child("model") if learning is not None else None
    if model is None or model.value is None:
        return tree

    def said(value: object) -> Node:
        return Node(value, model.where, model.folder)

    source = said({"path": said(str(model.folder)), "code_field": said("code")})
    reference = said({"sources": said([source])})
    return Node({**tree.value, "reference": reference}, tree.where, tree.folder, tree.keys)


def without_labels(config: Config) -> Config:
    """Return the configuration without sources of labels where models are given."""
    if config.learning.model is None:
        return config
    # Not validated: a source is needed only to train.
    return config.model_copy(update={"reference": Reference.model_construct(sources=())})
