"""reconciler/cluster/lease.py: two claims to one Lease of the real API server, by a clock that the test sets."""

from types import SimpleNamespace

import fault_proxy
import pytest
from fault_proxy import answer

from reconciler.cluster import client, errors
from reconciler.cluster.lease import Alone, Claim, Lease
from reconciler.cluster.transport import Transport


@pytest.fixture
def clock():
    """Return the seconds since the test began, as the test says."""
    return SimpleNamespace(seconds=0.0)


@pytest.fixture
def claim(cluster, proxy, clock, tmp_path):
    """Return a function: the Lease as one of several reconcilers claims it."""
    (tmp_path / "token").write_text(cluster.token)
    (tmp_path / "ca.crt").write_bytes((cluster.folder / "tls.crt").read_bytes())

    def claim(identity):
        access = client.in_cluster(f"https://127.0.0.1:{proxy.server_port}", tmp_path)
        ours = client.Cluster(Transport(access, lambda: True, lambda _verb, _code: None))
        return Lease(ours, Claim(cluster.namespace, "celery-reconcile", identity), lambda: clock.seconds)

    return claim


@pytest.fixture
def live(cluster):
    """Return a function: the spec of the Lease as it is."""
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "celery-reconcile"}}
    return lambda: cluster.get(kind)["spec"]


def edit(cluster, **spec):
    path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases/celery-reconcile"
    merge = "application/merge-patch+json"
    cluster.request("PATCH", path, {"spec": spec}, content_type=merge).accepted()


def test_the_first_gets_it_and_the_second_does_not(claim, live):
    one, two = claim("one"), claim("two")
    one.tend()
    two.tend()
    assert (one.held(), two.held()) == (True, False)
    assert (live()["holderIdentity"], live()["leaseDurationSeconds"], live()["leaseTransitions"]) == ("one", 15, 0)


def test_of_two_that_see_it_free_one_gets_it(claim, live):
    one, two = claim("one"), claim("two")
    one.tend()
    one.release()
    one, two = claim("one"), claim("two")
    for each in (one, two):
        each._look(0.0)  # noqa: SLF001 (both have looked before either takes it)
    one._take()  # noqa: SLF001
    with pytest.raises(errors.Conflict):
        two._take()  # noqa: SLF001
    assert live()["holderIdentity"] == "one"


def test_nobody_holds_what_was_not_claimed(claim):
    assert not claim("one").held()


def test_it_is_held_while_it_is_renewed(claim, clock):
    one, two = claim("one"), claim("two")
    for clock.seconds in range(0, 60, 5):
        one.tend()
        two.tend()
        assert (one.held(), two.held()) == (True, False)


def test_a_renewal_is_one_request(claim, proxy):
    one = claim("one")
    one.tend()
    before = len(proxy.requests)
    one.tend()
    assert [line.split()[0] for line in proxy.requests[before:]] == ["PUT"]


def test_it_is_lost_before_another_may_take_it(claim, clock):
    one, two = claim("one"), claim("two")
    one.tend()
    two.tend()
    clock.seconds = 9.9
    assert one.held()
    clock.seconds = 10
    assert not one.held()
    two.tend()
    assert not two.held()
    clock.seconds = 15.1
    two.tend()
    assert two.held()
    one.tend()
    assert not one.held()


def test_a_holder_that_is_late_gets_it_back_if_nobody_took_it(claim, clock):
    one = claim("one")
    one.tend()
    clock.seconds = 60
    one.tend()
    assert one.held()


def test_how_long_another_has_been_silent_is_counted_from_when_we_saw_it(claim, clock, cluster):
    claim("one").tend()
    edit(cluster, renewTime="1999-01-01T00:00:00.000000Z")  # its clock is wrong, or ours
    two = claim("two")
    clock.seconds = 100
    two.tend()
    assert not two.held()


