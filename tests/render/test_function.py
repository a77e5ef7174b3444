"""Lists as kustomize sends them, and what it gets back; tests/cluster/test_in_the_pipeline.py has kustomize itself."""

import json

import pytest
import yaml

from render import function
from render.errors import InvalidInput

FUNCTION = {"config.kubernetes.io/function": "exec: {path: celery-render, args: [--function]}"}
OF_KUSTOMIZE = {"config.kubernetes.io/local-config": "true", "internal.config.kubernetes.io/index": "0"}
NOTE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}, "data": {"on": "yes", "a": "1\n\n"}}


@pytest.fixture
def answer(crd):
    """Return a function from what a list holds to the list that comes back, and the problems."""

    def answer(*, strict=False, **fields):
        given = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", **fields}
        text, problems, _ = function.answer(json.dumps(given).encode(), crd, strict=strict)
        return yaml.safe_load(text), [str(problem) for problem in problems]

    return answer


@pytest.fixture
def app(document):
    """Return a function from annotations and a spec to a CeleryApp."""

    def app(annotations, **spec):
        made = document(**spec)
        return {**made, "metadata": {**made["metadata"], "annotations": annotations}}

    return app


def listed(*items, **fields):
    return {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": list(items), **fields}


SCALED = [{"name": "worker", "scaling": {"maxReplicas": 3, "cpu": {"averageValue": "100m"}}}]


def test_the_app_that_configures_it_is_rendered_and_its_copy_among_the_items_is_not(answer, app, children):
    config, copy = app(FUNCTION, workers=SCALED), app(FUNCTION | OF_KUSTOMIZE, workers=SCALED)
    expected = children(workers=SCALED)
    assert "CeleryApp/shop" in expected
    assert answer(functionConfig=config, items=[copy]) == (listed(*expected.values()), [])
    assert answer(functionConfig=config) == (listed(*expected.values()), [])


def test_an_app_among_the_items_gives_way_to_its_children_and_all_else_passes(answer, app, children):
    config = NOTE | {"metadata": {"name": "celery-render", "annotations": FUNCTION}}
    note = NOTE | {"metadata": {"name": "note", "annotations": OF_KUSTOMIZE}}
    given = [NOTE, app(OF_KUSTOMIZE), note]
    assert answer(functionConfig=config, items=given) == (listed(NOTE, *children().values(), note), [])


def test_annotations_of_the_users_own_are_kept(answer, app):
    [*_, scaled] = answer(items=[app(FUNCTION | {"example.com/team": "web"}, workers=SCALED)])[0]["items"]
    assert scaled["metadata"]["annotations"] == {"example.com/team": "web"}


def test_every_problem_is_told_twice_and_the_items_are_as_they_came(answer, app):
    apps = [app({"internal.config.kubernetes.io/path": "shop/app.yaml"}, replics=1), app({}, image=""), NOTE]
    reference = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "name": "shop"}
    given, problems = answer(items=apps)
    assert given["items"] == apps
    told = [(result.pop("message"), *result["field"].values()) for result in given["results"]]
    assert problems == [
        "shop/app.yaml: {1}: {0}".format(*told[0]),
        "CeleryApp shop: {1}: {0}".format(*told[1]),
    ]
    assert given["results"] == [
        {
            "severity": "error",
            "resourceRef": reference,
            "field": {"path": "spec.replics"},
            "file": {"path": "shop/app.yaml"},
        },
        {"severity": "error", "resourceRef": reference, "field": {"path": "spec.image"}},
    ]


def test_a_warning_is_told_twice_beside_the_children_unless_it_is_strict(answer, app, children):
    workers = [{"name": "worker", "disruptionBudget": {"maxUnavailable": 0}}]
    given, [warning] = answer(items=[app({}, workers=workers)])
    assert warning.startswith("CeleryApp shop: warning: spec.workers[0].disruptionBudget.maxUnavailable: ")
    assert given["items"] == list(children(workers=workers).values())
    assert [(result["severity"], result["message"]) for result in given["results"]] == [
        ("warning", warning.split(": ", 3)[3])
    ]
    refused, again = answer(items=[app({}, workers=workers)], strict=True)
    assert (refused["items"], refused["results"], again) == ([app({}, workers=workers)], given["results"], [warning])


def test_two_apps_with_one_child_are_refused(answer, app):
    given, [problem] = answer(items=[app({}), app({"internal.config.kubernetes.io/path": "b.yaml"})])
    assert problem.startswith("b.yaml: metadata.name: ConfigMap shop-probe is in the app of CeleryApp shop too")
    assert [result["field"] for result in given["results"]] == [{"path": "metadata.name"}]


def test_an_app_of_another_version_is_refused(answer, app):
    _, problems = answer(items=[app({}) | {"apiVersion": "celeryproject.org/v9"}])
    assert problems == ["CeleryApp shop: is celeryproject.org/v9 CeleryApp; write celeryproject.org/v1alpha1 CeleryApp"]


@pytest.mark.parametrize("metadata", [None, [], {}, {"name": 1}, {"name": "shop", "annotations": "none"}])
def test_metadata_that_is_no_metadata_is_a_problem_like_any_other(answer, document, metadata):
    _, problems = answer(items=[document() | {"metadata": metadata}])
    assert problems
    assert all(problem.partition(": ")[2].startswith("metadata") for problem in problems)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "standard input: is empty: --function is for kustomize, which sends a ResourceList"),
        ("kind: CeleryApp\n", "standard input: is no ResourceList: --function is for kustomize"),
        ("{kind: ResourceList, items: {a: 1}}\n", "standard input: is no ResourceList"),
        ("{kind: ResourceList, items: [1]}\n", "standard input: is no ResourceList"),
        ("{kind: ResourceList, functionConfig: [1]}\n", "standard input: is no ResourceList"),
        ("kind: ResourceList\nitems: [{a: &a 1, b: *a}]\n", "standard input:2: items[0].b: *a is an alias"),
    ],
)
def test_what_is_no_list_is_refused(crd, content, words):
    with pytest.raises(InvalidInput) as refusal:
        function.answer(content.encode(), crd)
    assert str(refusal.value).startswith(words)
