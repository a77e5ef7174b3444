"""The problems of an app, word for word."""

import copy
import textwrap

import largest
import pytest

from render import default, load, rules, schema, structure, validate
from render.model import Document

HEAD = """\
apiVersion: celeryproject.org/v1alpha1
kind: CeleryApp
metadata: {name: shop}
"""
MINIMAL = {
    "apiVersion": "celeryproject.org/v1alpha1",
    "kind": "CeleryApp",
    "metadata": {"name": "shop"},
    "spec": {"image": "shop:1", "app": "shop"},
}
SCHEMA = schema.load()


def problems(text):
    [document] = load.documents(textwrap.dedent(text).encode(), "app.yaml").documents
    data = default.fill(document.data, SCHEMA.structural)
    return [str(problem) for problem in validate.problems(document, data, SCHEMA)]


def in_spec(fields):
    """Return the problems of an app with these fields in its spec, without the file and the line."""
    spec = "\n".join(["spec:", "  image: shop:1", "  app: shop", textwrap.indent(textwrap.dedent(fields), "  ")])
    return [problem.split(" ", 1)[1] for problem in problems(HEAD + spec)]


def test_the_smallest_app_has_no_problem():
    assert in_spec("") == []


@pytest.mark.parametrize(
    ("head", "message"),
    [
        pytest.param(
            "apiVersion: apps/v1\nkind: Deployment",
            "app.yaml:1: is apps/v1 Deployment; write celeryproject.org/v1alpha1 CeleryApp, or move this to a file"
            " of its own: only apps are read here",
            id="another kind",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List",
            "app.yaml:1: is v1 List; write celeryproject.org/v1alpha1 CeleryApp: its items, each as a document"
            " of its own",
            id="a list of apps",
        ),
        pytest.param(
            "apiVersion: v1\nkind: celeryapp",
            "app.yaml:1: is v1 celeryapp; write celeryproject.org/v1alpha1 CeleryApp",
            id="nearly ours",
        ),
        pytest.param(
            "kind: CeleryApp\napiVersion: celeryproject.org/v1",
            "app.yaml:2: is celeryproject.org/v1 CeleryApp; write celeryproject.org/v1alpha1 CeleryApp",
            id="another version",
        ),
        pytest.param(
            "kind: CeleryApp",
            "app.yaml:1: has no apiVersion; write celeryproject.org/v1alpha1 CeleryApp",
            id="no version",
        ),
        pytest.param(
            "x: 1",
            "app.yaml:1: has no apiVersion and no kind; write celeryproject.org/v1alpha1 CeleryApp",
            id="neither",
        ),
    ],
)
def test_a_document_that_is_no_celeryapp_has_one_problem(head, message):
    assert problems(f"{head}\nspec: {{image: 1}}\n") == [message]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param("{}", ["metadata.name: is required"], id="no name"),
        pytest.param("{name: }", ["metadata.name: is required, is empty"], id="an empty one"),
        pytest.param('{name: ""}', ["metadata.name: may not be empty"], id="a text without letters"),
        pytest.param(
            "{name: 5}",
            ['metadata.name: must be a string, 5 is read as the integer 5: write "5" in quotes'],
            id="a number",
        ),
        pytest.param("shop", ["metadata: must be an object (key: value), is a string"], id="no object"),
        pytest.param(
            "{name: shop, label: {a: b}}",
            ['metadata.label: unknown field; did you mean "labels"?'],
            id="a field by another name",
        ),
        pytest.param(
            "{name: shop, namespace: My_Team}",
            ['metadata.namespace: must be lower-case letters, digits and dashes, is "My_Team": write my-team'],
            id="a namespace no cluster has",
        ),
        pytest.param(
            "{name: shop, labels: {a/b/c: x, ok: -x, one: 1}}",
            [
                "metadata.labels.a/b/c: the key must be letters, digits and - _ . (63 at most), one prefix/ before it",
                'metadata.labels.ok: must be letters, digits and - _ . (63 at most), is "-x"',
                'metadata.labels.one: must be a string, 1 is read as the integer 1: write "1" in quotes',
            ],
            id="labels",
        ),
        pytest.param(
            "{name: shop, generateName: Shop-}",
            ['metadata.generateName: must be lower-case letters, digits, dashes and dots, is "Shop-"'],
            id="a prefix for names",
        ),
        pytest.param(
            f"{{name: shop, generateName: {'a' * 254}}}",
            [f'metadata.generateName: must be lower-case letters, digits, dashes and dots, is "{"a" * 77}…"'],
            id="a prefix that is too long",
        ),
        pytest.param(f"{{name: shop, generateName: {'a' * 253}-}}", [], id="one that is not, since the dash may go"),
        pytest.param(
            "{name: shop, ownerReferences: [{apiVersion: a/b/c, kind: A, name: a, uid: a}]}",
            ['metadata.ownerReferences[0].apiVersion: must be a version or group/version, is "a/b/c"'],
            id="an owner of no version",
        ),
        pytest.param(
            "{name: shop, ownerReferences: [{apiVersion: v1, kind: Event, name: a, uid: a, controller: true},"
            " {apiVersion: v1, kind: Pod, name: a, uid: b, controller: true}]}",
            [
                "metadata.ownerReferences: may hold one with controller: true",
                "metadata.ownerReferences[0]: an Event cannot own anything",
            ],
            id="owners that cannot be",
        ),
        pytest.param(
            "{name: shop, finalizers: [orphan, foregroundDeletion]}",
            ["metadata.finalizers: orphan and foregroundDeletion exclude each other"],
            id="finalizers that exclude each other",
        ),
        pytest.param(
            "{name: shop, managedFields: [{manager: kubectl, fieldsV1: {f:spec: {}}, times: 1}]}",
            ['metadata.managedFields[0].times: unknown field; did you mean "time"?'],
            id="managers have no other fields",
        ),
        pytest.param(
            "{name: shop, uid: x, creationTimestamp: null, annotations: {Example.com/note: any text}}",
            [],
            id="what the API server writes there",
        ),
    ],
)
def test_metadata(metadata, expected):
    text = HEAD.replace("{name: shop}", metadata) + "spec: {image: shop:1, app: shop}\n"
    assert [problem.split(" ", 1)[1] for problem in problems(text)] == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            "env: {A: b}",
            "spec.env: must be a list, is an object: write env: [{name: NAME, value: VALUE}, …]",
            id="an object for a list",
        ),
        pytest.param(
            "resources: []", "spec.resources: must be an object (key: value), is a list", id="a list for an object"
        ),
        pytest.param(
            "workers: [{name: a, queues: mail}]",
            "spec.workers[0].queues: must be a list, is a string: write [mail]",
            id="a text for a list",
        ),
        pytest.param(
            'workers: [{name: a, replicas: "4"}]',
            'spec.workers[0].replicas: must be an integer, is the string "4": write 4 without quotes',
            id="a text for an integer",
        ),
        pytest.param(
            "workers: [{name: a, replicas: true}]",
            "spec.workers[0].replicas: must be an integer, is the boolean true",
            id="a boolean is no integer",
        ),
        pytest.param(
            "workers: [{name: a, replicas: 1.5}]",
            "spec.workers[0].replicas: must be an integer, is the number 1.5",
            id="a fraction is no integer",
        ),
        pytest.param(
            "tolerations: [{key: a, effect: NoExecute, tolerationSeconds: 3000000000}]\n"
            "workers: [{name: a, timeLimitSeconds: 3000000000}]",
            "spec.workers[0].timeLimitSeconds: must be an integer of 32 bits, is 3000000000",
            id="an integer of 32 bits, where another has 64",
        ),
        pytest.param(
            "env: [{name: A, value: yes}]",
            'spec.env[0].value: must be a string, yes is read as the boolean true: write "yes" in quotes',
            id="a word that is no text",
        ),
        pytest.param(
            "env: [{name: A, value: 010}]",
            'spec.env[0].value: must be a string, 010 is read as the integer 8: write "010" in quotes',
            id="a number as it was written",
        ),
        pytest.param(
            "reconcile: Off",
            'spec.reconcile: must be a string, Off is read as the boolean false: write "Off" in quotes',
            id="a value of ours that is a boolean to YAML",
        ),
        pytest.param(
            "reconcile: off",
            'spec.reconcile: must be a string, off is read as the boolean false: write "Off" in quotes',
            id="written otherwise",
        ),
        pytest.param(
            "reconcile: no",
            'spec.reconcile: must be a string, no is read as the boolean false: write "Off" in quotes',
            id="meant as it",
        ),
        pytest.param(
            "reconcile: true",
            'spec.reconcile: must be a string, true is read as the boolean true: write Apply, Scale or "Off" in quotes',
            id="one of which nobody knows what was meant",
        ),
        pytest.param(
            'reconcile: "off"',
            'spec.reconcile: must be one of Apply, Scale, Off, is "off": write "Off" in quotes',
            id="that needs its quotes",
        ),
        pytest.param(
            "workers: [{name: a, queues: [~]}]",
            'spec.workers[0].queues[0]: must be a string, ~ is read as null: write "~" in quotes',
            id="nothing in a list",
        ),
        pytest.param(
            "resources: {requests: {cpu: 0.5}}",
            'spec.resources.requests.cpu: must be a string or an integer, is the number 0.5: write "500m"',
            id="a float for a quantity",
        ),
        pytest.param(
            "workers: [{name: a, rollout: {maxSurge: 0.5}}]",
            "spec.workers[0].rollout.maxSurge: must be a string or an integer, is the number 0.5",
            id="a float for an IntOrString",
        ),
        pytest.param(
            "resources: {limits: {memory: 1GB}}",
            'spec.resources.limits.memory: must be a quantity such as 500m, 1.5 or 256Mi, is "1GB": write 1Gi',
            id="no quantity",
        ),
        pytest.param(
            'resources: {limits: {cpu: "0.5 cores"}}',
            'spec.resources.limits.cpu: must be a quantity such as 500m, 1.5 or 256Mi, is "0.5 cores": write 500m',
            id="a quantity with a unit of its own",
        ),
        pytest.param(
            "workers: [{name: a, timeLimitSeconds: 5m}]",
            'spec.workers[0].timeLimitSeconds: must be an integer, is the string "5m": write 300',
            id="a time with its unit",
        ),
        pytest.param(
            "workers: [{name: a, timeLimitSeconds: 5ms}]",
            'spec.workers[0].timeLimitSeconds: must be an integer, is the string "5ms"',
            id="a time with a unit of less",
        ),
        pytest.param(
            "workers: [{name: a, replicas: 5m}]",
            'spec.workers[0].replicas: must be an integer, is the string "5m"',
            id="no time",
        ),
        pytest.param(
            "workers: [{name: a, replicas: '${REPLICAS}'}]",
            "spec.workers[0].replicas: nothing fills ${…} in here, as Compose or envsubst would: fill it in first, or"
            " write the value",
            id="a variable of others for an integer",
        ),
        pytest.param(
            "logLevel: $LEVEL",
            "spec.logLevel: nothing fills ${…} in here, as Compose or envsubst would: fill it in first, or write the"
            " value",
            id="one without braces for a word",
        ),
        pytest.param(
            "workers: [{name: a, concurrency: $(CPUS)}]",
            'spec.workers[0].concurrency: must be an integer or auto, is "$(CPUS)"',
            id="one of Kubernetes' own",
        ),
        pytest.param(
            f"commandLine: [sh, -c, '${{APP}} {'a' * 4096}']",
            "spec.commandLine[2]: must have at most 4096 characters, has 4103",
            id="a shell's variable in a text that is too long",
        ),
        pytest.param(
            "resources: {limits: {cpu: 1e1.5}}",
            'spec.resources.limits.cpu: must be a quantity such as 500m, 1.5 or 256Mi, is "1e1.5"',
            id="an exponent Kubernetes cannot read",
        ),
        pytest.param(
            "workers: [{name: a, concurrency: many}]",
            'spec.workers[0].concurrency: must be an integer or auto, is "many"',
            id="no integer and not the word",
        ),
        pytest.param(
            "workers: [{name: a, concurrency: 0}]",
            "spec.workers[0].concurrency: must be at least 1, is 0",
            id="too little",
        ),
        pytest.param("flower: {port: 99999}", "spec.flower.port: must be at most 65535, is 99999", id="too much"),
        pytest.param(
            "logLevel: debug",
            'spec.logLevel: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, FATAL, is "debug": write DEBUG',
            id="none of the values",
        ),
        pytest.param("volumes: [{emptyDir: {}}]", "spec.volumes[0].name: is required", id="a field that is required"),
        pytest.param(
            'workingDir: /\nbeat: {schedulerClass: ""}',
            "spec.beat.schedulerClass: may not be empty",
            id="an empty text, said once",
        ),
        pytest.param(
            f"workers: [{{name: {'a' * 41}}}]",
            "spec.workers[0].name: must have at most 40 characters, has 41",
            id="a text too long",
        ),
        pytest.param(
            'workers: [{name: "a\\n"}]',
            'spec.workers[0].name: must be lower-case letters, digits and dashes and begin with a letter, is "a\\n":'
            " write a",
            id="a newline at the end is not the end",
        ),
        pytest.param(
            'lifecycle: {preStop: {httpGet: {port: "8080"}}}',
            "spec.lifecycle.preStop.httpGet.port: must be lower-case letters, digits and single dashes such as metrics,"
            ' is "8080": write 8080 without quotes',
            id="a number is no name",
        ),
        pytest.param(
            "initContainers: [{name: Migrate_DB}]",
            'spec.initContainers[0].name: must be lower-case letters, digits and dashes, is "Migrate_DB":'
            " write migrate-db",
            id="a name in capitals",
        ),
        pytest.param(
            "workers: [{name: Off}]",
            'spec.workers[0].name: must be a string, Off is read as the boolean false: write "off" in quotes',
            id="one that would be read as a boolean",
        ),
        pytest.param(
            f"volumes: [{{name: {'9' * 30}_}}]",
            "spec.volumes[0].name: must be lower-case letters, digits and dashes, is"
            f' "{"9" * 30}_": write "{"9" * 30}" in quotes',
            id="one that would be read as a number",
        ),
        pytest.param(
            "workers: [{name: 1st}]",
            'spec.workers[0].name: must be lower-case letters, digits and dashes and begin with a letter, is "1st"',
            id="one of which nobody knows what was meant",
        ),
        pytest.param(
            "workers: [{name: a, queues: [b, c, b]}]",
            'spec.workers[0].queues[2]: duplicate entry: "b" is in the list already',
            id="a value twice",
        ),
        pytest.param(
            "env: [{name: A, value: b}, {name: A, value: c}]",
            'spec.env[1]: duplicate entry: {"name": "A"} is in the list already',
            id="a key twice",
        ),
        pytest.param(
            "broker: {urlFrom: {}}", "spec.broker.urlFrom.secretKeyRef: is required", id="a field that is missing"
        ),
        pytest.param(
            "beat: {storage: {size: null}}\nresultBackend: {urlFrom: {secretKeyRef: {name: a, key: }}}",
            "spec.resultBackend.urlFrom.secretKeyRef.key: is required, is empty",
            id="an empty one",
        ),
        pytest.param("workerz: []", 'spec.workerz: unknown field; did you mean "workers"?', id="a typing mistake"),
        pytest.param(
            "replicas: 2",
            'spec.replicas: unknown field; did you mean "workers[].replicas"?',
            id="a field one level too high",
        ),
        pytest.param(
            "secretKeyRef: {name: a, key: b}", "spec.secretKeyRef: unknown field", id="a field that is nowhere near"
        ),
        pytest.param(
            "broker: {kind: Redis, url: redis://redis}",
            "spec.broker.kind: unknown field; the fields here are url, urlFrom, usernameFrom, passwordFrom, tls,"
            " sentinel, type",
            id="a field among few",
        ),
        pytest.param(
            "volumes: [{name: a, emptyDir: {medum: Memory}}]",
            'spec.volumes[0].emptyDir.medum: unknown field; did you mean "medium"?',
            id="in core/v1",
        ),
    ],
)
def test_one_mistake_is_one_line(fields, message):
    assert in_spec(fields) == [message]


