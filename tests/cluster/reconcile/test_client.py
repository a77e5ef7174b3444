"""reconciler/cluster/client.py against the real API server, and against one that fails."""

import contextlib
import json
import ssl
import subprocess
import time
from base64 import b64encode
from dataclasses import replace
from types import SimpleNamespace

import fault_proxy
import pytest
import yaml
from fault_proxy import answer

from reconciler.cluster import client, errors
from reconciler.cluster.client import Where
from reconciler.cluster.transport import Request, Transport
from reconciler.model import CELERY_APP, CONFIG_MAP, DEPLOYMENT, EVENT, SCALED_OBJECT, Kind, Ref

ABSENT = Kind("keda.sh/v9", "ScaledNothing", "scalednothings", optional=True)


@pytest.fixture
def service_account(cluster, tmp_path):
    """Return a folder as the kubelet mounts it into a pod, with the admin's token."""
    (tmp_path / "token").write_text(cluster.token)
    (tmp_path / "ca.crt").write_bytes((cluster.folder / "tls.crt").read_bytes())
    return tmp_path


@pytest.fixture
def counted():
    return []


@pytest.fixture
def transport(proxy, service_account, counted):
    access = client.in_cluster(f"https://127.0.0.1:{proxy.server_port}", service_account)
    return Transport(access, lambda: True, lambda *each: counted.append(each), silence_seconds=5)


@pytest.fixture
def ours(transport):
    """Return the cluster as the reconciler sees it, through the proxy."""
    return client.Cluster(transport)


@pytest.fixture
def during(transport):
    """Return the same for the time of a fault, with a time-out that a test can wait for where nothing else ends it."""
    endless = (fault_proxy.silence, fault_proxy.trickle, fault_proxy.trickling_chunk)
    hasty = replace(transport, silence_seconds=0.3)
    return lambda fault: client.Cluster(hasty if fault in endless else transport)


@pytest.fixture
def note(cluster):
    """Return a ConfigMap to write."""
    metadata = {"namespace": cluster.namespace, "name": "note", "labels": {"note": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "hello"}}


@pytest.fixture
def here(cluster):
    return Where(cluster.namespace)


@pytest.fixture
def labelled(cluster):
    """Return where notes are, and nothing else."""
    return Where(cluster.namespace, "note=yes")


def names(listed):
    return [manifest["metadata"]["name"] for manifest in listed.items]


# Reading


@pytest.fixture
def notes(ours, note, labelled, monkeypatch):
    """Return what to list to get five ConfigMaps, two to a page."""
    monkeypatch.setattr(client, "PAGE_ITEMS", 2)
    for number in range(5):
        ours.apply(note | {"metadata": note["metadata"] | {"name": f"note-{number}"}}, dry_run=False)
    return CONFIG_MAP, dict, labelled


def test_a_list_is_every_page_with_kind_and_apiversion(ours, notes):
    listed = ours.list(*notes)
    assert names(listed) == [f"note-{number}" for number in range(5)]
    assert {(each["apiVersion"], each["kind"]) for each in listed.items} == {("v1", "ConfigMap")}


def test_a_long_list_comes_in_many_pieces_and_not_packed(ours, proxy, note, notes):
    def forward(exchange):
        response = exchange.forwarded()
        said.append((response.headers["Content-Encoding"], response.headers["Transfer-Encoding"]))
        exchange.head(200, {"Transfer-Encoding": "chunked"})
        while piece := response.read(100):
            exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.wfile.write(b"0\r\n\r\n")

    said = []
    text = {"data": {"text": "long " * 50_000}}  # enough for the API server to pack it if it may
    for number in range(5):
        ours.apply(note | {"metadata": note["metadata"] | {"name": f"note-{number}"}} | text, dry_run=False)
    with proxy.fault(forward, on="^GET"):
        assert [each["data"] for each in ours.list(*notes).items] == [text["data"]] * 5
    assert said == [(None, "chunked")] * 3


def test_a_list_whose_pages_expire_is_read_again_at_once(ours, proxy, notes):
    with proxy.fault(answer(410), on="continue="):
        assert len(ours.list(*notes).items) == 5


def test_a_kind_whose_crd_may_be_absent_has_no_objects(ours, here):
    assert ours.list(ABSENT, dict, here) == ([], "")


