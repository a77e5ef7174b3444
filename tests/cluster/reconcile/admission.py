"""What a cluster does to objects on their way in: a real webhook over one namespace. Standard library only.

    with admission.changing(cluster, change):
        …

While the block runs, `change` gets every object that is created or updated in the namespace, and may change it in
place, or raise Refused.
"""

import base64
import copy
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cluster import Cluster

Change = Callable[[dict[str, Any]], object]


class Refused(Exception):  # noqa: N818 (says what becomes of the object)
    """The object is not let in; in these words."""


CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@contextmanager
def changing(cluster: Cluster, change: Change, *resources: str) -> Iterator[None]:
    """Let everything that is written go through `change` first, or only these resources: `deployments/scale`."""
    with _Server(("127.0.0.1", 0), change, cluster) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}
        webhook = {
            "name": "changes.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "clientConfig": {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": server.authority},
            "rules": [everything | {"resources": [*resources, "configmaps"] if resources else ["*"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}},
        }
        manifest = {"metadata": {"name": cluster.namespace}, "webhooks": [webhook]}
        cluster.request("POST", CONFIGURATIONS, manifest).accepted()
        try:
            # The API server needs a moment to know of the webhook.
            probe = ("create", "configmap", "probe", "--dry-run=server")
            cluster.wait_until(lambda: server.asked or (cluster.kubectl(*probe) and None))
            yield
        finally:
            cluster.request("DELETE", f"{CONFIGURATIONS}/{cluster.namespace}").accepted()
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], change: Change, cluster: Cluster) -> None:
        super().__init__(address, _Handler)
        certificate = cluster.folder / "tls.crt"
        self.authority = base64.b64encode(certificate.read_bytes()).decode()
        self.change, self.asked = change, 0
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, cluster.folder / "tls.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def verdict(self, before: dict[str, Any]) -> dict[str, Any]:
        """Return what becomes of the object, as an AdmissionReview's response says it."""
        after = copy.deepcopy(before)
        self.asked += 1
        try:
            self.change(after)
        except Refused as why:
            return {"allowed": False, "status": {"message": str(why), "code": 403}}
        changed = [
            {"op": "add", "path": f"/{key}", "value": new} for key, new in after.items() if new != before.get(key)
        ]
        patch = base64.b64encode(json.dumps(changed).encode()).decode()
        return {"allowed": True} | ({"patchType": "JSONPatch", "patch": patch} if changed else {})


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        response = {"uid": request["uid"]} | self.server.verdict(request["object"])
        answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
