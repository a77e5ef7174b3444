"""YAML is read as kubectl reads it, or refused in words that say what to write: never taken for another value.

kubectl is the oracle, by the text: no value is written down here. FUZZ_N and FUZZ_SEED are those of chance.py.
"""

import json
import re
from collections import Counter

import as_kubectl
import chance
import pytest
import written_text

from render import load

SAME = "the same value"
NEITHER = "refused by both"
STRICTER = {
    "an alias": r"\*\S+ is an alias: write the value out",  # a page of them can be a gigabyte of values
    "a merge key": "<< is a merge key: write the fields out",  # YAML 1.2 knows none
    "a tag": "has the tag .*: remove it|a tag cannot stand here: quote",  # kubectl drops those it does not know
    "an odd anchor": "has the anchor .*: remove it",  # some readers end the name sooner, and read the rest as text
    "a key that is no text": r'has a key that is read as .*: write "',  # kubectl makes text of it: `on` becomes "true"
    "an alias for a key": "has a key that is not text",
    "a key twice": r"stands in line \d+ already: keep one",  # the last one counts, which is hard to see
    "a number too large": "too large to be exact: quote it if it is text",  # JSON readers round it, each in its way
    "a number that JSON has not": "is no number in JSON",  # kubectl refuses it too, but where it drops the value
    "an alias and its colon": "a line of its own is a field",  # `*a:` is an alias named `a:` to YAML 1.2
    "a tab": "a tab cannot stand here: use spaces",  # PyYAML refuses it, like every tab outside of quotes
    "a block that begins with a tab": "begins with a tab: kubectl takes it for indentation",  # it does without a digit
    "a block of spaces": "is a block of nothing but spaces",  # go-yaml ends some of them sooner
    "a block that begins with spaces": "a block cannot begin with a line of spaces",  # ruamel.yaml refuses it
    "a comment too close": r"after \| or > comes a new line",  # YAML wants a space before a comment
    "a percent sign at the margin": "is a directive to the YAML reader",  # to kubectl too, but in quotes
    "text after the end": "the document ended above",  # kubectl leaves it out and says nothing
    "a bare character": "the character .* cannot stand as it is",  # a line break to some readers, an error to others
    "a character kustomize loses": "does not survive kustomize: remove it",  # or puts another in its place
    "half a character": r"has half a character as \\u escape",  # kubectl reads it in JSON and refuses it in YAML
    "no UTF-8": "is UTF-16: save it as UTF-8|is not UTF-8: save the file",  # other readers take another encoding
    "an escaped apostrophe": r"\\' is no escape",  # YAML has no such escape
    "nothing": "is empty: write a CeleryApp",
}
"""Where kubectl reads a value and we want another spelling: the words of the refusal, and the reason."""

OURS_ALONE = {
    "an escaped slash": ("unknown escape character", rb"\\/"),  # kubectl reads it in JSON
    "a tab inside of brackets": ("a tab character that violates indentation", rb"[{\[].*\n\s*\t"),  # as above
    "an object without a kind": ("Object 'Kind' is missing", rb""),  # the next stages of both say so
    "an API version that is no text": ("Go struct field metadataOnlyObject.", rb""),
}
"""What we read and kubectl does not: what it says, and how the text looks. The value is nobody's doubt."""


def verdict(text, theirs):
    """Say how the two readings compare; in full where that is none of the words above."""
    loaded = load.documents(text, "app.yaml")
    problems = [*loaded.problems, *(problem for document in loaded.documents for problem in document.problems)]
    ours = [document.data for document in loaded.documents]
    if problems and isinstance(theirs, list):
        found = {stricter(problem) for problem in problems}
        if "an alias" in found:  # `*a: {b: c}` is an alias named `a:` to YAML 1.2, and what follows makes no sense then
            found = {each for each in found if not each.startswith("unclear")}
        if re.search(rb"^\.\.\.\s*$", text, re.MULTILINE):  # kubectl does not look at what stands below
            found = {"text after the end" if each.startswith("unclear") else each for each in found}
        return ", ".join(sorted(found))
    if problems:
        return NEITHER
    for name, (words, look) in OURS_ALONE.items():
        if isinstance(theirs, str) and words in theirs and re.search(look, text, re.DOTALL):
            return name
    same = json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)  # to Python 1 == 1.0 == True
    return SAME if same else f"{text} is {theirs} to kubectl and {ours} to us"


def stricter(problem):
    names = [name for name, words in STRICTER.items() if re.search(words, problem.message)]
    return names[0] if names else f"unclear: {problem}"


