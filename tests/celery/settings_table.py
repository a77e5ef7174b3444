"""Which settings Celery reads, by version: writes render/hazards/celery_settings.py anew when it is run as a script.

    PYTHONPATH=tests/brokers python tests/celery/settings_table.py

Most are Celery's own list, celery.app.defaults. A few are read without a default; they are found in Celery's source.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

TABLE = Path(__file__).parents[2] / "render/hazards/celery_settings.py"
HEAD = '''\
"""The settings that Celery reads, by the first version that does. Written by tests/celery/settings_table.py."""

# fmt: off
SINCE: dict[str, frozenset[str]] = {
'''
LISTS = r"""
import json, pathlib, re, celery
from celery.app.defaults import NAMESPACES, flatten
listed = {name for name, _ in flatten(NAMESPACES)}
read = re.compile(r"(?:conf\.get|\b_get)\(\s*['\"]([a-z0-9]+(?:_[a-z0-9]+)+)['\"]")
sources = pathlib.Path(celery.__file__).parent.rglob("*.py")
print(json.dumps(sorted(listed.union(*(read.findall(source.read_text()) for source in sources)))))
"""


def settings(python):
    """Return the names of all settings of the Celery that this Python has."""
    done = subprocess.run([python, "-c", LISTS], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def text(by_version):
    """Return the module, given the settings of each version, the oldest first."""
    known, lines = set(), []
    for version, names in by_version.items():
        quoted = ", ".join(f'"{name}"' for name in sorted(names - known))
        body = textwrap.fill(quoted, 116, initial_indent=" " * 8, subsequent_indent=" " * 8)
        lines += [f'    "{version}": frozenset({{', f"{body},", "    }),"]
        known |= names
    return HEAD + "\n".join([*lines, "}"]) + "\n# fmt: on\n"


if __name__ == "__main__":
    import celery_versions

    pythons = {
        version: sys.executable
        if version == celery_versions.OWN
        else celery_versions.environment(version) / "bin/python"
        for version in celery_versions.VERSIONS
    }
    TABLE.write_text(text({version: settings(python) for version, python in pythons.items()}), encoding="utf-8")
