"""The server's log: one JSON object a line, on standard error."""

import json
import logging
from datetime import UTC, datetime

from sim.common.time_units import format_instant

_SERVER = ("uvicorn", "uvicorn.access", "uvicorn.error")


class JsonLine(logging.Formatter):
    """A record as {"ts", "level", "logger", "message"}, and "traceback" where something failed."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said = {
            "ts": format_instant(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said)


def start(level: str) -> None:
    """Tell what is of a level or above it, the HTTP server's own messages alike."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _SERVER:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level.upper())
