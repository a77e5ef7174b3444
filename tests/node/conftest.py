"""One node per run, a fresh namespace and brokers per test. README.md says how to use them."""

import itertools
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import debian
import images
import keeper
import node as nodes
import pytest
import rabbitmq
import yaml
from celery_versions import VERSIONS
from redis import Redis as Client
from servers import Certificate, Redis, missing, redis_program  # noqa: F401 (a fixture)

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc):
    if "celery_version" in metafunc.fixturenames:
        metafunc.parametrize("celery_version", _celery_versions(metafunc.config), scope="session")


def _celery_versions(config):
    return config.getoption("celery") or [VERSIONS[0], VERSIONS[-1]]


@pytest.fixture(scope="session")
def celery_versions(pytestconfig):
    """Return all versions of the run, for a test that has them side by side."""
    return _celery_versions(pytestconfig)


@pytest.fixture(scope="session")
def node(binary, tmp_path_factory):
    """Return the running node. Where it cannot be: a skip on a laptop, a failure under CI=true and in make e2e."""
    try:
        with nodes.running(binary, tmp_path_factory.mktemp("node")) as node:
            yield node
    except (keeper.NoPlace, debian.NoPackages) as reason:
        missing(str(reason))


@pytest.fixture
def cluster(node):
    """Return the cluster as seen from a namespace of the test's own."""
    namespaces = "/api/v1/namespaces"
    created = node.cluster.request("POST", namespaces, {"metadata": {"generateName": "test-"}}).accepted()
    cluster = node.cluster.in_namespace(created.body["metadata"]["name"])
    account = f"{namespaces}/{cluster.namespace}/serviceaccounts/default"
    cluster.wait_until(lambda: cluster.request("GET", account).status == 200)  # without it no pod is let in
    yield cluster
    # Shown with a test that failed.
    print(cluster.kubectl("get", "pods,events", check=False).stdout, logs(cluster), sep="\n")  # noqa: T201
    node.cluster.request("DELETE", f"{namespaces}/{cluster.namespace}").accepted()


@pytest.fixture
def celery_image(node, celery_version):
    """Return the name of an image with this Celery, Flower and the app `shop`."""
    return node.load(images.celery(celery_version))


@pytest.fixture(scope="session")
def project_image(node):
    """Return the name of this project's image."""
    return node.load(images.project())


@pytest.fixture(scope="session")
def installation(node, project_image):
    """Return the namespace of the installed reconciler."""
    cluster = node.cluster.in_namespace("celery-render-system")
    cluster.kubectl("apply", "--server-side", "--kustomize", HERE / "installation")
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}
    [container] = cluster.get(deployment)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == project_image
    try:
        cluster.wait_until(lambda: cluster.is_rolled_out(deployment))
    except AssertionError as reason:
        reason.add_note(logs(cluster))
        raise
    return cluster


@pytest.fixture
def reconciler(installation):
    """Return the namespace of the reconciler, which tests share."""
    yield installation
    print(logs(installation))  # noqa: T201 (shown with a test that failed)


def logs(cluster):
    """Return the last words of every pod in the namespace."""
    command = ["logs", "--selector=!none", "--all-containers", "--prefix", "--tail=50"]
    return cluster.kubectl(*command, check=False).stdout


class Recording(Redis):
    """A Redis that pods reach, and what the tasks of the app `shop` wrote into it."""

    def let(self, end):
        """Let the tasks end that were told to `hold` until this."""
        with Client.from_url(self.url) as client:
            client.set(end, "now")

    def records(self):
        """Return what happened so far, in order: event (started, ended), task, id, time, pod, process."""
        with Client.from_url(self.url) as client:
            return [json.loads(each) for each in client.lrange("records", 0, -1)]


@pytest.fixture
def recording(node, redis_program, tmp_path):  # noqa: F811
    """Return a function that starts a Redis which pods reach."""
    started = []

    def start():
        server = Recording(redis_program, tmp_path, "--protected-mode", "no", address=node.place.host)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def redis(recording):
    """Return a broker that pods reach: .url, .stop(), .start()."""
    return recording()


@pytest.fixture
def records(recording):
    """Return where tasks record: .records(). It is no broker, so that it is there while a broker is not."""
    return recording()


@pytest.fixture(scope="session")
def rabbitmq_server(node, tmp_path_factory):
    """Return a running RabbitMQ which pods reach: .url(vhost), .control("stop_app"), .control("start_app")."""
    certificate = Certificate(tmp_path_factory.mktemp("tls"))
    with rabbitmq.Server(tmp_path_factory.mktemp("rabbitmq"), certificate, node.place.host).running() as server:
        yield server


@pytest.fixture(scope="session")
def vhosts():
    return map("test-{}".format, itertools.count())


@pytest.fixture
def on_rabbitmq(rabbitmq_server, vhosts):
    """Return the URL of an empty virtual host."""
    return rabbitmq_server.url(next(vhosts))


@pytest.fixture
def applied(cluster, node, records, tmp_path):
    """Return a function: a CeleryApp with the app `shop`, rendered and applied; it returns the children."""

    def applied(name, celery_version, broker_url, **spec):
        secret = {"metadata": {"name": "broker"}, "stringData": {"url": broker_url}}
        cluster.apply({"apiVersion": "v1", "kind": "Secret"} | secret).accepted()
        app = {
            "apiVersion": "celeryproject.org/v1alpha1",
            "kind": "CeleryApp",
            "metadata": {"name": name},
            "spec": {
                "image": node.load(images.celery(celery_version)),
                "app": "shop.celery:app",
                "celeryVersion": celery_version,
                "broker": {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}},
                **spec,
                "env": [{"name": "RECORDS_URL", "value": records.url}, *spec.get("env", ())],
            },
        }
        (tmp_path / "app.yaml").write_text(json.dumps(app))
        command = [Path(sys.executable).with_name("celery-render"), tmp_path / "app.yaml"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        children = list(yaml.safe_load_all(printed))
        for child in children:
            cluster.apply(child).accepted()
        return children

    return applied


@pytest.fixture
def module(cluster):
    """Return a function: it puts a module into the namespace, and returns the spec of an app that is in there."""

    def module(name, text):
        source = {"metadata": {"name": name}, "data": {f"{name}.py": text}}
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap"} | source).accepted()
        folder = f"/etc/{name}"
        return {
            "app": f"{name}:app",
            "env": [{"name": "PYTHONPATH", "value": folder}],
            "volumes": [{"name": name, "configMap": {"name": name}}],
            "volumeMounts": [{"name": name, "mountPath": folder}],
        }

    return module


@pytest.fixture
def shop(applied, celery_version):
    """Return a function: the CeleryApp `shop` with this spec, rendered and applied; it returns the children."""
    return partial(applied, "shop", celery_version)