def test_what_a_shell_reads_in_a_pod_stays():
    assert (
        in_spec("""\
        workers:
          - {name: a, commandLine: [sh, -c, "exec celery -A ${APP} worker"], probe: {type: None}}
        env: [{name: FOLDER, value: "${HOME}/app"}, {name: ADDRESS, value: "$(HOST):5672"}]
        initContainers: [{name: wait, command: [sh, -c, "until nc -z ${HOST} 5672; do sleep 1; done"]}]
        """)
        == []
    )


def test_every_problem_is_found_at_once_and_stands_at_its_line():
    text = """\
    apiVersion: celeryproject.org/v1alpha1
    kind: CeleryApp
    metadata:
      name: Shop
    spec:
      image: shop:1
      broker: {}
      workers:
        - name: worker
          concurency: 4
          replicas: "3"
        - name: mail
          queues: [a, a]
          scaling: {maxReplicas: 2}
    """
    assert problems(text) == [
        (
            "app.yaml:4: metadata.name: must be lower-case letters, digits and dashes and begin with a letter,"
            ' is "Shop": write shop'
        ),
        "app.yaml:5: spec.app: is required",
        "app.yaml:7: spec.broker: set one of url and urlFrom",
        'app.yaml:10: spec.workers[0].concurency: unknown field; did you mean "concurrency"?',
        'app.yaml:11: spec.workers[0].replicas: must be an integer, is the string "3": write 3 without quotes',
        'app.yaml:13: spec.workers[1].queues[1]: duplicate entry: "a" is in the list already',
        "app.yaml:14: spec.workers[1].scaling: set at least one of queue, cpu, memory and keda.triggers",
    ]


