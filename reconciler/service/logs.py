"""What log lines look like: text for people, JSON for machines."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

from reconciler.model import Ref

looked_at: ContextVar[Ref | None] = ContextVar("looked_at", default=None)
"""The app that this thread looks at."""


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO Deployment/shop/shop-worker created`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, _datefmt: str | None = None) -> str:  # noqa: N802 (its name there)
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(TextFormatter):
    """The same as one JSON object in a line: with the app, the object it is about, and the traceback, if there are."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname, "message": record.getMessage()}
        args = record.args if isinstance(record.args, tuple) else ()
        if about := next((each for each in args if isinstance(each, Ref)), None):
            line |= {"namespace": about.namespace, "kind": about.kind, "name": about.name}
        if app := looked_at.get():
            line |= {"namespace": app.namespace, "app": app.name}
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
