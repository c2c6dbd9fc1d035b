"""Circuit breakers and limits of providers, on a clock that the tests move."""

from __future__ import annotations

import threading

import pytest

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.breaker import Breaker, Trips
from oso_pipeline.retrieval.access.limits import Pace
from oso_pipeline.retrieval.deadline import Deadline

TRIPS = Trips(failures=3, first_rest_s=30, longest_rest_s=100, probe_s=300)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(TRIPS, clock)


def down(code: str = "E-FETCH-NETWORK", wait_s: float | None = None) -> Failure:
    return Failure(code, "it is down", "https://host.org/a", is_passing=True, wait_s=wait_s)


def fail(breaker: Breaker, times: int = 3) -> None:
    for _ in range(times):
        breaker.failed(down())


def test_failures_in_a_row_open_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 2)
    assert breaker.enter()
    breaker.succeeded()
    fail(breaker, 2)
    assert not breaker.is_open
    fail(breaker, 1)
    assert breaker.is_open
    assert not breaker.enter()
    assert breaker.rest_s == 30


def test_one_trial_after_the_rest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 30
    assert not breaker.is_open
    assert breaker.enter()
    assert breaker.is_open, "others wait for the trial"
    assert not breaker.enter()
    assert 0 < breaker.rest_s <= 1
    breaker.succeeded()
    assert breaker.enter()
    assert breaker.enter()
    assert breaker.rest_s == 0


def test_rests_grow_until_something_succeeds(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    for rest in (30, 60, 100, 100):
        assert breaker.rest_s == rest
        clock.now += rest
        assert breaker.enter()
        fail(breaker, 1)
    clock.now += 100
    assert breaker.enter()
    breaker.succeeded()
    fail(breaker)
    assert breaker.rest_s == 30


def test_a_trial_that_never_comes_back_does_not_keep_others_away(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker)
    clock.now = 30
    assert breaker.enter()
    clock.now += 300
    assert breaker.enter()


def test_an_answer_is_no_product(breaker: Breaker, clock: Clock) -> None:
    """A server that answers and then drips is left alone again after one more failure."""
    fail(breaker)
    clock.now = 30
    assert breaker.enter()
    breaker.answered()
    assert breaker.enter()
    fail(breaker, 1)
    assert breaker.rest_s == 60


def test_catalogue_and_downloads_are_counted_apart(breaker: Breaker) -> None:
    for _ in range(2):
        breaker.failed(down(), "download")
        breaker.succeeded("catalogue")
    assert not breaker.is_open
    breaker.failed(down(), "download")
    assert breaker.is_open


def test_a_catalogue_that_works_does_not_hide_downloads_that_fail(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker)
    clock.now = 30
    assert breaker.enter()
    breaker.succeeded("catalogue")
    assert not breaker.is_open
    breaker.failed(down(), "download")
    assert breaker.is_open
    assert breaker.rest_s == 60


@pytest.mark.parametrize(
    "code", ["E-FETCH-GONE", "E-FETCH-CHECKSUM", "E-FETCH-CHANGED", "E-FETCH-NO-KEY"]
)
def test_a_failure_of_one_product_is_none_of_the_provider(breaker: Breaker, code: str) -> None:
    for _ in range(10):
        breaker.failed(down(code))
    assert not breaker.is_open


def test_a_product_that_is_gone_ends_the_trial(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    breaker.failed(down("E-FETCH-GONE"))
    assert breaker.is_open, "it was requested before"
    clock.now = 30
    assert breaker.enter()
    breaker.failed(down("E-FETCH-GONE"))
    assert breaker.enter()
    fail(breaker, 1)
    assert breaker.rest_s == 60


def test_one_failure_that_two_report_counts_once(breaker: Breaker) -> None:
    failure = down()
    for _ in range(10):
        breaker.failed(failure)
    assert not breaker.is_open
    assert breaker.last_failure is failure


def test_a_rest_that_the_provider_names(breaker: Breaker, clock: Clock) -> None:
    breaker.rest(3600, down(wait_s=3600))
    assert breaker.rest_s == 3600
    clock.now = 3600
    assert breaker.enter()


def test_only_one_of_many_threads_tries(clock: Clock) -> None:
    breaker = Breaker(TRIPS, clock)
    fail(breaker)
    clock.now = 30
    entered: list[bool] = []
    threads = [threading.Thread(target=lambda: entered.append(breaker.enter())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(entered) == 1


# ---------------------------------------------------------------------- requests per minute


def pace(clock: Clock, per_minute: int | None) -> Pace:
    return Pace(per_minute, "here", clock, clock.sleep)


def test_requests_per_minute(clock: Clock) -> None:
    limited, deadline = pace(clock, 10), Deadline.after(1000, clock)
    moments = []
    for _ in range(35):
        limited.wait(deadline)
        moments.append(clock.now)
    for n in range(len(moments) - 10):
        assert moments[n + 10] - moments[n] >= 60
    assert clock.now <= 181


def test_without_a_limit(clock: Clock) -> None:
    free = pace(clock, None)
    for _ in range(1000):
        free.wait(Deadline.after(1, clock))
    assert clock.now == 0


def test_a_pause_holds_back_the_next_request(clock: Clock) -> None:
    free = pace(clock, None)
    free.pause(37)
    free.pause(5)
    free.wait(Deadline.after(100, clock))
    assert clock.now == 37


def test_what_comes_after_the_deadline_is_not_waited_for(clock: Clock) -> None:
    limited = pace(clock, 1)
    limited.wait(Deadline.after(10, clock))
    with pytest.raises(Failure) as raised:
        limited.wait(Deadline.after(10, clock))
    assert raised.value.code == "E-FETCH-PAUSED"
    assert clock.now == 0
