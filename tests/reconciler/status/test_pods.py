"""Why a pod is not ready: pods as a kubelet (v1.37.2, containerd) and the scheduler leave them."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import POD, Ref
from reconciler.status import pods
from reconciler.status.pods import MOUNTING, PROBING, Told

SCHEDULED, STARTED = "2026-01-01T12:00:00Z", "2026-01-01T12:00:05Z"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IMAGE = "registry.example.com/shop:9"
REF = Ref(POD.api_version, "Pod", "web", "shop-worker-5d8-x2")
PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'
DNS = "dial tcp: lookup registry.example.com on 10.96.0.10:53: read udp 10.1.0.7:41234->10.96.0.10:53: i/o timeout"
NO_PROGRAM = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: exec: "nope": executable file not found in $PATH'
    ": unknown"
)


def pod(status=None, containers=(), inits=(), ready="False", **conditions):
    times = {"lastTransitionTime": SCHEDULED}
    found = [{"type": "PodScheduled", "status": "True"} | times, {"type": "Ready", "status": ready} | times]
    found = [conditions.get(each["type"], each) for each in found]
    statuses = {"containerStatuses": list(containers), "initContainerStatuses": list(inits)}
    whole = {"phase": "Pending", "conditions": found} | statuses | (status or {})
    metadata = {"namespace": "web", "name": REF.name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": whole}


def container(state, name="worker", *, ready=False, last=None, restarts=0):
    counts = {"ready": ready, "restartCount": restarts}
    return {"name": name, "image": IMAGE, "state": state, "lastState": last or {}} | counts


def waiting(reason, message=""):
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def ended(code, reason="Error", message=""):
    return {"terminated": {"exitCode": code, "reason": reason} | ({"message": message} if message else {})}


RUNNING = {"running": {"startedAt": STARTED}}
BACK_OFF = waiting("CrashLoopBackOff", "back-off 40s restarting failed container=worker pod=shop-worker-5d8-x2")
PULLED = ("ImagePullBackOff", f"the image {IMAGE} cannot be pulled: not found")
CRASHES = ("CrashLoopBackOff", "container worker ends with exit code 1 (Error)")


def unscheduled(message, reason="Unschedulable"):
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(PodScheduled=condition | {"lastTransitionTime": SCHEDULED})


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        pytest.param(pod(containers=[container(waiting("ErrImagePull", PULL))]), PULLED, id="no image"),
        pytest.param(
            pod(
                containers=[
                    container(waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {PULL}'))
                ]
            ),
            PULLED,
            id="no image, after a while",
        ),
        pytest.param(
            pod(containers=[container(waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))]),
            ("ImagePullBackOff", f"the image {IMAGE} cannot be pulled"),
            id="no image and no cause",
        ),
        pytest.param(
            pod(containers=[container(waiting("ErrImagePull", DNS))]),
            ("ImagePullBackOff", f"the image {IMAGE} cannot be pulled: i/o timeout"),
            id="a registry that is not reached, without the port",
        ),
        pytest.param(pod(containers=[container(ended(1))]), CRASHES, id="ended for the first time"),
        pytest.param(pod(containers=[container(BACK_OFF, last=ended(1), restarts=3)]), CRASHES, id="in a loop"),
        pytest.param(pod(containers=[container(RUNNING, last=ended(1), restarts=4)]), CRASHES, id="in it, running"),
        pytest.param(
            pod(containers=[container(BACK_OFF, last=ended(137, "OOMKilled"), restarts=3)]),
            ("CrashLoopBackOff", "container worker ends with exit code 137 (OOMKilled)"),
            id="out of memory",
        ),
        pytest.param(
            pod(containers=[container(BACK_OFF, last=ended(128, "StartError", NO_PROGRAM), restarts=2)]),
            (
                "CrashLoopBackOff",
                'container worker ends with exit code 128 (StartError): "nope": executable file not found in $PATH',
            ),
            id="no such program",
        ),
        pytest.param(
            pod(inits=[container(ended(2), "migrate")], containers=[container(waiting("PodInitializing"))]),
            ("CrashLoopBackOff", "container migrate ends with exit code 2 (Error)"),
            id="an init container that fails",
        ),
        pytest.param(
            pod(containers=[container(RUNNING, ready=True), container(BACK_OFF, "proxy", last=ended(1))]),
            ("CrashLoopBackOff", "container proxy ends with exit code 1 (Error)"),
            id="a sidecar",
        ),
        pytest.param(
            pod(containers=[container(waiting("CreateContainerConfigError", 'secret "shop-broker" not found'))]),
            ("CreateContainerConfigError", 'container worker: secret "shop-broker" not found'),
            id="no Secret",
        ),
        pytest.param(
            unscheduled(
                "0/12 nodes are available: 2 node(s) had untolerated taint(s), 10 Insufficient cpu. "
                "preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling."
            ),
            ("Unschedulable", "no node takes it: Insufficient cpu, node(s) had untolerated taint(s)"),
            id="no node has room, however many there are",
        ),
        pytest.param(
            unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"),
            ("Unschedulable", "no node takes it: pod has unbound immediate PersistentVolumeClaims"),
            id="no volume, and nothing to preempt",
        ),
        pytest.param(
            unscheduled('0/1 nodes are available: persistentvolumeclaim "data" not found.'),
            ("Unschedulable", 'no node takes it: persistentvolumeclaim "data" not found'),
            id="no claim",
        ),
        pytest.param(
            unscheduled("pod has unbound immediate PersistentVolumeClaims"),
            ("Unschedulable", "pod has unbound immediate PersistentVolumeClaims"),
            id="a claim that is not bound",
        ),
        pytest.param(
            unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated"),
            ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
            id="a gate",
        ),
    ],
)
def test_what_a_pod_says_itself(manifest, why):
    assert pods.unready(manifest)[:3] == (REF, *why)


@pytest.mark.parametrize(
    ("manifest", "asks", "since_seconds"),
    [
        pytest.param(pod(containers=[container(waiting("ContainerCreating"))]), MOUNTING, 0, id="a container to be"),
        pytest.param(pod(), MOUNTING, 0, id="one that no kubelet has taken up yet"),
        pytest.param(
            pod(inits=[container(waiting("PodInitializing"), "migrate")]), MOUNTING, 0, id="an init container to be"
        ),
        pytest.param(pod({"phase": "Running"}, [container(RUNNING)]), PROBING, 5, id="a container that is not ready"),
        pytest.param(
            pod({"phase": "Running"}, [container(RUNNING, ready=True)]), PROBING, 5, id="a node that does not answer"
        ),
    ],
)
def test_what_only_its_events_tell(manifest, asks, since_seconds):
    found = pods.unready(manifest)
    assert (found.reason, found.asks, found.since) == ("", asks, NOON + timedelta(seconds=since_seconds))


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(pod({"phase": "Running"}, [container(RUNNING, ready=True)], ready="True"), id="ready"),
        pytest.param(pod({"phase": "Failed", "reason": "Evicted"}), id="evicted: another takes its place"),
        pytest.param(
            pod() | {"metadata": {"namespace": "web", "name": "x", "deletionTimestamp": SCHEDULED}}, id="going"
        ),
        pytest.param(pod({"conditions": []}), id="just made"),
        pytest.param(
            pod(inits=[container(RUNNING, "migrate")], containers=[container(waiting("PodInitializing"))]),
            id="its init container is at work",
        ),
    ],
)
def test_nothing_is_wrong_with_these(manifest):
    assert pods.unready(manifest) is None


def event(reason, note, last=None, series=None):
    times = {"deprecatedLastTimestamp": last, "eventTime": None, "series": series}
    return {"metadata": {"creationTimestamp": SCHEDULED}, "type": "Warning", "reason": reason, "note": note} | times


@pytest.mark.parametrize(
    ("given", "at"),
    [
        (event("Unhealthy", "a\nb", last=STARTED), STARTED),
        (event("Unhealthy", "a", series={"count": 2, "lastObservedTime": "2026-01-01T12:00:05.000000Z"}), STARTED),
        (event("Unhealthy", "a"), SCHEDULED),
    ],
)
def test_events_of_both_apis_are_read(given, at):
    assert pods.told(given) == Told("Unhealthy", "a", datetime.fromisoformat(at))


MAP, TIME_OUT = (
    'MountVolume.SetUp failed for volume "x" : configmap "x" not found',
    "Unable to attach: timed out waiting",
)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([("FailedMount", MAP, 10)], MAP),
        ([("FailedMount", MAP, 10), ("FailedMount", TIME_OUT, 120)], MAP),
        ([("FailedMount", TIME_OUT, 120)], TIME_OUT),
        ([("FailedMount", "then", -1)], None),
        ([("FailedScheduling", "another matter", 10)], None),
        ([], None),
    ],
)
def test_of_events_the_newest_that_is_about_it_tells_why(told, message):
    about = pods.unready(pod(containers=[container(waiting("ContainerCreating"))]))
    found = pods.heard(about, [Told(reason, text, NOON + timedelta(seconds=after)) for reason, text, after in told])
    assert (found and found.message) == message


def test_of_many_pods_each_reason_is_said_once_the_most_frequent_first():
    broken = [container(waiting("ErrImagePull", PULL))], [container(BACK_OFF, last=ended(1))]
    found = [pods.unready(pod(containers=each)) for each in (broken[0], broken[1], broken[1])]
    assert pods.why(found) == (CRASHES[0], f"{': '.join(CRASHES)}; {': '.join(PULLED)}")
    assert pods.why([pods.unready(pod())]) is None


def test_a_long_message_is_cut():
    found = pods.unready(unscheduled("é" * 1000))
    assert (len(found.message), found.message[-1]) == (pods.LONGEST_MESSAGE, "…")
