"""onnxruntime: the same forest, converted with skl2onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
from skl2onnx import to_onnx

from bench.method import Prepared


def predict_proba(case: dict[str, Any]) -> Prepared:
    """Compute mean probabilities of the classes, float32 ``(pixel, class)``, one thread."""
    rows = np.load(Path(case["block"]) / "features.npy").T
    pixels = np.ascontiguousarray(rows, dtype=np.float32)
    converted = to_onnx(joblib.load(case["forest"]), pixels[:1], options={"zipmap": False})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def work() -> np.ndarray:
        return session.run([names[1]], {session.get_inputs()[0].name: pixels})[0]

    return Prepared(work, len(pixels))
