"""What docs/scaling.md says of KEDA, with the real one, real brokers, and messages that Celery sends."""

import ssl
from urllib.parse import quote

import amazon
import keda
import pytest
import rabbitmq
import secured
import servers
from celery import Celery
from redis.client import Redis

PAGE, TOOL = "docs/scaling.md", keda.NAME
APP = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
SPEC = {"image": "registry.example.com/shop:1", "app": "shop.celery:app", "celeryVersion": "5.5"}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop-worker"}}
SCALED_OBJECT = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "shop-worker"}}
HPA = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
OWN_HPA, KEDAS_HPA = (HPA | {"metadata": {"name": name}} for name in ("shop-worker", "keda-hpa-shop-worker"))
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}
REQUESTS = {"requests": {"cpu": "100m", "memory": "64Mi"}}
FALLS_BACK, FALLS_NOT_BACK = ("True", "FallbackExists"), ("False", "NoFallbackFound")
NOT_CONNECTED = ("FailedGetExternalMetric", "ScaledObjectCheckFailed")
"""What the HPA says of it, and KEDA if it looks into its ScaledObject meanwhile."""
PATIENCE_SECONDS = 240
KEY = {name.upper(): value for name, value in amazon.LOGIN.items()}
"""Who KEDA is to Amazon."""


@pytest.fixture(scope="module", autouse=True)
def _keda(plane, tmp_path_factory):
    with keda.running(plane, tmp_path_factory.mktemp("keda"), **KEY):
        yield


@pytest.fixture(scope="module")
def program():
    return servers.redis_server() or servers.missing("redis-server is not installed (apt install redis-server)")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return secured.Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def redis(program, tmp_path):
    server = servers.Redis(program, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory, certificates):
    server = rabbitmq.Server(tmp_path_factory.mktemp("rabbitmq"), certificates.server, vhosts=9, with_http=True)
    with server.running():
        yield server


@pytest.fixture
def shop(cluster, reconciler):  # noqa: ARG001 (applies and reports)
    return Shop(cluster)


class Shop:
    """The CeleryApp `shop`, with one group that KEDA scales."""

    def __init__(self, cluster):
        self.cluster = cluster

    def take(self, broker, *queues, group=None, image=SPEC["image"], **scaling):
        """Let KEDA look every second, with a pod for two messages."""
        own = {"engine": "KEDA", "maxReplicas": 9, "queue": {"averageLength": 2}, "keda": {"pollingSeconds": 1}}
        scaling = {**own, "behavior": AT_ONCE, **scaling}
        self.spec(broker, {"queues": list(queues), "scaling": scaling, **(group or {})}, image=image)

    def spec(self, broker, worker, **more):
        workers = [{"name": "worker", "resources": REQUESTS, **worker}]
        spec = SPEC | {"broker": broker, "workers": workers} | more
        self.cluster.apply(APP | {"spec": spec}, force="true").accepted()

    def secret(self, name, **texts):
        identity = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        self.cluster.apply(identity | {"stringData": texts}).accepted()

    @property
    def pods(self):
        return self.find(DEPLOYMENT).get("spec", {}).get("replicas")

    @property
    def said(self):
        """Status and reason of each condition."""
        conditions = self.cluster.get(APP).get("status", {}).get("conditions", ())
        return {each["type"]: (each["status"], each["reason"]) for each in conditions}

    def find(self, manifest):
        """Return the object as it is, empty if it is not there."""
        answer = self.cluster.request("GET", self.cluster.path(manifest))
        return answer.body if answer.status == 200 else {}

    def until(self, holds, what):
        servers.until(holds, what, PATIENCE_SECONDS)

    def until_pods(self, count):
        self.until(lambda: self.pods == count, f"{count} pods")

    def until_said(self, status, *reasons):
        """Wait until the app says of its scaling that it is so, for one of these reasons."""
        self.until(lambda: self.said.get("ScalingActive") in {(status, each) for each in reasons}, f"scaling {reasons}")

    def until_in_vain(self, count):
        """Wait until KEDA could not connect to the broker so often: then it logs the look, and counts no failure."""
        log, name = self.cluster.folder / "keda-operator.log", self.cluster.namespace
        line = f'"error getting state of scaledObject","scaledObject.Namespace":"{name}"'
        self.until(lambda: log.read_text().count(line) >= count, "looks in vain")

    def keda_says(self, kind):
        """Return status and reason of a condition of the ScaledObject."""
        conditions = self.find(SCALED_OBJECT).get("status", {}).get("conditions", ())
        return next(((each["status"], each.get("reason")) for each in conditions if each["type"] == kind), None)


