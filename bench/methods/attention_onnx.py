"""onnxruntime: a network that attends to dates, as its paper writes it down or folded as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench.method import Prepared

_AT_ONCE = 1024
_OPSET, _FORMAT = 17, 9


class _Graph:
    """Nodes in their order, and the constants that they take."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def __call__(self, kind: str, *given: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(given), [name], **attributes))
        return name


def plain(case: dict[str, Any]) -> Prepared:
    """Compute the probabilities of the network as it is trained."""
    return _prepared(case, _plain_attention)


def folded(case: dict[str, Any]) -> Prepared:
    """Compute them from what we keep of it: nothing as wide as the embedding for a date."""
    return _prepared(case, _folded_attention)


def _plain_attention(graph: _Graph, x: str, parts: dict[str, np.ndarray]) -> str:
    weights, constants = parts["embedding"][:, :-1].T, parts["embedding"][:, -1]
    (width, _), heads = parts["embedding"].shape, len(parts["query"])
    y = graph("Add", graph("MatMul", x, graph.constant(weights)), graph.constant(constants))
    gain, none = graph.constant(parts["gain"]), graph.constant(np.zeros(width, np.float32))
    z = graph("LayerNormalization", y, gain, none, axis=-1, epsilon=1e-5)
    z = graph("Add", z, graph.constant(parts["position"]))
    scores = graph("MatMul", z, graph.constant(parts["query"].T))
    share = graph("Softmax", graph("Transpose", scores, perm=[0, 2, 1]), axis=-1)
    share = graph("Unsqueeze", share, graph.constant(np.array([2])))
    shape = graph.constant(np.array([0, 0, heads, -1]))
    by_head = graph("Transpose", graph("Reshape", z, shape), perm=[0, 2, 1, 3])
    return graph("MatMul", share, by_head)


def _folded_attention(graph: _Graph, x: str, parts: dict[str, np.ndarray]) -> str:
    ones = graph("Slice", x, *(graph.constant(np.array([n])) for n in (0, 1, 2)))
    ones = graph("Add", graph("Mul", ones, graph.constant(np.float32(0))),
                 graph.constant(np.float32(1)))  # fmt: skip
    x = graph("Concat", x, ones, axis=2)
    deviation = graph("MatMul", x, graph.constant(parts["root"].T))
    total = graph("ReduceSum", graph("Mul", deviation, deviation), graph.constant(np.array([2])))
    size = graph("Sqrt", graph("Add", total, graph.constant(np.float32(1e-5))))
    scores = graph("Div", graph("MatMul", x, graph.constant(parts["keys"].T)), size)
    scores = graph("Add", scores, graph.constant(parts["offsets"].T))
    share = graph("Softmax", graph("Transpose", scores, perm=[0, 2, 1]), axis=-1)
    by_size = graph("Div", share, graph("Transpose", size, perm=[0, 2, 1]))
    sums = graph("MatMul", by_size, x)
    heads = len(parts["query"])
    values = parts["values"].reshape(heads, -1, parts["values"].shape[1]).transpose(0, 2, 1)
    when = parts["position"].reshape(len(parts["position"]), heads, -1).transpose(1, 0, 2)
    lines = [graph("Unsqueeze", one, graph.constant(np.array([2]))) for one in (sums, share)]
    first = graph("MatMul", lines[0], graph.constant(values))
    return graph("Add", first, graph("MatMul", lines[1], graph.constant(when)))


def _prepared(case: dict[str, Any], attention: Any) -> Prepared:
    with np.load(case["network"]) as stored:
        parts = {name: stored[name] for name in stored.files}
    features = np.load(Path(case["block"]) / "features.npy")[:, : case["pixels"]]
    graph = _Graph()
    scaled = graph("Sub", "pixels", graph.constant(parts["centre"]))
    scaled = graph("Div", scaled, graph.constant(parts["spread"]))
    x = graph("Gather", scaled, graph.constant(parts["rows"]), axis=1)
    width = parts["embedding"].shape[0]
    shape = graph.constant(np.array([-1, width]))
    out = graph("Reshape", attention(graph, x, parts), shape)
    for number in range(3):
        weights = graph.constant(parts[f"weights{number}"])
        out = graph("Gemm", out, weights, graph.constant(parts[f"constants{number}"]), transB=1)
        out = graph("Relu", out) if number < 2 else graph("Softmax", out, axis=-1)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", len(features)])
    classes = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    made = helper.make_graph(graph.nodes, "network", [pixels], [classes], graph.constants)
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(made, opset_imports=opset, ir_version=_FORMAT)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def work() -> np.ndarray:
        rows = np.ascontiguousarray(features.T, dtype=np.float32)
        parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
        return np.concatenate([session.run([out], {"pixels": one})[0] for one in parts])

    return Prepared(work, features.shape[1])
