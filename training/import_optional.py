"""Heavy modules, imported when they are first used: `--help` answers at once, and scoring needs NumPy only."""

from importlib import import_module
from typing import Any

from sim.common.errors import InputError


def import_optional(name: str) -> Any:
    """Return the module of this name, untyped: pyarrow and scikit-learn ship no types.

    Raises InputError that says what to install when it is not there.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise InputError(f"{package} is not installed; python -m pip install 'skadi-sim[training]' adds it") from error
