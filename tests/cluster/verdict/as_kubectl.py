"""What kubectl makes of YAML: `kubectl patch --local` with an empty patch prints what it reads, and asks no server."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

END = {"apiVersion": "v1", "kind": "End"}
"""What stands behind each text, to tell which objects are whose."""
REFUSAL = re.compile(r"/([0-9]{6})\.yaml\W+(.+)")


def reads(binary: Path, texts: Sequence[bytes], folder: Path) -> list[list[Any] | str]:
    """Return for each text the objects that kubectl reads in it, or what kubectl says instead."""
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number:06}.yaml").write_bytes(text)
        (folder / f"{number:06}.yaml.json").write_text(json.dumps(END))
    command = [
        binary,
        "kubectl",
        "patch",
        "--local",
        "--type=json",
        "--patch=[]",
        "--output=json",
        "--filename",
        folder,
    ]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    found: list[list[Any] | str] = [[]]
    for each in printed(answer.stdout):
        if each == END:
            found.append([])
        else:
            found[-1].append(each)
    for number, refusal in REFUSAL.findall(answer.stderr):
        found[int(number)] = refusal
    assert found.pop() == [], answer.stderr
    assert len(found) == len(texts), answer.stderr
    return found


def printed(text: str) -> Iterator[Any]:
    """Yield the JSON values that stand one after the other."""
    decoder, start = json.JSONDecoder(), 0
    while start < len(text):
        value, end = decoder.raw_decode(text, start)
        yield value
        start = end + 1
