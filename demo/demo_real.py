"""The same with pods that run, in about two minutes: `sudo make demo-real`. Every command is run as it is printed.

With `--stay` (`make play-real`) it stays, as the other does. The node
is that of tests/node, with a real kubelet and containerd. The broker is a Redis on this machine.
"""

import sys
from pathlib import Path

from demo import IMAGES, ROOT, Scene, act, main, redis, say, stay, terminal  # finds the control plane, too

sys.path.append(str(ROOT / "tests/node"))

import build
import images
import node as nodes
from celery_versions import VERSIONS

TAGS = ("registry.example.com/shop:1.4.2", "registry.example.com/shop:1.5.0")
WORKERS = "-l celeryproject.org/component=worker"
IN_A_WORKER = "kubectl exec deployment/shop-worker -- python3 -c"
IN_FLOWER = "kubectl exec deployment/shop-flower -- python3 -c"
SEND_NAPS = "from shop.celery import nap; [nap.delay(5) for _ in range(50)]"
ASK_FLOWER = (
    "import json, tornado.httpclient as http; print(*json.loads(http.HTTPClient().fetch("
    "'http://localhost:5555/api/workers?refresh=1', auth_username='admin', auth_password='secret').body))"
)
CREATE = (
    Scene(
        "Install: kustomize/overlays/queue-scaling, in a hurry",
        (
            "kubectl apply --server-side -k tests/node/installation",
            "kubectl -n celery-render-system rollout status deployment/celery-reconcile",
            "kubectl -n celery-render-system get pods",
        ),
    ),
    Scene(
        "Create: one YAML file makes workers, beat and Flower",
        (
            "kubectl create secret generic shop-broker --from-literal=url=$BROKER_URL",
            "kubectl create secret generic shop-flower --from-literal=users=admin:secret",
            "kubectl apply -f demo/shop.yaml",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
            "kubectl get pods",
        ),
    ),
)
STORY = (
    Scene(
        "Work: beat sends a task every second, the worker runs it, Flower knows the worker",
        (
            "kubectl logs deployment/shop-beat --tail=2",
            "kubectl logs deployment/shop-worker --tail=2",
            f'{IN_FLOWER} "{ASK_FLOWER}"',
        ),
    ),
    Scene(
        "The queue fills: more workers come",
        (
            f'{IN_A_WORKER} "{SEND_NAPS}"',
            "kubectl wait --timeout=2m --for=jsonpath='{.spec.replicas}'=5 deployment/shop-worker",
            "kubectl rollout status deployment/shop-worker",
            "celery-reconcile status",
        ),
    ),
    Scene(
        "It drains: those that are idle go",
        (
            "kubectl wait --timeout=2m --for=jsonpath='{.spec.replicas}'=1 deployment/shop-worker",
            f"kubectl get pods {WORKERS}",
            "kubectl events --for celeryapp/shop",
        ),
    ),
    Scene(
        "Update: a new image rolls out",
        (
            "sed s/shop:1.4.2/shop:1.5.0/ demo/shop.yaml | kubectl apply -f -",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
            f"kubectl get deploy -l celeryproject.org/app=shop -o {IMAGES}",
        ),
    ),
    Scene(
        "Delete: everything goes with the app",
        (
            "kubectl delete celeryapp shop",
            "kubectl wait --timeout=2m --for=delete pods -l celeryproject.org/app=shop",
            "kubectl get all,cm -l celeryproject.org/app=shop",
        ),
    ),
)


def play(folder: Path, *, stays: bool) -> None:
    binary = build.binary()
    say("Starting a control plane and a node with kubelet, kube-proxy and containerd …")
    with nodes.running(binary, folder) as node:
        newest = images.celery(VERSIONS[-1])
        for image in (images.project(), *(newest._replace(name=name) for name in TAGS)):
            node.load(image)
        with redis(folder, "--protected-mode", "no", address=node.place.host) as url:
            environment = terminal(binary, folder, node.cluster.kubeconfig) | {"BROKER_URL": url}
            for scene in CREATE if stays else (*CREATE, *STORY):
                act(scene, environment)
            if stays:
                stay(environment, f'{IN_A_WORKER} "{SEND_NAPS}"', "kubectl get pods --watch")


if __name__ == "__main__":
    sys.exit(main(play))
