"""Derives render/celeryapps.json from crds/celeryapps.yaml when the package is built or installed.

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
        crd = YAML(typ="safe", pure=True).load(root / "crds/celeryapps.yaml")
        (root / "render/celeryapps.json").write_text(json.dumps(crd, separators=(",", ":"), ensure_ascii=False))
