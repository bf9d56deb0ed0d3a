"""Heavy modules, imported when they are first used: `--help` answers at once, and scoring needs NumPy only."""

from typing import Any

import sim.common.import_optional


def import_optional(name: str) -> Any:
    """Return the module of this name, untyped: pyarrow and scikit-learn ship no types.

    Raises InputError that says what to install when it is not there.
    """
    return sim.common.import_optional.import_optional(name, "training")
