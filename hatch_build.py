"""What is derived when the package is built or installed.

render/celeryapps.json and pods.json, of the YAML files in crds/: the renderer reads its schema at every start, 2 ms as
compact JSON, over a second as YAML. And the README for PyPI, where a path in a link would lead nowhere.
"""

import json
import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface
from ruamel.yaml import YAML

PATH = re.compile(r"(!\[[^]]*)?\]\((?![a-z]+:|#)")
"""What is before a path in a Markdown link, and of an image all of it."""


class DeriveCompactSchema(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        root = Path(self.root)
        for name in ("celeryapps", "pods"):
            found = YAML(typ="safe", pure=True).load(root / f"crds/{name}.yaml")
            (root / f"render/{name}.json").write_text(json.dumps(found, separators=(",", ":"), ensure_ascii=False))


class LeadToTheForge(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        home, tag = metadata["urls"]["Homepage"], f"v{metadata['version']}"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = PATH.sub(lambda found: f"{found[0]}{home}/{'raw' if found[1] else 'blob'}/{tag}/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