def test_problems_of_one_line_are_in_the_order_of_their_numbers():
    args = ", ".join(str(number) for number in range(11))
    assert [problem.split(":")[0] for problem in in_spec(f"beat: {{args: [{args}]}}")] == [
        f"spec.beat.args[{number}]" for number in range(11)
    ]


def test_a_status_that_comes_with_the_spec_is_forgotten_but_not_its_unknown_fields():
    text = HEAD + "spec: {image: shop:1, app: shop}\nstatus: {workersReady: 3, conditions: [{}], wrokers: []}\n"
    assert problems(text) == ['app.yaml:5: status.wrokers: unknown field; did you mean "workers"?']


def test_judging_changes_neither_the_document_nor_the_data():
    data = default.fill(MINIMAL, SCHEMA.structural)
    before = copy.deepcopy(data)
    assert validate.problems(Document(MINIMAL, "app.yaml", {}), data, SCHEMA) == []
    assert data == before


@pytest.mark.parametrize(
    ("value", "structural", "accepted"),
    [
        pytest.param(4.0, {"type": "integer"}, True, id="4.0 is an integer"),
        pytest.param(2.0**60, {"type": "integer"}, False, id="a float too large to be exact is none"),
        pytest.param(-(2**63), {"type": "integer"}, True, id="the smallest of 64 bits"),
        pytest.param(2**63, {"type": "integer"}, False, id="one more than the largest"),
        pytest.param(-(2**31), {"type": "integer", "format": "int32"}, True, id="the smallest of 32 bits"),
        pytest.param(2**31, {"type": "integer", "format": "int32"}, False, id="one more than the largest of 32"),
        pytest.param(1, {"type": "number"}, True, id="an integer is a number"),
        pytest.param(True, {"type": "number"}, False, id="a boolean is none"),
        pytest.param(None, {"type": "string"}, False, id="null is no text"),
        pytest.param(None, {"type": "string", "nullable": True}, True, id="but where null is allowed"),
        pytest.param("日本", {"type": "string", "maxLength": 2}, True, id="characters are counted, not bytes"),
        pytest.param("٣", {"type": "string", "pattern": r"^\d$"}, False, id="a digit is an ASCII digit"),
        pytest.param("a\n", {"type": "string", "pattern": "^a$"}, False, id="the end is the very end"),
        pytest.param("a$", {"type": "string", "pattern": r"^a\$"}, True, id="an escaped dollar is a dollar"),
        pytest.param("xax", {"type": "string", "pattern": "a"}, True, id="a pattern may match anywhere"),
        pytest.param([1, True], {"type": "array", "x-kubernetes-list-type": "set"}, True, id="1 and true are two"),
        pytest.param(
            [{"a": 1}, {"a": 1}], {"type": "array", "x-kubernetes-list-type": "atomic"}, True, id="twice in a list"
        ),
        pytest.param({"a": 1}, {"type": "object"}, False, id="an object without fields takes none"),
        pytest.param(
            {"a": 1}, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, True, id="unless it is free"
        ),
        pytest.param(
            {"a": 1}, {"type": "object", "maxProperties": 0, "additionalProperties": {}}, False, id="too many fields"
        ),
        pytest.param(True, {"x-kubernetes-int-or-string": True}, False, id="a boolean is no IntOrString"),
    ],
)
def test_a_value_is_judged_as_by_the_api_server(value, structural, accepted):
    assert (not [*structure.errors(value, structural)]) == accepted


