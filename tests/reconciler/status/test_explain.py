"""An app in sentences."""

from reconciler.model import Ref, Unready
from reconciler.status import explain

SCALING = {"minReplicas": 2, "maxReplicas": 9, "engine": "Reconciler", "queue": {"maxWaitSeconds": 30}}
SPEC = {
    "image": "shop:1",
    "reconcile": "Apply",
    "workers": [{"name": "worker", "replicas": 3}, {"name": "mail", "scaling": SCALING}, {"name": "new"}],
    "beat": {},
    "flower": {},
}
HELD = {"name": "mail", "replicas": 4, "readyReplicas": 4, "desiredReplicas": 4, "waitSeconds": 20}
STATUS = {
    "workers": [
        {"name": "worker", "replicas": 3, "readyReplicas": 1, "desiredReplicas": 3, "reason": "1 of 3 pods ready"},
        HELD | {"reason": "running tasks need 4 pods"},
        {"name": "new", "reason": "there is no Deployment"},
    ],
    "beat": {"ready": True},
    "flower": {"ready": False, "reason": "0 of 1 pods ready"},
}


def condition(kind, status, message="any", generation=1):
    return {"type": kind, "status": status, "reason": "Why", "message": message, "observedGeneration": generation}


def told(*conditions, generation=1, unready=None, notes=(), spec=SPEC, status=STATUS):
    metadata = {"namespace": "web", "name": "shop", "generation": generation}
    app = {"metadata": metadata, "spec": spec, "status": status | {"conditions": list(conditions)}}
    return list(explain.sentences(app, unready or {}, notes))


def crashing(number):
    return Unready(Ref("v1", "Pod", "web", f"shop-worker-{number}"), "CrashLoopBackOff", "container worker ends")


def test_each_component_has_what_is_wanted_what_is_there_and_what_holds_it():
    conditions = condition("Ready", "False", "worker: 1 of 3"), condition("Reconciling", "True")
    assert told(*conditions, unready={"worker": [crashing(1)]}, notes=["nobody is there"]) == [
        "CeleryApp shop in namespace web, image shop:1",
        "reconcile is Apply: celery-reconcile keeps its objects as the app says, scales its workers and reports.",
        "It is not ready, Why: worker: 1 of 3",
        "Being done: celery-reconcile goes on until it is ready; waiting may help.",
        "nobody is there",
        "",
        "worker: 3 pods are wanted; 3 asked for, 3 there, 1 ready.",
        "  It is at 3: 1 of 3 pods ready",
        "  Pod shop-worker-1 is not ready: CrashLoopBackOff: container worker ends",
        "    kubectl -n web describe pod shop-worker-1",
        "",
        "mail: 2 to 9 pods by queue (Reconciler); 4 asked for, 4 there, 4 ready.",
        "  It is at 4: running tasks need 4 pods",
        "  A message that comes now waits for about 20 s.",
        "",
        "new: 1 pod is wanted; there is no Deployment.",
        "",
        "beat: one pod is wanted, and it is ready.",
        "",
        "flower: one pod is wanted, and it is not ready: 0 of 1 pods ready",
    ]


def test_an_app_that_nobody_has_looked_at():
    assert told(status={})[2] == "No celery-reconcile has looked at it yet: is one running, for this namespace?"


def test_what_is_old_what_waits_for_somebody_and_what_else_is_known():
    conditions = (
        condition("Ready", "False"),
        condition("Stalled", "True"),
        condition("Contradicted", "True", "flagger writes it too"),
        condition("Warned", "False"),
    )
    assert told(*conditions, generation=2)[3:6] == [
        "It was changed since, and this change was not looked at yet.",
        "Nothing is being done: waiting does not help, something has to be changed.",
        "Contradicted: flagger writes it too",
    ]


def test_of_many_pods_some_are_named():
    lines = told(unready={"worker": map(crashing, range(5))})
    assert sum(line.startswith("  Pod ") for line in lines) == explain.MANY_PODS
    assert "  … and 2 pods more." in lines
