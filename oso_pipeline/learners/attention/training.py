"""Training of the members of a classifier with torch, on one core each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.attention.network import Floats, folded
from oso_pipeline.learners.attention.task import Rows, Task
from oso_pipeline.learners.attention.torch_network import TorchNetwork

_DECAY = 1e-2
_RISES = 0.1
_ROWS_AT_ONCE = 4096


def train(task: Task, seed: int, threads: int) -> dict[str, Floats]:
    """Return what is kept of all members, stacked along axis 0.

    Raises
    ------
    InputDataError
        If a loss is not finite (``E-LEARNER-DIVERGED``).
    """
    before = torch.get_num_threads()
    seeds = [derived_seed(seed, "member", number) for number in range(task.settings.members)]
    try:
        with ThreadPoolExecutor(max(1, min(threads, len(seeds)))) as pool:
            members = list(pool.map(lambda one: _member(task, one), seeds))
    finally:
        torch.set_num_threads(before)
    return {name: np.stack([one[name] for one in members]) for name in members[0]}


def _member(task: Task, seed: int) -> dict[str, Floats]:
    """Return what is kept of one member."""
    torch.set_num_threads(1)  # of this thread: sums must not depend on the number of cores
    settings, rng = task.settings, np.random.default_rng(seed)
    network = TorchNetwork(task.places, int(task.numbers.max()) + 1, settings, seed)
    out = task.held_out(rng)
    taught, tested = np.flatnonzero(~out), np.flatnonzero(out)
    size = max(settings.batch, -(-len(taught) // settings.steps))
    steps = max(1, len(taught) // size)
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.epochs * steps, pct_start=_RISES
    )
    best, kept = np.inf, network.trained()
    for _ in range(settings.epochs):
        network.train()
        for rows in np.array_split(rng.permutation(taught), steps):
            loss = _loss(task, network, rows) / len(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        found = _mean_loss(task, network, tested) if len(tested) else float(loss.detach())
        if not np.isfinite(found):
            raise InputDataError(diverged(f"the loss is {found}"))
        if found < best or len(tested) == 0:
            best, kept = found, network.trained()
    return folded(kept, task.places)


def _loss(task: Task, network: TorchNetwork, rows: Rows) -> torch.Tensor:
    """Return the sum of the weighted log loss of some pixels."""
    series, static = task.inputs(rows)
    scores = network(list(map(torch.from_numpy, series)), torch.from_numpy(static))
    each = torch.nn.functional.cross_entropy(
        scores, torch.from_numpy(task.numbers[rows]), reduction="none"
    )
    return (each * torch.from_numpy(task.weights[rows])).sum()


def _mean_loss(task: Task, network: TorchNetwork, rows: Rows) -> float:
    """Return the mean loss of pixels that the network has not been trained on."""
    network.eval()
    with torch.no_grad():
        parts = np.array_split(rows, -(-len(rows) // _ROWS_AT_ONCE))
        return float(sum(_loss(task, network, part) for part in parts)) / len(rows)


def diverged(what: str) -> Problem:
    """Return the error of a training that did not end well."""
    return Problem(
        "E-LEARNER-DIVERGED",
        f"the training of the networks did not converge: {what}",
        None,
        "lower learning.learning_rate",
    )
