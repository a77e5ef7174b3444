"""What a release hands out: the same bytes for everybody, and what it says it is."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = "registry.example.com/team/celery-render"


@pytest.fixture(scope="module")
def made(binary, tmp_path_factory):  # noqa: ARG001 (builds the kubectl that is used)
    """Return two folders: made of the last commit here, and by somebody else with other habits."""
    folder = tmp_path_factory.mktemp("release")
    subprocess.run(["git", "clone", "--quiet", ROOT, folder / "clone"], check=True)
    here = os.environ | {"PYTHONPATH": str(ROOT / "tests/cluster")}
    elsewhere = here | {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1"}
    for name, cwd, environment, umask in (("one", ROOT, here, 0o022), ("two", folder / "clone", elsewhere, 0o077)):
        command = [sys.executable, ROOT / "release/dist.py", folder / name, IMAGE]
        subprocess.run(command, cwd=cwd, env=environment, umask=umask, check=True)
    return folder / "one", folder / "two"


def test_who_makes_it_again_gets_the_same_bytes(made):
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in made)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_its_files_are_named_in_the_docs(made):
    page = (ROOT / "docs/releasing.md").read_text()
    [listed] = re.findall(r"^\$ ls dist/\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert sorted(listed.split()) == sorted(path.name for path in made[0].iterdir())


def test_its_sums_are_those_of_all_else(made):
    sums = {line[66:]: line[:64] for line in (made[0] / "SHA256SUMS").read_text().splitlines()}
    others = (path for path in made[0].iterdir() if path.name != "SHA256SUMS")
    assert sums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in others}


def test_its_provenance_names_the_commit_and_all_that_was_made_of_it(made):
    statement = json.loads((made[0] / "provenance.json").read_text())
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    definition = statement["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": commit.strip()}
    assert definition["externalParameters"]["command"] == ["make", "release", f"IMAGE={IMAGE}"]
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    sums = {line[66:]: line[:64] for line in (made[0] / "SHA256SUMS").read_text().splitlines()}
    assert subjects == {name: digest for name, digest in sums.items() if name != "provenance.json"}


def test_its_bill_of_materials_is_what_the_wheel_installs_and_what_that_does(made):
    text = (made[0] / "sbom.cdx.json").read_text()
    bill = json.loads(text)
    assert bill["metadata"]["component"]["version"] == VERSION
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["reconciler"], *extras["sqs"]]
    listed = {component["name"].replace("_", "-").lower() for component in bill["components"]}
    assert {re.match(r"[\w.-]+", each)[0].lower() for each in wanted} <= listed
    assert {"redis", "vine"} <= listed  # kombu's
    assert "pytest" not in listed
    assert str(made[0].parent) not in text


def test_each_installation_is_one_file_that_runs_the_image_of_this_version(made):
    files = {path.name: path.read_text() for path in made[0].glob("celery-reconcile*.yaml")}
    assert all(text.startswith(f"# celery-render {VERSION}, kustomize/") for text in files.values())
    images = {}
    for name, text in files.items():
        deployments = [each for each in yaml.safe_load_all(text) if each["kind"] == "Deployment"]
        images[name] = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in deployments]
    running = ("", "-monitoring", "-one-namespace", "-queue-scaling")
    expected = {f"celery-reconcile{name}.yaml": [f"{IMAGE}:{VERSION}"] for name in running}
    assert images == expected | {"celery-reconcile-for-namespace-admins.yaml": []}


def test_the_crd_is_apart_from_them(made):
    assert (made[0] / "celeryapps-crd.yaml").read_bytes() == (ROOT / "crds/celeryapps.yaml").read_bytes()
    for path in made[0].glob("celery-reconcile*.yaml"):
        assert "CustomResourceDefinition" not in {each["kind"] for each in yaml.safe_load_all(path.read_text())}
