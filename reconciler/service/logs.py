"""What log lines look like: text for people, JSON for machines."""

import json
import logging
from datetime import UTC, datetime


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO Deployment/shop/shop-worker created`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, _datefmt: str | None = None) -> str:  # noqa: N802 (its name there)
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(TextFormatter):
    """The same as one JSON object in a line, with the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


FORMATTERS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def begin(log_format: str, level: str) -> None:
    """Write our log lines of this level and above to standard error; of the libraries' only warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[log_format]())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("reconciler").setLevel(level)
