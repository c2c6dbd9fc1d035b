"""Training with torch; without it tests/learners/test_attention.py holds the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.pipeline_tools import oso, overall_accuracy, write_config

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.learners.conformance import CHECKS, LAYOUT, Subject

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.slow

SMALL = {"members": 2, "epochs": 8, "batch": 32}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_attention_conforms(check: Callable[[Subject], None]) -> None:
    check(Subject("attention", SMALL))


def test_it_answers_as_torch() -> None:
    from oso_pipeline.learners.attention.network import folded
    from oso_pipeline.learners.attention.task import Task
    from oso_pipeline.learners.attention.torch_network import TorchNetwork

    subject = Subject("attention", {**SMALL, "members": 1})
    task = Task.of(subject.data, subject.chosen)
    network = TorchNetwork(task.places, 3, subject.chosen, seed=3)
    optimiser = torch.optim.SGD(network.parameters(), 0.01)
    rows = np.arange(len(task.numbers))
    series, static = task.inputs(rows)
    inputs = [torch.from_numpy(one) for one in series], torch.from_numpy(static)
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(network(*inputs), torch.from_numpy(task.numbers))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    expected = torch.softmax(network(*inputs), dim=1).detach().numpy().T
    own = {name: one[None] for name, one in folded(network.trained(), task.places).items()}
    shared = {"codes": np.unique(subject.data.codes), "centre": task.centre, "spread": task.spread}
    made = subject.learner.classifier.from_arrays({**shared, **own}, LAYOUT)
    found = made.probabilities(np.ascontiguousarray(subject.data.features.T))
    assert np.ptp(expected) > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_loss_that_is_no_number_is_reported() -> None:
    subject = Subject("attention", {**SMALL, "members": 1, "hold_out": 0})
    settings = subject.chosen.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(InputDataError, match="E-LEARNER-DIVERGED"):
        subject.learner.fit(subject.data, settings, seed=0)


def test_a_map_is_made_from_images_to_accuracy(small_world: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path, small_world)
    own = "learning: {kind: attention, members: 2, epochs: 20}"
    path.write_text(path.read_text().replace("learning: {n_trees: 20}", own))
    oso("run", path)
    assert overall_accuracy(tmp_path / "run") > 0.6
