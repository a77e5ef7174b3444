"""What people bring from charts, manifests and other tools, and how it is done here: words for a refusal. Pure.

What is refused, the schema says. docs/from-a-chart.md has the same for readers.

A place is written as in a message, without numbers: `spec.workers[].service`. One that begins with `*` is every place
that ends so.
"""

import re
from typing import Any

from render.errors import Path, dotted

ENV = "write env: [{name: NAME, value: VALUE}, …]"
SIDECAR = "a sidecar is an init container that does not end: write initContainers: [{…, restartPolicy: Always}]"
READY = (
    "the CRD has no room for what tells when a sidecar takes traffic: remove it; Celery waits for a sidecar's "
    "startupProbe, and its livenessProbe restarts it"
)
PROBE = "the probes are made for you; write probe: {exec: {command: […]}} in a group or beat for one of your own"
GROUP = "in a group of spec.workers"
SCALING = f"write scaling: {{minReplicas: 1, maxReplicas: 5, cpu: {{averageUtilization: 80}}}} {GROUP}"
HPA = f"write scaling: {{engine: HPA, minReplicas: 1, maxReplicas: 5, cpu: {{averageUtilization: 80}}}} {GROUP}"
KEDA = f"write scaling: {{engine: KEDA, minReplicas: 1, maxReplicas: 5, queue: {{averageLength: 5}}}} {GROUP}"
CRON = "write keda: {triggers: [{name: hours, type: cron, metadata: {…}}]}, with engine: KEDA"
CLOCK = "beat sends by the clock, from the app's beat_schedule; pods come by it with scaling.keda and a cron trigger"
SCHEDULE = "beat: {} runs the app's beat_schedule; for one in a database write beat: {schedulerClass: MODULE:CLASS}"
IN_DATABASE = "it is in the app (beat_schedule), or in a database: write schedulerClass: MODULE:CLASS"
WAIT = "Celery waits for its broker; for more than that write initContainers: [{name: wait, command: […]}]"
MIGRATE = "run migrations as a Job of yours; pods can wait for it: initContainers: [{name: wait, command: […]}]"
BUDGET = "write disruptionBudget: {maxUnavailable: 1} in a group of spec.workers"
OVERLAY = "no field sets it; an overlay of kustomize can patch it into a base"
ROLLOUT = "a group of spec.workers has rollout: {maxSurge: 1, maxUnavailable: 0}; beat is stopped first"
SWITCH = "a block that stands there is on: remove enabled"
OFF = {"probe": "write probe: {type: None}", "service": SWITCH, "rollout": SWITCH}
"""How a block is switched off that is on where it is left out too."""
ENV_FROM = "write envFrom: [{secretRef: {name: NAME}}], or configMapRef"
CLAIM = "a Deployment takes a claim that is there: write volumes: [{name: …, persistentVolumeClaim: {claimName: …}}]"
BROKER = "write broker: {urlFrom: {secretKeyRef: {name: NAME, key: KEY}}}; no broker comes along"
URL_FROM = "write secretKeyRef; a URL without a password may stand in url in place of urlFrom"
RESULTS = "write resultBackend: {urlFrom: {secretKeyRef: {name: NAME, key: KEY}}}"
OBJECTS = "Secrets and ConfigMaps are made elsewhere: name them in envFrom, env or volumes"
RATE = "it is a task's own: write rate_limit in its code, or settings: {task_default_rate_limit: 10/m} for all"
LIMITS = "write resources: {limits: {cpu: 500m, memory: 256Mi}}"
ROUTE = "the app's own task_routes and task_queues say it: remove it"
RESTARTED = "the pods of a Deployment are always restarted: remove it"
NETWORK = "pods find a Service by its name, in the cluster's own network: remove it"
ONE_POD = "it is always one pod: remove it"
METRICS = "name the port in ports: a PodMonitor finds it by the pods' label celeryproject.org/app"
POD = "a CeleryApp has no pod template: its fields stand in spec, or in one component"
NAME = "the name is metadata.name: write it there"
ACKS_LATE = "write settings: {task_acks_late: true}"
HOST_FROM = "the URL is one value: write url: redis://HOST:PORT/DATABASE, or urlFrom with all of it in a Secret"
BY_KEY = "{secretKeyRef: {name: NAME, key: KEY}}"
SERVER = "write url: redis://HOST:PORT/DATABASE, or amqp://HOST:PORT/VHOST"
FLOWER_LOGIN = "write auth: {basicAuth: {secretKeyRef: {name: NAME, key: KEY}}}, with user:password in the Secret"

