"""The collector rests while objects that stay are made, and is afterwards as it was."""

import gc

import pytest

from sim.common.collector import collector_at_rest


@pytest.mark.parametrize("collects", [True, False])
def test_it_is_afterwards_as_it_was_also_when_something_went_wrong(collects):
    was = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):
            _fail_at_rest()
        assert gc.isenabled() == collects
    finally:
        (gc.enable if was else gc.disable)()


def _fail_at_rest():
    with collector_at_rest():
        assert not gc.isenabled()
        raise ZeroDivisionError
