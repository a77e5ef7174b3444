"""The wheel holds what a run needs, the sdist what the wheel is made of; a checkout would not show what is missing."""

import email
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", place, ROOT]
    subprocess.run(build, check=True)
    [built] = place.glob("*.whl")
    return built


def test_the_wheel_holds_the_schema_the_starter_and_what_runs_in_pods(wheel):
    code = {str(path.relative_to(ROOT)) for path in (ROOT / "render").rglob("*.py")}
    data = {"render/celeryapps.json", "render/since.json", "render/starter.yaml", "render/py.typed"}
    assert code | data <= _content(wheel).keys()


def test_the_wheel_of_the_sdist_is_that_of_the_checkout(tmp_path):
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", tmp_path]
    subprocess.run(hatchling, cwd=ROOT, check=True, capture_output=True)
    [sdist], [wheel] = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", tmp_path / "again", sdist], check=True)
    assert _content(tmp_path / "again" / wheel.name) == _content(wheel)


def test_the_page_on_pypi_loads_and_leads_to_what_is_on_the_forge_by_the_tag(wheel):
    with zipfile.ZipFile(wheel) as files:
        [metadata] = (files.read(name) for name in files.namelist() if name.endswith(".dist-info/METADATA"))
    page = MarkdownIt().render(email.message_from_bytes(metadata).get_payload())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    home, tag = project["urls"]["Homepage"], f"v{project['version']}"
    for attribute, form in {"src": "raw", "href": "blob"}.items():
        targets = re.findall(rf'{attribute}="([^"#]+)', page)
        paths = [target.removeprefix(f"{home}/{form}/{tag}/") for target in targets]
        assert [path for path in paths if not (path.startswith("https://") or (ROOT / path).exists())] == []
        assert [target for target in targets if not target.startswith("https://")] == []
        assert any(path not in targets for path in paths)


def _content(wheel):
    """Return the check sum of each file."""
    return {file.filename: file.CRC for file in zipfile.ZipFile(wheel).infolist()}
