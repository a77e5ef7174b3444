"""Every file in warned/ is rendered, and warned of with exactly the lines of the .txt beside it."""

from pathlib import Path

import pytest

from render import pipeline, schema
from render.errors import InvalidInput

ROOT = Path(__file__).parents[1]
CASES = sorted((ROOT / "tests/warned").glob("*.yaml"))
HEALTHY = sorted(ROOT.glob("examples/**/app.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_what_will_hurt_is_said_with_what_to_write_instead(case, monkeypatch):
    monkeypatch.chdir(case.parent)
    warnings = [str(warning) for base in pipeline.bases([case.name], schema.load()) for warning in base.warnings]
    assert "\n".join([*warnings, ""]) == case.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_warning_is_refused_when_it_is_strict(case, monkeypatch):
    monkeypatch.chdir(case.parent)
    with pytest.raises(InvalidInput) as refusal:
        list(pipeline.bases([case.name], schema.load(), strict=True))
    assert str(refusal.value) + "\n" == case.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("app", HEALTHY, ids=lambda path: path.parent.name)
def test_a_healthy_app_is_not_warned_of(app):
    list(pipeline.bases([str(app)], schema.load(), strict=True))