HEAD = written_text.HEAD
CASES = {
    "plain words and quoted ones": (f"{HEAD}a: [x, x y, 'x', \"x\", it's, 'it''s', \"\\\"\", '', \"\"]\n", SAME),
    "words for true, false and null": (f"{HEAD}a: [y, Yes, on, ON, true, n, no, Off, FALSE, ~, null, tRUE]\n", SAME),
    "the same in quotes": (f"{HEAD}a: ['y', \"on\", 'true', \"~\", '017', '1e3', '', '2024-01-01']\n", SAME),
    "empty values": (f"{HEAD}a:\nb: [ ]\nc: {{}}\nd:\n-\n- x\n", SAME),
    "integers in every base": (f"{HEAD}a: [017, 0o17, 0O17, 08, 0x1F, -0x1f, 0b11, 0b-11, 1_000, +1, -0, 000]\n", SAME),
    "floats": (f"{HEAD}a: [1e3, 1E+3, 1., .5, +.5, 1.50, 1e-7, 1_0.5, -0.0, 5e-324, 1e-400, 1e400, 0x1p3]\n", SAME),
    "times and dates": (f"{HEAD}a: [12:30, 12:30:45, 190:20:30.5, 2024-01-01, 2001-12-14t21:59:43.10-05:00]\n", SAME),
    "the largest integers": (f"{HEAD}a: [9223372036854775807, -9223372036854775808, {'9' * 400}]\n", SAME),
    "one larger": (f"{HEAD}a: 9223372036854775808\n", "a number too large"),
    "a float of 17 digits": (f"{HEAD}a: 12345678901234567.0\n", "a number too large"),
    "infinity": (f"{HEAD}a: .inf\n", NEITHER),
    "no number": (f"{HEAD}a: [.NaN]\n", NEITHER),
    "literal blocks": (f"{HEAD}a: |\n  x\n   y \n\n  z\n\nb: |-\n  x\n\nc: |+\n  x\n\n\nd: |2-\n    x\n", SAME),
    "folded blocks": (f"{HEAD}a: >\n  x\n  y\n\n  z\n   w\n\nb: >-\n  x\n\nc: >+1\n  x\n\nd: > # c\n  x\n", SAME),
    "blocks of nothing": (f"{HEAD}a: |\nb: |-\n\nc: |+\n\nd: >\n  \ne:\n- |\n- >+\n\n- x\n", SAME),
    "a block as the file ends": (f"{HEAD}a: |\n  x", SAME),
    "a kept block as the file ends": (f"{HEAD}a: |+\n  x", SAME),
    "a block that begins with spaces": (f"{HEAD}a: |\n \n  x\n", "a block that begins with spaces"),
    "a folded block of spaces": (f"{HEAD}a: >1\n    \n\n---\n", "a block of spaces"),
    "a literal block of spaces": (f"{HEAD}a: |2+\n    \n", "a block of spaces"),
    "a block with a tab": (f"{HEAD}a: |\n  \tx\n", NEITHER),
    "a block with a digit and a tab": (f"{HEAD}a: |2\n  \tx\n", "a block that begins with a tab"),
    "a comment at the bar": (f"{HEAD}a: |# c\n  x\n", "a comment too close"),
    "text of several lines": (f"{HEAD}a: x\n  y\n\n  z\nb: 'x\n  y\n\n  z'\nc: \"x \\\n  \\  y\n  z\"\n", SAME),
    "escapes": (f'{HEAD}a: "\\x41\\u00e9\\U0001F600\\t\\n\\0\\e\\_\\L\\P\\\\"\n', SAME),
    "an escaped slash": (f'{HEAD}a: "\\/"\n', "an escaped slash"),
    "an escaped apostrophe": (f"{HEAD}a: \"\\'\"\n", "an escaped apostrophe"),
    "spaces, then a dash": (f'{HEAD}k:\n  a: |+\n \n  -b: "c"\n', "a block that begins with spaces"),
    "a tab before a quote": (f'{HEAD}a: [b\t"c]\n', "a tab"),
    "a tab behind a quoted value": (f'{HEAD}a: "b" \t\n', "a tab"),
    "a tag of an odd character": (f"{HEAD}a:\n- !?!str 1\n", "a tag"),
    "no kind": ("apiVersion: v1\na: 1\n", "an object without a kind"),
    "a number as API version": ("apiVersion: 1\nkind: Text\n", "an API version that is no text"),
    "flow style": (f"{HEAD}a: {{b: [c, {{d: e}}, f: g], 'h':1, i, ? j : k, l: }}\n", SAME),
    "comments": (f"# a\n{HEAD}a: x # y\n# b\nb: x#y\nc: # z\n  d: e\n#", SAME),
    "trailing spaces": (f"{HEAD}a: x  \nb:  \n- y \n \nc: 'z' \n", SAME),
    "lists at the margin of their key": (f"{HEAD}a:\n- x\n- - y\n  - z\n- b: c\n  d: e\n-\n  f: g\n", SAME),
    "anchors": (f"{HEAD}a: &x 1\nb: &y-1 {{c: d}}\n", SAME),
    "aliases": (f"{HEAD}a: &x 1\nb: *x\n", "an alias"),
    "merge keys": (f"{HEAD}a:\n  <<: {{b: 1}}\n  b: 2\n", "a merge key"),
    "a merge key with an alias": (f"{HEAD}a: &x {{b: 1}}\nc:\n  <<: *x\n", "a merge key, an alias"),
    "an alias for a key": (f"{HEAD}a: &x b\n*x : c\n", "an alias for a key"),
    "an anchor with a dot": (f"{HEAD}a: &x.y z\n", NEITHER),
    "an anchor that a bracket ends": (f"{HEAD}a: &x-{{b: c}}\n", NEITHER),
    "an alias and its colon, above a dash": (f"{HEAD}a:\n  b: &x y\n\n  *x: z\n-b: c\n", "an alias and its colon"),
    "tags": (f"{HEAD}a: !!str 1\nb: !!int '1'\nc: !!binary aGk=\nd: !own x\ne: ! x\n", "a tag"),
    "a tag without its space": (f'{HEAD}a: !"x"\n', NEITHER),
    "a key twice": (f"{HEAD}a: 1\na: 2\n", "a key twice"),
    "a key twice, in two spellings": (f"{HEAD}a: {{b: 1, 'b': 2}}\n", "a key twice"),
    "keys that are numbers and words": (f"{HEAD}a: {{1: a, 1.5: b, on: c, 0o17: d}}\n", "a key that is no text"),
    "null as a key": (f"{HEAD}a: {{null: b}}\n", NEITHER),
    "a list as a key": (f"{HEAD}? [a]\n: b\n", NEITHER),
    "a mapping as a key": (f"{HEAD}? {{a: b}}\n: c\n", NEITHER),
    "quoted keys, dates and times as keys": (f"{HEAD}'1': a\n\"on\": b\n2024-01-01: c\n12:30: d\n? e\n: f\n", SAME),
    "a tab after the colon": (f"{HEAD}a:\tx\n", "a tab"),
    "a tab before a comment": (f"{HEAD}a: 1\t# b\n", "a tab"),
    "a tab inside of words": (f"{HEAD}a: x\ty\n", "a tab"),
    "a tab between words in brackets": (f"{HEAD}a: {{b\t:c}}\n", "a tab"),
    "a tab that indents in brackets": (f"{HEAD}a: {{'b': 1\n\t}}\n", "a tab inside of brackets"),
    "a tab for indentation": (f"{HEAD}a:\n\tb: c\n", NEITHER),
    "tabs in quotes and JSON": (f"{HEAD}a: 'x\ty'\nb: \"x\ty\"\nc: {{\"d\":\t1}}\n", SAME),
    "CRLF": (f"{HEAD}a: |\n  x\n  y\nb: 'x\n  y'\nc: [d,\n  e]\n".replace("\n", "\r\n"), SAME),
    "CR alone": (f"{HEAD}a: x\rb: y\n", "a bare character"),
    "a byte order mark": (f"\ufeff{HEAD}a: x\n", SAME),
    "a byte order mark inside": (f"{HEAD}a: x\ufeffy\n", "a bare character"),
    "UTF-16": (f"{HEAD}a: x\n".encode("utf-16"), "no UTF-8"),
    "Latin 1": (f"{HEAD}a: é\n".encode("latin1"), "no UTF-8"),
    "letters of the world": (f"{HEAD}a: é😀\u00a0\u3000日本\n語: \u200b\n", SAME),
    "NEL in quotes": (f"{HEAD}a: 'x\x85y'\n", "a character kustomize loses"),
    "NEL as an escape": (f'{HEAD}a: "x\\Ny"\n', "a character kustomize loses"),
    "LS in quotes": (f"{HEAD}a: 'x\u2028y'\n", "a bare character"),
    "PS in words": (f"{HEAD}a: x\u2029y\n", NEITHER),
    "a control character": (f"{HEAD}a: 'x\x07y'\n", NEITHER),
    "NUL": (f"{HEAD}a: x\x00y\n", NEITHER),
    "DEL in JSON": ('{"kind": "Text", "apiVersion": "v1", "a": "\x7f"}', "a character kustomize loses"),
    "half a character in YAML": (f'{HEAD}a: "\\ud83d\\ude00"\n', NEITHER),
    "half a character in JSON": ('{"kind": "Text", "apiVersion": "v1", "a": "\\ud83d\\ude00"}', "half a character"),
    "JSON": ('{"kind": "Text",\n"apiVersion": "v1", "a": [1.0, 1e3, true, null, "\\u00e9\\/", -0, 0.1]}\n', SAME),
    "JSON that is YAML": ('{"kind": "Text", "apiVersion": "v1", "a": [017, yes, 1_000, 1e400, "\\x41"]}\n', SAME),
    "JSON, then YAML": (f'{{"kind": "Text", "apiVersion": "v1"}}\n---\n{HEAD}a: yes\n', SAME),
    "JSON twice": ('{"kind": "Text", "apiVersion": "v1"}' * 2, "text after the end"),
    "documents": (f"---\n{HEAD}a: 1\n--- # two\n{HEAD}a: 2\n---  \n{HEAD}a: 3\n...\n", SAME),
    "empty documents among them": (f"# none\n---\n\n---\n{HEAD}a: 1\n---\nnull # c\n---\n{HEAD}a: 2\n---\n", SAME),
    "separators in CRLF": (f"---\n{HEAD}a: 1\n---\n{HEAD}a: 2\n".replace("\n", "\r\n"), SAME),
    "text beside a separator": (f"{HEAD}a: 1\n--- b\n", NEITHER),
    "four dashes": (f"{HEAD}a: 1\n----\n", NEITHER),
    "a separator in quotes": (f"{HEAD}a: 'x\n---\ny'\n", NEITHER),
    "dashes in a block": (f"{HEAD}a: |\n  ---\n  --- x\n", SAME),
    "an end that is none": (f"{HEAD}a: 1\n...\nb: 2\n", "text after the end"),
    "a version": (f"%YAML 1.1\n---\n{HEAD}", NEITHER),
    "a handle for tags": (f"%TAG ! x\n---\n{HEAD}", NEITHER),
    "nothing": ("", "nothing"),
    "comments alone": ("# a\n---\n# b\n", "nothing"),
    "a list": ("- a\n", NEITHER),
    "a word": ("a\n", NEITHER),
    "an indentation that is no level": (f"{HEAD}a:\n    b: c\n  d: e\n", NEITHER),
    "two colons": (f"{HEAD}a: b: c\n", NEITHER),
    "an open quote": (f"{HEAD}a: 'b\n", NEITHER),
    "a reserved character": (f"{HEAD}a: @b\n", NEITHER),
}  # fmt: skip