def send(url, queue, count, *, priority=None, **settings):
    with Celery("shop", broker=url) as app:
        app.conf.update(settings)
        with app.connection_for_write() as connection:
            for _ in range(count):
                app.send_task("shop.work", queue=queue, priority=priority, connection=connection)


def on_rabbitmq(shop, rabbit, vhost):
    """Return what the app says of a virtual host, which it has the password of."""
    shop.secret("login", password=rabbitmq.PASSWORD)
    url = f"amqp://{rabbitmq.USER}@{servers.HERE}:{rabbit.port}/{vhost}"
    return {"url": url, "passwordFrom": secured.ref("login", "password")}


def test_messages_of_one_queue_are_counted(shop, redis):
    shop.take({"url": redis.url}, "celery")
    send(redis.url, "celery", 9)
    shop.until_pods(5)
    shop.until_said("True", "ValidMetricFound")


def test_queues_and_their_priorities_add_up(shop, redis):
    shop.take({"url": redis.url}, "a", "b")
    send(redis.url, "a", 4)
    send(redis.url, "b", 4, priority=9)
    shop.until_pods(4)


def test_prefixes_and_steps_of_the_transport_options_are_followed(shop, redis):
    options = {"global_keyprefix": "shop.", "sep": ":", "priority_steps": [0, 1]}
    shop.take({"url": redis.url}, "a", group={"settings": {"broker_transport_options": options}})
    send(redis.url, "a", 4, broker_transport_options=options)
    send(redis.url, "a", 4, priority=1, broker_transport_options=options)
    shop.until_pods(4)


def test_a_password_of_any_characters_and_tls_with_client_certificates_on_redis(shop, program, certificates, tmp_path):
    with secured.on_redis(program, tmp_path, certificates) as place:
        take_secured(shop, place)
        send_secured(place, certificates, "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
        shop.until_pods(4)


def test_the_same_on_rabbitmq(shop, certificates, tmp_path):
    with secured.on_rabbitmq(tmp_path, certificates) as place:
        take_secured(shop, place)
        send_secured(place, certificates, "ca_certs", "certfile", "keyfile", "cert_reqs")
        shop.until_pods(4)


def test_redis_behind_sentinels_is_found(shop, program, tmp_path):
    with secured.on_sentinel(program, tmp_path) as place:
        take_secured(shop, place)
        options = {"master_name": "shop", "sentinel_kwargs": {"password": secured.PASSWORD}}
        send(secured_url(place), "celery", 8, broker_transport_options=options)
        shop.until_pods(4)


def take_secured(shop, place):
    for name, texts in place.secrets.items():
        shop.secret(name, **texts)
    shop.take(place.broker, "celery")


def secured_url(place):
    login = f"{quote(secured.USER, safe='')}:{quote(secured.PASSWORD, safe='')}@"
    return ";".join(url.replace("://", f"://{login}") for url in place.broker["url"].split(";"))


def send_secured(place, certificates, authority, certificate, key, wants):
    client = certificates.client
    tls = {authority: str(certificates.authority.path), certificate: str(client.path), key: str(client.key)}
    send(secured_url(place), "celery", 8, broker_use_ssl={**tls, wants: ssl.CERT_REQUIRED})


@pytest.mark.parametrize(("name", "written"), [("test-0", "test-0"), ("my/shop", "my%2Fshop")])
def test_virtual_hosts_of_rabbitmq_are_found(shop, rabbit, name, written):
    if name not in rabbit.control("list_vhosts", "name").split():
        rabbit.control("add_vhost", name)
        rabbit.control("set_permissions", "--vhost", name, rabbitmq.USER, ".*", ".*", ".*")
    shop.take(on_rabbitmq(shop, rabbit, written), "celery")
    send(rabbit.url(written), "celery", 8)
    shop.until_pods(4)


def test_the_url_of_rabbitmq_may_be_in_a_secret(shop, rabbit):
    shop.secret("broker", url=rabbit.url("test-1"))
    shop.take({"type": "RabbitMQ", "urlFrom": secured.ref("broker", "url")}, "celery")
    send(rabbit.url("test-1"), "celery", 8)
    shop.until_pods(4)


def test_over_the_http_api_of_rabbitmq_what_is_delivered_counts_too(shop, rabbit):
    login = f"{rabbitmq.USER}:{quote(rabbitmq.PASSWORD, safe='')}"
    shop.secret("broker", url=rabbit.url("test-8"), http=f"http://{login}@{servers.HERE}:{rabbit.http_port}/test-8")
    target = {"parameter": "host", "name": "broker", "key": "http"}
    identity = {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "http"}}
    shop.cluster.apply(identity | {"spec": {"secretTargetRef": [target]}}).accepted()
    by_http = {"pollingSeconds": 1, "authenticationRef": {"name": "http"}}
    shop.take({"type": "RabbitMQ", "urlFrom": secured.ref("broker", "url")}, "celery", keda=by_http)
    send(rabbit.url("test-8"), "celery", 8)
    with Celery("shop", broker=rabbit.url("test-8")) as app, app.connection_for_read() as connection:
        for _ in range(6):
            assert connection.default_channel.basic_get("celery")
        shop.until_pods(4)


