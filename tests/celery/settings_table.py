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
"""The settings that Celery reads, by version, and their types. Written by tests/celery/settings_table.py."""

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

TYPES = """
import json
from celery.app.defaults import NAMESPACES, flatten
print(json.dumps({name: getattr(option.type, "__name__", option.type) for name, option in flatten(NAMESPACES)}))
"""
KINDS = {"BOOLEANS": ("bool",), "NUMBERS": ("int", "float"), "LISTS": ("list",), "MAPS": ("dict",)}


def settings(python):
    """Return the names of all settings of the Celery that this Python has."""
    done = subprocess.run([python, "-c", LISTS], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def types(python):
    """Return what Celery takes for the type of each setting."""
    done = subprocess.run([python, "-c", TYPES], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def text(by_version, kinds):
    """Return the module, given the settings of each version, the oldest first, and the types of the newest."""
    known, lines = set(), []
    for version, names in by_version.items():
        lines += [f'    "{version}": frozenset({{', _row(names - known, 8), "    }),"]
        known |= names
    lines.append("}")
    for name, wanted in KINDS.items():
        found = {setting for setting, kind in kinds.items() if kind in wanted}
        lines += [f"{name} = frozenset({{", _row(found, 4), "})"]
    return HEAD + "\n".join(lines) + "\n# fmt: on\n"


def _row(names, indent):
    quoted = ", ".join(f'"{name}"' for name in sorted(names))
    return textwrap.fill(quoted, 116, initial_indent=" " * indent, subsequent_indent=" " * indent) + ","


if __name__ == "__main__":
    import celery_versions

    pythons = {
        version: sys.executable
        if version == celery_versions.OWN
        else celery_versions.environment(version) / "bin/python"
        for version in celery_versions.VERSIONS
    }
    found = {version: settings(python) for version, python in pythons.items()}
    TABLE.write_text(text(found, types(pythons[celery_versions.VERSIONS[-1]])), encoding="utf-8")
