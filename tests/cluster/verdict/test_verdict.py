"""What celery-render refuses the API server refuses, and what it accepts the API server accepts."""

from pathlib import Path

import pytest
import verdicts

ROOT = Path(__file__).parents[3]
INVALID = sorted((ROOT / "tests/invalid").glob("*.yaml"))
ONLY_HERE = {"keda-brokers", "plain-passwords", "pods", "pods-together", "settings-names", "settings-of-beat"}
"""What docs/reliability.md says the server accepts."""
EXAMPLES = sorted((ROOT / "examples").glob("**/app.yaml"))


def judged(cluster, app):
    return cluster.kubectl("create", "--dry-run=server", "--validate=strict", "--filename", app, check=False)


@pytest.mark.usefixtures("celeryapp_crd")
@pytest.mark.parametrize("app", INVALID, ids=lambda path: path.stem)
def test_what_is_invalid_is_refused_by_the_server_too_but_for_what_it_cannot_see(cluster, app):
    assert judged(cluster, app).returncode == (0 if app.stem in ONLY_HERE else 1)


@pytest.mark.usefixtures("celeryapp_crd")
@pytest.mark.parametrize("app", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_accepted_by_the_server(cluster, app):
    answer = judged(cluster, app)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_every_refusal_for_the_sake_of_children_that_is_listed_is_shown():
    shown = (ROOT / "tests/invalid/pods-together.txt").read_text(encoding="utf-8")
    assert [words for words in verdicts.IN_CHILDREN if words not in shown] == []
