"""reconciler/cluster/lease.py: two claims to one Lease of the real API server, by a clock that the test sets."""

from types import SimpleNamespace

import fault_proxy
import pytest
from fault_proxy import answer

from reconciler.cluster import client, errors
from reconciler.cluster.lease import VERSION, Alone, Claim, Lease
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

    def claim(identity, version="1.0.0", duration_seconds=15):
        access = client.in_cluster(f"https://127.0.0.1:{proxy.server_port}", tmp_path)
        ours = client.Cluster(Transport(access, lambda: True, lambda _verb, _code: None))
        its = Claim(cluster.namespace, "celery-reconcile", identity, version, duration_seconds)
        return Lease(ours, its, lambda: clock.seconds)

    return claim


@pytest.fixture
def live(cluster):
    """Return a function: the spec of the Lease as it is."""
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "celery-reconcile"}}
    return lambda: cluster.get(kind)["spec"]


def edit(cluster, annotations=None, **spec):
    path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases/celery-reconcile"
    body = {"metadata": {"annotations": annotations or {}}, "spec": spec}
    cluster.request("PATCH", path, body, content_type="application/merge-patch+json").accepted()


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


# Terms


def test_each_time_it_is_won_is_another_term(claim, clock):
    one, two = claim("one"), claim("two")
    assert one.term == 0
    for clock.seconds in (0, 5, 14):  # renewed
        one.tend()
        assert one.term == 1
    clock.seconds = 24
    assert one.term == 0
    one.tend()  # nobody took it, but somebody might have
    assert one.term == 2
    two.tend()
    clock.seconds = 39
    two.tend()
    assert (one.term, two.term) == (0, 1)
    two.release()
    one.tend()
    assert (one.term, two.term) == (3, 0)


def test_a_renewal_whose_answer_was_lost_ends_no_term(claim, clock, proxy):
    one = claim("one")
    one.tend()
    clock.seconds = 2
    with proxy.fault(fault_proxy.half_an_answer), pytest.raises(errors.Unavailable):
        one.tend()
    one.tend()
    assert one.term == 1


def test_a_renewal_that_is_answered_when_it_is_too_late_begins_a_new_term(claim, clock, proxy):
    """In between nothing was written, and some of what was planned was given up."""

    def late(exchange):
        clock.seconds = 11
        fault_proxy.forward(exchange)

    one = claim("one")
    one.tend()
    clock.seconds = 5
    with proxy.fault(late, on="PUT", times=1):
        one.tend()
    assert (one.held(), one.term) == (True, 2)


def test_nobody_else_may_take_it_for_as_long_as_it_says(claim, clock):
    one = claim("one")
    assert one.seconds_left() == 0
    one.tend()
    assert one.seconds_left() == 15
    clock.seconds = 12
    assert (one.held(), one.seconds_left()) == (False, 3)
    clock.seconds = 60
    assert one.seconds_left() == 0
    one.tend()
    one.release()
    assert one.seconds_left() == 0


# Versions


@pytest.mark.parametrize("version", ["0.9.1", "0.10.0rc1", "", "latest"])
def test_an_older_one_leaves_it_to_others_for_a_minute(claim, clock, version):
    new, old, next_ = claim("new", "0.10.0"), claim("old", version), claim("next", "0.10.0")
    new.tend()
    old.tend()
    clock.seconds = 5
    new.release()
    for clock.seconds in (5, 64.9):
        old.tend()
        assert not old.held()
    clock.seconds = 65
    next_.tend()
    old.tend()
    assert (next_.held(), old.held()) == (True, False)
    next_.release()
    old.tend()
    clock.seconds = 125  # a release that was taken back
    old.tend()
    assert old.held()


def test_an_older_one_waits_for_a_minute_too_after_a_crash(claim, clock):
    new, old = claim("new", "0.10.0"), claim("old", "0.9.1")
    new.tend()
    old.tend()
    clock.seconds = 59.9
    old.tend()
    assert not old.held()
    clock.seconds = 60
    old.tend()
    assert old.held()


@pytest.mark.parametrize("version", ["0.9.1", "0.10.0", "1", "1.0.0rc1"])
def test_who_is_no_older_takes_it_at_once(claim, version):
    one, two = claim("one", "0.9.1"), claim("two", version)
    one.tend()
    one.release()
    two.tend()
    assert two.held()


@pytest.mark.parametrize("said", [None, "latest"])
def test_who_does_not_say_which_version_it_was_was_the_oldest(claim, cluster, said):
    one, two = claim("one"), claim("two", "latest")
    one.tend()
    one.release()
    edit(cluster, {VERSION: said})
    two.tend()
    assert two.held()


def test_a_version_is_written_beside_what_others_noted(claim, clock, cluster):
    path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases/celery-reconcile"
    one = claim("one", "0.9.1")
    one.tend()
    edit(cluster, {"note": "any"})
    clock.seconds = 1
    one.tend()
    annotations = cluster.request("GET", path).accepted().body["metadata"]["annotations"]
    assert annotations == {"celeryproject.org/version": "0.9.1", "note": "any"}


# The thread


def test_a_thread_tends_it_and_tells(claim, cluster):
    told = []
    one = claim("one")
    one.start(changed=lambda: told.append(one.held()))
    cluster.wait_until(lambda: told == [True])
    edit(cluster, holderIdentity="two")
    cluster.wait_until(lambda: told == [True, False])
    one.release()


def test_a_turn_that_goes_wrong_is_not_the_last(claim, clock, cluster, proxy, caplog):
    def nonsense(exchange):
        exchange.send(200, b'{"metadata": {}}', {})

    told, turns = [], []
    one = claim("one", duration_seconds=2)  # a turn takes a tenth of it
    with proxy.fault(nonsense, on="^POST"):
        one.start(changed=lambda: told.append(one.term), turned=lambda: turns.append(one.term))
        cluster.wait_until(lambda: "KeyError: 'namespace'" in caplog.text)
    before = len(turns)
    cluster.wait_until(lambda: len(turns) > before)
    clock.seconds = 60
    cluster.wait_until(lambda: told[-1:] == [2])  # and lost in between, if a turn was under way
    one.release()


def test_alone_there_is_nothing_to_claim():
    alone = Alone()
    alone.start(changed=lambda: None)
    alone.release()
    assert (alone.held(), alone.term, alone.seconds_left()) == (True, 1, None)
