"""Where an app is accepted, the API server accepts its children; and what is refused for their sake it would refuse."""

import os
import secrets

import children
import documents
import fuzz
import pytest

from render import schema

SEED = int(os.environ.get("FUZZ_SEED") or secrets.choice(range(1, 9)))
"""One of those that agreed before, so that a difference is a change's, not chance's. `make fuzz` takes new ones."""
DOCUMENTS = 1000


@pytest.fixture(scope="module")
def server(plane, celeryapp_crd, keda_crds):  # noqa: ARG001 (installs them)
    return plane


def test_of_every_app_that_is_accepted_the_children_are_accepted(server, release):
    found = fuzz.of_children(server, SEED, range(DOCUMENTS), schema.load(release))
    assert not found.differences, f"FUZZ_SEED={SEED}\n" + "\n".join(found.differences[:5])
    assert found.rendered > DOCUMENTS / 4, "too few are accepted to say anything"


def test_what_only_celery_render_refuses_is_refused_in_a_child(server, release):
    """Of apps that are right by the CRD, those that are refused for what crds/pods.yaml asks."""
    apps = [children.document(SEED, number) for number in range(DOCUMENTS)]
    judging = schema.load(release)
    refused = [app for app in apps if children.children(app, judging) is None]
    said = [*zip(refused, children.refusals(server, refused, fuzz.OF_THE_CRD), strict=True)]
    taken = [app for app, refusals in said if refusals == [] and not children.is_stricter(app, judging)]
    assert any(refusals for _, refusals in said), "no document shows what it is for"
    assert "\n".join(map(documents.text, taken[:5])) == ""
