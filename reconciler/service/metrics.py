"""What Prometheus is told. Nothing here decides anything."""

from collections import Counter as Count
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.model import AppResult, Ref

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics(Collector):
    """Every metric, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._looks = self._counter("looks", "Looks at an app by result: done, failed, halted or crashed.", "result")
        self._seconds = Histogram(
            "celery_reconcile_look_duration_seconds", "How long a look took.", registry=self.registry, buckets=_BUCKETS
        )
        self._requests = self._counter("api_requests", "Requests to the API server.", "verb", "code")
        self._drift = self._counter("drift", "Children that were not as their app wants them, new ones too.", "kind")
        self._steps = self._counter("steps", "What became of children that were not left alone.", "kind", "outcome")
        self._leader = self._gauge("leader", "1 while this process may write.")
        self._queue = self._gauge("queue_depth", "Apps that are to be looked at now.")
        self._results: dict[Ref, AppResult] = {}
        self._rollouts: Callable[[], Mapping[str, int]] = dict
        self._unreadable: Callable[[], Mapping[str, str]] = dict
        self.registry.register(self)

    def request(self, verb: str, code: str) -> None:
        """Count one answer of the API server."""
        self._requests.labels(verb, code).inc()

    def watch(self, leads: Callable[[], bool], depth: Callable[[], int]) -> None:
        """Ask these whenever Prometheus does."""
        self._leader.set_function(leads)
        self._queue.set_function(depth)

    def count(self, rollouts: Callable[[], Mapping[str, int]], unreadable: Callable[[], Mapping[str, str]]) -> None:
        """Ask these as well."""
        self._rollouts, self._unreadable = rollouts, unreadable

    def ended(self, result: str, seconds: float) -> None:
        """Count a look that ended: done, failed (something could not be done), halted or crashed."""
        self._looks.labels(result).inc()
        self._seconds.observe(seconds)

    def record(self, result: AppResult) -> None:
        """Take over what a look did and found."""
        for step in result.steps:
            self._steps.labels(step.ref.kind, step.outcome).inc()
            if step.outcome.writes:
                self._drift.labels(step.ref.kind).inc()
        self._results[result.app] = replace(result, steps=())

    def forget(self, app: Ref) -> None:
        """Tell nothing any more of an app that is gone."""
        self._results.pop(app, None)

    def collect(self) -> Iterator[Metric]:
        """Yield what is so just now; a status that no app has any more is not among it."""
        results = list(self._results.values())
        yield _metric(
            "apps",
            "Apps by condition and its status.",
            ("condition", "status"),
            Count(condition for result in results for condition in result.conditions.items()),
        )
        failing = sum(bool(result.problem) for result in results)
        yield _metric("apps_failing", "Apps of which something could not be done.", (), {(): failing})
        contradicted = sum(result.contradicted for result in results)
        yield _metric("contradicted", "Objects that somebody else changes again and again.", (), {(): contradicted})
        yield _metric(
            "rollouts",
            "Apps that roll out, and that wait with a new release until fewer do.",
            ("state",),
            {(state,): number for state, number in self._rollouts().items()},
        )
        yield _metric(
            "unreadable",
            "1 for each kind that could not be listed.",
            ("kind",),
            {(kind,): 1 for kind in self._unreadable()},
        )
        yield _metric(
            "scaling",
            "Of each group that is scaled: its replicas, and what was seen.",
            ("app_namespace", "app", "group", "value"),
            {
                (result.app.namespace, result.app.name, group, value): number
                for result in results
                for group, values in result.scaling.items()
                for value, number in values.items()
            },
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"celery_reconcile_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"celery_reconcile_{name}", text, labels, registry=self.registry)


def _metric(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], int]) -> Metric:
    found = GaugeMetricFamily(f"celery_reconcile_{name}", text, labels=labels)
    for each, number in values.items():
        found.add_metric(each, number)
    return found
