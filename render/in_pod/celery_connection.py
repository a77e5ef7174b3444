# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Makes of the parts of `spec.broker` and `spec.resultBackend` what Celery reads: URLs, and settings.

The parts are variables: `CELERYAPP_BROKER_PASSWORD`, `CELERYAPP_RESULT_BACKEND_TLS` and so on, and the files of
/etc/celery-tls. A user's name or a password is percent-encoded here, for Kubernetes puts it into a URL as it is.

Runs in the user's image, which may have no more than Python 3.8. Imports nothing of Celery: celery_start.py runs it
without site-packages. The reconciler makes its own connections by the same functions.
"""

from __future__ import annotations  # for Python 3.8

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

TLS_PATH = "/etc/celery-tls"
FILES = {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"}
"""By what they are, the names of the files in a folder for each of broker and result backend."""

URLS = {"BROKER": "CELERY_BROKER_URL", "RESULT_BACKEND": "CELERY_RESULT_BACKEND"}
SETTINGS = {
    "BROKER": ("broker_use_ssl", "broker_transport_options"),
    "RESULT_BACKEND": ("redis_backend_use_ssl", "result_backend_transport_options"),
}
LOADER = "celery_loader:Loader"
REDIS = ("redis", "rediss", "sentinel")


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of Celery that come of the parts: whole URLs, and who lays the settings over the app's."""
    return {**urls(environment), **({"CELERY_LOADER": LOADER} if settings(environment, {}) else {})}


def urls(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the URLs with user and password, by the name of their variable; those alone that have any to add."""
    found = {}
    for part, name in URLS.items():
        username, password = (environment.get(f"CELERYAPP_{part}_{each}") for each in ("USERNAME", "PASSWORD"))
        if password is not None and name in environment:
            found[name] = with_credentials(environment[name], username, password)
    return found


def with_credentials(url: str, username: str | None, password: str) -> str:
    """Return a URL, or each of a list, with this user and password."""
    return ";".join(_with_credentials(one, username, password) for one in url.split(";"))


def _with_credentials(url: str, username: str | None, password: str) -> str:
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest)[0]
    user, _, host = authority.rpartition("@")
    name = user.partition(":")[0] if username is None else quote(username, safe="")
    return f"{scheme}://{name}:{quote(password, safe='')}@{host}{rest[len(authority) :]}"


def settings(environment: Mapping[str, str], files: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return Celery's settings of TLS and Sentinel; files are those that are there, by part and by what they are."""
    found: dict[str, Any] = {}
    for part, (use_ssl, transport_options) in SETTINGS.items():
        prefix = f"CELERYAPP_{part}_"
        trust: dict[str, Any] = {}
        if f"{prefix}TLS" in environment:
            scheme = environment.get(URLS[part], "").partition("://")[0]
            trust = tls(environment[f"{prefix}VERIFY"], files.get(part, {}), is_redis=scheme in REDIS)
            found[use_ssl] = trust
        if f"{prefix}SENTINEL_MASTER" in environment:
            password = environment.get(f"{prefix}SENTINEL_PASSWORD")
            found[transport_options] = sentinel(environment[f"{prefix}SENTINEL_MASTER"], password, trust)
    return found


def tls(verify: str, files: Mapping[str, str], *, is_redis: bool) -> dict[str, Any]:
    """Return what kombu and Celery's result backend take for `ssl`, as redis-py and py-amqp name it."""
    if is_redis:
        names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
        known: dict[str, Any] = {"ssl_cert_reqs": "none" if verify == "None" else "required"}
        known["ssl_check_hostname"] = verify == "Full"
    else:
        names = {"ca": "ca_certs", "cert": "certfile", "key": "keyfile"}
        known = {"cert_reqs": 0 if verify == "None" else 2}  # ssl.CERT_NONE, ssl.CERT_REQUIRED
        known.update({"server_hostname": None} if verify == "Full" else {})  # None: kombu puts the host's name there
    known.update({names[kind]: path for kind, path in files.items()})
    return known


def sentinel(master: str, password: str | None, trust: Mapping[str, Any]) -> dict[str, Any]:
    """Return the transport options that lead to the master; sentinels speak TLS as the master does."""
    options: dict[str, Any] = {"ssl": True, **trust} if trust else {}
    options.update({"password": password} if password is not None else {})
    return {"master_name": master, "sentinel_kwargs": options}


def over(given: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given with ours laid over it, objects field by field."""
    laid = dict(given)
    for name, value in ours.items():
        old = laid.get(name)
        laid[name] = over(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return laid