@pytest.fixture(scope="module")
def readings(binary, tmp_path_factory):
    """Return what kubectl reads in each case."""
    texts = [text if isinstance(text, bytes) else text.encode() for text, _ in CASES.values()]
    return dict(zip(CASES, as_kubectl.reads(binary, texts, tmp_path_factory.mktemp("text") / "cases"), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_text_is_read_as_kubectl_reads_it_or_refused_for_a_reason(name, readings):
    text, expected = CASES[name]
    assert verdict(text if isinstance(text, bytes) else text.encode(), readings[name]) == expected


@pytest.mark.parametrize("kind", ["scalars", "documents"])
def test_no_generated_text_is_taken_for_another_value(kind, binary, tmp_path):
    dice = chance.dice()
    if kind == "scalars":
        texts = [f"{HEAD}a: {written_text.scalar(dice)}\n".encode() for _ in range(chance.count(1500))]
    else:
        texts = [written_text.document(dice).encode() for _ in range(chance.count(1000))]
    verdicts = [verdict(*pair) for pair in zip(texts, as_kubectl.reads(binary, texts, tmp_path / kind), strict=True)]
    known = {SAME, NEITHER, *OURS_ALONE, *STRICTER}
    assert [each for each in verdicts if not known.issuperset(each.split(", "))] == []
    assert Counter(verdicts)[SAME] > len(texts) / 4  # else little was shown


def test_what_kubectl_reads_is_what_it_sends(cluster):
    """The log shows the body of the request; the server refuses it then, since no ConfigMap holds numbers."""
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: [017, 1e3, yes, ~, 12:30, 0.1, 1_000]}\n"
    sent = cluster.kubectl("create", "--validate=false", "-v=10", "--filename=-", stdin=text, check=False).stderr
    body = json.loads(re.search(r'"Request Body" body=<\n\t(.*)\n', sent)[1])
    (read,) = load.documents(text.encode(), "app.yaml").documents
    assert body["data"] == read.data["data"]
