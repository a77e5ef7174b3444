"""Makes a site of Markdown files that were written for the forge.

Files of the root become pages, and links that lead out of docs/ lead to these pages, or to the repository.
"""

import posixpath
import re
from functools import partial
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "ARCHITECTURE.md": "architecture.md",
    "SECURITY.md": "security.md",
}
TARGET = re.compile(r"(?<=\]\()[^)#:\s]+(?=[)#])")
"""The path in a Markdown link: neither its anchor nor the address of another site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return TARGET.sub(partial(_target, page=page.file, config=config, files=files), markdown)


def _target(link: re.Match[str], page: File, config: MkDocsConfig, files: Files) -> str:
    """Return what the link leads to on the site; itself if that is nothing, so that mkdocs complains of it."""
    path = (Path(str(page.abs_src_path)).parent / link[0]).resolve()
    place = path.relative_to(ROOT).as_posix()
    if file := files.get_file_from_path(PAGES.get(place, place.removeprefix("docs/"))):
        return posixpath.relpath(file.src_uri, posixpath.dirname(page.src_uri))
    return f"{config.extra['source']}/blob/main/{place}" if path.exists() else link[0]
