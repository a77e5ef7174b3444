"""What kubectl makes of YAML, case by case: each reading here was compared with kubectl's own decoder."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from render import load, mistyped
from render.model import Document


def data(text):
    return tuple(document.data for document in documents(text))


def documents(content):
    loaded = load.documents(content.encode() if isinstance(content, str) else content, "app.yaml")
    assert [*loaded.problems, *(problem for document in loaded.documents for problem in document.problems)] == []
    return loaded.documents


def problems(content):
    loaded = load.documents(content.encode() if isinstance(content, str) else content, "app.yaml")
    found = [*loaded.problems, *(problem for document in loaded.documents for problem in document.problems)]
    return [str(problem) for problem in sorted(found, key=lambda problem: problem.line)]


def test_a_document_knows_the_line_of_its_parts_and_the_text_of_what_is_not_text():
    text = "# The shop\nkind: CeleryApp\nspec:\n  workers:\n  - name: mail\n    replicas: 0o17\n  -\n    name: 'no'\n"
    assert documents(text.encode()) == (
        Document(
            data={"kind": "CeleryApp", "spec": {"workers": [{"name": "mail", "replicas": 15}, {"name": "no"}]}},
            source="app.yaml",
            lines={
                (): 2,
                ("kind",): 2,
                ("spec",): 3,
                ("spec", "workers"): 4,
                ("spec", "workers", 0): 5,
                ("spec", "workers", 0, "name"): 5,
                ("spec", "workers", 0, "replicas"): 6,
                ("spec", "workers", 1): 8,
                ("spec", "workers", 1, "name"): 8,
            },
            plain={("spec", "workers", 0, "replicas"): "0o17"},
        ),
    )


def test_lines_count_from_the_top_of_the_file_in_every_document():
    first, second = documents(b"--- # one\r\na: 1\r\n---\r\n\r\n# two\r\nb: 2\r\n")
    assert (first.line(("a",)), second.line(("b",)), second.line(("b", "c"))) == (2, 6, 6)


def test_a_part_that_is_not_in_the_file_has_the_line_of_its_parent():
    (document,) = documents(b"a: 1\nb:\n  c: 1\n")
    assert [document.line(path) for path in [("b", "x", 0), ("x",), ()]] == [2, 1, 1]


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        *((word, True) for word in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"]),
        *((word, False) for word in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"]),
        *((word, None) for word in ["", "~", "null", "Null", "NULL"]),
        *((word, word) for word in ["yES", "tRUE", "nULL", "oN", "nan", "inf", "Infinity", ".INf", "=", "<<"]),
        ("17", 17),
        ("+17", 17),
        ("-17", -17),
        ("017", 15),
        ("-017", -15),
        ("000", 0),
        ("0o17", 15),
        ("0O17", 15),
        ("0x1F", 31),
        ("-0X1f", -31),
        ("0b11", 3),
        ("0B11", 3),
        ("0b-11", -3),
        ("1_000", 1000),
        ("0x_F", 15),
        ("08", 8),
        ("09.5", 9.5),
        ("1e3", 1000),
        ("12E+2", 1200),
        ("1.", 1),
        ("1.0", 1),
        ("-0.0", 0),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("+.5", 0.5),
        (".5_5", 0.55),
        ("1e-400", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        *(
            (word, word)
            for word in ["0x", "0b12", "0o8", "1e", "e3", "._5", ".5_", ".", "+", "1e400", "1.2.3", "0x1p3"]
        ),
        *((word, word) for word in ["12:30", "12:30:45", "2024-01-01", "2001-12-14t21:59:43.10-05:00", "25%", "100m"]),
        ("0xFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFF"),
        ("9" * 400, "9" * 400),
    ],
)
def test_a_plain_scalar_is_read_as_kubectl_reads_it(plain, value):
    (document,) = documents(f"a: {plain}\n".encode())
    assert json.dumps(document.data) == json.dumps({"a": value})  # as JSON, because to Python 1 == 1.0 == True
    assert document.plain == ({} if isinstance(value, str) else {("a",): plain})


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("text", ["yes", "017", "1e3", "~", "", ".inf", "<<", "2024-01-01"])
def test_what_is_quoted_is_text(quote, text):
    assert data(f"a: {quote}{text}{quote}") == ({"a": text},)
    assert text == "<<" or data(f"{quote}{text}{quote}: a") == ({text: "a"},)


def test_a_merge_key_in_quotes_is_refused_since_kustomize_drops_it():
    assert problems("'<<': a\n") == ["app.yaml:1: << is a merge key: write the fields out"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: |\n  x\n   y\n\n  z\n", {"a": "x\n y\n\nz\n"}, id="a literal block keeps its lines"),
        pytest.param("a: >-\n  x\n  y\n\n  z\n", {"a": "x y\nz"}, id="a folded block joins them"),
        pytest.param("a: |\n  x", {"a": "x\n"}, id="a file that ends without a line break has one"),
        pytest.param("a: x\n  y\n", {"a": "x y"}, id="a plain scalar goes on in the next line"),
        pytest.param("a: 1\n  2\n", {"a": "1 2"}, id="a number does not"),
        pytest.param('a: "\\x41\\u00e9\\U0001F600\\t"', {"a": "Aé😀\t"}, id="escapes"),
        pytest.param("a: [x, {b: c}, d: e]\n", {"a": ["x", {"b": "c"}, {"d": "e"}]}, id="flow style"),
        pytest.param('{"a":\t[1.0, true, null, "\\/"]}', {"a": [1, True, None, "/"]}, id="JSON"),
        pytest.param("a: http://x:80/?b#c # d\n", {"a": "http://x:80/?b#c"}, id="colons and hashes inside of words"),
        pytest.param("a: &b\n  c: &d 1\n", {"a": {"c": 1}}, id="anchors that nothing refers to"),
        pytest.param("\ufeffa: 1\r\nb: |\r\n  x\r\n", {"a": 1, "b": "x\n"}, id="byte order mark and CRLF"),
        pytest.param("? a\n: b\n", {"a": "b"}, id="a key after a question mark"),
        pytest.param("a:\n- b\n-\n", {"a": ["b", None]}, id="an item without a value"),
        pytest.param("2024-01-01: a\n12:30: b\n", {"2024-01-01": "a", "12:30": "b"}, id="dates and times as keys"),
        pytest.param("a: |\n  --- x\n", {"a": "--- x\n"}, id="dashes that do not begin their line"),
    ],
)
def test_a_document_is_read_as_kubectl_reads_it(text, expected):
    assert data(text) == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: 1\n---\nb: 2\n", id="separated by dashes"),
        pytest.param("---\na: 1\n--- # two\nb: 2\n---\n", id="dashes around them"),
        pytest.param("# none\n---\n\n---\na: 1\n---\n~\n---\nb: 2\n...\n", id="empty documents between them"),
    ],
)
def test_documents_are_found_in_their_order(text):
    assert data(text) == ({"a": 1}, {"b": 2})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", ["app.yaml: is empty: write a CeleryApp, see celery-render --init NAME"], id="nothing"),
        pytest.param(
            "---\n# soon\n---\nnull\n",
            ["app.yaml: is empty: write a CeleryApp, see celery-render --init NAME"],
            id="comments only",
        ),
        pytest.param("a: 1".encode("utf-16"), ["app.yaml: is UTF-16: save it as UTF-8"], id="UTF-16"),
        pytest.param(b"a: 1\nb: \xe9\n", ["app.yaml:2: is not UTF-8: save the file as UTF-8"], id="Latin 1"),
        *(
            pytest.param(
                f"a: 1\nb: x{character}y\n",
                [f"app.yaml:2: the character {character!a} cannot stand as it is: write this escape in double quotes"],
                id=f"the character {character!a}",
            )
            for character in ["\x00", "\x07", "\r", "\u2028", "\u2029", "\ufeff"]
        ),
        *(
            pytest.param(
                f"a: {text}\n",
                [f"app.yaml:1: {path}the character {character!a} does not survive kustomize: remove it"],
                id=f"the character {character!a}{' escaped' if path else ''}",
            )
            for character in ["\x7f", "\x85", "\x9f", "\ufffe", "\uffff"]
            for path, text in [("", character), ("a: ", f'"\\u{ord(character):04x}"')]
        ),
        pytest.param(
            "%YAML 1.1\n---\na: 1\n--- b: 1\n",
            [
                "app.yaml:1: %YAML 1.1 is a directive to the YAML reader, which kubectl does not take: remove the line",
                "app.yaml:4: --- separates documents: begin a new line with what follows it",
            ],
            id="a directive, and text beside a separator",
        ),
        pytest.param(
            "%r://:hunter2-and-so-on@x\n",
            ["app.yaml:1: %r://…@x is a directive to the YAML reader, which kubectl does not take: remove the line"],
            id="a directive that is a URL",
        ),
        pytest.param(
            'a: "x\n---b"\n',
            ["app.yaml:2: --- separates documents: begin a new line with what follows it"],
            id="what kubectl takes for a separator",
        ),
        pytest.param(
            "- a\n---\n1\n",
            [
                "app.yaml:1: is a list: write a CeleryApp (apiVersion, kind, metadata, spec)",
                "app.yaml:3: is 1: write a CeleryApp (apiVersion, kind, metadata, spec)",
            ],
            id="no mapping",
        ),
        pytest.param(
            "a:\n  image: x\n  tag: 1\n  image: y\n",
            ["app.yaml:4: a.image: stands in line 2 already: keep one"],
            id="twice",
        ),
        pytest.param(
            "1: x\nyes: x\n~: x\n1e3: x\n",
            [
                'app.yaml:1: has a key that is read as 1: write "1"',
                'app.yaml:2: has a key that is read as true: write "yes"',
                'app.yaml:3: has a key that is read as null: write "~"',
                'app.yaml:4: has a key that is read as 1000: write "1e3"',
            ],
            id="keys that are not text",
        ),
        pytest.param("[a]: x\n", ["app.yaml:1: has a key that is not text"], id="a list for a key"),
        pytest.param(
            "a: &x {b: 1}\nc:\n- *x\n- <<: *x\n",
            [
                "app.yaml:3: c[0]: *x is an alias: write the value out",
                "app.yaml:4: c[1]: << is a merge key: write the fields out",
                "app.yaml:4: c[1].<<: *x is an alias: write the value out",
            ],
            id="aliases and merge keys",
        ),
        pytest.param(
            "a: &b.c d\n", ["app.yaml:1: a: has the anchor &b.c: remove it"], id="an anchor only some can read"
        ),
        pytest.param(
            "a: !!str 1\nb: !Foo {}\nc: ! x\n",
            [
                "app.yaml:1: a: has the tag tag:yaml.org,2002:str: remove it; quote the value if it is text",
                "app.yaml:2: b: has the tag !Foo: remove it; quote the value if it is text",
                "app.yaml:3: c: has the tag !: remove it; quote the value if it is text",
            ],
            id="tags",
        ),
        pytest.param(
            "a: .inf\nb: -.INF\nc: .nan\n",
            [
                "app.yaml:1: a: .inf is no number in JSON: quote it if it is text",
                "app.yaml:2: b: -.INF is no number in JSON: quote it if it is text",
                "app.yaml:3: c: .nan is no number in JSON: quote it if it is text",
            ],
            id="numbers that JSON does not have",
        ),
        *(
            pytest.param(
                f"a: {number}\n",
                [f"app.yaml:1: a: {number} is read as a number too large to be exact: quote it if it is text"],
                id=f"the number {number}",
            )
            for number in ["9223372036854775808", "18446744073709551616", "9007199254740993.0", "1234e56", "-1e17"]
        ),
        pytest.param(
            'a: "\\ud83d\\ude00"\n',
            ["app.yaml:1: a: has half a character as \\u escape: write the character itself"],
            id="half a character",
        ),
        pytest.param('a: "\\U00110000"\n', ["app.yaml:1: no character has this number"], id="no character"),
        pytest.param(
            "a: |\n  \tb\n",
            ["app.yaml:1: a: begins with a tab: kubectl takes it for indentation"],
            id="a tab in a block",
        ),
        pytest.param(
            "a: >1\n    \n",
            ["app.yaml:1: a: is a block of nothing but spaces: write them in double quotes"],
            id="a block of spaces",
        ),
        pytest.param(
            "a:\n\tb: 1\n",
            ["app.yaml:2: column 1: a tab cannot stand here: use spaces"],
            id="a tab for indentation",
        ),
        pytest.param(
            "a: {b\t:c}\n---\nd: [e \t, 1]\n---\na:\tb\n---\na: !x!y z\n",
            [
                "app.yaml:1: a: a tab cannot stand here: use spaces",
                "app.yaml:3: d[0]: a tab cannot stand here: use spaces",
                "app.yaml:5: column 3: a tab cannot stand here: use spaces",
                "app.yaml:7: column 4: a tag cannot stand here: quote the value if it is text",
            ],
            id="tabs between words, and a tag nobody knows",
        ),
        pytest.param(
            "a: b: c\n---\n  a: 1\nb: 2\n---\nc: @\n---\nd: *e\n",
            [
                "app.yaml:1: column 5: no field can begin here: align it with those above, or quote text with a colon",
                "app.yaml:4: column 1: the document ended above: check the indentation, or begin another with ---",
                "app.yaml:6: column 4: text cannot begin with @: write it in quotes",
                "app.yaml:8: d: *e is an alias: write the value out",
            ],
            id="syntax errors, each in a document of its own",
        ),
        pytest.param(
            "a:\n  b: 1\n   c: 2\n---\na:\n   b: 1\n  c: 2\n---\na:\n- b: 1\n c: 2\n---\na:\n  - b: 1\n  c: 2\n",
            [
                "app.yaml:3: column 5: no field can begin here: align it with those above, or quote text with a colon",
                "app.yaml:7: column 3: is indented as nothing above: align it with the fields that it stands beside",
                "app.yaml:11: column 2: is indented as nothing above: align it with the fields that it stands beside",
                "app.yaml:15: column 3: is indented as the dash above: align it with the first field of the item",
            ],
            id="fields that are not aligned",
        ),
        pytest.param(
            'a:\n  b: |\n \n  c: 1\n---\na: |# b\n---\na: !"b"\n---\na: !.!b\n',
            [
                "app.yaml:4: column 3: a block cannot begin with a line of spaces: remove them above",
                "app.yaml:6: column 5: after | or > comes a new line, or a space and a comment",
                "app.yaml:8: column 5: a tag cannot stand here: quote the value if it is text",
                "app.yaml:10: column 5: a tag cannot stand here: quote the value if it is text",
            ],
            id="what kubectl reads and ruamel.yaml does not",
        ),
        pytest.param(
            "a:\n- b:3\n  c: [d]\n---\na: 1\nb:3\n---\na:\n  - b: 1\n    c:x\n---\na:\n- b: x\n  a://y\n  c: d\n",
            [
                "app.yaml:2: column 5: a space is missing after the colon: write b: …",
                "app.yaml:6: column 3: a space is missing after the colon: write b: …",
                "app.yaml:10: column 7: a space is missing after the colon: write c: …",
                f"app.yaml:14: column 3: {mistyped.NO_FIELD}",
            ],
            id="no space after a colon, told of where it is missing",
        ),
        pytest.param(
            "a:\n  -b: 1\n   c: 2\n---\na:\n  - b: 1\n  -c: 2\n",
            [
                "app.yaml:2: column 4: a space is missing after the dash: write - b: …",
                "app.yaml:7: column 4: a space is missing after the dash: write - c: …",
            ],
            id="no space after a dash",
        ),
        pytest.param(
            "k:\n  a: |+\n \n  -b: c\n---\n-a: \"\\q\"\n---\na: 'b'\t\n---\na:\n- !?!str 1\n",
            [
                "app.yaml:4: column 3: a block cannot begin with a line of spaces: remove them above",
                r"app.yaml:6: column 7: \q is no escape: write \\ for a backslash, or the text in single quotes",
                f"app.yaml:8: column 7: {mistyped.NO_TAB}",
                f"app.yaml:11: column 4: {mistyped.NO_TAG}",
            ],
            id="a line that looks like a slip, where something else is wrong",
        ),
        pytest.param(
            " ---\na: 1\nb: 2\n",
            ["app.yaml:1: column 2: --- separates documents: write it without spaces before it"],
            id="a separator behind a space at the top",
        ),
        pytest.param(
            "a:\n  b: 1\n  ---\n  c: 2\n",
            ["app.yaml:3: column 3: --- separates documents: write it without spaces before it"],
            id="and further down",
        ),
        pytest.param(
            "a:\n<<<<<<< HEAD\n  b: 1\n=======\n  b: 2\n>>>>>>> main\n",
            [f"app.yaml:2: column 1: {mistyped.UNMERGED}"],
            id="a merge conflict",
        ),
        pytest.param(
            "a: {\n---\na: [b, {c: d}\ne: f\n---\na: [{b: [c}]\n",
            [
                "app.yaml:1: column 4: the { that opens here is not closed",
                "app.yaml:4: column 1: a comma is missing, or the ] of the list that begins in line 3",
                "app.yaml:6: column 11: a comma is missing, or the ] of the list that begins in line 6",
            ],
            id="brackets that are not closed",
        ),
        pytest.param(
            "a: {b: ${C}}\n---\na:\n- [b, x${C}]\n",
            [f"app.yaml:1: column 8: {mistyped.NOT_QUOTED}", f"app.yaml:4: column 8: {mistyped.NOT_QUOTED}"],
            id="variables of others without quotes",
        ),
        pytest.param(
            "a: *b\nc: 'd\n",
            [
                "app.yaml:1: a: *b is an alias: write the value out",
                "app.yaml:2: column 4: the quote that opens here is not closed",
            ],
            id="a syntax error after another problem",
        ),
    ],
)
def test_what_has_no_single_reading_is_refused(content, expected):
    assert problems(content) == expected


def nested(levels):
    return "[" * levels + "]" * levels


def test_nesting_is_read_to_64_levels():
    assert load.documents(f"a: {nested(63)}\n".encode(), "app.yaml")
    assert problems(f"a: {nested(64)}\n") == [f"app.yaml:1: a{'[0]' * 63}: is nested more than 64 levels deep"]


@pytest.mark.parametrize("hostile", ["[", "{a: ", "- ", "? ", "a:\n ", "&a [", "*a ", "!", "---\n", "'", "a: |\n"])
def test_a_hostile_file_is_refused_without_a_fault(hostile):
    assert problems(hostile * 20_000)


@given(st.binary() | st.text().map(str.encode) | st.text("ab:-?[]{},&*!|>'\"%#~01.\\Uu \n\t").map(str.encode))
@example(b"a: |\n  \n   b\n")  # ruamel.yaml: an error without a problem mark
@example(b'"\\UFFFFFFFF"')  # ruamel.yaml: an OverflowError
def test_any_bytes_are_documents_or_problems(content):
    loaded = load.documents(content, "app.yaml")
    assert loaded.documents or loaded.problems
    assert all(isinstance(document.data, dict) for document in loaded.documents)
