"""Argo CD's health check, run in Lua 5.1 with the libraries that Argo CD gives a check: base and table."""

from pathlib import Path

import pytest
import yaml
from lupa import lua51

PATCH = Path(__file__).parents[2] / "kustomize/argocd/argocd-cm.yaml"
CHECK = yaml.safe_load(PATCH.read_text())["data"]["resource.customizations.health.celeryproject.org_CeleryApp"]
APPS = sorted((Path(__file__).parent / "health").glob("*.yaml"))


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_the_folder_of_cases_says_the_health(path):
    app = yaml.safe_load(path.read_text())
    expected = app["metadata"]["annotations"]
    assert health(app) == {"status": expected["example.com/health"], "message": expected["example.com/message"]}


def health(app):
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    lua.execute("getmetatable('').__index = nil")  # no "text":methods() without the string library
    for library in ("string", "math", "io", "debug", "coroutine", "os"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(app, recursive=True)
    return dict(lua.execute(CHECK))
