"""The probes of workers and beat; that they judge well is shown on real workers in tests/celery."""

import ast
from importlib import resources

import pytest

CHECK = "/etc/celery-probe/celery_check.py"
FILES = ("celery_heartbeat.py", "celery_check.py", "celery_start.py")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.fixture
def probes(worker, container):
    def build(group, **spec):
        found = container(worker(group, **spec))
        return {probe: found[probe] for probe in PROBES if probe in found}

    return build


def alive(probes):
    return probes["livenessProbe"]["exec"]["command"][-1]


def test_the_config_map_holds_the_files_as_they_are_in_the_package(children):
    found = children()["ConfigMap/shop-probe"]
    folder = resources.files("render").joinpath("in_pod")
    assert found["data"] == {name: folder.joinpath(name).read_text(encoding="utf-8") for name in FILES}


def test_no_probe_is_no_probe(probes):
    assert probes({"probe": {"type": "None"}}) == {}


def test_the_time_to_start_is_counted_in_probes(probes):
    found = probes({"probe": {"startupTimeoutSeconds": 31}})["startupProbe"]
    assert (found["periodSeconds"], found["failureThreshold"]) == (5, 7)


@pytest.mark.parametrize(
    ("group", "seconds"),
    [
        pytest.param({}, "300", id="prefork: what was asked for"),
        pytest.param(
            {"timeLimitSeconds": 3600}, "300", id="whatever the tasks take, the main loop does not wait for them"
        ),
        pytest.param(
            {"pool": "solo", "timeLimitSeconds": 3600},
            "3900",
            id="solo: the main loop runs the tasks, and stands still meanwhile",
        ),
    ],
)
def test_the_main_loop_may_stand_still_for(probes, group, seconds):
    assert alive(probes(group)) == seconds


def test_nobody_knows_how_long_a_solo_worker_without_time_limit_may_stand_still(probes):
    assert probes({"pool": "solo"}).keys() == {"startupProbe", "readinessProbe"}


def test_a_worker_that_stands_still_is_not_given_the_time_that_tasks_take(probes):
    assert "terminationGracePeriodSeconds" not in probes({"terminationGracePeriodSeconds": 30})["livenessProbe"]
    assert probes({"terminationGracePeriodSeconds": 7200})["livenessProbe"]["terminationGracePeriodSeconds"] == 60


def test_ping_asks_the_node_through_the_broker_with_the_brokers_settings(probes):
    settings = {
        "broker_transport_options": {"global_keyprefix": "shop"},
        "control_exchange": "shop",
        "task_acks_late": True,
    }
    group = {"probe": {"type": "Ping"}, "settings": settings}
    found = ['broker_transport_options=(json){"global_keyprefix":"shop"}', 'control_exchange=(json)"shop"']
    command = ["python3", CHECK, "ping", "worker", *found]
    assert probes(group, broker={"url": "redis://r"}) == {
        "startupProbe": {
            "exec": {"command": command},
            "periodSeconds": 10,
            "timeoutSeconds": 30,
            "failureThreshold": 30,
        },
        "livenessProbe": {
            "exec": {"command": command},
            "periodSeconds": 60,
            "timeoutSeconds": 30,
            "failureThreshold": 5,
        },
    }


@pytest.mark.parametrize(
    ("group", "failures"),
    [
        pytest.param({}, 5, id="prefork: what was asked for"),
        pytest.param({"pool": "solo", "timeLimitSeconds": 3600}, 65, id="solo: it answers when its task is done"),
        pytest.param({"pool": "solo"}, None, id="solo without time limit: nobody knows when"),
    ],
)
def test_ping_may_remain_without_an_answer_for(probes, group, failures):
    found = probes({"probe": {"type": "Ping"}, **group}, broker={"url": "redis://r"})
    assert found.get("livenessProbe", {}).get("failureThreshold") == failures


def test_ping_needs_the_check_and_no_heartbeat(worker, container):
    found = container(worker({"probe": {"type": "Ping"}}, broker={"url": "redis://r"}))
    assert "--include=celery_heartbeat" not in found["args"]
    assert [mount["mountPath"] for mount in found["volumeMounts"] if mount["name"] == "celery-probe"] == [CHECK]
    assert [entry["name"] for entry in found["env"]] == ["CELERY_BROKER_URL"]


OWN = {"exec": {"command": ["check", "worker"]}, "timeoutSeconds": 30}


@pytest.mark.parametrize("start", [{}, {"commandLine": ["run"]}])
def test_a_command_of_the_users_own_is_asked_while_starting_and_alive(probes, start):
    probe = {"exec": {"command": ["check", "worker"]}, "livenessTimeoutSeconds": 90}
    assert probes({"probe": probe, "terminationGracePeriodSeconds": 600, **start}) == {
        "startupProbe": {**OWN, "periodSeconds": 10, "failureThreshold": 30},
        "livenessProbe": {**OWN, "periodSeconds": 30, "failureThreshold": 3, "terminationGracePeriodSeconds": 60},
    }


@pytest.mark.parametrize(
    ("group", "failures"),
    [
        pytest.param({"timeLimitSeconds": 600}, 23, id="until a task must be done"),
        pytest.param({}, 3, id="without a limit as if it were answered meanwhile: who wrote it knows"),
    ],
)
def test_a_command_of_the_users_own_may_fail_with_the_pool_solo(probes, group, failures):
    probe = {"exec": {"command": ["check", "worker"]}, "livenessTimeoutSeconds": 90}
    assert probes({"pool": "solo", "probe": probe, **group})["livenessProbe"]["failureThreshold"] == failures


def test_beat_may_have_such_a_command_too(children, container):
    beat = container(children(beat={"probe": {"exec": {"command": ["check", "beat"]}}})["Deployment/shop-beat"])
    assert beat["livenessProbe"]["exec"] == {"command": ["check", "beat"]}


def test_an_app_with_no_probe_of_ours_has_no_files_of_ours(children):
    worker = {"name": "worker", "probe": {"exec": {"command": ["check"]}}}
    assert "ConfigMap/shop-probe" not in children(workers=[worker], beat={"probe": worker["probe"]})


@pytest.mark.parametrize("name", FILES)
def test_the_files_can_be_read_by_the_oldest_python_that_celery_runs_on(name):
    text = resources.files("render").joinpath("in_pod", name).read_text(encoding="utf-8")
    assert ast.parse(text, feature_version=(3, 8)).body
