"""Single steps on the real API server: each touches the very object that was seen, or nothing."""

from dataclasses import replace

import pytest

from reconciler.apply import act
from reconciler.apply.child import Child
from reconciler.apply.step import Step
from reconciler.cluster import errors
from reconciler.cluster.live import Live
from reconciler.model import DEPLOYMENT, Outcome, Ref

pytest_plugins = "reconciling"

ANOTHER_UID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(reconciler):
    return reconciler.client


@pytest.fixture
def note(cluster):
    """Return a function: a desired ConfigMap."""

    def note(name="note", **data):
        metadata = {"namespace": cluster.namespace, "name": name, "labels": {"celeryproject.org/app": "shop"}}
        return Child({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "hello"} | data})

    return note


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


def test_a_child_is_created_only_where_there_is_none(client, note):
    [created] = act.execute([create(note())], client)
    [again] = act.execute([create(note(more="text"))], client)
    assert created.live.uid
    assert isinstance(again.error, errors.Conflict)
    assert client.get(note().ref)["data"] == {"text": "hello"}


def test_only_the_object_that_was_seen_is_changed(client, note, seen):
    act.execute([create(note())], client)
    child = seen(note(more="text"))
    gone = replace(child, live=replace(child.live, uid=ANOTHER_UID))
    [refused] = act.execute([configure(gone)], client)
    assert isinstance(refused.error, errors.Invalid)
    [changed] = act.execute([configure(child)], client)
    assert changed.live.manifest["data"] == {"text": "hello", "more": "text"}


def test_what_is_gone_is_not_created_by_a_change(client, note, seen):
    act.execute([create(note())], client)
    child = seen(note(more="text"))
    client.delete(child.ref, child.live.uid)
    [refused] = act.execute([configure(child)], client)
    assert isinstance(refused.error, errors.Conflict)


def test_only_the_object_that_was_seen_is_deleted(client, note, seen):
    act.execute([create(note())], client)
    live = seen(note()).live
    [refused] = act.execute([prune(replace(live, uid=ANOTHER_UID))], client)
    assert isinstance(refused.error, errors.Conflict)
    assert client.get(live.ref)["metadata"]["uid"] == live.uid
    for _ in range(2):  # what is gone already is deleted
        [deleted] = act.execute([prune(live)], client)
        assert (deleted.error, deleted.live) == (None, None)


def test_after_a_step_that_failed_nothing_more_is_done(client, note, seen):
    act.execute([create(note("old"))], client)
    old = seen(note("old")).live
    act.execute([create(note("taken"))], client)
    deeds = act.execute([create(note("first")), create(note("taken")), create(note("second")), prune(old)], client)
    assert [deed.result.outcome for deed in deeds] == ["created", "failed", "skipped", "skipped"]
    assert client.get(old.ref)["metadata"]["uid"] == old.uid
    with pytest.raises(errors.NotFound):
        client.get(note("second").ref)


def test_ownership_is_mended_though_the_object_was_written_meanwhile(client, cluster, note, seen):
    act.execute([create(note())], client)
    cluster.kubectl("patch", "configmap", "note", "--type=merge", "-p", '{"data": {"by": "hand"}}')
    child = seen(note())
    cluster.kubectl("annotate", "configmap", "note", "meanwhile=yes")
    [mended] = act.execute([configure(child, mends_ownership=True)], client)
    assert mended.live.manifest["data"] == {"text": "hello"}
    assert {each["manager"] for each in mended.live.managed_fields} == {"celery-reconcile"}


def test_ownership_of_another_object_is_left_alone(client, note, seen):
    act.execute([create(note())], client)
    child = seen(note())
    another = replace(child, live=replace(child.live, uid=ANOTHER_UID))
    [refused] = act.execute([configure(another, mends_ownership=True)], client)
    assert isinstance(refused.error, errors.Invalid)
    assert seen(note()).live == child.live


def test_a_kind_that_is_not_installed_is_refused(client, cluster):
    ref = Ref("keda.sh/v1alpha1", "ScaledObject", cluster.namespace, "any")
    metadata = {"namespace": ref.namespace, "name": ref.name}
    child = Child({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "spec": {}})
    [refused] = act.execute([create(child)], client)
    assert isinstance(refused.error, errors.NotFound | errors.Invalid)


def test_a_deployment_is_kept_as_the_server_answers(client, cluster):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    metadata = {"namespace": cluster.namespace, "name": "any"}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    child = Child({"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "metadata": metadata, "spec": spec})
    [created] = act.execute([create(child)], client)
    assert created.live.digest == Live.of(client.get(child.ref)).digest
    assert created.live.replicas == 1