@pytest.mark.parametrize("is_predefined", [False, True])
def test_queues_of_amazon_sqs_add_up_by_name_and_by_url_and_what_is_in_flight_counts(shop, tmp_path, is_predefined):
    with amazon.running(tmp_path) as port:
        client, urls = queues_on_sqs(port)
        predefined = {"predefined_queues": {f"shop-{name}": {"url": url} for name, url in urls.items()}}
        send_on_sqs(port, *urls, **(predefined if is_predefined else {}))
        assert client.receive_message(QueueUrl=urls["a"])["Messages"]
        take_on_sqs(shop, port, *urls, **(predefined if is_predefined else {}))
        shop.until_pods(4)
        shop.until_said("True", "ValidMetricFound")


@pytest.mark.parametrize(("queues", "pods"), [("a", 2), ("ab", 4)])
def test_without_amazon_sqs_fallback_holds_after_as_many_failures_as_it_says(shop, tmp_path, queues, pods):
    with amazon.running(tmp_path) as port:
        queues_on_sqs(port)
        send_on_sqs(port, *queues)
        take_on_sqs(shop, port, *queues)
        shop.until_pods(pods)
        assert shop.keda_says("Fallback") != FALLS_BACK
    shop.until_pods(6)
    shop.until(lambda: shop.keda_says("Fallback") == FALLS_BACK, "failures enough")


def queues_on_sqs(port):
    """Return a client of Amazon's own, and the URLs of the queues a and b, which it has made."""
    client = amazon.client(port)
    return client, {name: client.create_queue(QueueName=f"shop-{name}")["QueueUrl"] for name in ("a", "b")}


def on_sqs(**more):
    return {"broker_transport_options": {"region": amazon.REGION, "queue_name_prefix": "shop-", **more}}


def send_on_sqs(port, *queues, **more):
    for name in queues:
        send(amazon.url(port), name, 4, **on_sqs(**more))


def take_on_sqs(shop, port, *queues, pods_without=6, **more):
    fallback = {"fallback": {"failureThreshold": 3, "replicas": pods_without}} if pods_without else {}
    keda = {"pollingSeconds": 1, **fallback}
    group = {"settings": on_sqs(**more) | {"task_acks_late": True}}
    shop.take({"url": f"sqs://{servers.HERE}:{port}"}, *queues, group=group, keda=keda)


def test_a_group_goes_to_zero_and_comes_back(shop, redis):
    shop.take({"url": redis.url}, "celery", minReplicas=0, cooldownSeconds=2)
    shop.until_pods(0)
    shop.until_said("True", "ScaledObjectReady")
    send(redis.url, "celery", 8)
    shop.until_pods(4)
    with Redis(port=redis.port) as broker:
        broker.delete("celery")
    shop.until_pods(0)