RULE = {"rule": "self.a < self.b", "message": "a must be less than b"}
PAIR = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "x-kubernetes-validations": [RULE],
}
GOOD, BAD = {"a": 1, "b": 2}, {"a": 2, "b": 1}


def ruled(**rule):
    return PAIR | {"x-kubernetes-validations": [RULE | rule]}


@pytest.mark.parametrize(
    ("data", "structural", "broken"),
    [
        pytest.param(GOOD, PAIR, [], id="a rule that holds"),
        pytest.param(BAD, PAIR, [((), "a must be less than b")], id="one that does not"),
        pytest.param([GOOD, BAD], {"items": PAIR}, [((1,), "a must be less than b")], id="for every item of a list"),
        pytest.param(
            {"k": BAD},
            {"additionalProperties": PAIR},
            [(("k",), "a must be less than b")],
            id="for every value of a map",
        ),
        pytest.param({"f": BAD}, {"properties": {"f": PAIR}}, [(("f",), "a must be less than b")], id="for a field"),
        pytest.param({}, {"properties": {"f": PAIR}}, [], id="not for a field that is absent"),
        pytest.param(None, PAIR, [], id="nor for null"),
        pytest.param({"b": 1}, PAIR, [((), "a must be less than b")], id="one that cannot be evaluated does not hold"),
        pytest.param(BAD, ruled(fieldPath=".a"), [(("a",), "a must be less than b")], id="told of a field"),
        pytest.param(
            BAD, ruled(fieldPath=r".a['x.\'y']"), [(("a", "x.'y"), "a must be less than b")], id="or of a key"
        ),
        pytest.param(
            BAD, ruled(messageExpression="'a is ' + string(self.a)"), [((), "a is 2")], id="a message that is evaluated"
        ),
        pytest.param(
            BAD, ruled(messageExpression="self.c"), [((), "a must be less than b")], id="the other one when that fails"
        ),
        pytest.param(
            BAD, ruled(messageExpression=r"'two\nlines'"), [((), "a must be less than b")], id="or has several lines"
        ),
        pytest.param(
            {"a": [0, 2, 3]},
            ruled(rule="size(self.a) == 1 || self.a.all(n, n < 2)", fieldPath=".a"),
            [(("a", 1), "a must be less than b"), (("a", 2), "a must be less than b")],
            id="told of each item that breaks one about all",
        ),
        pytest.param(
            {"a": [0, 2], "b": 1},
            ruled(rule="self.b == 0 && self.a.all(n, n < 2)", fieldPath=".a"),
            [(("a",), "a must be less than b")],
            id="but of none where no item would do either",
        ),
        pytest.param(
            {"a": {"k": 2}},
            ruled(rule="self.a.all(k, k == 'l')", fieldPath=".a"),
            [(("a",), "a must be less than b")],
            id="nor of a key of a map",
        ),
        pytest.param(BAD, ruled(rule="self.a == oldSelf.a"), [], id="rules about a change are not asked"),
    ],
)
def test_rules(data, structural, broken):
    assert [*rules.broken(data, structural, ())] == broken


