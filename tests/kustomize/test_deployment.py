"""The reconciler's Deployment and its documentation, against the program they run."""

import re
import tomllib
from pathlib import Path

import yaml

from reconciler import cli

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = [*ROOT.glob("kustomize/base/deployment.yaml"), *ROOT.glob("kustomize/overlays/*/deployment.yaml")]
OPTIONS = {option.envvar: option for option in cli.main.commands["run"].params}
PAGES = (
    "Dockerfile",
    "docs/gitops.md",
    "docs/operations.md",
    "kustomize/argocd/plugin/kustomization.yaml",
    "kustomize/base/kustomization.yaml",
)


def test_it_sets_options_there_are_to_values_they_take():
    for path in DEPLOYMENTS:
        [container] = yaml.safe_load(path.read_text())["spec"]["template"]["spec"]["containers"]
        for variable in container["env"]:
            option = OPTIONS[variable["name"]]
            option.type.convert(variable.get("value", "a pod"), option, None)  # or what the pod knows of itself


def test_its_version_is_this_one_wherever_it_is_named():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    names = re.compile(r"(?:celery-render:|name: celery-render\n +newTag: |ref=v|rev: v|tag: v)(\d+\.\d+\.\d+)")
    named = {page: set(names.findall((ROOT / page).read_text())) for page in PAGES}
    assert named == {page: {version} for page in PAGES}


def test_its_home_is_this_one_wherever_it_is_named():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert urls == {"Homepage": urls["Homepage"], "Repository": f"{urls['Homepage']}.git"}
    pages = ("mkdocs.yml", "release/dist.py", "docs/gitops.md", "docs/operations.md")
    text = "".join((ROOT / page).read_text() for page in pages)
    assert set(re.findall(r"https://[\w./-]+/celery-render\b", text)) == {urls["Homepage"]}


def test_the_reasons_that_are_explained_are_given():
    page = (ROOT / "docs/operations.md").read_text()
    [table] = re.findall(r"^\| reason .*?\n\n", page, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\| ([A-Z][\w, ]+) \|", table, re.MULTILINE)
    explained = {reason for cell in cells for reason in cell.split(", ")}
    program = " ".join(path.read_text() for path in (ROOT / "reconciler").rglob("*.py"))
    assert "AllReady" in explained <= set(re.findall(r"\w+", program))
