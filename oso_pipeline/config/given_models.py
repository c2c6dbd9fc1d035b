"""Configurations that need no ``reference``: models are given, or series alone are made."""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.config.nodes import Node
from oso_pipeline.config.reference import Reference

_NOWHERE = Path("/nowhere/no_labels")
"""Path of the source of nothing."""


def without_reference(tree: Node) -> Node:
    """Return a tree in which a source of nothing stands for ``reference`` where none is needed.

    That is where models are given, and where a section ``series`` says what is made without one.

    The demand for labelled polygons is that of the model of the configuration, so something has
    to stand there until the rest is checked; `without_labels` takes it away.
    """
    learning = tree.child("learning")
    model = learning.child("model") if learning is not None else None
    reason = _said(model) or (None if _sources(tree) else _said(tree.child("series")))
    if reason is None:
        return tree
    where, folder = reason.where, reason.folder

    def said(value: object) -> Node:
        return Node(value, where, folder)

    source = said({"path": said(str(_NOWHERE)), "code_field": said("code")})
    reference = said({"sources": said([source])})
    return Node({**tree.value, "reference": reference}, tree.where, tree.folder, tree.keys)


def without_labels(config: Config) -> Config:
    """Return the configuration without sources of labels where `without_reference` put one."""
    stands_in = [source.path for source in config.reference.sources] == [_NOWHERE]
    if config.learning.model is None and not stands_in:
        return config
    # Not validated: a source is needed only to train.
    return config.model_copy(update={"reference": Reference.model_construct(sources=())})


def _sources(tree: Node) -> bool:
    """Return whether there is a section ``reference`` with anything but an empty list in it.

    The configuration that a run keeps in its folder has the empty list.
    """
    reference = tree.child("reference")
    sources = reference.child("sources") if reference is not None else None
    return reference is not None and (sources is None or sources.value != [])


def _said(node: Node | None) -> Node | None:
    """Return a node that has a value."""
    return node if node is not None and node.value is not None else None
