"""How values and names are written in messages: short, on one line."""

import reprlib
from collections.abc import Iterable, Sequence

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 3, 60, 60, 40

_MOST_NAMES, _MOST_LINES, _LONGEST_NAME, _LONGEST_REASON = 12, 20, 64, 200


def short_repr(value: object) -> str:
    """Return a value as one short line, however large, deep or circular it is."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # Python does not write out integers of thousands of digits
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else "a value of huge numbers"
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one line of a terminal


def printable(text: str) -> str:
    """Return a text that can be shown as it is; one that is long or holds control characters as its short repr."""
    return text if text.isprintable() and len(text) <= _LONGEST_NAME else short_repr(text)


def reason(error: BaseException) -> str:
    """Return the first line of what an error says, such as one of Arrow that quotes a file: short and printable."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    short = line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 3]}..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)


def join_lines(lines: Sequence[str]) -> str:
    """Return the first lines beneath each other, indented, and how many more there are."""
    more = [f"and {len(lines) - _MOST_LINES:,} more"] if len(lines) > _MOST_LINES else []
    return "".join(f"\n  {line}" for line in [*lines[:_MOST_LINES], *more])


def join_names(names: Sequence[str]) -> str:
    """Return a few names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def join_sorted(names: Iterable[str]) -> str:
    """Return a few names in the order of the alphabet, and how many more there are."""
    return join_names(sorted(names))
