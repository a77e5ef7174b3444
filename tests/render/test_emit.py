"""YAML that every reader takes for the same: proven with PyYAML (1.1), ruamel.yaml (1.1 and 1.2) and our own loader."""

import json
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from render import emit, load

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop-flower"}, "spec": {"ports": []}}
DEPLOYMENT = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "shop-worker"}}


def ruamel(text, version):
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    return reader.load(text)


def readings(text):
    """Return what each reader makes of the text, as JSON: to Python 1 == 1.0 == True."""
    (document,) = load.documents(text.encode(), "emitted").documents
    every = (yaml.safe_load(text), ruamel(text, (1, 1)), ruamel(text, (1, 2)), document.data)
    return {json.dumps(one, sort_keys=True) for one in every}


def test_a_stream_is_block_style_in_the_order_of_its_making():
    manifest = {
        "kind": "CeleryApp",
        "apiVersion": "celeryproject.org/v1alpha1",
        "metadata": {"name": "shop", "annotations": {"note": "on", "on": "celery mail"}},
        "spec": {
            "workers": [
                {"name": "mail", "queues": ["mail", "no"], "args": [], "replicas": 0},
                {},
                "x",
                ["y", ["z"], {"a": "b"}],
            ],
            "settings": {"ratio": 0.5, "tiny": 1e-05, "eager": False, "none": None, "empty": {}},
            "script": "set -e\n\n  exec celery\n",
            "scripts": ["# one\ntwo\n"],
        },
    }
    assert (
        emit.stream([SERVICE, manifest])
        == """\
apiVersion: v1
kind: Service
metadata:
  name: shop-flower
spec:
  ports: []
---
kind: CeleryApp
apiVersion: celeryproject.org/v1alpha1
metadata:
  name: shop
  annotations:
    note: "on"
    "on": celery mail
spec:
  workers:
  - name: mail
    queues:
    - mail
    - "no"
    args: []
    replicas: 0
  - {}
  - x
  - - "y"
    - - z
    - a: b
  settings:
    ratio: 0.5
    tiny: 1.0e-05
    eager: false
    none: null
    empty: {}
  script: |
    set -e

      exec celery
  scripts:
  - |
    # one
    two
"""
    )


def test_the_files_of_a_base_carry_the_marker_and_are_listed_in_the_order_to_apply_them_in():
    assert emit.files([SERVICE, DEPLOYMENT]) == {
        "service-shop-flower.yaml": f"""\
{emit.MARKER}
apiVersion: v1
kind: Service
metadata:
  name: shop-flower
spec:
  ports: []
""",
        "deployment-shop-worker.yaml": f"""\
{emit.MARKER}
kind: Deployment
apiVersion: apps/v1
metadata:
  name: shop-worker
""",
        "kustomization.yaml": f"""\
{emit.MARKER}
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- service-shop-flower.yaml
- deployment-shop-worker.yaml
""",
    }


def test_the_marker_never_changes():
    """Files with another first line would be foreign to the next version, which then refuses to write."""
    assert emit.MARKER == "# Written by celery-render; do not edit: changes belong in the CeleryApp or in an overlay."


