"""How tests run: without deadlines, and those that share a run on one worker."""

import re
import signal

import pytest
from hypothesis import settings

from tests.examples import BY_DAY, BY_NIGHT

# started in the background, a shell has the tests and all that they start ignore interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)

# a busy machine is no fault of what is tested
settings.register_profile("default", deadline=None, max_examples=BY_DAY, derandomize=True)  # the same every time
settings.register_profile("nightly", deadline=None, max_examples=BY_NIGHT)  # searches on
settings.load_profile("default")


def shared_run(nodeid):
    """Return what a test shares its runs with: a scenario, the whole folder of statistics, or else its file."""
    path, _, test = nodeid.partition("::")
    scenario = re.search(r"\[.*\]", test)
    if path.endswith("contract/test_scenarios.py") and scenario:
        return path + scenario[0]
    return "statistical" if "/statistical/" in path else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep tests that share a run together: apart, each worker would simulate it again."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - pytest goes without xdist as well

    class BySharedRun(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return shared_run(nodeid)

    return BySharedRun(config, log)
