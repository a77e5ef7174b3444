"""Children that somebody else changes again and again."""

from itertools import pairwise

import pytest

from reconciler.apply import fights
from reconciler.model import Change, Ref

WORKER = Ref("apps/v1", "Deployment", "web", "shop-worker")
PROBE = Ref("v1", "ConfigMap", "web", "shop-probe")
IMAGE, REPLICAS = "spec.template.spec.containers[0].image", "spec.replicas"


def owner(manager, fields, operation="Update"):
    return {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields}


def containers(fields):
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"worker"}': fields}}}}}


@pytest.fixture
def setting_back(child, live, moment):
    """Return a function: what is remembered once these paths were set back, so many seconds after noon."""

    def setting_back(before, seconds, *paths, owners=()):
        found = child(live=live(metadata={"managedFields": list(owners)}), changes=[Change(p, 1, 2) for p in paths])
        return fights.contested(before, found, moment(seconds))

    return setting_back


def test_twice_is_free_and_then_it_is_set_back_later_each_time_up_to_five_minutes(setting_back, moment):
    fight, seconds, pauses = None, 0.0, []
    for _ in range(11):
        fight = setting_back(fight, seconds, IMAGE)
        held = fights.held({WORKER: fight}, WORKER, moment(seconds))
        pauses.append((fight.held_until - moment(seconds).steady).total_seconds() if held else 0)
        seconds += pauses[-1]
        assert not fights.held({WORKER: fight}, WORKER, moment(seconds))
    assert pauses == [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_however_long_it_goes_on(setting_back, moment):
    fight = None
    for _ in range(5000):
        fight = setting_back(fight, 0, IMAGE)
    assert (fight.held_until - moment(0).steady).total_seconds() == 300


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([IMAGE], [IMAGE], id="the same"),
        pytest.param([IMAGE], [IMAGE, REPLICAS], id="more"),
        pytest.param([IMAGE], [REPLICAS], id="another, as two who take turns do"),
        pytest.param([""], [IMAGE], id="first all of it, then one field"),
    ],
)
def test_it_goes_on_whichever_field_it_is_about(setting_back, moment, before, after):
    found = setting_back(setting_back(None, 0, *before), 60, *after)
    assert (found.count, found.began) == (2, moment(0).wall)
    assert (found.last, found.paths) == (moment(60).steady, frozenset(after))


def test_two_edits_by_hand_are_no_fight_and_a_third_is(setting_back):
    first = setting_back(None, 0, IMAGE)
    second = setting_back(first, 1, IMAGE)
    third = setting_back(second, 2, IMAGE)
    assert [each.is_open for each in (first, second, third)] == [False, False, True]


def test_what_is_not_fought_over_is_not_held(setting_back, moment):
    fight = setting_back(None, 0, IMAGE)
    assert fights.held({WORKER: fight}, WORKER, moment(0)) == ""
    assert fights.held({}, WORKER, moment(0)) == ""


def test_a_fight_is_forgotten_after_a_quarter_of_an_hour(setting_back, moment):
    known = {WORKER: setting_back(None, 0, IMAGE), PROBE: setting_back(None, 500, "data.a")}
    assert fights.remembered(known, moment(899)) == known
    assert fights.remembered(known, moment(900)) == {PROBE: known[PROBE]}
    assert fights.remembered(known, moment(1400)) == {}


def test_a_fight_outlasts_its_longest_pause(setting_back, moment):
    fight, seconds = None, 0
    for _ in range(20):
        fight = setting_back(fight, seconds, IMAGE)
        assert fights.remembered({WORKER: fight}, moment(seconds + 300))
        seconds += 300
    assert fight.count == 20


@pytest.mark.parametrize(
    ("paths", "owners", "words"),
    [
        pytest.param(
            [IMAGE],
            [owner("keel", containers({"f:image": {}})), owner("kubelet", {"f:status": {}})],
            f"Deployment shop-worker: {IMAGE} is set back again and again, keel writes it too",
            id="who owns the field",
        ),
        pytest.param(
            [REPLICAS, IMAGE],
            [owner("flagger", {"f:spec": {"f:replicas": {}}}), owner("keel", containers({"f:image": {}}))],
            f"Deployment shop-worker: {REPLICAS}, {IMAGE} is set back again and again, flagger, keel writes it too",
            id="who owns any of the fields",
        ),
        pytest.param(
            [IMAGE],
            [owner("celery-reconcile", containers({"f:image": {}}), "Apply")],
            f"Deployment shop-worker: {IMAGE} is set back again and again, another celery-reconcile writes it too",
            id="only our own name: there is another of us",
        ),
        pytest.param(
            [""],
            [],
            "Deployment shop-worker: all of it is set back again and again, something else removes it",
            id="one that is removed",
        ),
    ],
)
def test_words_name_what_is_fought_over_and_who_else_writes_it(setting_back, paths, owners, words):
    assert setting_back(None, 0, *paths, owners=owners).words(WORKER) == words


def test_pauses_never_get_shorter(setting_back):
    fight, dues = None, []
    for _ in range(30):
        fight = setting_back(fight, 0, IMAGE)
        dues.append(fight.held_until)
    assert all(one <= other for one, other in pairwise(dues[2:]))