@pytest.mark.parametrize(
    "text",
    [
        "shop",
        "CELERY_BROKER_URL",
        "registry.example.com:5000/shop/web:v1.4.2",
        "registry.example.com/shop@sha256:0a1b",
        "redis://redis.shop.svc:6379/0",
        "/var/run/celery",
        "app.kubernetes.io/name",
        "--queues=mail,mail-high",
        "--hostname=worker@%h",
        "--pool=threads",
        "25%",
        "100m",
        "1Gi",
        "exec celery -A shop",
        "yes sir",
    ],
)
def test_text_that_is_text_to_every_reader_stands_plain(text):
    assert emit.stream([{"a": text, text: "b"}]) == f"a: {text}\n{text}: b\n"


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            " ",
            "a ",
            " a",
            "a: b",
            "a:",
            ":a",
            "a #b",
            "#a",
            "- a",
            "-",
            "--",
            "---",
            "...",
            "? a",
            "?",
            "!a",
            "&a",
            "*a",
        ],
        *[
            "|",
            ">",
            "%a",
            "@a",
            "`a",
            "[a]",
            "{a}",
            "a, b]",
            "'a'",
            '"a"',
            "a\\",
            "<<",
            "=",
            "~",
            "/",
            "_",
            "_1",
            "é",
            "😀",
        ],
        *["y", "Y", "n", "N", "yes", "No", "ON", "off", "true", "False", "null", "NULL", ".inf", "-.INF", ".nan"],
        *[
            "0",
            "1",
            "+1",
            "-1",
            "1_000",
            "017",
            "08",
            "0o17",
            "0O10",
            "0x1F",
            "0b1",
            "1e3",
            "1E5",
            "1234e56",
            "0.1e2",
            "+.5",
        ],
        *[
            "1.",
            ".5",
            "12:30",
            "12:30:45",
            "2024-01-01",
            "2001-12-14t21:59:43.10-05:00",
            "1.2.3",
            "10.0.0.0/8",
            "1E",
            "1e",
        ],
    ],
)
def test_text_that_some_reader_may_take_for_something_else_is_quoted(text):
    quoted = json.dumps(text, ensure_ascii=False)
    assert emit.stream([{"a": text, text: "b"}]) == f"a: {quoted}\n{quoted}: b\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("a\nb", '"a\\nb"', id="lines without an end"),
        pytest.param("a\n\n", '"a\\n\\n"', id="an empty line at the end"),
        pytest.param("\na\n", '"\\na\\n"', id="an empty line at the beginning"),
        pytest.param(" a\nb\n", '" a\\nb\\n"', id="a first line that is indented"),
        pytest.param("a \nb\n", '"a \\nb\\n"', id="a space at the end of a line"),
        pytest.param("a\tb\n", '"a\\tb\\n"', id="a tab"),
        pytest.param("a\r\nb\r\n", '"a\\r\\nb\\r\\n"', id="CRLF"),
        pytest.param(
            "a\u2028b\x85\ufeff\n", '"a\\u2028b\\u0085\\ufeff\\n"', id="line breaks and marks to some readers"
        ),
        pytest.param(
            "\x00\x07\x1b\x7f\x80\uffff", '"\\u0000\\u0007\\u001b\\u007f\\u0080\\uffff"', id="control characters"
        ),
        pytest.param("\U0001f600\U0001ffff", '"\U0001f600\U0001ffff"', id="characters beyond 16 bits"),
    ],
)
def test_text_that_a_block_would_not_show_is_escaped(text, written):
    assert emit.stream([{"a": text}]) == f"a: {written}\n"


def test_a_key_too_long_to_be_a_simple_one_is_announced():
    key = "k" * 1001
    text = emit.stream([{"a": [{key: {"b": "c"}, key + "k": ["d"]}]}])
    assert text == f"a:\n- ? {key}\n  :\n    b: c\n  ? {key}k\n  :\n  - d\n"
    assert readings(text) == {json.dumps({"a": [{key: {"b": "c"}, key + "k": ["d"]}]})}


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "\ud83d", {"\udc00": 1}, {1, 2}, (1,), {1: 2}, b"a"])
def test_what_is_no_json_is_an_error(value):
    with pytest.raises((TypeError, ValueError)):
        emit.stream([{"a": value}])


def test_a_value_that_stands_twice_is_written_twice():
    labels = {"a": "b"}
    assert emit.stream([{"x": labels, "z": labels}]) == "x:\n  a: b\nz:\n  a: b\n"


texts = (
    st.text()
    | st.text("ynoNeltrusfa01.:-+_xXeE#'\"\\ \n\t|>[]{},?&*!%@`~=/é😀\x85\u2028\ufeff\x00\x7f")
    | st.from_regex(re.compile(r"[-+]?[0-9]{1,3}([.:_eE][-+]?[0-9]{0,2}){0,3}", re.ASCII), fullmatch=True)
)
scalars = texts | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.booleans() | st.none()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=10)


@given(st.dictionaries(texts, values, min_size=1))
@example({"y": {"on": ["0o17", "1e3", "08", "12:30", "=", "<<"]}})
@example({"a": "# x\n---\n- y\n\n  z: 'w\n"})
def test_whatever_is_written_is_read_back_by_every_reader(manifest):
    whole = json.loads(
        json.dumps(manifest), parse_float=lambda text: int(float(text)) if float(text).is_integer() else float(text)
    )
    assert load.documents(emit.stream([manifest]).encode(), "emitted").documents[0].data == whole
    assert readings(emit.stream([whole])) == {json.dumps(whole, sort_keys=True)}