@pytest.mark.parametrize(
    ("kind", "hint"), [(CELERY_APP, r"celery-render --crd \| kubectl apply"), (SCALED_OBJECT, "install KEDA")]
)
def test_a_kind_that_is_not_there_comes_with_what_brings_it(ours, here, kind, hint):
    with pytest.raises(errors.ListFailed, match=f"404 the cluster does not know this kind: .*{hint}"):
        ours.list(kind._replace(plural="nothings", optional=False), dict, here)


def test_a_kind_whose_crd_must_be_there_is_missed(ours, here):
    with pytest.raises(errors.ListFailed, match="ScaledNothing list: 404"):
        ours.list(ABSENT._replace(optional=False), dict, here)


@pytest.mark.parametrize(
    "fault",
    [
        answer(401),
        answer(403),
        answer(429, Retry_After="60"),
        answer(500),
        answer(503),
        answer(504),
        fault_proxy.reset,
        fault_proxy.silence,
        fault_proxy.half_an_answer,
        fault_proxy.half_the_json,
        fault_proxy.half_the_chunks,
        fault_proxy.trickle,
        fault_proxy.trickling_chunk,
    ],
)
@pytest.mark.parametrize("page", ["limit=", "continue="], ids=["first page", "second page"])
def test_a_list_that_fails_is_never_empty(ours, during, proxy, notes, fault, page):
    with proxy.fault(fault, on=page), pytest.raises(errors.ListFailed):
        during(fault).list(*notes)
    assert names(ours.list(*notes)) == [f"note-{number}" for number in range(5)]


def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one(ours, proxy, here):
    def nothing(exchange):
        exchange.send(200, b"{}", {})

    with proxy.fault(nothing, on="GET"), pytest.raises(errors.ListFailed, match="no list"):
        ours.list(DEPLOYMENT, dict, here)


def test_a_connection_sets_nothing_that_the_others_share(service_account):
    context = client.in_cluster("https://any", service_account).pool().connection_pool_kw["ssl_context"]
    context.set_alpn_protocols(["h2", "http/1.1"])  # as urllib3 does
    read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(read, written, server_hostname="any").do_handshake()
    assert b"http/1.1" not in written.read()


# Writing


def test_a_dry_run_says_what_the_server_would_keep_and_keeps_nothing(ours, labelled, note):
    assert "resourceVersion" not in ours.apply(note, dry_run=True)["metadata"]
    assert names(ours.list(CONFIG_MAP, dict, labelled)) == []


def test_an_apply_creates_then_changes_as_celery_reconcile(ours, note):
    ours.apply(note, dry_run=False)
    applied = ours.apply(note | {"data": {"text": "good bye"}}, dry_run=False)
    assert applied["data"] == {"text": "good bye"}
    [manager] = applied["metadata"]["managedFields"]
    assert (manager["manager"], manager["operation"]) == ("celery-reconcile", "Apply")


def test_an_apply_takes_over_what_another_has_set(ours, cluster, note):
    cluster.apply(note | {"data": {"text": "theirs"}}).accepted()
    assert ours.apply(note, dry_run=False)["data"] == {"text": "hello"}


def test_a_field_the_server_does_not_know_is_invalid(ours, note):
    with pytest.raises(errors.Invalid, match=r"ConfigMap/.*/note dry-run: [45]00 .*\.dta: field not declared"):
        ours.apply(note | {"dta": {}}, dry_run=True)


def test_what_is_invalid_is_said_field_by_field(ours, note):
    with pytest.raises(errors.Invalid) as caught:
        ours.apply(note | {"data": {"a/b": ""}}, dry_run=True)
    assert [cause["field"] for cause in caught.value.causes] == ["data[a/b]"]
    assert caught.value.reason == "Invalid"


def test_the_status_is_applied_beside_the_rest(ours, cluster, celeryapp_crd):  # noqa: ARG001 (installs it)
    metadata = {"namespace": cluster.namespace, "name": "shop"}
    app = {"apiVersion": CELERY_APP.api_version, "kind": "CeleryApp", "metadata": metadata}
    cluster.apply(app | {"spec": {"image": "shop:1", "app": "shop"}}).accepted()
    assert ours.apply_status(app | {"status": {"workersReady": "1/1"}})["spec"]["image"] == "shop:1"
    assert cluster.get(app)["status"] == {"observedGeneration": -1, "workersReady": "1/1"}


