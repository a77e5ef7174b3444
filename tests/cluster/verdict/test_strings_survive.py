"""Every string that a base may hold is the same string to kubectl, and to kubectl after kustomize has written it anew.

What PyYAML and ruamel.yaml read is shown in tests/render/test_emit.py. FUZZ_N and FUZZ_SEED are those of chance.py.
"""

import re

import as_kubectl
import chance
import written_text

from render import emit, load

BATCH = 1000
LONGEST_KEY = 150
"""kustomize refuses a key of more than 1024 characters as JSON writes it: six for one that is escaped."""

TAB_FIRST = re.compile(r"\s*\t")
"""kustomize writes an annotation of several lines as a block, and cannot read its own when a tab begins it."""


def test_a_string_is_the_same_to_kubectl_and_to_kustomize(cluster, tmp_path):
    dice = chance.dice()
    strings = [load.LOST.sub("", written_text.string(dice)) for _ in range(chance.count(3000))]
    batches = [strings[start : start + BATCH] for start in range(0, len(strings), BATCH)]
    manifests = [manifest(number, batch) for number, batch in enumerate(batches)]
    for name, text in emit.files(manifests).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    written = [emit.stream(manifests).encode(), cluster.kubectl("kustomize", tmp_path).stdout.encode()]
    assert [differing(read, manifests) for read in as_kubectl.reads(cluster.binary, written, tmp_path / "read")] == [
        [],
        [],
    ]


def manifest(number, strings):
    """Return an object with the strings wherever one may stand: as items, values, keys and in an annotation."""
    annotations = {f"example.com/{index}": text for index, text in enumerate(strings) if not TAB_FIRST.match(text)}
    return {
        "apiVersion": "example.com/v1",
        "kind": "Text",
        "metadata": {"name": f"text-{number:03}", "annotations": annotations},
        "spec": {
            "items": strings,
            "keys": dict.fromkeys((text[:LONGEST_KEY] for text in strings if text != "<<"), "x"),
        },
    }


def differing(read, manifests):
    """Return the objects that are not read as they were written."""
    assert isinstance(read, list), read
    return [(one, other) for one, other in zip(read, manifests, strict=True) if one != other]
