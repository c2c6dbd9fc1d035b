"""Products on tape of a provider that is left alone for a time."""

from __future__ import annotations

from pathlib import Path

from support.offered import NEED, offer

from oso_pipeline.retrieval.choice import Wanted
from oso_pipeline.retrieval.schedule import Job, Patience, Schedule
from oso_pipeline.retrieval.target import Target

PATIENCE = Patience(tries=2, pauses_s=(100.0,), outage_s=1000.0, tape_poll_s=60.0)


def test_looks_at_a_provider_that_is_left_alone_put_no_tape_off(tmp_path: Path) -> None:
    """Each look did, and within a moment the next question was an hour away."""
    now, rest = [1000.0], [0.0]
    schedule = Schedule(PATIENCE, lambda _: rest[0], lambda: now[0])
    job = Job(Target.of(tmp_path, [NEED]), Wanted((offer("first"),)))
    schedule.add([job])
    assert schedule.take("first") is job
    schedule.on_tape(job, "on tape", until_s=5000.0)
    assert (job.state, job.ready_at_s, job.n_polls) == ("waiting", 1060.0, 1)
    rest[0] = 30.0
    for _ in range(50):
        assert schedule.look("first") is None
    now[0] = 1070.0
    assert schedule.look("first") is None
    assert (job.state, job.ready_at_s, job.n_polls) == ("waiting", 1060.0, 1)
    rest[0] = 0.0
    assert schedule.look("first") is job
    schedule.on_tape(job, "on tape", until_s=5000.0)
    rest[0], now[0] = 30.0, 5000.0
    assert schedule.look("first") is None
    assert job.state == "resting", "its time is over, whether its provider answers or not"
