"""What a release hands out: the same bytes for everybody, and what it says it is."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from email import message_from_bytes
from pathlib import Path

import base
import debian_pins
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = "registry.example.com/team/celery-render"


@pytest.fixture(scope="module")
def made(binary, tmp_path_factory):  # noqa: ARG001 (builds the kubectl that is used)
    """Return two folders: made of the last commit here, and by somebody else with other habits."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)
    debian_pins.keep_up(source / "requirements/debian.sha256")
    us = ["-c", "user.name=us", "-c", "user.email=us@example.com"]
    commit = ["git", *us, "commit", "--quiet", "--allow-empty", "--all", "--message", "Pin what Debian has"]
    subprocess.run(commit, cwd=source, check=True)
    subprocess.run(["git", "clone", "--quiet", source, folder / "clone"], check=True)
    here = os.environ | {"PYTHONPATH": str(ROOT / "tests/cluster")}
    elsewhere = here | {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1"}
    for name, cwd, environment, umask in (("one", source, here, 0o022), ("two", folder / "clone", elsewhere, 0o077)):
        command = [sys.executable, ROOT / "release/dist.py", folder / name, IMAGE]
        subprocess.run(command, cwd=cwd, env=environment, umask=umask, check=True)
    return folder / "one", folder / "two"


@pytest.fixture(scope="module")
def image(made):
    """Return the image's manifest, its config, and each layer's files as bytes by path."""
    [path] = made[0].glob("*.oci.tar")
    with tarfile.open(path) as archive:

        def blob(described):
            content = archive.extractfile(f"blobs/{described['digest'].replace(':', '/')}").read()
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == described["digest"]
            return content

        index = json.load(archive.extractfile("index.json"))
        [described] = index["manifests"]
        manifest = json.loads(blob(described))
        layers = [_files(blob(layer)) for layer in manifest["layers"]]
        return described, json.loads(blob(manifest["config"])), layers


def _files(layer):
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        return {each.name: files.extractfile(each).read() for each in files if each.isfile()}


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


def test_its_provenance_names_the_commit_and_all_that_was_made_of_it(made, image):
    statement = json.loads((made[0] / "provenance.json").read_text())
    source = made[0].with_name("source")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=source, check=True, capture_output=True, text=True).stdout
    definition = statement["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": commit.strip()}
    assert definition["externalParameters"]["command"] == ["make", "release", f"IMAGE={IMAGE}"]
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    sums = {line[66:]: line[:64] for line in (made[0] / "SHA256SUMS").read_text().splitlines()}
    pulled = image[0]["digest"].removeprefix("sha256:")
    files = {name: digest for name, digest in sums.items() if name != "provenance.json"}
    assert subjects == files | {f"{IMAGE}:{VERSION}": pulled}


def test_its_image_runs_as_the_one_of_the_dockerfile(made, image):
    described, config, _ = image
    dockerfile = (ROOT / "Dockerfile").read_text()
    [user] = re.findall("^USER (.*)", dockerfile, re.MULTILINE)
    [entrypoint] = re.findall("^ENTRYPOINT (.*)", dockerfile, re.MULTILINE)
    assert (config["config"]["User"], config["config"]["Entrypoint"]) == (user, json.loads(entrypoint))
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    names = {"io.containerd.image.name": f"{IMAGE}:{VERSION}", "org.opencontainers.image.ref.name": VERSION}
    assert described["annotations"] == names
    statement = json.loads((made[0] / "provenance.json").read_text())
    commit = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"]
    labels = {name.removeprefix("org.opencontainers.image."): told for name, told in config["config"]["Labels"].items()}
    assert labels["created"] == config["created"]
    assert (labels["version"], labels["revision"], labels["licenses"]) == (VERSION, commit, "Apache-2.0")


def test_its_image_has_what_is_pinned_and_nothing_else(made, image):
    *_, (debian, needed, ours) = image
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE))
    assert {name: told["Version"] for name, told in _installed(needed).items()} == pins
    assert {name: told["Version"] for name, told in _installed(ours).items()} == {"celery-render": VERSION}
    assert {Path(path).name for path in debian if path.startswith("var/lib/dpkg/status.d/")} == set(base.PACKAGES)

    bill = json.loads((made[0] / "image.cdx.json").read_text())
    listed = {(canonicalize_name(each["name"]), each["version"]) for each in bill["components"]}
    packages = (message_from_bytes(debian[f"var/lib/dpkg/status.d/{name}"]) for name in base.PACKAGES)
    told = {(canonicalize_name(each["Package"]), each["Version"]) for each in packages}
    assert listed == told | set(pins.items()) | {("celery-render", VERSION)}


def test_its_image_lacks_nothing_that_its_python_needs(image):
    *_, (_, needed, ours) = image
    installed = _installed(needed) | _installed(ours)
    python = {"python_version": "3.13", "python_full_version": "3.13.5", "sys_platform": "linux"}
    asked, seen = [Requirement("celery-render[reconciler,sqs]")], set()
    while asked:
        each = asked.pop()
        told = installed[canonicalize_name(each.name)]
        assert told["Version"] in each.specifier
        for extra in ("", *each.extras):
            if (each.name, extra) not in seen:
                seen.add((each.name, extra))
                further = map(Requirement, told.get_all("Requires-Dist", []))
                asked += [it for it in further if not it.marker or it.marker.evaluate(python | {"extra": extra})]
    assert installed.keys() == {canonicalize_name(name) for name, _ in seen}


def _installed(files):
    """Return the metadata of the packages among a layer's files, by name."""
    found = (message_from_bytes(files[path]) for path in files if path.endswith(".dist-info/METADATA"))
    return {canonicalize_name(each["Name"]): each for each in found}


def test_its_bills_of_materials_are_what_cyclonedx_reads(made):
    read = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(wrong and str(wrong))
"""
    for bill in made[0].glob("*.cdx.json"):
        assert json.loads(bill.read_text())["specVersion"] == "1.6"
        subprocess.run([Path(sys.prefix) / "release/bin/python", "-c", read], input=bill.read_bytes(), check=True)
        assert str(made[0].parent) not in bill.read_text()


def test_the_bill_of_the_wheel_has_what_it_needs_as_pinned(made):
    bill = json.loads((made[0] / "wheel.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == VERSION
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE))
    assert {canonicalize_name(each["name"]): each["version"] for each in bill["components"]} == pins


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