def test_what_is_released_is_taken_at_once(claim, live):
    one, two = claim("one"), claim("two")
    one.tend()
    two.tend()
    one.release()
    two.tend()
    assert (one.held(), two.held()) == (False, True)
    assert (live()["holderIdentity"], live()["leaseTransitions"]) == ("two", 1)


def test_who_has_released_it_does_not_claim_it_again(claim):
    one = claim("one")
    one.tend()
    one.release()
    one.tend()
    assert not one.held()


def test_who_does_not_hold_it_releases_nothing(claim, live):
    one, two = claim("one"), claim("two")
    one.tend()
    two.tend()
    two.release()
    assert live()["holderIdentity"] == "one"


def test_the_same_pod_started_anew_need_not_wait(claim):
    claim("one").tend()
    anew = claim("one")
    anew.tend()
    assert anew.held()


def test_who_finds_another_in_it_has_lost_it(claim, cluster):
    one = claim("one")
    one.tend()
    edit(cluster, holderIdentity="two")
    one.tend()
    assert not one.held()
    one.tend()
    assert not one.held()


def test_a_note_somebody_made_on_it_costs_nothing(claim, clock, cluster):
    one = claim("one")
    one.tend()
    edit(cluster, strategy=None, renewTime="1999-01-01T00:00:00.000000Z")
    clock.seconds = 5
    one.tend()
    clock.seconds = 14
    assert one.held()


def test_while_it_cannot_be_looked_at_again_only_the_rest_of_the_time_is_left(claim, clock, cluster, proxy):
    one = claim("one")
    one.tend()
    edit(cluster, renewTime="1999-01-01T00:00:00.000000Z")
    clock.seconds = 5
    with proxy.fault(answer(503), on="^GET"), pytest.raises(errors.Unavailable):
        one.tend()
    clock.seconds = 9
    assert one.held()
    clock.seconds = 10
    assert not one.held()


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": ""}, {"holderIdentity": "gone"}])
def test_a_lease_somebody_made_by_hand_is_taken_when_it_is_free(claim, clock, cluster, spec):
    path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases"
    cluster.request("POST", path, {"metadata": {"name": "celery-reconcile"}, "spec": spec}).accepted()
    one = claim("one")
    one.tend()
    assert one.held() is not spec.get("holderIdentity", "").startswith("gone")
    clock.seconds = 16
    one.tend()
    assert one.held()


@pytest.mark.parametrize("fault", [answer(500), answer(401), answer(403), fault_proxy.reset, fault_proxy.half_the_json])
def test_a_renewal_that_fails_leaves_the_rest_of_the_time(claim, clock, proxy, fault):
    one = claim("one")
    one.tend()
    clock.seconds = 5
    with proxy.fault(fault), pytest.raises(errors.ClusterError):
        one.tend()
    assert one.held()
    clock.seconds = 10
    assert not one.held()


def test_a_renewal_whose_answer_was_lost_loses_nothing(claim, clock, proxy):
    one = claim("one")
    one.tend()
    clock.seconds = 2
    with proxy.fault(fault_proxy.half_an_answer), pytest.raises(errors.Unavailable):
        one.tend()
    clock.seconds = 4
    one.tend()  # finds a Lease that is not as it knew it
    clock.seconds = 13
    assert one.held()


def test_a_release_that_fails_is_not_the_end(claim, proxy, caplog):
    one = claim("one")
    one.tend()
    with proxy.fault(answer(503)):
        one.release()
    assert not one.held()
    assert "it will lapse" in caplog.text


def test_a_thread_tends_it_and_tells(claim, cluster):
    told = []
    one = claim("one")
    one.start(changed=lambda: told.append(one.held()))
    cluster.wait_until(lambda: told == [True])
    edit(cluster, holderIdentity="two")
    cluster.wait_until(lambda: told == [True, False])
    one.release()


def test_alone_there_is_nothing_to_claim():
    alone = Alone()
    alone.start(changed=lambda: None)
    alone.release()
    assert alone.held()
