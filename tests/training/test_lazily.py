import pytest

from sim.common.errors import InputError
from training.import_optional import module


def test_a_module_that_is_not_installed_is_an_error_that_says_what_to_install():
    with pytest.raises(InputError, match=r"nowhere is not installed; python -m pip install 'skadi-sim\[training\]'"):
        module("nowhere.at_all")


def test_a_module_that_is_there_is_returned():
    assert module("json").loads("1") == 1