def test_a_patch_that_tests_what_it_saw_is_refused_when_that_changed(ours, note):
    ours.apply(note, dry_run=False)
    test, remove = ({"op": "test", "path": "/data/text", "value": "bye"}, {"op": "remove", "path": "/data/text"})
    with pytest.raises(errors.Invalid):
        ours.patch(Ref.of(note), [test, remove], dry_run=False)
    test["value"] = "hello"
    assert "data" in ours.patch(Ref.of(note), [test], dry_run=True)
    assert "data" not in ours.patch(Ref.of(note), [test, remove], dry_run=False)


def test_a_merge_patch_removes_what_is_null(ours, note):
    ours.apply(note, dry_run=False)
    patched = ours.patch(Ref.of(note), {"metadata": {"labels": None}}, client.MERGE_PATCH, dry_run=False)
    assert "labels" not in patched["metadata"]


def test_a_delete_takes_the_object_of_its_uid_and_no_other(ours, labelled, note):
    uid = ours.apply(note, dry_run=False)["metadata"]["uid"]
    with pytest.raises(errors.Conflict):
        ours.delete(Ref.of(note), "00000000-0000-0000-0000-000000000000")
    assert names(ours.list(CONFIG_MAP, dict, labelled)) == ["note"]
    ours.delete(Ref.of(note), uid)
    assert names(ours.list(CONFIG_MAP, dict, labelled)) == []


def test_what_is_gone_already_is_deleted(ours, note):
    ours.delete(Ref.of(note), "00000000-0000-0000-0000-000000000000")


def test_an_event_is_seen_by_kubectl(ours, cluster, note):
    ours.apply(note, dry_run=False)
    ours.create(
        {
            "apiVersion": EVENT.api_version,
            "kind": "Event",
            "metadata": {"namespace": cluster.namespace, "name": "note.1"},
            "eventTime": "2026-01-31T12:00:00.000000Z",
            "reportingController": "celery-reconcile",
            "reportingInstance": "celery-reconcile",
            "action": "Apply",
            "reason": "Created",
            "type": "Normal",
            "note": "ConfigMap created",
            "regarding": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": cluster.namespace, "name": "note"},
        }
    )
    assert "ConfigMap created" in cluster.kubectl("events", "--for", "configmap/note").stdout


def test_a_namespace_that_is_being_deleted_says_so(ours, cluster, note):
    finalizers = {"metadata": {"name": "held", "finalizers": ["tests.example.com/hold"]}}
    configmaps = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    cluster.request("POST", configmaps, finalizers).accepted()
    cluster.request("DELETE", f"/api/v1/namespaces/{cluster.namespace}").accepted()
    with pytest.raises(errors.Forbidden) as caught:
        ours.apply(note, dry_run=False)
    assert caught.value.is_terminating
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    cluster.request("PATCH", f"{configmaps}/held", patch, content_type="application/json-patch+json").accepted()


# Not writing


def test_who_may_not_write_does_not_but_may_ask(transport, proxy, note):
    halted = client.Cluster(replace(transport, may_write=lambda: False))
    ref = Ref.of(note)
    halted.apply(note, dry_run=True)
    before = len(proxy.requests)
    for write in (
        lambda: halted.apply(note, dry_run=False),
        lambda: halted.apply_status(note),
        lambda: halted.patch(ref, [], dry_run=False),
        lambda: halted.delete(ref, "any"),
        lambda: halted.create(note),
        lambda: halted.replace(note),
    ):
        with pytest.raises(errors.Halted):
            write()
    assert proxy.requests[before:] == []


def test_who_may_not_write_any_more_does_not_try_again(transport, proxy, note):
    answers = iter([True, False])
    leader = client.Cluster(replace(transport, may_write=lambda: next(answers)))
    with proxy.fault(answer(429, Retry_After="0"), on="PATCH"), pytest.raises(errors.Halted):
        leader.apply(note, dry_run=False)