def test_no_rule_is_too_dear_for_many_groups_with_many_volumes():
    names = [f"volume-{number}" for number in range(25)]
    pod = {
        "queues": ["celery"],
        "volumes": [{"name": name, "emptyDir": {}} for name in names],
        "volumeMounts": [{"name": names[-1], "mountPath": f"/{name}"} for name in names],
    }
    groups = [{"name": f"group-{number}", **pod} for number in range(32)]
    data = default.fill(MINIMAL | {"spec": MINIMAL["spec"] | {"workers": groups}}, SCHEMA.structural)
    assert validate.problems(Document(data, "app.yaml", {}), data, SCHEMA) == []


def test_no_rule_is_too_dear_for_the_largest_app():
    """For a rule that is, see how that of the groups' volumeMounts is written."""
    data = default.fill(largest.app(), SCHEMA.structural)
    assert validate.problems(Document(data, "app.yaml", {}), data, SCHEMA) == []


@pytest.mark.parametrize(
    ("shared", "own", "mounted", "found"),
    [
        pytest.param(["a"], ["b"], ["a", "b"], True, id="in either"),
        pytest.param(["a"], None, ["a"], True, id="in those of all"),
        pytest.param(None, ["b"], ["b"], True, id="in its own"),
        pytest.param(["a"], ["b"], ["a", "c"], False, id="one in neither"),
        pytest.param(None, None, ["a"], False, id="no volumes"),
        pytest.param(None, None, [], True, id="no mounts"),
        pytest.param(None, None, None, True, id="nothing"),
    ],
)
def test_a_mount_of_a_group_needs_a_volume(shared, own, mounted, found):
    def listed(key, names, **fields):
        return {} if names is None else {key: [{"name": name} | fields for name in names]}

    mounts = {} if mounted is None else {"volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in mounted]}
    queues = {"queues": ["celery"]}
    other, group = {"name": "other"} | queues, {"name": "group"} | queues | listed("volumes", own, emptyDir={}) | mounts
    spec = MINIMAL["spec"] | listed("volumes", shared, emptyDir={}) | {"workers": [other, group]}
    data = default.fill(MINIMAL | {"spec": spec}, SCHEMA.structural)
    stray = next((name for name in mounted or () if name not in {*(shared or ()), *(own or ())}), None)
    words = f"no volume is named {stray}, which group group mounts: add it to volumes, there or in spec"
    problems = validate.problems(Document(data, "app.yaml", {}), data, SCHEMA)
    assert [problem.message for problem in problems] == ([] if found else [words])


def test_a_rule_too_dear_to_evaluate_is_a_problem():
    nested = {
        "type": "array",
        "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a + b > 0))", "message": "no"}],
    }
    assert [*rules.broken([1] * 200, nested, ())] == [((), "there is too much here to check this rule: no")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            "broker: {url: 5, urlFrom: {}}", ["broker.url", "broker.urlFrom.secretKeyRef"], id="its own fields"
        ),
        pytest.param(
            "broker: {}\nworkers: [{name: a, replicas: x}]", ["broker", "workers[0].replicas"], id="not those beside it"
        ),
        pytest.param("broker: {urll: x}", ["broker", "broker.urll"], id="nor unknown fields"),
    ],
)
def test_a_rule_is_asked_only_where_the_values_are_what_it_expects(fields, expected):
    assert sorted(problem.split(": ")[0].removeprefix("spec.") for problem in in_spec(fields)) == expected


def test_of_the_metadata_rules_see_only_the_name():
    text = HEAD.replace("{name: shop}", "{name: Shop, labels: {a: -}}") + "spec: {image: shop:1, app: shop}\n"
    found = problems(text)
    assert len(found) == 2
    assert found[0].startswith("app.yaml:3: metadata.labels.a: must be letters")
    assert found[1].startswith("app.yaml:3: metadata.name: must be lower-case letters")
