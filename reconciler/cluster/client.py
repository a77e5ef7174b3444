"""The cluster as the reconciler sees it: raw JSON in and out. The only importer of `kubernetes`."""

import builtins
import logging
import os
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import urllib3

from reconciler.cluster import errors
from reconciler.cluster.transport import Access, Request, Transport, parsed
from reconciler.model import FIELD_MANAGER, NAMESPACE, Kind, Manifest, Ref
from render.since import number

T = TypeVar("T")

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_APPLY_QUERY = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
_DRY_RUN = {"dryRun": "All"}

PAGE_ITEMS = 200
PAGES_SINCE = (1, 34)
"""The release of Kubernetes whose cache has all pages: before, etcd reads all of the kind for each but the first."""
_RELEASE = re.compile(r"v(\d+\.\d+)\.")
SILENCE_SECONDS = 90.0
"""Without an event nor a bookmark, after which a watch is taken for broken."""
_CONNECTIONS = 64
_URL = re.compile(r"https?://[^/]", re.IGNORECASE)


class Where(NamedTuple):
    """Which objects of a kind: in one namespace or all, by label, by field, or all."""

    namespace: str | None = None
    selector: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str | int]:
        return {"labelSelector": self.selector, **({"fieldSelector": self.fields} if self.fields else {})}


class Listed(NamedTuple, Generic[T]):
    items: builtins.list[T]
    resource_version: str
    """Of the state that the list shows; empty where there is no such kind."""