def test_what_was_planned_in_a_term_ends_with_it(ours, proxy, note):
    lease = SimpleNamespace(term=1)
    in_term = ours.in_term(lambda: lease.term == 1)
    in_term.apply(note, dry_run=False)
    lease.term = 2  # lost, and won again
    before = len(proxy.requests)
    with pytest.raises(errors.Halted):
        in_term.apply(note, dry_run=False)
    assert proxy.requests[before:] == []
    in_term.apply(note, dry_run=True)
    assert in_term.get(Ref.of(note))["data"] == note["data"]
    ours.apply(note, dry_run=False)


def test_within_a_term_too_nobody_writes_who_may_not(transport, note):
    with pytest.raises(errors.Halted):
        client.Cluster(replace(transport, may_write=lambda: False)).in_term(lambda: True).create(note)


# Writing in time


@pytest.mark.parametrize(("seconds_left", "said"), [(0.0, "1s"), (1.9, "1s"), (7.5, "7s"), (60.0, "60s")])
def test_a_write_says_when_the_server_shall_give_it_up(transport, proxy, note, seconds_left, said):
    leader = client.Cluster(replace(transport, write_seconds=lambda: seconds_left))
    for write in (
        lambda: leader.create(note),
        lambda: leader.apply(note, dry_run=False),
        lambda: leader.delete(Ref.of(note), "any"),
    ):
        with contextlib.suppress(errors.Conflict):
            write()
        assert f"timeout={said}" in proxy.requests[-1]


def test_what_is_no_write_has_time(transport, proxy, note, labelled):
    leader = client.Cluster(replace(transport, write_seconds=lambda: 1.0))
    leader.apply(note, dry_run=True)
    leader.list(CONFIG_MAP, dict, labelled)
    assert "timeout" not in "".join(proxy.requests)


def late(exchange):
    """Let the answer come after five seconds."""
    time.sleep(5)
    exchange.send(201, b'{"metadata": {}}', {})


@pytest.mark.parametrize("fault", [late, fault_proxy.trickle, fault_proxy.trickling_chunk])
def test_a_write_is_not_waited_for_when_others_may_write(transport, proxy, note, fault):
    patient = replace(transport, silence_seconds=60, write_seconds=lambda: 1.0)
    with proxy.fault(fault, on="POST"), pytest.raises(errors.Unavailable):
        client.Cluster(patient).create(note)


@pytest.fixture
def webhook(cluster, proxy, note):
    """Let a webhook be asked about every ConfigMap, which hangs; after 10 s the API server goes on without it."""
    hook = {
        "name": "hangs.example.com",
        "clientConfig": {
            "url": f"https://127.0.0.1:{proxy.server_port}/webhook",
            "caBundle": b64encode((cluster.folder / "tls.crt").read_bytes()).decode(),
        },
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}},
        "failurePolicy": "Ignore",
        "timeoutSeconds": 10,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    cluster.request("POST", path, {"metadata": {"name": cluster.namespace}, "webhooks": [hook]}).accepted()

    def is_asked():
        cluster.apply(note, dryRun="All").accepted()
        return any("/webhook" in line for line in proxy.requests)

    with proxy.fault(answer(500), on="/webhook"):
        cluster.wait_until(is_asked)
    with proxy.fault(fault_proxy.silence, on="/webhook"):
        yield
    cluster.request("DELETE", f"{path}/{cluster.namespace}").accepted()


def test_the_server_gives_up_what_it_was_asked_for_in_time_only(transport, ours, note, labelled, request):
    before, patient, ref = ours.create(note), replace(transport, silence_seconds=60), Ref.of(note)
    request.getfixturevalue("webhook")
    late, json_ = note | {"data": {"text": "late"}}, "application/json"
    for method, path, body, content_type in (
        ("POST", ref.collection, late | {"metadata": note["metadata"] | {"name": "another"}}, json_),
        ("PUT", ref.path, late, json_),
        ("PATCH", ref.path, late, client.MERGE_PATCH),
        ("DELETE", ref.path, {"preconditions": {"uid": before["metadata"]["uid"]}}, json_),
    ):
        with pytest.raises(errors.Unavailable):  # by 504, or the end of the connection
            patient.send(Request(str(ref), "write", method, path, {"timeout": "1s"}, body, content_type))
    assert ours.list(CONFIG_MAP, dict, labelled).items == [before]


