"""The wheel holds what a run needs, the sdist what the wheel is made of; a checkout would not show what is missing."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_schema_the_starter_and_what_runs_in_pods(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True)
    [wheel] = tmp_path.glob("*.whl")
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


def _content(wheel):
    """Return the check sum of each file."""
    return {file.filename: file.CRC for file in zipfile.ZipFile(wheel).infolist()}
