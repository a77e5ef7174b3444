"""What the cluster has changed of what was applied, and what is only another way to say it."""

import pytest

from reconciler.apply import admission
from reconciler.model import Ref

SAME = {
    "the same": ({"a": 1}, {"a": 1}),
    "more beside it": ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
    "a quantity in other words": ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"}),
    "what is empty and left out": ({"a": "", "b": {}, "c": [], "d": False}, {}),
    "an item before ours": ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "side"}, {"name": "x", "v": 1}]}),
    "an item without a name before ours": ({"a": [{"key": "k"}]}, {"a": [{"key": "other"}, {"key": "k", "more": 1}]}),
    "a text before ours": ({"a": ["x"]}, {"a": ["y", "x"]}),
    "a volume mounted twice": (
        {"m": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        {"m": [{"name": "v", "mountPath": "/b"}, {"name": "v", "mountPath": "/a"}]},
    ),
}
ALTERED = {
    "a text": ({"a": {"b": "x"}}, {"a": {"b": "y"}}, ["a.b"]),
    "what was off": ({"a": False, "b": 0}, {"a": True, "b": 1}, ["a", "b"]),
    "a quantity": ({"limits": {"memory": "512Mi"}}, {"limits": {"memory": "256Mi"}}, ["limits.memory"]),
    "what is taken away": ({"a": {"b": {"c": 1}}}, {"a": {}}, ["a.b"]),
    "an item that was moved": (
        {"a": [{"name": "x", "v": 1}]},
        {"a": [{"name": "s"}, {"name": "x", "v": 2}]},
        ["a[0].v"],
    ),
    "an item that is gone": ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, ["a[0]"]),
    "an argument": ({"args": ["a", "b"]}, {"args": ["a", "c"]}, ["args[1]"]),
    "one argument less": ({"args": ["a", "b"]}, {"args": ["a"]}, ["args[1]"]),
    "one mount of a volume": (
        {"m": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b", "subPath": "x"}]},
        {"m": [{"name": "v", "mountPath": "/b", "subPath": "y"}, {"name": "v", "mountPath": "/a"}]},
        ["m[1].subPath"],
    ),
    "another sort": ({"a": "1", "b": {"c": 1}}, {"a": True, "b": "c"}, ["a", "b"]),
}


@pytest.mark.parametrize(("desired", "answer"), SAME.values(), ids=SAME)
def test_what_is_said_otherwise_or_added_is_not_changed(desired, answer):
    assert admission.altered(desired, answer) == ()


@pytest.mark.parametrize(("desired", "answer", "paths"), ALTERED.values(), ids=ALTERED)
def test_what_is_changed_is_named(desired, answer, paths):
    assert list(admission.altered(desired, answer)) == paths


def test_it_is_said_in_words():
    assert admission.words(Ref("apps/v1", "Deployment", "shop", "shop-worker"), ["spec.a", "spec.b"]) == (
        "the cluster changes spec.a, spec.b of Deployment shop-worker on the way in: by a webhook, a policy, or a "
        "feature gate that is off"
    )
