import pytest

from sim.common.errors import InputError
from training.import_optional import import_optional


def test_a_module_that_is_not_installed_is_an_error_that_says_what_to_install():
    with pytest.raises(InputError, match=r"nowhere is not installed; python -m pip install 'skadi-sim\[training\]'"):
        import_optional("nowhere.at_all")


def test_a_module_that_is_there_is_returned():
    assert import_optional("json").loads("1") == 1
