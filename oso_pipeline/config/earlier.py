"""Keys and values of configurations of earlier versions."""

from __future__ import annotations

from oso_pipeline.config.nodes import Node
from oso_pipeline.core.errors import Problems

_READER_OF_0_1 = "muscate"


def in_present_words(tree: Node, problems: Problems) -> Node:
    """Return a tree of settings with the keys of earlier versions replaced by those of now."""
    return _with_readers(_with_cluster(tree), problems)


def _with_cluster(tree: Node) -> Node:
    """Read ``runtime.executor`` as the kind of ``runtime.cluster``."""
    runtime = tree.child("runtime")
    executor = runtime.child("executor") if runtime is not None else None
    if runtime is None or executor is None or executor.value not in ("local", "serial"):
        return tree
    cluster = Node({"kind": executor}, executor.where, executor.folder)
    return _replaced(tree, "runtime", "executor", {"cluster": cluster})


def _with_readers(tree: Node, problems: Problems) -> Node:
    """Read ``imagery.reflectance`` as a key of the only reader that there was."""
    imagery = tree.child("imagery")
    reflectance = imagery.child("reflectance") if imagery is not None else None
    if imagery is None or reflectance is None:
        return tree
    if imagery.child("readers") is not None:
        problems.error(
            "E-CONFIG-VALUE",
            "imagery.reflectance: is a key of the reader where imagery.readers is given",
            reflectance.where,
            f"write readers: [{{kind: {_READER_OF_0_1}, reflectance: {reflectance.value}}}]",
        )
        return _replaced(tree, "imagery", "reflectance", {})
    kind = Node(_READER_OF_0_1, reflectance.where, reflectance.folder)
    reader = Node({"kind": kind, "reflectance": reflectance}, reflectance.where, reflectance.folder)
    readers = Node([reader], reflectance.where, reflectance.folder)
    return _replaced(tree, "imagery", "reflectance", {"readers": readers})


def _replaced(tree: Node, section: str, key: str, others: dict[str, Node]) -> Node:
    """Return the tree with a key of a section replaced by other keys."""
    node = tree.value[section]
    rest = {name: child for name, child in node.value.items() if name != key}
    changed = Node({**others, **rest}, node.where, node.folder, node.keys)
    return Node({**tree.value, section: changed}, tree.where, tree.folder, tree.keys)