class Cluster:
    """Every verb the reconciler knows. All raise the classes of errors.py; all may be called from any thread.

    A write is preceded by the question whether we may write at all; if not, it raises Halted. A dry run is no write.
    """

    def __init__(self, transport: Transport) -> None:
        self.release = ""
        """Of Kubernetes, such as 1.33, as the API server last said; empty while it is not known."""
        self._transport = transport
        self._send = transport.send
        self._stream = transport.stream

    def in_term(self, holds: Callable[[], bool]) -> "Cluster":
        """Return the same cluster, to which nothing is written any more once this no longer holds."""
        may_write = self._transport.may_write
        return Cluster(replace(self._transport, may_write=lambda: holds() and may_write()))

    def ask_release(self) -> None:
        """Ask the API server which release of Kubernetes it is."""
        request = Request("API server", "version", "GET", "/version")
        said = self._send(request)
        if not (found := _RELEASE.match(str(said.get("gitVersion")) if isinstance(said, dict) else "")):
            raise errors.Unavailable(f"{request}: the answer is no version")
        self.release = found[1]

    def list(self, kind: Kind, made: Callable[[Manifest], T], where: Where, not_before: str = "") -> Listed[T]:
        """Return what is made of every object, in all pages; only one of them is then held as JSON values.

        Read consistently, or from the API server's cache where that is not before a resourceVersion. Of an optional
        kind that is not there, there are none. Raises ListFailed: a list that failed is never an empty one.
        """
        query = where.query | {"limit": PAGE_ITEMS}
        if not_before:
            query |= {"resourceVersion": not_before, "resourceVersionMatch": "NotOlderThan"}
            if self.release and number(self.release) < PAGES_SINCE:
                del query["limit"]
        try:
            try:
                return self._pages(kind, made, kind.path(where.namespace), query)
            except errors.Expired:  # the pages took so long that the server has forgotten what they show: all at once
                return self._pages(kind, made, kind.path(where.namespace), where.query)
        except errors.ClusterError as error:
            if kind.optional and isinstance(error, errors.NotFound):
                return Listed([], "")
            raise errors.ListFailed(str(error), error.status, error.retry_after_seconds) from error

    def watch(self, kind: Kind, where: Where, since: str, seconds: float) -> Iterator[tuple[str, Manifest]]:
        """Yield what changes after a resourceVersion, as (ADDED, the object): for so long, or until the server ends it.

        A BOOKMARK comes about every minute, so that silence tells of a broken connection. Raises Expired when the
        server has forgotten what was after `since`.
        """
        query: dict[str, str | int] = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": since}
        query |= where.query | {"timeoutSeconds": max(int(seconds), 1)}
        request, rest = Request(kind.name, "watch", "GET", kind.path(where.namespace), query), b""
        end = time.monotonic() + seconds + SILENCE_SECONDS / 10
        for piece in self._stream(request, SILENCE_SECONDS):
            if time.monotonic() > end:  # whatever keeps it open, there is to be a list again
                return
            *lines, rest = (rest + piece).split(b"\n")
            for event in map(parsed, lines):
                if event["type"] == "ERROR":
                    gone = event["object"].get("code") == HTTPStatus.GONE
                    raise (errors.Expired if gone else errors.Unavailable)(
                        f"{request}: {event['object'].get('message')}"
                    )
                yield event["type"], event["object"]

    def get(self, ref: Ref) -> Manifest:
        return self._object(Request(str(ref), "get", "GET", ref.path))

    def has_namespace(self, name: str) -> bool:
        """Say whether a namespace is there, or may not be asked about."""
        try:
            self._send(Request(f"Namespace/{name}", "get", "GET", NAMESPACE.path(name=quote(name, safe=""))))
        except errors.NotFound:
            return False
        except errors.Forbidden:
            return True
        return True

    def create(self, manifest: Manifest) -> Manifest:
        ref = Ref.of(manifest)
        return self._object(Request(str(ref), "create", "POST", ref.collection, body=manifest))

    def review(self, kind: Kind, spec: Manifest) -> Manifest:
        """Return what the server says to a question, a TokenReview say; nothing is kept of it."""
        body = {"apiVersion": kind.api_version, "kind": kind.name, "spec": spec}
        status: Manifest = self._object(Request(kind.name, "create", "POST", kind.path(), body=body))["status"]
        return status

    def replace(self, manifest: Manifest) -> Manifest:
        """Return the object after it was replaced; its resourceVersion is a precondition."""
        ref = Ref.of(manifest)
        return self._object(Request(str(ref), "update", "PUT", ref.path, body=manifest))

    def apply(self, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """Return the object after a forced server-side apply as celery-reconcile, as the server would keep it."""
        ref, verb = Ref.of(manifest), "dry-run" if dry_run else "apply"
        query = _APPLY_QUERY | (_DRY_RUN if dry_run else {})
        return self._object(Request(str(ref), verb, "PATCH", ref.path, query, manifest, _APPLY))

    def apply_status(self, manifest: Manifest) -> Manifest:
        """Return the object after a forced server-side apply of its status."""
        ref = Ref.of(manifest)
        return self._object(Request(str(ref), "status", "PATCH", f"{ref.path}/status", _APPLY_QUERY, manifest, _APPLY))

    def patch(self, ref: Ref, patch: Any, content_type: str = JSON_PATCH, *, dry_run: bool) -> Manifest:
        """Return the object after the patch (JSON_PATCH: a list; MERGE_PATCH: an object)."""
        verb = "dry-run" if dry_run else "patch"
        query = {"fieldManager": FIELD_MANAGER} | (_DRY_RUN if dry_run else {})
        return self._object(Request(str(ref), verb, "PATCH", ref.path, query, patch, content_type))

    def scale(self, ref: Ref, before: int, after: int) -> None:
        """Set the replicas, of exactly so many before: 422 if another was faster. Of nothing else, unlike a PUT."""
        seen = {"op": "test", "path": "/spec/replicas", "value": before or None}  # a Scale of none leaves the field out
        wanted = {"op": "add", "path": "/spec/replicas", "value": after}
        query = {"fieldManager": FIELD_MANAGER}
        self._object(Request(str(ref), "scale", "PATCH", f"{ref.path}/scale", query, [seen, wanted], JSON_PATCH))

    def delete(self, ref: Ref, uid: str) -> None:
        """Delete exactly the object of this UID, its dependents in the background. Gone already is done."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            self._send(Request(str(ref), "delete", "DELETE", ref.path, body=body))
        except errors.NotFound:
            return

    def _pages(self, kind: Kind, made: Callable[[Manifest], T], path: str, query: Mapping[str, str | int]) -> Listed[T]:
        found: builtins.list[T] = []
        while True:
            page = self._send(Request(kind.name, "list", "GET", path, query))
            if not (isinstance(page, dict) and page.get("kind") == f"{kind.name}List" and "items" in page):
                raise errors.Unavailable(f"{kind.name} list: the answer is no list")
            # Lists of built-in kinds leave out what each item is.
            found += [made(item | {"apiVersion": kind.api_version, "kind": kind.name}) for item in page["items"] or ()]
            if not (token := page["metadata"].get("continue")):
                return Listed(found, page["metadata"].get("resourceVersion", ""))  # metrics are of no revision
            kept = {key: query[key] for key in ("labelSelector", "fieldSelector") if key in query}
            query = kept | {"limit": PAGE_ITEMS, "continue": token}

    def _object(self, request: Request) -> Manifest:
        answer = self._send(request)
        if not (isinstance(answer, dict) and "metadata" in answer):
            raise errors.Unavailable(f"{request}: the answer is no object")
        return answer


def in_cluster(server: str, service_account: Path) -> Access:
    """Return the access of a pod's service account. Raises NoCluster.

    Two files and an address: `kubernetes` is not needed for it, whose import takes longer than a pass.
    """
    token, authority = service_account / "token", service_account / "ca.crt"
    if not (token.is_file() and authority.is_file()):
        raise errors.NoCluster(f"{service_account}: no token and ca.crt of a service account")

    @lru_cache(maxsize=1)
    def pool(_authority: bytes) -> urllib3.PoolManager:
        return urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=_tls(str(authority)))

    # The kubelet writes new ones in time.
    own = service_account / "namespace"
    namespace = own.read_text().strip() if own.is_file() else "default"
    return Access(
        server, lambda: pool(authority.read_bytes()), lambda: f"Bearer {token.read_text().strip()}", namespace
    )


def from_kubeconfig(path: str | None, context: str | None) -> Access:
    """Return the access a kubeconfig describes, credential plugins and proxies included. Raises NoCluster."""
    from kubernetes import client, config  # noqa: PLC0415 (0.2 s and 20 MB that a pod does not need)
    from kubernetes.client import rest  # noqa: PLC0415

    named = path or os.environ.get("KUBECONFIG")
    where = named or "~/.kube/config"
    hint = "set KUBECONFIG, or give --kubeconfig FILE and --context NAME"
    if named and not any(Path(each).expanduser().exists() for each in named.split(os.pathsep)):
        raise errors.NoCluster(f"no cluster: {named} does not exist: {hint}")
    configuration = client.Configuration()
    configuration.connection_pool_maxsize = _CONNECTIONS
    read = None
    try:  # mypy is silenced below, since what reads a kubeconfig has no types in `kubernetes`
        read = config.kube_config.KubeConfigMerger(path or config.KUBE_CONFIG_DEFAULT_LOCATION).config  # type: ignore[no-untyped-call]
        with _logged() as plugin_failures:
            config.load_kube_config(path, context, configuration)  # type: ignore[no-untyped-call]
        chosen = read["contexts"].get_with_name(context or read["current-context"]).value
        namespace = chosen["context"].get("namespace") or "default"
        pool = _pool(configuration, rest.RESTClientObject(configuration).pool_manager)
    except (config.ConfigException, OSError) as error:
        looked = getattr(error, "filename", None) or (where if named else f"{where}, and this is no pod")
        why = getattr(error, "strerror", None) or _of_contexts(read, context) or str(error).rstrip(".")
        raise errors.NoCluster(f"no cluster: looked into {looked}: {why}: {hint}") from error
    except Exception as error:  # that which is read is hardly checked, so it may end in any of them
        mark = getattr(error, "problem_mark", None)
        why = f"line {mark.line + 1} of {mark.name} is no YAML" if mark else f"{where} is no kubeconfig"
        raise errors.NoCluster(f"no cluster: {why}: {hint}") from error
    origin = f"context {chosen['name']} of {where}"
    if plugin_failures:
        plugin = read["users"].get_with_name(chosen["context"]["user"])["user"]["exec"]["command"]
        why = _of_plugin(plugin, plugin_failures[0])
        raise errors.NoCluster(f"no cluster: {why} ({origin})")
    if not _URL.match(configuration.host):
        url = f"https://{configuration.host.rpartition('://')[2] or 'HOST:PORT'}"
        raise errors.NoCluster(f"no cluster: server: {configuration.host!r} is no URL: write {url} ({origin})")
    return Access(
        configuration.host,
        lambda: pool,
        lambda: configuration.auth_settings().get("BearerToken", {}).get("value"),
        namespace,
        origin,
    )


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Yield what is then logged by functions of `logging`, and not shown: all that `kubernetes` does with failures."""
    found: list[str] = []

    def heard(record: logging.LogRecord) -> bool:
        found.append(record.getMessage())
        return False

    logging.root.addFilter(heard)
    try:
        yield found
    finally:
        logging.root.removeFilter(heard)


def _of_contexts(read: Any, context: str | None) -> str:
    """Return which contexts there are, if the one that is asked for is not among them."""
    found = [each.value["name"] for each in read["contexts"]] if read and read.safe_get("contexts") else []
    is_lost = context and found and context not in found
    return f"there is no context {context}, only {', '.join(found)}" if is_lost else ""


def _of_plugin(command: str, failure: str) -> str:
    """Return what is wrong with a credential plugin, and what to do."""
    if not_started := re.match(r"\[Errno \d+\] ([^:]+)", failure):
        return f"the credential plugin {command} cannot be started: {not_started[1]}: install it, or mend the PATH"
    return f"the credential plugin {command} failed: {failure.removeprefix('exec: ')}: run it by itself until it works"


def _pool(configuration: Any, pool: urllib3.PoolManager) -> urllib3.PoolManager:
    if configuration.verify_ssl:
        tls = _tls(configuration.ssl_ca_cert)
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        # Else urllib3 would load them again for every connection, into what all connections share.
        others = {"ca_certs", "cert_file", "key_file"}
        kept = {key: value for key, value in pool.connection_pool_kw.items() if key not in others}
        pool.connection_pool_kw = kept | {"ssl_context": tls}
    return pool


class _SharedContext(ssl.SSLContext):
    """What all connections share, from many threads: nothing may be set once one is open.

    urllib3 sets ALPN anew for each connection. OpenSSL frees the old value while other threads copy it: 5 of 206,000
    ClientHellos held garbage, which the server answers with a decode_error. HTTP/1.1 is spoken without it.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Leave it unset."""


def _tls(authority: str | None) -> ssl.SSLContext:
    """Return what verifies the server, as kubectl does.

    Not `ssl.create_default_context`: Python 3.13 refuses the authorities of older EKS clusters, which are valid
    (https://github.com/kubernetes-client/python/issues/2394).
    """
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(authority)
    else:
        context.load_default_certs()
    return context
