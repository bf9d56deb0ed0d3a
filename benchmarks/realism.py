"""Prints the realism checks: `python -m benchmarks.realism`; exit code 1 when a hard one fails."""

import sys

from sim.runs.checks.check import LINE
from sim.runs.checks.realism import FINE_TICK_S, all_checks
from sim.runs.memory import record


def main() -> int:
    """Print the table of checks; return 1 when a hard one fails."""
    checks = all_checks(record({}), record({"duration": "1d", "tick": FINE_TICK_S}))
    print(LINE.format("id", "check", "value", "accept", "level", "pass"))
    print(*checks, sep="\n")
    return int(any(check.level == "hard" and not check.passed for check in checks))


if __name__ == "__main__":
    sys.exit(main())
