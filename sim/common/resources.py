"""Where the shipped tables and scenarios stand: inside the wheel, or at the top of a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_ROOT = _PACKAGE / "shipped" if (_PACKAGE / "shipped").is_dir() else _PACKAGE.parent

DATA = _ROOT / "data"
SCENARIOS = _ROOT / "scenarios"

VENDOR = _PACKAGE / "common" / "vendor"
"""Scripts of others, their licences beside them, for pages that ask nothing of any other server."""
