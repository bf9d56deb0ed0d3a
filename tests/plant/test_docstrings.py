"""Examples in the docstrings of the physics are true."""

import doctest
from importlib import import_module
from pkgutil import iter_modules

import pytest

import sim.plant

MODULES = [module.name for module in iter_modules(sim.plant.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_are_true(name):
    assert doctest.testmod(import_module(f"sim.plant.{name}")).failed == 0


def test_relations_have_examples():
    assert doctest.testmod(import_module("sim.plant.relations")).attempted >= 5
