"""What a component gets from `spec`, and what it says for itself."""

import copy

import pytest


def merged(app, field, common, own):
    group = app(**{field: common}, workers=[{"name": "worker", field: own}]).groups[0]
    return group.spec[field]


@pytest.mark.parametrize(
    ("field", "common", "own", "expected"),
    [
        pytest.param(
            "nodeSelector",
            {"a": "1", "b": "1"},
            {"b": "2", "c": "2"},
            {"a": "1", "b": "2", "c": "2"},
            id="objects merge field by field",
        ),
        pytest.param(
            "affinity",
            {"nodeAffinity": {"x": 1}, "podAffinity": {"x": 1}},
            {"nodeAffinity": {"y": 2}},
            {"nodeAffinity": {"y": 2}, "podAffinity": {"x": 1}},
            id="and no deeper",
        ),
        pytest.param(
            "resources",
            {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            {"requests": {"cpu": "2"}},
            {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            id="but for resources, within requests and limits too",
        ),
        pytest.param(
            "env",
            [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
            [{"name": "C", "value": "2"}, {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
                {"name": "B", "value": "1"},
                {"name": "C", "value": "2"},
            ],
            id="an item with the key of a common one takes its place whole; others follow",
        ),
        pytest.param(
            "volumeMounts",
            [{"name": "a", "mountPath": "/a"}],
            [{"name": "b", "mountPath": "/a"}],
            [{"name": "b", "mountPath": "/a"}],
            id="mounts are told apart by path",
        ),
        pytest.param(
            "hostAliases",
            [{"ip": "10.0.0.1", "hostnames": ["a"]}],
            [{"ip": "10.0.0.1", "hostnames": ["b"]}],
            [{"ip": "10.0.0.1", "hostnames": ["b"]}],
            id="hosts by address",
        ),
        pytest.param(
            "topologySpreadConstraints",
            [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}],
            [{"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2}],
            [
                {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1},
                {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2},
            ],
            id="spread constraints by topology and what happens when it cannot be",
        ),
        pytest.param(
            "tolerations", [{"key": "a"}], [{"key": "b"}], [{"key": "b"}], id="lists without keys are replaced"
        ),
        pytest.param("priorityClassName", "low", "high", "high", id="so are plain values"),
        pytest.param("logLevel", "DEBUG", "ERROR", "ERROR", id="also those that are no part of a pod"),
        pytest.param(
            "settings",
            {"a_b": {"x": 1}, "c_d": 1},
            {"a_b": {"y": 2}},
            {"a_b": {"y": 2}, "c_d": 1},
            id="settings merge key by key",
        ),
    ],
)
def test_a_component_wins_over_the_common_fields(app, field, common, own, expected):
    assert merged(app, field, common, own) == expected


def test_every_component_gets_the_common_fields(app):
    shop = app(nodeSelector={"disk": "ssd"}, beat={}, flower={"image": "flower:2"}, broker={"url": "redis://r"})
    components = (*shop.groups, shop.beat, shop.flower)
    assert [component.name for component in components] == ["worker", "beat", "flower"]
    assert [component.spec["nodeSelector"] for component in components] == [{"disk": "ssd"}] * 3
    assert [component.spec["image"] for component in components] == ["shop:1", "shop:1", "flower:2"]


def test_what_is_absent_stays_absent(app):
    shop = app()
    assert (shop.namespace, shop.beat, shop.flower) == (None, None, None)
    assert "env" not in shop.groups[0].spec


def test_the_document_is_not_changed(app, document):
    spec = {"env": [{"name": "A", "value": "1"}], "workers": [{"name": "worker", "env": [{"name": "B", "value": "1"}]}]}
    before = copy.deepcopy(spec)
    assert app(**spec).written == document(**before)
