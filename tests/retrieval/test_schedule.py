"""Who is asked for which product next, by a clock of the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.offered import NEED, offer

from oso_pipeline.retrieval.choice import Wanted
from oso_pipeline.retrieval.job import Job, Patience
from oso_pipeline.retrieval.progress import Event, LogFile, Meter
from oso_pipeline.retrieval.schedule import Schedule
from oso_pipeline.retrieval.target import Target

PATIENCE = Patience(
    tries=2, backoff_s=10, longest_backoff_s=15, pauses_s=(100, 200), outage_s=1000, tape_poll_s=60
)


class Clock:
    """Seconds of a test, and how long providers are left alone."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.rests: dict[str, float] = {}

    def __call__(self) -> float:
        return self.now_s

    def schedule(self) -> Schedule:
        return Schedule(PATIENCE, lambda name: self.rests.get(name, 0.0), self)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a product of two providers."""
    return Job(Target.of(tmp_path, [NEED]), Wanted((offer("first"), offer("second"))))


def test_a_try_again_waits_and_the_wait_grows_up_to_a_limit(clock: Clock, job: Job) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    assert schedule.take("first") is job
    schedule.failed(job, "a fault", "E-FETCH-SERVER", 0.0)
    assert (job.state, job.ready_at_s) == ("ready", 1010)
    assert [PATIENCE.backoff(n) for n in (1, 2, 3)] == [10, 15, 15]


def test_a_server_that_wants_a_pause_gets_it(clock: Clock, job: Job) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    schedule.take("first")
    schedule.failed(job, "busy", "E-FETCH-BUSY", 77.0)
    assert job.ready_at_s == 1077


def test_after_the_last_provider_a_round_ends_and_after_the_last_round_all_does(
    clock: Clock, job: Job
) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    for number, pause_s in enumerate((100, 200, None)):
        for name in ("first", "second"):
            assert schedule.take(name) is job
            schedule.failed(job, f"fault {number} of {name}", "E-FETCH-GONE")
        if pause_s is None:
            break
        assert (job.state, job.ready_at_s) == ("resting", clock.now_s + pause_s)
        assert not schedule.due()
        clock.now_s += pause_s
        assert schedule.due() == [job]
        schedule.add([job])
    assert (job.state, job.reason) == ("lost", "fault 2 of second")
    assert schedule.is_over


def test_products_of_a_provider_that_is_left_alone_go_to_the_next(clock: Clock, job: Job) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    clock.rests["first"] = 30.0
    assert schedule.look("first") is None
    assert job.offer.provider == "second"
    assert schedule.take("second") is job


def test_a_part_is_continued_by_its_provider_before_another_begins(clock: Clock, job: Job) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    for _ in range(PATIENCE.tries_of_part):
        assert schedule.look("first") is job
        job.has_part = True
        schedule.failed(job, "the connection was cut", "E-FETCH-NETWORK", 0.0)
        clock.now_s += PATIENCE.longest_backoff_s
    assert job.offer.provider == "second"
    assert not job.has_part


def test_a_part_waits_for_its_provider_through_a_short_outage(clock: Clock, job: Job) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    job.has_part = True
    clock.rests["first"] = 30.0
    for later_s, provider in ((0, "first"), (299, "first"), (300, "second")):
        clock.now_s = 1000.0 + later_s
        assert schedule.look("first") is None
        assert job.offer.provider == provider


def test_the_first_round_begins_where_a_part_is(clock: Clock, job: Job) -> None:
    job.first_turn, job.has_part = 1, True
    schedule = clock.schedule()
    schedule.add([job])
    assert schedule.look("first") is None
    assert schedule.look("second") is job


def test_products_come_back_when_their_provider_does(clock: Clock, tmp_path: Path) -> None:
    target = Target.of(tmp_path, [NEED])
    jobs = [
        Job(target, Wanted((offer("first", number=n), offer("second", number=n)))) for n in range(3)
    ]
    schedule = clock.schedule()
    schedule.add(jobs)
    clock.rests["first"] = 30.0
    assert schedule.look("first") is None
    assert schedule.look("second") is jobs[0]
    schedule.settle(jobs[0], "done")
    clock.rests["first"] = 0.0
    assert schedule.look("first") is jobs[1]
    assert jobs[1].offer.provider == "first"
    assert schedule.look("second") is jobs[2], "what came back is in one queue alone"
    assert schedule.look("second") is None
    assert schedule.look("first") is None
    schedule.failed(jobs[1], "again a fault", "E-FETCH-GONE")
    assert schedule.look("second") is jobs[1]


def test_a_product_of_no_other_provider_waits_for_the_outage_to_end(
    clock: Clock, tmp_path: Path
) -> None:
    job = Job(Target.of(tmp_path, [NEED]), Wanted((offer("first"),)))
    schedule = clock.schedule()
    schedule.add([job])
    clock.rests["first"] = 30.0
    for now_s, state in ((1000.0, "ready"), (1999.0, "ready"), (2000.0, "resting")):
        clock.now_s = now_s
        assert schedule.look("first") is None
        assert job.state == state
    assert "left alone" in job.reason


def test_tape_is_asked_at_times_that_grow_until_its_deadline(clock: Clock, tmp_path: Path) -> None:
    job = Job(Target.of(tmp_path, [NEED]), Wanted((offer("first"),)))
    schedule = clock.schedule()
    schedule.add([job])
    pauses = []
    while True:
        assert schedule.take("first") is job
        schedule.on_tape(job, "offline", until_s=1500)
        if job.state != "waiting":
            break
        pauses.append(job.ready_at_s - clock.now_s)
        clock.now_s = job.ready_at_s
    assert pauses == [60, 120, 240, 480]
    assert job.state == "resting"


def test_what_waits_for_its_tape_keeps_its_deadline(clock: Clock, tmp_path: Path) -> None:
    job = Job(Target.of(tmp_path, [NEED]), Wanted((offer("first"),)))
    schedule = clock.schedule()
    schedule.add([job])
    schedule.take("first")
    schedule.on_tape(job, "offline", until_s=1500)
    schedule.on_tape(job, "offline", until_s=9000)
    assert job.tape_until_s == 1500


def test_a_job_that_was_ended_is_not_given_out(clock: Clock, job: Job) -> None:
    schedule = clock.schedule()
    schedule.add([job])
    schedule.settle(job, "replaced", "by a newer version")
    assert schedule.look("first") is None


def test_workers_are_sent_away_at_the_end(clock: Clock) -> None:
    schedule = clock.schedule()
    schedule.close()
    assert schedule.take("first") is None


def test_rates_are_those_of_the_last_minute(clock: Clock, job: Job) -> None:
    meter = Meter(clock)
    meter.came("first", 6000)
    clock.now_s += 59
    meter.came("first", 600)
    clock.now_s += 1
    assert meter.rate("first") == 110
    clock.now_s += 59
    assert meter.rate("first") == 10
    (pace,) = meter.paces([job])
    assert (pace.n_left, pace.bytes_left, pace.left_s) == (1, 1000, 100)


def test_what_nobody_states_is_as_large_as_the_others(clock: Clock, job: Job) -> None:
    unknown = Job(job.target, Wanted((offer("first", number=1, files=()),)))
    unknown.wanted = Wanted((offer("first", number=1, files=(_without_size(),)),))
    (pace,) = Meter(clock).paces([job, unknown])
    assert pace.bytes_left == 2000


def _without_size() -> object:
    (file,) = offer().files
    return type(file)(file.name, file.url)


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    LogFile(tmp_path / "file" / "log.jsonl")(Event("fetched", "all is well"))
    log = tmp_path / "log.jsonl"
    for _ in range(3):
        LogFile(log)(Event("fetched", "a text with \x1b[2J and \udcff", "first"))
    assert len(log.read_text(encoding="utf-8").splitlines()) == 3
    assert "\x1b" not in log.read_text(encoding="utf-8")
