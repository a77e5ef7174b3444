"""Runs the tests of this folder on each supported release in turn, and prints a table of what passed.

`python tests/cluster/on_all.py [PYTEST_OPTION…]`
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import build

from render import since

HERE = Path(__file__).parent
COLUMNS = ("Kubernetes", "tests", "passed", "skipped", "failed", "minutes", "fields unknown", "gates off")


def row(release, report):
    suite = ET.parse(report).find("testsuite")
    tests, skipped, failed, errors = (int(suite.get(name)) for name in ("tests", "skipped", "failures", "errors"))
    failed += errors
    minutes = round(float(suite.get("time")) / 60)
    known = since.table()
    younger = [each for each in known.fields.values() if since.number(each.release) > since.number(release)]
    off = [gate for gate, releases in known.gates.items() if release in releases]
    counts = (tests, tests - skipped - failed, skipped, failed, minutes, len(younger), len(off))
    return (build.version(release).removeprefix("v"), *map(str, counts))


def main(options):
    rows, codes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for release in build.RELEASES:
            build.binary(release)
            report = Path(folder) / f"{release}.xml"
            command = [
                sys.executable,
                "-m",
                "pytest",
                HERE,
                f"--kubernetes={release}",
                f"--junitxml={report}",
                *options,
            ]
            codes.append(subprocess.run(command, check=False).returncode)
            rows.append(row(release, report))
    for each in (COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *rows):
        print(f"| {' | '.join(each)} |")  # noqa: T201
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