@pytest.mark.usefixtures("webhook")
def test_a_write_does_not_arrive_when_others_may_write(transport, ours, note, labelled):
    leader = client.Cluster(replace(transport, silence_seconds=60, write_seconds=lambda: 1.9))
    for write in (leader.create, lambda note: leader.apply(note, dry_run=False)):
        with pytest.raises(errors.Unavailable):
            write(note)
    assert names(ours.list(CONFIG_MAP, dict, labelled)) == []


# Failing


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answer(401), errors.Unavailable),
        (answer(403), errors.Forbidden),
        (answer(404), errors.NotFound),
        (answer(409), errors.Conflict),
        (answer(415), errors.ClusterError),
        (answer(422), errors.Invalid),
        (answer(429, Retry_After="1"), errors.Throttled),
        (answer(500), errors.Unavailable),
        (answer(503), errors.Unavailable),
        (answer(302, Location="https://example.com/"), errors.ClusterError),
        (fault_proxy.silence, errors.Unavailable),
        (fault_proxy.reset, errors.Unavailable),
        (fault_proxy.half_an_answer, errors.Unavailable),
        (fault_proxy.half_the_json, errors.Unavailable),
        (fault_proxy.half_the_chunks, errors.Unavailable),
        (fault_proxy.trickle, errors.Unavailable),
        (fault_proxy.trickling_chunk, errors.Unavailable),
    ],
)
def test_a_fault_has_one_class_and_passes(ours, during, proxy, note, fault, error):
    with proxy.fault(fault, on="PATCH"), pytest.raises(errors.ClusterError) as caught:
        during(fault).apply(note, dry_run=False)
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"{Ref.of(note)} apply: ")
    assert ours.apply(note, dry_run=False)["data"] == note["data"]


def test_a_server_that_is_gone_is_unavailable(transport, service_account, note):
    access = client.in_cluster("https://127.0.0.1:1", service_account)
    with pytest.raises(errors.Unavailable):
        client.Cluster(replace(transport, access=access)).apply(note, dry_run=False)


def test_one_short_wait_is_granted(ours, proxy, note, counted):
    with proxy.fault(answer(429, Retry_After="1"), on="PATCH", times=1):
        ours.apply(note, dry_run=False)
    assert counted == [("apply", "429"), ("apply", "201")]


def test_a_long_wait_is_left_to_the_caller(ours, proxy, note, counted):
    with proxy.fault(answer(429, Retry_After="60"), on="PATCH"), pytest.raises(errors.Throttled) as caught:
        ours.apply(note, dry_run=False)
    assert (caught.value.retry_after_seconds, counted) == (60, [("apply", "429")])


def test_a_list_tells_when_to_come_back(ours, proxy, here):
    with proxy.fault(answer(429, Retry_After="60")), pytest.raises(errors.ListFailed) as caught:
        ours.list(CONFIG_MAP, dict, here)
    assert caught.value.retry_after_seconds == 60


def test_an_unavailable_server_that_names_a_time_is_asked_again_then(ours, proxy, note, counted):
    with proxy.fault(answer(503, Retry_After="1"), on="PATCH", times=1):
        ours.apply(note, dry_run=False)
    assert counted == [("apply", "503"), ("apply", "201")]


def test_a_token_that_was_replaced_is_used_at_once(ours, service_account, cluster, note, labelled):
    ours.create(note)
    (service_account / "token").write_text("expired")
    with pytest.raises(errors.ListFailed, match="401 Unauthorized"):
        ours.list(CONFIG_MAP, dict, labelled)
    (service_account / "token").write_text(cluster.token)
    assert names(ours.list(CONFIG_MAP, dict, labelled)) == ["note"]


