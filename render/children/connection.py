"""How pods get to the broker and to the result backend: variables, certificates, and the modules that join them.

Kubernetes puts a password into a URL as it is, and Celery wants it percent-encoded. So the parts come as variables, and
render/in_pod makes of them what Celery reads, before it starts.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from render import naming
from render.model import CeleryApp, Manifest

TLS_FILES = {"caFrom": "ca.crt", "certFrom": "tls.crt", "keyFrom": "tls.key"}
SOURCES = {"secretKeyRef": "secret", "configMapKeyRef": "configMap"}


def environment(app: CeleryApp) -> list[Manifest]:
    """Return the variables by which every pod finds the broker and the result backend."""
    return [variable for field, given in _given(app).items() for variable in _variables(field, given)]


def files(app: CeleryApp) -> tuple[str, ...]:
    """Return the names of the modules that the pods need for it; none where the URLs say it all."""
    joined = any({"passwordFrom", "tls", "sentinel"} & given.keys() for given in _given(app).values())
    return (naming.START_FILE, *naming.CONNECTION_FILES) if joined else ()


def certificates(app: CeleryApp) -> list[Manifest]:
    """Return the sources of a projected volume with every certificate and key, each in the folder of its connection."""
    return [
        {kind: {"name": ref["name"], "items": [{"key": ref["key"], "path": f"{naming.PARTS[field]}/{file}"}]}}
        for field, given in _given(app).items()
        for source, file in TLS_FILES.items()
        for kind, ref in _refs(given.get("tls", {}).get(source, {}))
    ]


def from_secret(name: str, source: Mapping[str, Any]) -> Manifest:
    """Return an environment variable that holds a key of a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": source["secretKeyRef"]}}


def user(given: Mapping[str, Any]) -> str | None:
    """Return the user that a URL has."""
    name, at, _ = re.split("[/?#;]", given.get("url", "").partition("://")[2])[0].rpartition("@")
    return unquote(name) if at else None


def _variables(field: str, given: Mapping[str, Any]) -> Iterator[Manifest]:
    url = naming.URL_ENV[field]
    yield {"name": url, "value": given["url"]} if "url" in given else from_secret(url, given["urlFrom"])
    sentinel, tls = given.get("sentinel", {}), given.get("tls", {})
    plain = {
        "USERNAME": user(given) if "passwordFrom" in given else None,
        "TLS": "enable" if "tls" in given else None,  # KEDA's word, which reads it too
        "VERIFY": tls.get("verify"),
        "SENTINEL_MASTER": sentinel.get("masterName"),
    }
    secret = {
        "USERNAME": given.get("usernameFrom"),
        "PASSWORD": given.get("passwordFrom"),
        "SENTINEL_PASSWORD": sentinel.get("passwordFrom"),
    }
    yield from (from_secret(naming.part(field, name), source) for name, source in secret.items() if source)
    yield from ({"name": naming.part(field, name), "value": value} for name, value in plain.items() if value)


def _given(app: CeleryApp) -> Mapping[str, Mapping[str, Any]]:
    return {field: app.spec[field] for field in naming.URL_ENV if field in app.spec}


def _refs(source: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((SOURCES[kind], ref) for kind, ref in source.items())
