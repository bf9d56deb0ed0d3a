"""Heavy modules, imported when they are first used: `--help` answers at once, and scoring needs NumPy only."""

from importlib.util import find_spec
from typing import Any

import sim.common.import_optional
from sim.common.errors import InputError


def import_optional(name: str) -> Any:
    """Return the module of this name, untyped: pyarrow and scikit-learn ship no types.

    Raises InputError that says what to install when it is not there.
    """
    return sim.common.import_optional.import_optional(name, "training")


def require(*packages: str) -> None:
    """Raise InputError that names those packages that are not installed, before anything is read that needs them."""
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise InputError(
            f"{', '.join(absent)}: not installed; python -m pip install 'skadi-sim[training]' adds what is missing"
        )