def test_an_authority_that_was_replaced_is_trusted_at_once(ours, proxy, service_account, binary, note):
    ours.create(note)
    another = service_account / "another"
    another.mkdir()
    subprocess.run([binary, "files", another, "127.0.0.1"], check=True)
    proxy.socket.context.load_cert_chain(another / "tls.crt", another / "tls.key")
    with proxy.fault(fault_proxy.reset, times=1), pytest.raises(errors.Unavailable):
        ours.get(Ref.of(note))  # as when the API server is started anew
    with pytest.raises(errors.Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        ours.get(Ref.of(note))
    (service_account / "ca.crt").write_bytes((another / "tls.crt").read_bytes())
    assert ours.get(Ref.of(note))["data"] == note["data"]


def test_every_answer_is_counted_by_verb_and_code(ours, proxy, here, note, counted):
    ours.list(CONFIG_MAP, dict, here)
    ours.apply(note, dry_run=True)
    ours.delete(Ref.of(note), "any")
    with proxy.fault(fault_proxy.reset), pytest.raises(errors.Unavailable):
        ours.apply(note, dry_run=False)
    assert counted == [("list", "200"), ("dry-run", "201"), ("delete", "404"), ("apply", "error")]


# Watching


def test_a_watch_tells_of_every_change_since_the_list(ours, cluster, here, note):
    since = ours.list(CONFIG_MAP, dict, here).resource_version
    made = ours.apply(note, dry_run=False)
    changes = ours.watch(CONFIG_MAP, here, since, 60)
    assert next(changes) == ("ADDED", made)
    changed = cluster.apply(note | {"data": {"text": "changed"}}, force="true").accepted().body
    assert next(changes) == ("MODIFIED", changed)


def test_a_kind_that_is_not_there_is_not_watched(ours, here):
    with pytest.raises(errors.NotFound):
        next(ours.watch(ABSENT, here, "", 60))


def test_a_watch_from_before_the_server_remembers_ends(ours, proxy, here):
    def forgotten(exchange):
        exchange.send(
            200, json.dumps({"type": "ERROR", "object": {"code": 410, "message": "old"}}).encode() + b"\n", {}
        )

    for fault in (answer(410), forgotten):
        with proxy.fault(fault, on="watch="), pytest.raises(errors.Expired):
            next(ours.watch(CONFIG_MAP, here, "1", 60))


# Kubeconfig


def test_a_kubeconfig_gives_the_same_access(ours, transport, cluster, note, labelled):
    ours.create(note)
    access = client.from_kubeconfig(str(cluster.kubeconfig), None)
    assert names(client.Cluster(replace(transport, access=access)).list(CONFIG_MAP, dict, labelled)) == ["note"]


def test_a_client_certificate_is_no_business_of_each_connection(cluster, tmp_path):
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    files = {"client-certificate": str(cluster.folder / "tls.crt"), "client-key": str(cluster.folder / "tls.key")}
    config["users"][0]["user"] |= files
    config["clusters"][0]["cluster"]["certificate-authority"] = files["client-certificate"]
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    access = client.from_kubeconfig(str(tmp_path / "kubeconfig"), None)
    assert access.pool().connection_pool_kw.keys().isdisjoint({"ca_certs", "cert_file", "key_file"})


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.NoCluster, match=str(tmp_path / "none")):
        client.from_kubeconfig(str(tmp_path / "none"), None)


# Scaling


@pytest.fixture
def deployment(ours, cluster):
    """Return a Deployment of two pods."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    metadata = {"namespace": cluster.namespace, "name": "any"}
    manifest = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "metadata": metadata, "spec": spec}
    ours.create(manifest)
    return Ref.of(manifest)


@pytest.mark.parametrize(("before", "after"), [(2, 5), (2, 0)])
def test_a_deployment_is_scaled_and_back_from_zero_too(ours, deployment, before, after):
    ours.scale(deployment, before, after)
    assert ours.get(deployment)["spec"]["replicas"] == after
    ours.scale(deployment, after, before)
    assert ours.get(deployment)["spec"]["replicas"] == before


@pytest.mark.parametrize("believed", [0, 1, 3])
def test_a_count_that_was_changed_meanwhile_is_not_overwritten(ours, deployment, believed):
    with pytest.raises(errors.Invalid):
        ours.scale(deployment, believed, 7)
    assert ours.get(deployment)["spec"]["replicas"] == 2


def test_nobody_who_was_switched_off_meanwhile_is_switched_on(ours, deployment):
    ours.scale(deployment, 2, 0)
    with pytest.raises(errors.Invalid):
        ours.scale(deployment, 2, 3)
    assert ours.get(deployment)["spec"]["replicas"] == 0


def test_a_token_that_is_refused_once_is_shown_once_more(ours, deployment, proxy):
    with proxy.fault(answer(401), times=1):
        assert ours.get(deployment)["metadata"]["name"] == "any"
    with proxy.fault(answer(401)), pytest.raises(errors.Unavailable):
        ours.get(deployment)
