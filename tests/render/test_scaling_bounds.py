"""What of `scaling` is refused, word for word. The API server is asked in cluster/verdict/test_as_the_autoscaler.py."""

import pytest
import scaling_bounds
from hypothesis import given
from hypothesis import strategies as st

from render import default, quantity, schema, structure, validate
from render.model import Document

SCHEMA = schema.load()
SCALING = SCHEMA.structural["properties"]["spec"]["properties"]["workers"]["items"]["properties"]["scaling"][
    "properties"
]
ANY = {"pattern": r"^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"}
"""Of a quantity with any sign."""
TARGET = SCALING["cpu"]["properties"]["averageValue"]
TOLERANCE = SCALING["behavior"]["properties"]["scaleUp"]["properties"]["tolerance"]


def problem(scaling):
    """Return what is wrong with the scaling of a group, without the file and the line."""
    app = scaling_bounds.app(scaling)
    data = default.fill(app, SCHEMA.structural)
    found = validate.problems(Document(app, "app.yaml", {}), data, SCHEMA)
    return "\n".join(str(each).split(" ", 1)[1] for each in found)


@pytest.mark.parametrize("engine", scaling_bounds.ENGINES)
def test_what_an_autoscaler_would_refuse_is_refused_whoever_scales(engine):
    cases = [*scaling_bounds.cases(engine)]
    assert [(case.scaling, problem(case.scaling)) for case in cases] == [(case.scaling, case.problem) for case in cases]


@given(st.from_regex(ANY["pattern"], fullmatch=True))
def test_the_sign_of_a_quantity_is_seen_in_its_text(text):
    thousandths = quantity.milli(text)  # rounded away from zero
    assert accepts(TARGET, text) == (thousandths > 0)
    assert accepts(TOLERANCE, text) == (thousandths >= 0)


@given(st.from_regex(TARGET["pattern"], fullmatch=True) | st.from_regex(TOLERANCE["pattern"], fullmatch=True))
def test_what_is_taken_for_a_quantity_is_one(text):
    assert accepts(ANY, text)


def accepts(node, text):
    return not [*structure.errors(text, {"type": "string", "pattern": node["pattern"]})]
