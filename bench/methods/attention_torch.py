"""torch: a network that attends to dates, as its paper writes it down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import layer_norm

from bench.method import Prepared

_AT_ONCE = 1024


def predict_proba(case: dict[str, Any]) -> Prepared:
    """Compute the probabilities, float32 ``(pixel, class)``, one thread, in batches."""
    torch.set_num_threads(1)
    with np.load(case["network"]) as stored:
        parts = {name: torch.from_numpy(stored[name]) for name in stored.files}
    features = np.load(Path(case["block"]) / "features.npy")[:, : case["pixels"]]
    rows, heads = parts["rows"], len(parts["query"])

    def answer(values: torch.Tensor) -> torch.Tensor:
        x = ((values - parts["centre"]) / parts["spread"])[:, rows]
        y = x @ parts["embedding"][:, :-1].T + parts["embedding"][:, -1]
        z = layer_norm(y, y.shape[2:], weight=parts["gain"]) + parts["position"]
        share = torch.softmax(z @ parts["query"].T, dim=1)
        by_head = z.reshape(*z.shape[:2], heads, -1)
        out = torch.einsum("pth,pthk->phk", share, by_head).reshape(len(x), -1)
        out = torch.relu(torch.addmm(parts["constants0"], out, parts["weights0"].T))
        out = torch.relu(torch.addmm(parts["constants1"], out, parts["weights1"].T))
        return torch.softmax(torch.addmm(parts["constants2"], out, parts["weights2"].T), dim=1)

    def work() -> np.ndarray:
        with torch.no_grad():
            pixels = torch.from_numpy(np.ascontiguousarray(features.T, dtype=np.float32))
            return torch.cat([answer(one) for one in pixels.split(_AT_ONCE)]).numpy()

    return Prepared(work, features.shape[1])
