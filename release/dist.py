"""What a release hands out, made of the last commit of the checkout this runs in: the same bytes wherever it is made.

Usage: dist.py FOLDER IMAGE. FOLDER is made anew; IMAGE is where the image will be, without its tag.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from importlib import metadata
from pathlib import Path
from typing import Any

import build
import chart
import yaml

SOURCE = "https://git.example.com/celery-render"  # as in mkdocs.yml
NOT_RELEASED = "dev"  # its image is built on a laptop


def main(folder: Path, image: str) -> None:
    """Make the packages, the CRD, the manifests, the chart, the SBOM, the provenance, and SHA256SUMS over them all."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        source = Path(place)
        _export(source)
        version = tomllib.loads((source / "pyproject.toml").read_text())["project"]["version"]
        _packages(source, folder)
        shutil.copyfile(source / "crds/celeryapps.yaml", folder / "celeryapps-crd.yaml")
        for name, installation in _installations(source).items():
            head = f"# celery-render {version}, {installation.relative_to(source)}\n"
            (folder / name).write_text(head + _manifests(installation, image))
        packed, content = chart.archive(source, image, int(_git("log", "-1", "--format=%ct")))
        (folder / packed).write_bytes(content)
        _bill_of_materials(source, folder)
    statement = json.dumps(_provenance(_digests(folder), version, image), indent=2)
    (folder / "provenance.json").write_text(statement + "\n")
    sums = "".join(f"{digest}  {name}\n" for name, digest in _digests(folder).items())
    (folder / "SHA256SUMS").write_text(sums)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _provenance(digests: dict[str, str], version: str, image: str) -> dict[str, Any]:
    """Return the in-toto statement of what was made of which commit, how and by what: slsa.dev/provenance/v1."""
    commit = _git("rev-parse", "HEAD")
    tools = {"hatchling": metadata.version("hatchling"), "kubernetes": build.version(build.NEWEST)}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{SOURCE}/docs/releasing.md",
                "externalParameters": {"command": ["make", "release", f"IMAGE={image}"], "version": version},
                "resolvedDependencies": [
                    {"uri": f"git+{SOURCE}@{commit}", "digest": {"gitCommit": commit}},
                    *({"name": name, "annotations": {"version": number}} for name, number in tools.items()),
                ],
            },
            "runDetails": {"builder": {"id": f"{SOURCE}/Makefile"}},
        },
    }


def _git(*args: str) -> str:
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True).stdout.strip()


def _export(source: Path) -> None:
    """Write the files of the last commit, with modes that no umask has touched."""
    archive = source / "source.tar"
    subprocess.run(["git", "archive", "--output", archive, "HEAD"], check=True)
    with tarfile.open(archive) as files:
        files.extractall(source, filter="data")
    archive.unlink()


def _packages(source: Path, folder: Path) -> None:
    """Build the wheel and the sdist; what is in them is as old as the commit."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", folder.resolve()]
    subprocess.run(command, cwd=source, env=_as_old_as_the_commit(), check=True, stdout=subprocess.DEVNULL)


def _bill_of_materials(source: Path, folder: Path) -> None:
    """Write what the wheel with its extras installs, as of now, in CycloneDX: by installing it."""
    [wheel] = folder.glob("*.whl")
    environment = source / "installed"
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", environment, "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--only-binary", ":all:", f"{wheel.resolve()}[reconciler,sqs]"], check=True)
    command = [Path(sys.prefix) / "release/bin/python", "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    options = ["--pyproject", source / "pyproject.toml", "--output-file", folder / "sbom.cdx.json", environment]
    subprocess.run([*command, *options], env=_as_old_as_the_commit(), check=True)


def _as_old_as_the_commit() -> dict[str, str]:
    return os.environ | {"SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")}


def _installations(source: Path) -> dict[str, Path]:
    """Return the kustomizations that install the reconciler, each by the name of its file."""
    overlays = (path for path in (source / "kustomize/overlays").iterdir() if path.name != NOT_RELEASED)
    named = {f"celery-reconcile-{path.name}.yaml": path for path in sorted(overlays)}
    return {"celery-reconcile.yaml": source / "kustomize/base"} | named


def _manifests(installation: Path, image: str) -> str:
    """Return what kubectl makes of the kustomization, with the image where it will be."""
    with tempfile.TemporaryDirectory(dir=installation.parent) as place:
        above = {"resources": [f"../{installation.name}"], "images": [{"name": "celery-render", "newName": image}]}
        (Path(place) / "kustomization.yaml").write_text(yaml.safe_dump(above))
        command = [build.binary(), "kubectl", "kustomize", place]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
