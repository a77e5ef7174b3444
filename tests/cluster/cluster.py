"""What a test sees of the cluster: one namespace, kubectl and raw JSON over HTTPS. Standard library only."""

import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

APPLY = "application/apply-patch+yaml"


class Response(NamedTuple):
    status: int
    body: Any
    warnings: tuple[str, ...]

    def accepted(self) -> Self:
        """Return this answer, or fail with what the server said."""
        assert self.status < 300, json.dumps(self.body, indent=2)
        return self


@dataclass(frozen=True)
class Cluster:
    """A control plane as its admin sees it from one namespace."""

    binary: Path
    folder: Path
    port: int
    token: str
    namespace: str
    timeout_seconds: float = 90
    address: str = "127.0.0.1"
    patience_seconds: float = 60

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def in_namespace(self, name: str) -> "Cluster":
        return replace(self, namespace=name)

    def kubectl(self, *args: str | Path, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess:
        """Run kubectl in this namespace. Raises CalledProcessError, which shows what kubectl said."""
        command = [self.binary, "kubectl", "--kubeconfig", self.kubeconfig, "--namespace", self.namespace, *args]
        environment = os.environ | {"HOME": str(self.folder)}  # where kubectl caches
        try:
            return subprocess.run(command, input=stdin, env=environment, check=check, capture_output=True, text=True)
        except subprocess.CalledProcessError as failure:
            failure.add_note(failure.stderr)
            raise

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: Any
    ) -> Response:
        """Return the server's answer, whatever its status."""
        with self.connection() as request:
            return request(method, path, body, content_type=content_type, **query)

    @contextmanager
    def connection(self) -> Iterator[Callable[..., Response]]:
        """Yield `request` for one thread that has much to ask: over one connection, which stays open."""
        with closing(self._connect()) as connection:

            def request(
                method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: Any
            ) -> Response:
                answer = self._send(connection, method, _url(path, query), body, content_type)
                text = answer.read().decode()
                body = json.loads(text) if answer.headers.get_content_type() == "application/json" else text
                return Response(answer.status, body, tuple(answer.headers.get_all("Warning") or ()))

            yield request

    def watch(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield every change under the path as the server tells it, for a minute."""
        with closing(self._connect()) as connection:
            query = {"watch": "true", "timeoutSeconds": 60} | query
            answer = self._send(connection, "GET", _url(path, query), None, "application/json")
            assert answer.status == 200, answer.read().decode()
            for line in answer:
                yield json.loads(line)

    def apply(self, manifest: dict[str, Any], **query: Any) -> Response:
        """Return the server's answer to a server-side apply that refuses what the schema does not know."""
        query = {"fieldManager": "tests", "fieldValidation": "Strict"} | query
        return self.request("PATCH", self.path(manifest), manifest, content_type=APPLY, **query)

    def path(self, manifest: dict[str, Any]) -> str:
        """Return where the object lives, as the server's discovery says."""
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        resources = self.request("GET", group).accepted().body["resources"]
        resource = next(each for each in resources if each["kind"] == kind and "/" not in each["name"])
        if resource["namespaced"]:
            group += f"/namespaces/{metadata.get('namespace', self.namespace)}"
        return f"{group}/{resource['name']}/{metadata['name']}"

    def get(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Return the object of this kind and name as it is now."""
        return self.request("GET", self.path(manifest)).accepted().body

    def pods(self, *components: str) -> list[dict[str, Any]]:
        """Return the pods of the namespace; of these components, if any are named."""
        query = {"labelSelector": f"celeryproject.org/component in ({','.join(components)})"} if components else {}
        return self.request("GET", f"/api/v1/namespaces/{self.namespace}/pods", **query).accepted().body["items"]

    def condition(self, manifest: dict[str, Any], kind: str) -> dict[str, Any] | None:
        """Return the object's condition of this type if it is True."""
        conditions = self.get(manifest).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind and each["status"] == "True"), None)

    def is_rolled_out(self, deployment: dict[str, Any]) -> bool:
        """Say whether every pod asked for, and no other, is of the newest template and Ready."""
        live = self.get(deployment)
        wanted, status = live["spec"]["replicas"], live["status"]
        seen = status.get("observedGeneration") == live["metadata"]["generation"]
        return seen and all(status.get(f"{of}eplicas", 0) == wanted for of in ("r", "updatedR", "readyR"))

    def wait_until(self, holds: Callable[[], Any], timeout_seconds: float | None = None) -> Any:
        """Return the first true answer, or fail with what is in the namespace."""
        timeout_seconds = timeout_seconds or self.patience_seconds
        deadline = time.monotonic() + timeout_seconds
        while not (answer := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"Not within {timeout_seconds} s:\n{self.kubectl('get', 'all,events').stdout}")
            time.sleep(0.05)
        return answer

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.folder / "tls.crt")
        return http.client.HTTPSConnection(self.address, self.port, timeout=self.timeout_seconds, context=context)

    def _send(
        self, connection: http.client.HTTPSConnection, method: str, url: str, body: Any, content_type: str
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        connection.request(method, url, body if body is None else json.dumps(body), headers)
        return connection.getresponse()


def _url(path: str, query: dict[str, Any]) -> str:
    return f"{path}?{urlencode(query)}"
