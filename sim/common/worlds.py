"""The worlds of a run, as indices of the leading axis of its arrays."""

ACTUAL = 0
"""The hall with its incidents."""

TWIN = 1
"""The same hall without them; a run without incidents has only one world, which is its own twin."""

WORLDS = (ACTUAL, TWIN)
"""Those that last as long as the run. Others come and go behind them: halls without one of the incidents each, and one
with planned work only."""
