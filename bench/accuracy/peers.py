"""Peers as methods of a comparison: each trains in a process of its own environment."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench import HERE, ONE_THREAD
from bench.environments import peers
from oso_pipeline.studies.learners.methods import Predicted
from oso_pipeline.studies.learners.samples import LabelledSamples

ENVIRONMENTS = ("boosting", "network")
"""Environments of `bench.environments` that the peers need."""
_PROGRAM = HERE / "accuracy" / "peer_process.py"
_PEERS = {
    "scikit-learn forest": ("forest", "boosting"),
    "scikit-learn extra trees": ("extra trees", "boosting"),
    "LightGBM": ("lightgbm", "boosting"),
    "TempCNN": ("tempcnn", "network"),
}


@dataclass(frozen=True)
class PeerMethod:
    """A peer.

    Parameters
    ----------
    name
        How it is shown.
    kind
        Of `peer_process.KINDS`.
    python
        Interpreter of its environment.
    """

    name: str
    kind: str
    python: Path

    def predict(self, train: LabelledSamples, test: LabelledSamples, seed: int) -> Predicted:
        """Train in the environment of the peer; `RuntimeError` with its words if it fails."""
        group = train.layout.series
        with TemporaryDirectory() as folder:
            source, target = (Path(folder) / name for name in ("in.npz", "out.npz"))
            shape = np.array([len(group.days), len(group.bands)])
            np.savez(
                source,
                train=train.features,
                test=test.features,
                codes=train.codes,
                shape=shape,
                seed=np.uint64(seed),
            )
            command = [str(self.python), str(_PROGRAM), self.kind, str(source), str(target)]
            environment = {**os.environ, **ONE_THREAD}
            environment.pop("PYTHONPATH", None)  # nothing of the project is imported
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{self.name}: {done.stderr[-2000:]}")
            with np.load(target) as found:
                return Predicted(
                    found["classes"],
                    found["probabilities"],
                    float(found["train_seconds"]),
                    float(found["pixel_seconds"]),
                )


def peer_methods() -> tuple[list[PeerMethod], list[str]]:
    """Return the peers that are installed, and why others are not."""
    found, missing, known = [], [], peers()
    for name, (kind, environment) in _PEERS.items():
        peer = known[environment]
        if peer.python is None:
            missing.append(f"{name} is not installed: {peer.reason}")
        else:
            found.append(PeerMethod(name, kind, peer.python))
    return found, missing
