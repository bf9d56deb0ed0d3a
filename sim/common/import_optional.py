"""Modules that only some uses need, imported when they are first used."""

from importlib import import_module
from typing import Any

from sim.common.errors import InputError


def import_optional(name: str, extra: str) -> Any:
    """Return the module of this name, untyped: many of them ship no types.

    extra: the optional dependencies of ours that it comes with. Raises InputError that says what to install when it is
    not there.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise InputError(f"{package} is not installed; python -m pip install 'skadi-sim[{extra}]' adds it") from error