TIMEZONE = "Celery takes it from the app's own configuration alone: set timezone there"
FIELDS = "its arguments are fields here (app, queues, concurrency, logLevel …)"

COUNTS = ("scale", "instances", "count")
SCHEDULES = ("schedule", "schedules", "cron", "crons", "tasks", "periodicTasks", "beatSchedule", "beat_schedule")
OF_CONTAINERS = ("allowPrivilegeEscalation", "capabilities", "privileged", "readOnlyRootFilesystem")
OF_PODS = ("fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "sysctls")
SECRETS = ("secretRef", "secretName", "secretKeyRef", "existingSecret", "fromSecret")

UNKNOWN = {
    "spec.celery": "its fields stand in spec itself",
    "spec.worker": "write workers: [{name: worker, …}]",
    "spec.service": "only Flower has a Service: write flower.service",
    "spec.ingress": "only Flower has one: write flower.ingress",
    "spec.persistence": "write beat.storage or flower.persistence; of workers: " + CLAIM,
    **{f"spec.{name}": "write replicas in each of spec.workers" for name in ("replicaCount", *COUNTS)},
    **{f"spec.{name}": "write app: MODULE, as after celery -A" for name in ("application", "appModule")},
    "spec.monitoring": "write flower: {}; for what watches the workers themselves, " + METRICS,
    "spec.tag": "write image: repository:tag",
    "spec.namespace": "write metadata.namespace, or leave it to kubectl, Argo CD or Flux",
    "spec.rbac": "pods have no right in the cluster; write serviceAccountName if one of yours has",
    "spec.args": "write args in one of spec.workers, in beat or in flower",
    "spec.scheduler": "write beat: {schedulerClass: MODULE:CLASS}",
    "spec.beat.replicas": ONE_POD,
    "spec.beat.replicaCount": ONE_POD,
    **{f"spec.{name}": SCHEDULE for name in SCHEDULES},
    **{f"spec.beat.{name}": IN_DATABASE for name in SCHEDULES},
    "spec.beat.scheduler": "write schedulerClass: MODULE:CLASS",
    "spec.beat.scheduleFile": "write storage: {size: 1Gi} if it has to outlive the pod",
    "spec.beat.maxLoopInterval": "write maxIntervalSeconds",
    "spec.beat.persistence": "write storage: {size: 1Gi}",
    "spec.beat.volumeClaimTemplates": "write storage: {size: 1Gi}",
    "spec.beat.service": "nothing connects to beat: remove it",
    "spec.flower.volumeClaimTemplates": "write persistence: {size: 1Gi}",
    "spec.flower.replicas": ONE_POD,
    "spec.flower.replicaCount": ONE_POD,
    "spec.flower.basicAuth": FLOWER_LOGIN,
    "spec.flower.basic_auth": FLOWER_LOGIN,
    "spec.flower.user": FLOWER_LOGIN,
    "spec.flower.password": FLOWER_LOGIN,
    "spec.workers[].service": "nothing connects to a worker but what reads metrics: " + METRICS,
    "spec.workers[].autoscale": "pods are scaled here, not the processes of one: " + SCALING,
    "spec.workers[].processes": "write concurrency",
    "spec.workers[].acksLate": ACKS_LATE,
    "spec.workers[].acks_late": ACKS_LATE,
    "spec.workers[].task_acks_late": ACKS_LATE,
    **{f"spec.workers[].{name}": CLOCK for name in ("schedule", "schedules", "cron")},
    **{f"spec.workers[].{name}": "write replicas" for name in COUNTS},
    "spec.workers[].min": SCALING,
    "spec.workers[].max": SCALING,
    "spec.workers[].prefetchCount": "write prefetchMultiplier, which counts for each process",
    "spec.workers[].maxRetries": "it is a task's own: write max_retries in its code",
    "spec.workers[].max_retries": "it is a task's own: write max_retries in its code",
    "spec.workers[].rateLimit": RATE,
    "spec.workers[].rate_limit": RATE,
    "spec.workers[].persistence": CLAIM,
    "spec.workers[].kind": "a group is always a Deployment: remove it; " + CLAIM,
    "spec.workers[].scaling.targetCPUUtilizationPercentage": "write cpu: {averageUtilization: 80}",
    "spec.workers[].scaling.targetMemoryUtilizationPercentage": "write memory: {averageUtilization: 80}",
    "spec.workers[].scaling.metrics": "write cpu: {averageUtilization: 80}, memory or queue, each by its name",
    "spec.workers[].scaling.metric": "write cpu: {averageUtilization: 80}, memory or queue, each by its name",
    "spec.workers[].scaling.queueLength": "write queue: {averageLength: 5}, or {maxWaitSeconds: 30}",
    "spec.workers[].scaling.queue.length": "write averageLength: 5, of messages for each pod",
    "spec.workers[].scaling.cooldownPeriod": "write cooldownSeconds",
    "spec.workers[].scaling.pollingInterval": "write keda: {pollingSeconds: 10}, with engine: KEDA",
    "spec.workers[].scaling.fallback": "write keda: {fallback: {failureThreshold: 0, replicas: 2}}, with engine: KEDA",
    "spec.workers[].scaling.schedule": CRON,
    "spec.workers[].scaling.triggers": CRON,
    "spec.broker.hostFrom": HOST_FROM,
    "spec.resultBackend.hostFrom": HOST_FROM,
    "spec.workers[].scaling.keda.cooldownPeriod": "write cooldownSeconds in scaling",
    "spec.workers[].scaling.keda.pollingInterval": "write pollingSeconds",
    **{f"spec.broker.{name}": f"write urlFrom: {BY_KEY}" for name in SECRETS},
    **{f"spec.resultBackend.{name}": f"write urlFrom: {BY_KEY}" for name in SECRETS},
    "spec.broker.host": SERVER,
    "spec.broker.port": SERVER,
    "spec.broker.db": SERVER,
    "spec.broker.vhost": SERVER,
    "spec.broker.urlFrom.configMapKeyRef": URL_FROM,
    "spec.resultBackend.urlFrom.configMapKeyRef": URL_FROM,
    "spec.flower.ingress.path": "write urlPrefix in flower",
    "*.secretKeyRef.namespace": "a pod reads Secrets of its own namespace: remove it, and copy the Secret there",
    "*.timezone": TIMEZONE,
    "*.timeZone": TIMEZONE,
    "*.terminationGracePeriod": "write terminationGracePeriodSeconds in a group, in beat or in flower",
    "*.gracePeriod": "write terminationGracePeriodSeconds in a group, in beat or in flower",
    "*.initContainers[].readinessProbe": READY,
    "*.livenessProbe": PROBE,
    "*.readinessProbe": PROBE,
    "*.startupProbe": PROBE,
    "*.sidecars": SIDECAR,
    "*.extraContainers": SIDECAR,
    "*.containers": SIDECAR,
    "*.autoscaling": HPA,
    "*.hpa": HPA,
    "*.keda": KEDA,
    "*.minReplicas": SCALING,
    "*.maxReplicas": SCALING,
    "*.cooldownPeriod": f"write scaling: {{cooldownSeconds: 300, …}} {GROUP}",
    "*.pollingInterval": f"write scaling: {{engine: KEDA, keda: {{pollingSeconds: 10}}, …}} {GROUP}",
    "*.triggers": f"write scaling: {{engine: KEDA, keda: {{triggers: […]}}, …}} {GROUP}",
    "*.volumeClaimTemplates": CLAIM,
    "*.volumes[].pvc": "write persistentVolumeClaim: {claimName: NAME}",
    "*.volumeMounts[].path": "write mountPath",
    **{f"*.podSecurityContext.{name}": f"write securityContext: {{{name}: …}}" for name in OF_CONTAINERS},
    **{f"*.securityContext.{name}": f"write podSecurityContext: {{{name}: …}}" for name in OF_PODS},
    "*.global": "there is no chart above this: write its values into the fields of spec",
    "*.migrate": MIGRATE,
    "*.migrations": MIGRATE,
    "*.build": "an image that is built is named: write image: repository:tag",
    "*.depends_on": WAIT,
    "*.valueFrom.secret": "write secretKeyRef: {name: NAME, key: KEY}",
    "*.valueFrom.configMap": "write configMapKeyRef: {name: NAME, key: KEY}",
    "*.mem_limit": LIMITS,
    "*.cpus": LIMITS,
    "*.stop_grace_period": "write terminationGracePeriodSeconds in a component",
    "*.user": "write podSecurityContext: {runAsUser: 1000}",
    "*.expose": NETWORK,
    "*.logging": "pods write to the cluster's own logs: remove it; logLevel is a field",
    "*.configs": OBJECTS,
    "*.podTemplate": POD,
    "*.exporter": METRICS,
    "*.routing_key": ROUTE,
    "*.exchange": ROUTE,
    "*.restart": RESTARTED,
    "*.deploy": "its parts are fields: write replicas in a group, and resources: {requests: {…}, limits: {…}}",
    "*.networks": NETWORK,
    "*.links": NETWORK,
    "*.healthcheck": PROBE,
    "*.container_name": "objects are named after the app and the group: write metadata.name, and name in a group",
    "*.podDisruptionBudget": BUDGET,
    "*.pdb": BUDGET,
    "*.strategy": ROLLOUT,
    "*.updateStrategy": ROLLOUT,
    "*.deploymentStrategy": ROLLOUT,
    "*.hostNetwork": OVERLAY,
    "*.revisionHistoryLimit": OVERLAY,
    "*.minReadySeconds": OVERLAY,
    "*.hostname": OVERLAY,
    "*.nodeName": "write nodeSelector: {kubernetes.io/hostname: NODE}",
    "*.restartPolicy": RESTARTED,
    "*.tty": 'remove it; for logs without delay write env: [{name: PYTHONUNBUFFERED, value: "1"}]',
    "*.serviceAccount": "name one that is there: write serviceAccountName",
    "*.imagePullSecret": "write imagePullSecrets: [{name: NAME}]",
    "*.enabled": SWITCH,
    "*.extraEnv": ENV,
    "*.extraEnvVars": ENV,
    "*.environment": ENV,
    "*.envVars": ENV,
    "*.extraEnvFrom": ENV_FROM,
    "*.env_file": ENV_FROM,
    "*.secrets": OBJECTS,
    "*.secret": OBJECTS,
    "*.config": OBJECTS,
    "*.configMap": OBJECTS,
    "*.extraVolumes": "write volumes",
    "*.extraVolumeMounts": "write volumeMounts",
    "*.extraInitContainers": "write initContainers",
    "*.extraArgs": "write args",
    "*.entrypoint": "write command: [ENTRYPOINT, celery], or imageEntrypoint: Keep for the image's own",
    "*.deploymentAnnotations": "write annotations",
    "*.deploymentLabels": "write labels",
    "*.commonAnnotations": "write annotations in spec",
    "*.commonLabels": "write labels in spec",
    "*.nameOverride": NAME,
    "*.fullnameOverride": NAME,
    "*.metrics": METRICS,
    "*.serviceMonitor": METRICS,
    "*.podMonitor": METRICS,
    "*.redis": BROKER,
    "*.rabbitmq": BROKER,
    "*.broker_url": BROKER,
    "*.brokerUrl": BROKER,
    "*.result_backend": RESULTS,
    "*.resultBackendUrl": RESULTS,
    "*.template": POD,
    "*.selector": "the labels of pods are chosen here: remove it; more of them are podLabels",
    "*.cpu": "write resources: {requests: {cpu: …}}, and limits",
    "*.memory": "write resources: {requests: {memory: …}}, and limits",
    "*.resources.cpu": "write requests: {cpu: …}, and limits",
    "*.resources.memory": "write requests: {memory: …}, and limits",
}
"""Of a field that a CeleryApp does not have."""

SHAPES = {
    "spec.workers": "write - {name: worker, …}",
    "spec.beat": "write beat: {} for all defaults, or remove it for none",
    "spec.flower": "write flower: {} for all defaults, or remove it for none",
    "spec.broker": "write broker: {urlFrom: …}, or {url: …} where it holds no password",
    "spec.resultBackend": "write resultBackend: {urlFrom: …}, or {url: …} where it holds no password",
    "spec.flower.auth": FLOWER_LOGIN,
    "spec.flower.service": "write {type: ClusterIP}",
    "spec.flower.ingress": "write {host: flower.example.com}",
    "spec.workers[]": "write {name: worker, …}",
    "spec.workers[].queues[]": "write its name alone, such as mail",
    "spec.workers[].disruptionBudget": "write {maxUnavailable: 1}",
    "spec.workers[].scaling": "write {minReplicas: 1, maxReplicas: 5, cpu: {averageUtilization: 80}}",
    "spec.workers[].scaling.keda.authenticationRef": "write {name: NAME}, of a TriggerAuthentication",
    "spec.beat.storage": "write {size: 1Gi}",
    "spec.flower.persistence": "write {size: 1Gi}",
    "spec.flower.auth.basicAuth": FLOWER_LOGIN,
    "spec.workers[].scaling.cpu": "write {averageUtilization: 80}",
    "spec.workers[].scaling.memory": "write {averageUtilization: 80}",
    "spec.workers[].scaling.queue": "write {averageLength: 5}, or {maxWaitSeconds: 30}",
    "spec.workers[].probe": "write {type: Heartbeat}, or {exec: {command: […]}}",
    "*.image": "write repository:tag, such as registry.example.com/shop:1.4",
    "*.env": ENV,
    "*.env[]": "write {name: NAME, value: VALUE}",
    "*.urlFrom": f"write urlFrom: {BY_KEY}",
    "*.usernameFrom": f"write usernameFrom: {BY_KEY}",
    "*.passwordFrom": f"write passwordFrom: {BY_KEY}",
    "*.brokerApiFrom": f"write brokerApiFrom: {BY_KEY}",
    "*.caFrom": f"write caFrom: {BY_KEY}, or configMapKeyRef",
    "*.certFrom": f"write certFrom: {BY_KEY}",
    "*.keyFrom": f"write keyFrom: {BY_KEY}",
    "*.valueFrom": f"write valueFrom: {BY_KEY}, or configMapKeyRef",
    "*.secretKeyRef": "write secretKeyRef: {name: NAME, key: KEY}",
    "*.configMapKeyRef": "write configMapKeyRef: {name: NAME, key: KEY}",
    "*.envFrom[].secretRef": "write secretRef: {name: NAME}",
    "*.envFrom[].configMapRef": "write configMapRef: {name: NAME}",
    "*.envFrom": "write - {secretRef: {name: NAME}}",
    "*.envFrom[]": "write {secretRef: {name: NAME}}, or configMapRef",
    "*.imagePullSecrets": "write - {name: NAME}",
    "*.fieldRef": "write fieldRef: {fieldPath: status.podIP}",
    "*.resourceFieldRef": "write resourceFieldRef: {resource: limits.memory}",
    "*.tolerations": "write - {key: gpu, operator: Exists}",
    "*.tolerations[]": "write {key: gpu, operator: Exists}",
    "*.nodeSelector": "write {LABEL: VALUE}, of nodes",
    "*.initContainers": "write - {name: NAME, command: […]}",
    "*.initContainers[]": "write {name: NAME, command: […]}",
    "*.volumeMounts": "write - {name: VOLUME, mountPath: /PATH}",
    "*.volumes[].configMap": "write configMap: {name: NAME}",
    "*.volumes[].secret": "write secret: {secretName: NAME}",
    "*.volumes[].persistentVolumeClaim": "write persistentVolumeClaim: {claimName: NAME}",
    "*.volumes[].emptyDir": "write emptyDir: {}",
    "*.volumes[].hostPath": "write hostPath: {path: /PATH}",
    "*.imagePullSecrets[]": "write {name: NAME}",
    "*.ports[]": "write {name: metrics, containerPort: 8080}",
    "*.volumes[]": "write {name: NAME, persistentVolumeClaim: {claimName: NAME}}, or another kind of volume",
    "*.volumeMounts[]": "write {name: VOLUME, mountPath: /PATH}",
}
"""Of a value that its field does not take."""

NOT_IN_PODS = "it is not for pods: remove it"
CHOSEN = "it is set already: remove it"
LOGS = "logs go to standard output: remove it"
OAUTH = "write auth.oauth"
PERSISTENCE = "write persistence"
OPTIONS = {
    "--": "write settings: {NAME: VALUE}",
    "-A": "write app",
    "--app": "write app",
    "-b": "write spec.broker",
    "--broker": "write spec.broker",
    "--result-backend": "write spec.resultBackend",
    "-B": "write spec.beat",
    "--beat": "write spec.beat",
    "-c": "write concurrency",
    "--concurrency": "write concurrency",
    "-P": "write pool",
    "--pool": "write pool",
    "-Q": "write queues",
    "--queues": "write queues",
    "-X": "write excludeQueues",
    "--exclude-queues": "write excludeQueues",
    "-l": "write logLevel",
    "--loglevel": "write logLevel",
    "-f": LOGS,
    "--logfile": LOGS,
    "-O": "write optimization",
    "--optimization": "write optimization",
    "-E": "write taskEvents",
    "--events": "write taskEvents",
    "--task-events": "write taskEvents",
    "-n": CHOSEN,
    "--hostname": CHOSEN,
    "-I": "write include into the app",
    "--include": "write include into the app",
    "--autoscale": "write scaling, for pods in place of processes",
    "--prefetch-multiplier": "write prefetchMultiplier",
    "--disable-prefetch": "write disablePrefetch",
    "--time-limit": "write timeLimitSeconds",
    "--soft-time-limit": "write softTimeLimitSeconds",
    "--max-tasks-per-child": "write maxTasksPerChild",
    "--max-memory-per-child": "write maxMemoryPerChild, with its unit: 200000Ki",
    "--workdir": "write workingDir",
    "--without-gossip": CHOSEN,
    "--without-mingle": CHOSEN,
    "-D": NOT_IN_PODS,
    "--detach": NOT_IN_PODS,
    "--pidfile": NOT_IN_PODS,
    "--purge": NOT_IN_PODS,
    "--discard": NOT_IN_PODS,
    "-s": "write beat.storage if it has to outlive the pod",
    "--schedule": "write beat.storage if it has to outlive the pod",
    "-S": "write beat.schedulerClass",
    "--scheduler": "write beat.schedulerClass",
    "--max-interval": "write maxIntervalSeconds",
    "--port": "write port",
    "--address": CHOSEN,
    "--unix-socket": "Flower listens on port: remove it",
    "--url-prefix": "write urlPrefix",
    "--read-only": "write readOnly",
    "--basic-auth": "write auth.basicAuth",
    "--auth": OAUTH,
    "--auth-provider": OAUTH,
    "--oauth2-key": OAUTH,
    "--oauth2-secret": OAUTH,
    "--oauth2-redirect-uri": OAUTH,
    "--cookie-secret": OAUTH,
    "--broker-api": "write brokerApiFrom",
    "--purge-offline-workers": "write purgeOfflineWorkersSeconds",
    "--max-tasks": "write maxTasks",
    "--persistent": PERSISTENCE,
    "--db": PERSISTENCE,
    "--state-save-interval": PERSISTENCE,
    "--conf": "write its options as fields, or into args",
}
"""Of an argument that is refused, by the option's name."""
COMMANDS = r"spec\.((workers|beat|flower)\.)?(command|args)"


def unknown(path: Path, value: Any) -> str:
    """Return how that is done here for which people write this field; nothing where nobody is known to."""
    return _switched_off(path[:-1]) if path[-1] == "enabled" and value is False else _of(path, UNKNOWN)


def shape(path: Path) -> str:
    """Return how the field is written, where people know it in another shape."""
    return _of(path, SHAPES)


def argument(text: str) -> str:
    """Return what stands in place of an option, by its name alone: its value may be a password."""
    name = re.split("[= ]", text)[0].replace("_", "-")
    short = name[:2] if name[:2] != "--" else ""
    option = next((each for each in (name, f"-{name}", short) if each in OPTIONS), "")
    return option and f"{option} may not stand here: {OPTIONS[option]}"


def command(path: Path, text: str) -> str:
    """Return how a command line is written that stands where only its program may, or its options; else nothing."""
    words = text.split()
    start = next((at for at, word in enumerate(words) if word.rpartition("/")[2] == "celery"), None)
    if start is None or len(words) == start + 1 or not re.fullmatch(COMMANDS, re.sub(r"\[\d+\]", "", dotted(path))):
        return ""
    if path[-1] == "args" or start == 0:
        return f"leave {path[-1]} out, {FIELDS}"
    return f"write [{', '.join(words[: start + 1])}], {FIELDS}"


def _switched_off(block: Path) -> str:
    """Return what to write in place of `enabled: false`: what removes that line alone would switch the block on."""
    if (name := str(block[-1])) in OFF:
        return OFF[name]
    if block == ("spec",):
        return "an app that stands there is on; write replicas: 0 in a group of spec.workers to stop its pods"
    if isinstance(block[-1], int):
        return f"a group that stands there is on: remove the whole of {dotted(block[-2:])}, or write replicas: 0"
    return f"a block that stands there is on: remove the whole block {name}"


def _of(path: Path, words: dict[str, str]) -> str:
    place = re.sub(r"\[\d+\]", "[]", dotted(path))
    steps = place.split(".")
    endings = (".".join(["*", *steps[start:]]) for start in range(1, len(steps)))
    return next((words[each] for each in (place, *endings) if each in words), "")
