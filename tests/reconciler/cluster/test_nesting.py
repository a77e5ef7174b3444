"""How deep JSON is nested, told from its text."""

import json

import pytest

from reconciler.cluster.nesting import nesting, shallow

DEEP = 100_000


@pytest.mark.parametrize(
    ("value", "levels"),
    [(1, 0), ("[[{", 0), ([], 1), ({"a": [{}, {"b": {}}]}, 4), ({"[": '"{', "\\": ["]"]}, 2)],
)
def test_levels_are_counted_and_strings_are_none(value, levels):
    assert nesting(json.dumps(value)) == levels


def test_there_is_no_limit_to_it():
    assert nesting("[" * DEEP + "]" * DEEP) == DEEP


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"a": 1, "b": [2, {"c": 3}, 4]}, {"a": 1, "b": [2, None, 4]}),
        ([[[[[]]]], "[[["], [[None], "[[["]),
        ([[1], {"a": "b"}], [[1], {"a": "b"}]),
        ("any", "any"),
    ],
)
def test_what_is_deeper_is_null(value, left):
    assert json.loads(shallow(json.dumps(value), 2)) == left


def test_what_python_cannot_read_it_can_when_it_is_shallow():
    text = '{"deep": ' + "[" * DEEP + "]" * DEEP + ', "next": 1}'
    with pytest.raises(RecursionError):
        json.loads(text)
    assert json.loads(shallow(text, 1)) == {"deep": None, "next": 1}
