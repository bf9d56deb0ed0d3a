"""Prints the realism checks: `python -m benchmarks.realism`; exit code 1 when a hard one fails."""

import sys

from sim.runs.checks import halls, modern_racks, realism
from sim.runs.checks.check import LINE
from sim.runs.checks.realism import FINE_TICK_S
from sim.runs.memory import record


def main() -> int:
    """Print the table of checks; return 1 when a hard one fails."""
    week, fine, coarse = record({}), record({"duration": "1d", "tick": FINE_TICK_S}), record({"duration": "1d"})
    checks = [*realism.all_checks(week, fine), *halls.all_checks(week, fine, coarse), *modern_racks.all_checks()]
    print(LINE.format("id", "check", "value", "accept", "level", "pass"))
    print(*sorted(checks, key=lambda check: check.id), sep="\n")
    return int(any(check.level == "hard" and not check.passed for check in checks))


if __name__ == "__main__":
    sys.exit(main())
