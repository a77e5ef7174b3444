"""Derives render/celeryapps.json and pods.json from the YAML files in crds/ when the package is built or installed.

The renderer reads its schema at every start: 2 ms as compact JSON, over a second as YAML.
"""

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from ruamel.yaml import YAML


class DeriveCompactSchema(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        root = Path(self.root)
        for name in ("celeryapps", "pods"):
            found = YAML(typ="safe", pure=True).load(root / f"crds/{name}.yaml")
            (root / f"render/{name}.json").write_text(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
