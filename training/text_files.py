"""Text files, also those that gzip compressed, which their names tell."""

import gzip
import zlib
from pathlib import Path
from typing import TextIO, cast

UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading may raise where a file, or what compressed it, is not whole."""


def is_gzip(path: Path) -> bool:
    """Tell by the name whether a file is compressed."""
    return path.suffix.lower() == ".gz"


def name_of(path: Path) -> str:
    """Return the name of a file without what tells its format: `week` of week.csv.gz."""
    return Path(path.stem).stem if is_gzip(path) else path.stem


def open_text(path: Path, encoding: str) -> TextIO:
    """Open a text file for the csv module, which wants line ends as they are."""
    if is_gzip(path):
        return cast("TextIO", gzip.open(path, "rt", encoding=encoding, newline=""))
    return path.open(encoding=encoding, newline="")