def test_the_cooldown_holds_for_the_first_pods_too(shop, redis):
    shop.take({"url": redis.url}, "celery", minReplicas=0, cooldownSeconds=86400)
    shop.until(lambda: shop.keda_says("Active") == ("False", "ScalerCooldown"), "a cooldown")
    assert shop.pods == 1


def test_a_queue_that_nobody_has_declared_stops_no_other(shop, rabbit):
    shop.take(on_rabbitmq(shop, rabbit, "test-2"), "there", "never", minReplicas=0, cooldownSeconds=2)
    send(rabbit.url("test-2"), "there", 8)
    shop.until_pods(4)
    assert rabbit.queues("test-2") == {"there"}


def test_nor_does_one_on_amazon_sqs(shop, tmp_path):
    with amazon.running(tmp_path) as port:
        queues_on_sqs(port)
        send_on_sqs(port, "a")
        take_on_sqs(shop, port, "a", "never", pods_without=None)
        shop.until_pods(2)
        shop.until_said("True", "ValidMetricFound")


def test_while_no_queue_is_declared_the_pods_stay_and_the_app_says_so(shop, rabbit):
    shop.take(on_rabbitmq(shop, rabbit, "test-3"), "a", "b", minReplicas=2)
    fill(rabbit, "test-3")
    shop.until_pods(4)
    delete_queues(rabbit, "test-3")
    shop.until(lambda: shop.keda_says("Fallback") == FALLS_BACK, "failures enough")
    shop.until_said("False", "FailedGetExternalMetric")
    assert shop.pods == 4
    fill(rabbit, "test-3", 6)
    shop.until_pods(6)


def test_while_no_queue_is_declared_one_pod_is_kept_or_started(shop, rabbit):
    shop.take(on_rabbitmq(shop, rabbit, "test-4"), "a", "b", minReplicas=0, cooldownSeconds=2)
    shop.until(lambda: shop.keda_says("Fallback") == FALLS_BACK, "failures enough")
    assert shop.pods == 1
    fill(rabbit, "test-4")
    shop.until_pods(4)
    for queue in ("a", "b"):
        rabbit.control("--vhost", "test-4", "purge_queue", queue)
    shop.until_pods(0)
    delete_queues(rabbit, "test-4")
    shop.until_pods(1)


@pytest.mark.parametrize(
    ("vhost", "scaling"),
    [
        ("test-5", {"minReplicas": 2}),
        ("test-6", {"minReplicas": 0, "cooldownSeconds": 2}),
        ("test-7", {"keda": {"pollingSeconds": 1, "fallback": {"failureThreshold": 3, "replicas": 6}}}),
    ],
)
def test_while_rabbitmq_takes_no_connections_the_pods_stay_and_the_app_says_so(shop, rabbit, vhost, scaling):
    shop.take(on_rabbitmq(shop, rabbit, vhost), "a", "b", **scaling)
    fill(rabbit, vhost)
    shop.until_pods(4)
    rabbit.control("stop_app")
    try:
        shop.until_in_vain(10)
        shop.until_said("False", *NOT_CONNECTED)
        assert shop.pods == 4
        assert shop.keda_says("Fallback") == FALLS_NOT_BACK
    finally:
        rabbit.control("start_app")
        rabbit.control("await_startup")
    delete_queues(rabbit, vhost)
    fill(rabbit, vhost, 6)
    shop.until_pods(6)
    shop.until_said("True", "ValidMetricFound")


@pytest.mark.parametrize(("threshold", "pods", "says"), [(0, 6, FALLS_BACK), (3, 4, FALLS_NOT_BACK)])
def test_without_redis_fallback_holds_with_a_threshold_of_0_alone(shop, redis, threshold, pods, says):
    keda = {"pollingSeconds": 1, "fallback": {"failureThreshold": threshold, "replicas": 6}}
    shop.take({"url": redis.url}, "celery", keda=keda)
    send(redis.url, "celery", 8)
    shop.until_pods(4)
    redis.stop()
    if says == FALLS_NOT_BACK:
        shop.until_in_vain(10)
    shop.until_pods(pods)
    shop.until(lambda: shop.keda_says("Fallback") == says, says)


