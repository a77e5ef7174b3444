"""Single steps on the real API server: each touches the very object that was seen, or nothing."""

from dataclasses import replace
from functools import partial

import pytest

from reconciler.apply import act
from reconciler.apply.child import Child
from reconciler.apply.step import Step
from reconciler.cluster import errors
from reconciler.cluster.live import Live
from reconciler.model import APP_LABEL, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Outcome, Ref

pytest_plugins = "reconciling"

ANOTHER_UID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(reconciler):
    return reconciler.client


@pytest.fixture
def done(client):
    """Return a function: what became of these steps."""
    return lambda *steps: act.execute(steps, partial(act.write, cluster=client))


@pytest.fixture
def note(cluster):
    """Return a function: a desired ConfigMap."""

    def note(name="note", **data):
        metadata = {"namespace": cluster.namespace, "name": name, "labels": {"celeryproject.org/app": "shop"}}
        return Child({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "hello"} | data})

    return note


@pytest.fixture
def mounting(cluster):
    """Return a function: a desired Deployment that mounts the ConfigMap of this name."""

    def mounting(name):
        volume = {"name": "v", "configMap": {"name": name}}
        pod = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
        spec = {
            "selector": {"matchLabels": {"a": name}},
            "template": {"metadata": {"labels": {"a": name}}, "spec": pod},
        }
        labels = {APP_LABEL: "any"}  # without it the admission policy of kustomize/base lets nothing be written
        metadata = {"namespace": cluster.namespace, "name": f"mounts-{name}", "labels": labels}
        identity = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "metadata": metadata}
        return Child(identity | {"spec": spec})

    return mounting


@pytest.fixture
def seen(client):
    """Return a function: the child with what is there of it."""
    return lambda child: replace(child, live=Live.of(client.get(child.ref)))


def create(child):
    return Step(Outcome.CREATED, child.ref, child)


def configure(child, **more):
    return Step(Outcome.CONFIGURED, child.ref, child, child.live, **more)


def prune(live):
    return Step(Outcome.DELETED, live.ref, live=live)


def test_a_child_is_created_only_where_there_is_none(client, note, done):
    [created] = done(create(note()))
    [again] = done(create(note(more="text")))
    assert created.live.uid
    assert isinstance(again.error, errors.Conflict)
    assert client.get(note().ref)["data"] == {"text": "hello"}


def test_only_the_object_that_was_seen_is_changed(client, note, done, seen):
    done(create(note()))
    child = seen(note(more="text"))
    gone = replace(child, live=replace(child.live, uid=ANOTHER_UID))
    [refused] = done(configure(gone))
    assert isinstance(refused.error, errors.Invalid)
    [changed] = done(configure(child))
    assert changed.error is None
    assert client.get(child.ref)["data"] == {"text": "hello", "more": "text"}


def test_what_is_gone_is_not_created_by_a_change(client, note, done, seen):
    done(create(note()))
    child = seen(note(more="text"))
    client.delete(child.ref, child.live.uid)
    [refused] = done(configure(child))
    assert isinstance(refused.error, errors.Conflict)


def test_only_the_object_that_was_seen_is_deleted(client, note, done, seen):
    done(create(note()))
    live = seen(note()).live
    [refused] = done(prune(replace(live, uid=ANOTHER_UID)))
    assert isinstance(refused.error, errors.Conflict)
    assert client.get(live.ref)["metadata"]["uid"] == live.uid
    for _ in range(2):  # what is gone already is deleted
        [deleted] = done(prune(live))
        assert (deleted.error, deleted.live) == (None, None)


def test_what_needs_a_child_that_failed_is_left_alone_and_nothing_is_deleted(client, note, mounting, done, seen):
    done(create(note("old")), create(note("taken")))
    old = seen(note("old")).live
    steps = [create(note("first")), create(note("taken")), create(mounting("taken")), create(mounting("first"))]
    found = done(*steps, prune(old))
    assert [each.result.outcome for each in found] == ["created", "failed", "skipped", "created", "skipped"]
    assert found[2].result.message == f"left alone: {note('taken').ref} is not as it shall be"
    assert client.get(old.ref)["metadata"]["uid"] == old.uid
    assert client.get(mounting("first").ref)["metadata"]["uid"] == found[3].live.uid
    with pytest.raises(errors.NotFound):
        client.get(mounting("taken").ref)


def test_what_needs_something_that_was_left_alone_is_left_alone_too(cluster, note, mounting, done):
    """The ConfigMap is not there, so the Deployment is not, and what would scale it is not either."""
    done(create(note("taken")))
    metadata = {"namespace": cluster.namespace, "name": "any"}
    target = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "name": mounting("taken").ref.name}
    scaler = HORIZONTAL_POD_AUTOSCALER
    child = Child(
        {
            "apiVersion": scaler.api_version,
            "kind": scaler.name,
            "metadata": metadata,
            "spec": {"scaleTargetRef": target, "maxReplicas": 2},
        }
    )
    found = done(create(note("taken")), create(mounting("taken")), create(child))
    assert [each.result.outcome for each in found] == ["failed", "skipped", "skipped"]


def test_ownership_is_mended_though_the_object_was_written_meanwhile(cluster, note, done, seen):
    done(create(note()))
    cluster.kubectl("patch", "configmap", "note", "--type=merge", "-p", '{"data": {"by": "hand"}}')
    child = seen(note())
    cluster.kubectl("annotate", "configmap", "note", "meanwhile=yes")
    [mended] = done(configure(child, mends_ownership=True))
    assert mended.error is None
    after = seen(note()).live
    assert after.manifest["data"] == {"text": "hello"}
    assert {each["manager"] for each in after.managed_fields} == {"celery-reconcile"}


def test_ownership_of_another_object_is_left_alone(note, done, seen):
    done(create(note()))
    child = seen(note())
    another = replace(child, live=replace(child.live, uid=ANOTHER_UID))
    [refused] = done(configure(another, mends_ownership=True))
    assert isinstance(refused.error, errors.Invalid)
    assert seen(note()).live == child.live


def test_a_kind_that_is_not_installed_is_refused(cluster, done):
    ref = Ref("keda.sh/v1alpha1", "ScaledObject", cluster.namespace, "any")
    metadata = {"namespace": ref.namespace, "name": ref.name}
    child = Child({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "spec": {}})
    [refused] = done(create(child))
    assert isinstance(refused.error, errors.NotFound | errors.Invalid)


def test_a_deployment_is_kept_as_the_server_answers(client, mounting, done):
    child = mounting("any")
    [created] = done(create(child))
    assert created.live.digest == Live.of(client.get(child.ref)).digest
    assert created.live.replicas == 1
