"""The wheel holds what a run needs; a checkout would not show what is missing from it."""

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
    assert code | data <= set(zipfile.ZipFile(wheel).namelist())
