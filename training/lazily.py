"""Heavy modules, imported when they are first used: `--help` answers at once, and scoring needs NumPy only."""

from importlib import import_module
from typing import Any


def module(name: str) -> Any:
    """Return the module of this name, untyped: pyarrow and scikit-learn ship no types."""
    return import_module(name)
