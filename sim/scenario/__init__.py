"""What a user may ask for: schema, checks, files.

`import sim` offers a scenario under the name of this room, so the room can be called: `sim.scenario("week", seed=7)` is
`sim.load_scenario("week", seed=7)`, which is the name that type checkers know.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from sim.scenario.schema import Scenario


class _Room(ModuleType):
    def __call__(self, name: "str | Path" = "week", **keys: Any) -> "Scenario":
        """Return a scenario with keys laid over its own. Raises InputError that lists every offender."""
        from sim.scenario.files import scenario_of  # noqa: PLC0415 - who asks for nothing imports nothing

        return scenario_of(name, keys)


sys.modules[__name__].__class__ = _Room
