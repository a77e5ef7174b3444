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
import zlib
from datetime import UTC, datetime
from email import message_from_string
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import base
import build
import chart
import image
import yaml

SOURCE = "https://git.example.com/celery-render"  # as in mkdocs.yml
NOT_RELEASED = "dev"  # its image is built on a laptop


def main(folder: Path, repository: str) -> None:
    """Make packages, CRD, manifests, chart, image, SBOMs, the provenance, and SHA256SUMS over them all."""
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
            (folder / name).write_text(head + _manifests(installation, repository))
        packed, content = chart.archive(source, repository, int(_committed()))
        (folder / packed).write_bytes(content)
        made = _image(source, folder, version, f"{repository}:{version}")
        _bills_of_materials(source, folder, made, f"{repository}:{version}")
    _write(folder / "provenance.json", _provenance(_digests(folder), made.digest, version, repository))
    sums = "".join(f"{digest}  {name}\n" for name, digest in _digests(folder).items())
    (folder / "SHA256SUMS").write_text(sums)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _provenance(digests: dict[str, str], pulled: str, version: str, repository: str) -> dict[str, Any]:
    """Return the in-toto statement of what was made of which commit, how and by what: slsa.dev/provenance/v1."""
    commit = _git("rev-parse", "HEAD")
    tools = {
        "hatchling": metadata.version("hatchling"),
        "kubernetes": build.version(build.NEWEST),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
    subjects = digests | {f"{repository}:{version}": pulled.removeprefix("sha256:")}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{SOURCE}/docs/releasing.md",
                "externalParameters": {"command": ["make", "release", f"IMAGE={repository}"], "version": version},
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


def _image(source: Path, folder: Path, version: str, name: str) -> image.Image:
    """Make the image in the folder of the source, where its layers stay, and hand out the image alone."""
    [wheel] = folder.glob("*.whl")
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    told = {
        "title": project["name"],
        "description": project["description"],
        "version": version,
        "revision": _git("rev-parse", "HEAD"),
        "licenses": project["license"],
        "source": SOURCE,
        "created": datetime.fromtimestamp(int(_committed()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    labels = {f"org.opencontainers.image.{key}": value for key, value in told.items()}
    archive = source / f"celery-render-{version}-linux-amd64.oci.tar"
    made = image.make(archive, name, wheel, source / "requirements", labels)
    shutil.copyfile(archive, folder / archive.name)
    return made


def _bills_of_materials(source: Path, folder: Path, made: image.Image, name: str) -> None:
    """Write in CycloneDX what the image has, and what of it the wheel with its extras needs: requirements/."""
    environment = source / "installed"
    venv.create(environment, with_pip=False)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "image.pth").write_text("".join(f"{folder}{image.PACKAGES}\n" for folder in made.installed))
    command = [Path(sys.prefix) / "release/bin/python", "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    options = ["--pyproject", source / "pyproject.toml", "--output-file", folder / "wheel.cdx.json", environment]
    subprocess.run([*command, *options], env=_as_old_as_the_commit(), check=True)
    wheel = json.loads((folder / "wheel.cdx.json").read_text())
    _write(
        folder / "image.cdx.json",
        _with_debian(wheel, base.packages(source / "requirements/debian.sha256"), name, made.digest),
    )


def _with_debian(wheel: dict[str, Any], packages: list[Path], name: str, digest: str) -> dict[str, Any]:
    """Return the bill of the image: the one of the wheel, and Debian's packages."""
    debian = []
    for package in packages:
        told = message_from_string(base.control(package))
        named = f"{quote(told['Package'])}@{quote(told['Version'])}"
        url = f"pkg:deb/debian/{named}?arch={told['Architecture']}&distro={base.SUITE}"
        hashes = [{"alg": "SHA-256", "content": package.stem}]
        described = {"name": told["Package"], "version": told["Version"], "hashes": hashes, "purl": url}
        debian.append({"type": "library", "bom-ref": url} | described)
    ours = wheel["metadata"]["component"]
    repository, _, tag = name.rpartition(":")
    url = f"pkg:oci/{Path(repository).name}@{quote(digest)}?repository_url={quote(repository, safe='/')}&tag={tag}"
    container = {"type": "container", "bom-ref": url, "name": repository, "version": tag, "purl": url}
    parts = [ours["bom-ref"], *(each["bom-ref"] for each in debian)]
    of_image = [{"ref": url, "dependsOn": parts}, *({"ref": each} for each in parts[1:])]
    return wheel | {
        "metadata": wheel["metadata"] | {"component": container},
        "components": [ours, *wheel["components"], *debian],
        "dependencies": [*wheel["dependencies"], *of_image],
    }


def _as_old_as_the_commit() -> dict[str, str]:
    return os.environ | {"SOURCE_DATE_EPOCH": _committed()}


def _committed() -> str:
    """Return when, in seconds since the epoch."""
    return _git("log", "-1", "--format=%ct")


def _installations(source: Path) -> dict[str, Path]:
    """Return the kustomizations that install the reconciler, each by the name of its file."""
    overlays = (path for path in (source / "kustomize/overlays").iterdir() if path.name != NOT_RELEASED)
    named = {f"celery-reconcile-{path.name}.yaml": path for path in sorted(overlays)}
    return {"celery-reconcile.yaml": source / "kustomize/base"} | named


def _manifests(installation: Path, repository: str) -> str:
    """Return what kubectl makes of the kustomization, with the image where it will be."""
    with tempfile.TemporaryDirectory(dir=installation.parent) as place:
        above = {"resources": [f"../{installation.name}"], "images": [{"name": "celery-render", "newName": repository}]}
        (Path(place) / "kustomization.yaml").write_text(yaml.safe_dump(above))
        command = [build.binary(), "kubectl", "kustomize", place]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except base.NoPackages as reason:
        sys.exit(str(reason))