def fill(rabbit, vhost, count=4):
    for queue in ("a", "b"):
        send(rabbit.url(vhost), queue, count)


def delete_queues(rabbit, vhost):
    """Delete them at once: while one alone is there, it counts alone."""
    with Celery("shop", broker=rabbit.url(vhost)) as app, app.connection_for_write() as connection:
        for queue in ("a", "b"):
            connection.default_channel.queue_delete(queue)


def test_cpu_and_memory_count_beside_the_queue(shop, redis):
    shop.take({"url": redis.url}, "celery", cpu={"averageUtilization": 80}, memory={"averageValue": "1Gi"})
    shop.until(lambda: shop.find(KEDAS_HPA), "an HPA")
    found = shop.find(KEDAS_HPA)["spec"]["metrics"]
    assert sorted((each["type"], each.get("resource", {}).get("name", "")) for each in found) == [
        ("External", ""),
        ("Resource", "cpu"),
        ("Resource", "memory"),
    ]


def test_a_paused_group_stays_as_it_is(shop, redis):
    shop.take({"url": redis.url}, "celery", paused=True)
    send(redis.url, "celery", 8)
    shop.until(lambda: shop.keda_says("Paused") == ("True", "ScaledObjectPaused"), "a pause")
    shop.until_said("False", "ScalingDisabled")
    assert shop.pods == 1
    shop.take({"url": redis.url}, "celery")
    shop.until_pods(4)


def test_behavior_reaches_kedas_hpa(shop, redis):
    up = {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}
    shop.take({"url": redis.url}, "celery", behavior={"scaleUp": up})
    shop.until(lambda: shop.find(KEDAS_HPA), "an HPA")
    assert shop.find(KEDAS_HPA)["spec"]["behavior"]["scaleUp"]["policies"] == up["policies"]


def test_a_broker_that_is_not_there_is_said_and_found_when_it_comes(shop, redis):
    redis.stop()
    shop.take({"url": redis.url}, "celery")
    shop.until_said("False", "TriggerError", "ScaledObjectCheckFailed", "FailedGetExternalMetric")
    redis.start()
    send(redis.url, "celery", 8)
    shop.until_pods(4)
    shop.until_said("True", "ValidMetricFound")


def test_an_hpa_makes_room_for_keda_as_its_webhook_asks(shop, redis):
    shop.spec({"url": redis.url}, {"scaling": {"engine": "HPA", "maxReplicas": 3, "cpu": {"averageValue": "1"}}})
    shop.until(lambda: shop.find(OWN_HPA), "an HPA")
    shop.until(lambda: foreign(shop).status == 403, "the webhook's refusal")
    shop.take({"url": redis.url}, "celery", image="registry.example.com/shop:2")
    send(redis.url, "celery", 8)
    shop.until_pods(4)
    assert shop.find(OWN_HPA) == {}
    [container] = shop.find(DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/shop:2"


def test_a_foreign_scaled_object_is_named_and_left_alone(shop, redis):
    scaling = {"engine": "Reconciler", "maxReplicas": 2, "cpu": {"averageValue": "1"}}
    shop.spec({"url": redis.url}, {"scaling": scaling})
    shop.until(lambda: shop.pods == 1, "a Deployment")
    foreign(shop).accepted()
    shop.until_said("False", "ForeignAutoscaler")
    shop.until_pods(3)
    [said] = [each for each in shop.cluster.get(APP)["status"]["conditions"] if each["type"] == "ScalingActive"]
    assert "ScaledObject foreign" in said["message"]


def foreign(shop):
    """Return what became of a ScaledObject that somebody else has for the same Deployment."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-worker"}
    clock = {"timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": "3"}
    spec = {"scaleTargetRef": target, "minReplicaCount": 3, "triggers": [{"type": "cron", "metadata": clock}]}
    return shop.cluster.apply(SCALED_OBJECT | {"metadata": {"name": "foreign"}, "spec": spec})
