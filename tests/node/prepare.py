"""Makes everything that `make e2e` needs, once, and says what this machine lacks."""

import sys
import tempfile
from pathlib import Path

import browser
import build
import debian
import images
import keeper
import node
from celery_versions import VERSIONS


def main() -> None:
    keeper.check()
    build.binary()
    message = "Making the node's programs and images, and Chromium, about 4 minutes the first time."
    print(message, file=sys.stderr, flush=True)  # noqa: T201 (nobody waits that long in silence)
    with tempfile.TemporaryDirectory() as folder, keeper.kept(Path(folder) / "node", node.tools()):
        pass
    for version in VERSIONS:
        images.celery(version)
        images.venv(version)
    images.project()
    browser.program()


if __name__ == "__main__":
    try:
        main()
    except (build.NoToolchain, debian.NoPackages, keeper.NoPlace) as reason:
        sys.exit(str(reason))
