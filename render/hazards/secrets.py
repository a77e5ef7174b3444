"""Passwords that stand where everybody reads them. What is said of one never holds it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from render import naming
from render.errors import Path
from render.hazards.hazard import Hazard, blocks, groups
from render.model import CeleryApp

IN_TEXT = re.compile(
    r"://[^:@/?#\s]*:(?P<user>[^@/?#\s]+)@|\b(?:passw(?:or)?d|AccountKey|SharedAccessKey)=(?P<query>[^&;\s]+)",
    re.IGNORECASE,
)
"""A password in a URL, or in what databases and Azure take for one."""
CERTAIN = re.compile(
    r"(password|passwd|passphrase|(^|_)(pass|pgpass|pwd|rediscli_auth|secret_access_key|session_token|basic_auth|cookie_secret"
    r"|client_secret|oauth2?_secret))\d*$",
    re.IGNORECASE,
)
"""Ends the name of a password."""
TURN = re.compile(r"(^|_)(by|first|last|max|min|multi|next|num|second|single|two)_pass\d*$", re.IGNORECASE)
"""Ends the name of a pass that is none."""
LIKELY = re.compile(r"(^|_)(secret|secret_?key|private_?key|api_?key|access_?key|token|credentials)$", re.IGNORECASE)
REFERENCES = re.compile(r"(\$\([^)]*\))+")
NO_SECRET = re.compile(r"|[01]|true|false|none|null|yes|no|on|off|/.*", re.IGNORECASE | re.DOTALL)
"""What is no password, whatever the name says: a switch, a path."""
FIELDS = {
    naming.URL_ENV["broker"]: "spec.broker.passwordFrom",
    naming.URL_ENV["resultBackend"]: "spec.resultBackend.passwordFrom",
    "FLOWER_BASIC_AUTH": "spec.flower.auth.basicAuth",
    "FLOWER_OAUTH2_SECRET": "spec.flower.auth.oauth",
    "FLOWER_COOKIE_SECRET": "spec.flower.auth.oauth",
    "FLOWER_BROKER_API": "spec.flower.brokerApiFrom",
}
"""Variables that a field sets from a Secret."""
IN_SETTINGS = "write $(NAME) here, with NAME in env from a Secret"


def in_env(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each variable with a password as its plain value."""
    for path, block in blocks(app):
        init = (((*path, "initContainers", at), each) for at, each in enumerate(block.get("initContainers", ())))
        for place, container in ((path, block), *init):
            for at, entry in enumerate(container.get("env") or ()):
                name, value = str(entry.get("name")), entry.get("value") or ""
                field = FIELDS.get(name)
                instead = f"use {field}" if field else "write valueFrom.secretKeyRef in place of value"
                yield from _judged((*place, "env", at, "value"), name, value, instead)


def in_settings(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each password in Celery's settings, which are arguments and so in the Deployment."""
    for path, block in blocks(app):
        for place, key, value in _texts(block.get("settings", {}), (*path, "settings"), ""):
            yield from _judged(place, key, value, IN_SETTINGS)


def in_args(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each argument with a password in a URL, and each word of a command of the user's own."""
    for path, block in blocks(app):
        for field in ("args", "command", "commandLine"):
            for at, argument in enumerate(block.get(field, ())):
                yield from _judged((*path, field, at), "", argument, IN_SETTINGS)


def in_triggers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each password in a trigger of KEDA's."""
    for group in groups(app):
        for at, trigger in enumerate(group.spec.get("scaling", {}).get("keda", {}).get("triggers", ())):
            for name, value in trigger["metadata"].items():
                place = group.at("scaling", "keda", "triggers", at, "metadata", name)
                yield from _judged(place, name, value, "use authenticationRef, which reads a Secret")


def _judged(path: Path, name: str, value: str, instead: str) -> Iterator[Hazard]:
    """Yield an error for what is a password, and a warning for what looks like one by its name."""
    if any(_is_secret(found["user"] or found["query"]) for found in IN_TEXT.finditer(value)) or (
        CERTAIN.search(name) and not TURN.search(name) and _is_secret(value)
    ):
        yield Hazard(path, f"holds a password in plain text: {instead}", is_error=True)
    elif LIKELY.search(name) and _is_secret(value) and not value.isdigit():
        yield Hazard(path, f"looks like a secret in plain text: {instead}")


def _is_secret(value: str) -> bool:
    return not NO_SECRET.fullmatch(value) and not REFERENCES.fullmatch(value)


def _texts(value: Any, path: Path, key: str) -> Iterator[tuple[Path, str, str]]:
    """Yield each text within, where it is, and the name it goes by."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name), name)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _texts(inner, (*path, at), key)
    elif isinstance(value, str):
        yield path, key, value


RULES = (in_env, in_settings, in_args, in_triggers)
