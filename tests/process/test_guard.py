"""The guard around processes: a failure says whose it was and when, and keeps its cause."""

import pytest

from sim.agents.base import AgentError, guarded
from sim.common.errors import OutputError


class TwoArgumentsError(Exception):
    """Cannot be built again from one argument, as SimPy would try."""

    def __init__(self, code, place):
        super().__init__(f"code {code} at {place}")


def failing(env, error):
    yield env.timeout(12.5)
    raise error


def test_a_failure_of_two_arguments_names_who_and_when_and_keeps_its_cause(env):
    cause = TwoArgumentsError(7, "the valve")
    env.process(guarded(failing(env, cause), "R-C-07", env))
    with pytest.raises(
        AgentError, match=r"^R-C-07 failed at 12\.500 s: TwoArgumentsError: code 7 at the valve$"
    ) as caught:
        env.run()
    assert caught.value.__cause__ is not None
    chain, error = [], caught.value
    while error is not None:
        chain.append(error)
        error = error.__cause__
    assert cause in chain


def test_an_error_that_a_user_can_put_right_comes_through_as_it_is(env):
    env.process(guarded(failing(env, OutputError("week.csv: the disk is full")), "sampler", env))
    with pytest.raises(OutputError, match=r"^week\.csv: the disk is full$"):
        env.run()


def test_a_guarded_process_that_does_not_fail_runs_as_without_guard(env, log):
    def story():
        yield env.timeout(5)
        log.append((env.now, "awake"))
        answer = yield env.timeout(5, value="told")
        log.append((env.now, answer))

    env.process(guarded(story(), "R", env))
    env.run()
    assert log == [(5, "awake"), (10, "told")]


def test_a_failure_stops_the_run_at_its_instant(env, log):
    def neighbour():
        while True:
            yield env.timeout(10)
            log.append((env.now, "beat"))

    env.process(neighbour())
    env.process(guarded(failing(env, ValueError("bad")), "R", env))
    with pytest.raises(AgentError):
        env.run(until=100)
    assert log == [(10, "beat")]
