"""Images that no kubelet pulls: their pods stay at InvalidImageName."""

import re
from collections.abc import Iterator

from render.hazards.hazard import Hazard, blocks
from render.model import CeleryApp

LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
HOST = rf"(?:{LABEL}(?:\.{LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
TAG = r"\w[\w.-]{0,127}"
DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
REFERENCE = re.compile(rf"(?:{HOST}/)?{PART}(?:/{PART})*(?::{TAG})?(?:@{DIGEST})?", re.ASCII)
"""https://github.com/distribution/reference/blob/main/regexp.go"""
PLACEHOLDER = re.compile(r"\$\{?\w|\{\{|<\w|\$\(")
UNFILLED = "nothing fills this in here, and no pod starts with it as it is: write the image, or set it in an overlay"


def unpulled(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each image that is no reference of one."""
    for path, block in blocks(app):
        init = (((*path, "initContainers", at), each) for at, each in enumerate(block.get("initContainers", ())))
        for place, container in ((path, block), *init):
            image = container.get("image")
            if isinstance(image, str) and not REFERENCE.fullmatch(image):
                yield Hazard((*place, "image"), _wrong(image))


def _wrong(image: str) -> str:
    if PLACEHOLDER.search(image):
        return UNFILLED
    if image != (lower := _lowered(image)) and REFERENCE.fullmatch(lower):
        return f"a repository is in lower case, and no pod starts with another: write {lower}"
    return "is no image, and no pod starts with it: write HOST/REPOSITORY:TAG, such as registry.example.com/shop:1.4"


def _lowered(image: str) -> str:
    """Return the image with its repository in lower case; a tag may have capitals."""
    repository, mark, rest = image.partition("@")
    end = repository.find(":", repository.rfind("/") + 1)
    name, tag = (repository, "") if end < 0 else (repository[:end], repository[end:])
    return f"{name.lower()}{tag}{mark}{rest}"


RULES = (unpulled,)
