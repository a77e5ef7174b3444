"""What Prometheus is told. Nothing here decides anything."""

from collections import Counter as Count
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from reconciler.model import Outcome, PassResult

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_WRITTEN = (Outcome.CREATED, Outcome.CONFIGURED, Outcome.DELETED)


class Metrics:
    """Every metric, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._passes = self._counter("passes", "Passes by result: done, failed or halted.", "result")
        self._seconds = Histogram(
            "celery_reconcile_pass_duration_seconds", "How long a pass took.", registry=self.registry, buckets=_BUCKETS
        )
        self._requests = self._counter("api_requests", "Requests to the API server.", "verb", "code")
        self._drift = self._counter("drift", "Children that were not as their app wants them, new ones too.", "kind")
        self._steps = self._counter("steps", "What became of children that were not left alone.", "kind", "outcome")
        self._apps = self._gauge("apps", "Apps by condition and its status.", "condition", "status")
        self._problems = self._gauge("apps_failing", "Apps that the last pass could not serve.")
        self._scaling = self._gauge(
            "scaling",
            "Of each group that is scaled: its replicas, and what was seen.",
            "namespace",
            "app",
            "group",
            "value",
        )
        self._leader = self._gauge("leader", "1 while this process may write.")

    def request(self, verb: str, code: str) -> None:
        """Count one answer of the API server."""
        self._requests.labels(verb, code).inc()

    def leads(self, held: Callable[[], bool]) -> None:
        """Ask whether this process may write whenever Prometheus does."""
        self._leader.set_function(held)

    def ended(self, result: str, seconds: float) -> None:
        """Count a pass that ended: done, failed (it could not be begun or broke) or halted."""
        self._passes.labels(result).inc()
        self._seconds.observe(seconds)

    def record(self, result: PassResult) -> None:
        """Take over what a pass did and found."""
        for step in (step for app in result.apps for step in app.steps):
            self._steps.labels(step.ref.kind, step.outcome).inc()
            if step.outcome in _WRITTEN:
                self._drift.labels(step.ref.kind).inc()
        self._problems.set(sum(bool(app.problem) for app in result.apps))
        self._apps.clear()  # a status no app has any more must not stay
        self._scaling.clear()
        for app in result.apps:
            for group, values in app.scaling.items():
                for value, number in values.items():
                    self._scaling.labels(app.app.namespace, app.app.name, group, value).set(number)
        conditions = Count(condition for app in result.apps for condition in app.conditions.items())
        for condition, number in conditions.items():
            self._apps.labels(*condition).set(number)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"celery_reconcile_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"celery_reconcile_{name}", text, labels, registry=self.registry)
