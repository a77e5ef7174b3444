"""The command line as a user types it: what is printed, what is written, the exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from render import cli, since
from render.hazards import versions

COMMAND = Path(sys.executable).with_name("celery-render")
MINIMAL = """\
apiVersion: celeryproject.org/v1alpha1
kind: CeleryApp
metadata: {name: NAME}
spec: {image: "registry.example.com/shop:1", app: shop}
"""


def run(*arguments, cwd, stdin=None):
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([COMMAND, *map(str, arguments)], cwd=cwd, input=given, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def app(folder, name="shop", file="app.yaml", extra=""):
    path = folder / file
    path.write_text(MINIMAL.replace("NAME", name) + extra)
    return path


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


SHOP = [
    "kustomization.yaml",
    "shop/configmap-shop-probe.yaml",
    "shop/deployment-shop-worker.yaml",
    "shop/kustomization.yaml",
]


def test_one_app_becomes_one_stream(tmp_path):
    app(tmp_path)
    code, out, err = run("app.yaml", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line.startswith("kind:")] == ["kind: ConfigMap", "kind: Deployment"]


def test_standard_input_and_a_file_render_alike(tmp_path):
    path = app(tmp_path)
    assert run("-", cwd=tmp_path, stdin=path.read_text()) == run("app.yaml", cwd=tmp_path)


def test_one_app_fills_a_folder_and_says_what_it_wrote(tmp_path):
    app(tmp_path)
    code, out, err = run("app.yaml", "-o", "out/", cwd=tmp_path)
    assert (code, err, names(tmp_path / "out")) == (0, "", SHOP)
    assert sorted(out.splitlines()) == [f"out/{name} written" for name in SHOP]


def test_where_an_app_is_scaled_it_says_what_the_cluster_needs_but_only_when_that_is_written(tmp_path):
    scaling = "scaling: {maxReplicas: 3, cpu: {averageUtilization: 80}}"
    worker = f"{{name: worker, resources: {{requests: {{cpu: 100m}}}}, {scaling}}}"
    path = app(tmp_path)
    path.write_text(path.read_text().replace("app: shop}", f"app: shop, workers: [{worker}]}}"))
    _, _, err = run("app.yaml", "-o", "out/", "--check", cwd=tmp_path)
    assert "celeryapp" not in err
    code, _, err = run("app.yaml", "-o", "out/", cwd=tmp_path)
    assert (code, err.splitlines()[-1]) == (0, f"out/shop/celeryapp-shop.yaml {cli.NEEDED}")
    assert "celeryapp" not in run("app.yaml", "-o", "out/", cwd=tmp_path)[2]


def test_a_second_run_writes_nothing(tmp_path):
    app(tmp_path)
    run("app.yaml", "-o", "out", cwd=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    code, out, _ = run("app.yaml", "-o", "out", cwd=tmp_path)
    assert (code, out) == (0, "out: up to date\n")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_several_apps_get_a_folder_each(tmp_path):
    app(tmp_path, "shop", "a.yaml", extra="---\n" + MINIMAL.replace("NAME", "mail"))
    app(tmp_path, "blog", "b.yaml")
    code, _, err = run("a.yaml", "b.yaml", "-o", "out", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert sorted({name.split("/")[0] for name in names(tmp_path / "out")}) == [
        "blog",
        "kustomization.yaml",
        "mail",
        "shop",
    ]
    assert (tmp_path / "out/kustomization.yaml").read_text().endswith("resources:\n- blog/\n- mail/\n- shop/\n")
    assert run("b.yaml", "a.yaml", "-o", "out", "--check", cwd=tmp_path) == (0, "out: up to date\n", "")


def test_an_app_lies_where_it_did_whatever_others_there_are(tmp_path):
    app(tmp_path, "shop", "a.yaml")
    path = app(tmp_path, "shop", "b.yaml")
    path.write_text(path.read_text().replace("name: shop", "name: shop, namespace: eu"))
    app(tmp_path, "blog", "c.yaml")
    run("a.yaml", "-o", "out", cwd=tmp_path)
    before = {path: path.read_text() for path in (tmp_path / "out/shop").iterdir()}
    code, out, _ = run("a.yaml", "b.yaml", "c.yaml", "-o", "out", cwd=tmp_path)
    assert (code, "out/shop/" in out) == (0, False)
    assert {path: path.read_text() for path in (tmp_path / "out/shop").iterdir()} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "blog",
        "kustomization.yaml",
        "shop",
        "shop.eu",
    ]
    run("a.yaml", "-o", "out", cwd=tmp_path)
    assert names(tmp_path / "out") == SHOP


def test_what_is_no_longer_rendered_is_removed_and_what_is_foreign_stays(tmp_path):
    path = app(tmp_path)
    path.write_text(path.read_text().replace("app: shop}", "app: shop, beat: {}}"))
    run("app.yaml", "-o", "out", cwd=tmp_path)
    (tmp_path / "out/mine.yaml").write_text("kind: ConfigMap\n")
    app(tmp_path)
    code, out, _ = run("app.yaml", "-o", "out", cwd=tmp_path)
    assert code == 0
    assert "out/shop/deployment-shop-beat.yaml removed" in out
    assert names(tmp_path / "out") == sorted([*SHOP, "mine.yaml"])


def test_the_base_of_another_app_is_not_removed(tmp_path):
    app(tmp_path, "shop", "a.yaml")
    app(tmp_path, "blog", "b.yaml")
    run("b.yaml", "-o", "out", cwd=tmp_path)
    before = names(tmp_path)
    wanted = "which would go: name its file too, choose another folder, or remove it\n"
    assert run("a.yaml", "-o", "out", cwd=tmp_path) == (1, "", f"out/blog holds the base of the app blog, {wanted}")
    assert run("a.yaml", "-o", "out", "--check", cwd=tmp_path)[0] == 1
    inner = "out/blog is the folder of the app blog: name the folder above it, or another\n"
    assert run("b.yaml", "-o", "out/blog", cwd=tmp_path) == (1, "", inner)
    assert names(tmp_path) == before


def test_check_tells_without_writing(tmp_path):
    app(tmp_path)
    code, out, err = run("app.yaml", "-o", "out", "--check", cwd=tmp_path)
    assert (code, (tmp_path / "out").exists()) == (1, False)
    assert "out/kustomization.yaml" in out + err
    run("app.yaml", "-o", "out", cwd=tmp_path)
    assert run("app.yaml", "-o", "out", "--check", cwd=tmp_path) == (0, "out: up to date\n", "")


def test_two_apps_with_the_same_child_are_refused(tmp_path):
    app(tmp_path, "shop", "a.yaml")
    app(tmp_path, "shop", "b.yaml")
    code, out, err = run("a.yaml", "b.yaml", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert err.startswith("b.yaml:3: metadata.name: ConfigMap shop-probe is in the app of a.yaml:3 too")


def test_two_apps_of_one_name_are_refused_in_a_folder_with_every_other_problem(tmp_path):
    for file, namespace in {"a.yaml": "one", "b.yaml": "two", "c.yaml": "two"}.items():
        path = app(tmp_path, "shop", file)
        path.write_text(path.read_text().replace("name: shop", f"name: shop, namespace: {namespace}"))
    for file, part in {"d.yaml": "beat", "e.yaml": "flower"}.items():
        path = app(tmp_path, "blog", file)
        path.write_text(path.read_text().replace("app: shop", f"app: shop, workers: [], {part}: {{}}"))
    app(tmp_path, "shop", "f.yaml", extra="spek: {}\nmore: {}\n")
    code, out, err = run(*(f"{letter}.yaml" for letter in "abcdef"), "-o", "out", cwd=tmp_path)
    assert (code, out, (tmp_path / "out").exists()) == (1, "", False)
    assert [line.partition("; the fields")[0] for line in err.splitlines()] == [
        "e.yaml:3: metadata.name: another app has this name too: choose another",
        "c.yaml:3: metadata.name: ConfigMap shop-probe is in the app of b.yaml:3 too: choose another name",
        'f.yaml:5: spek: unknown field; did you mean "spec"?',
        "f.yaml:6: more: unknown field",
    ]


def test_a_file_that_is_given_twice_is_told_as_that(tmp_path):
    path = app(tmp_path)
    code, out, err = run(
        "app.yaml", "./app.yaml", "-", "-", cwd=tmp_path, stdin=path.read_text().replace("shop", "blog")
    )
    assert (code, out) == (1, "")
    assert err == "./app.yaml: is given twice: name it once\n-: is given twice: name it once\n"


def test_every_problem_of_every_file_is_named_and_nothing_is_written(tmp_path):
    app(tmp_path, "Shop", "a.yaml")
    app(tmp_path, "shop", "b.yaml")
    (tmp_path / "c.yaml").write_text("a: [\n")
    code, out, err = run("a.yaml", "b.yaml", "c.yaml", "nowhere.yaml", ".", "-o", "out", cwd=tmp_path)
    assert (code, out, (tmp_path / "out").exists()) == (1, "", False)
    lines = err.splitlines()
    assert lines[0].startswith("a.yaml:3: metadata.name:")
    assert lines[1].startswith("c.yaml:1:")
    assert lines[2:] == ["nowhere.yaml: does not exist", ".: is a directory: name the YAML files in it"]


NO_DRAIN = "  workers: [{name: worker, disruptionBudget: {maxUnavailable: 0}}]\n"
BLOCK = """\
spec:
  image: "registry.example.com/shop:1"
  app: shop
"""


def hurting(folder, file="app.yaml", extra=""):
    path = folder / file
    path.write_text(MINIMAL.replace("NAME", path.stem).partition("spec:")[0] + BLOCK + NO_DRAIN + extra)
    return f"{file}:7: warning: spec.workers[0].disruptionBudget.maxUnavailable: lets no pod go"


def test_a_warning_is_said_and_changes_nothing(tmp_path):
    warning = hurting(tmp_path)
    code, out, err = run("app.yaml", cwd=tmp_path)
    assert (code, err.count("\n"), "kind: PodDisruptionBudget" in out) == (0, 1, True)
    assert err.startswith(warning)
    assert run("app.yaml", "-o", "out", cwd=tmp_path)[::2] == (0, err)
    assert run("app.yaml", "-o", "out", "--check", cwd=tmp_path) == (0, "out: up to date\n", err)


def test_strict_refuses_what_is_warned_of_and_writes_nothing(tmp_path):
    hurting(tmp_path)
    _, _, err = run("app.yaml", cwd=tmp_path)
    assert run("app.yaml", "--strict", cwd=tmp_path) == (1, "", err)
    assert run("app.yaml", "--strict", "-o", "out", cwd=tmp_path) == (1, "", err)
    assert run("app.yaml", "--strict", "-o", "out", "--check", cwd=tmp_path) == (1, "", err)
    assert not (tmp_path / "out").exists()
    app(tmp_path, file="fine.yaml")
    assert run("fine.yaml", "--strict", "-o", "out", cwd=tmp_path)[::2] == (0, "")


KEY = "{volumeName: a, path: b, key: c}"
YOUNGER = f"volumes: [{{name: a, emptyDir: {{}}}}], env: [{{name: TOKEN, valueFrom: {{fileKeyRef: {KEY}}}}}]"
NEEDED = "needs Kubernetes 1.35, or 1.34 with the feature gate EnvFiles, this is 1.33: remove it"


def test_a_field_that_the_release_does_not_know_is_refused(tmp_path):
    path = app(tmp_path)
    path.write_text(path.read_text().replace("app: shop}", f"app: shop,\n  {YOUNGER}}}"))
    refused = (1, "", f"app.yaml:5: spec.env[0].valueFrom.fileKeyRef: {NEEDED}\n")
    assert run("app.yaml", "--kubernetes", "1.33", cwd=tmp_path) == refused
    assert run("app.yaml", "--kubernetes", "1.33", "-o", "out", cwd=tmp_path) == refused
    assert run("app.yaml", "--kubernetes", "1.35", cwd=tmp_path)[::2] == (0, "")


def test_as_a_function_of_kustomize_it_is_refused_too(tmp_path):
    items = [yaml.safe_load(MINIMAL.replace("NAME", "shop").replace("app: shop", f"app: shop, {YOUNGER}"))]
    asked = json.dumps({"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": items})
    code, _, err = run("--function", "--kubernetes", "1.33", cwd=tmp_path, stdin=asked)
    assert (code, NEEDED in err) == (1, True)
    assert run("--function", "--kubernetes", "1.35", cwd=tmp_path, stdin=asked)[::2] == (0, "")


@pytest.mark.parametrize(("release", "is_there"), [("1.33", False), ("1.34", True)])
def test_the_schema_is_that_of_the_release(tmp_path, release, is_there):
    code, out, err = run("--schema", "--kubernetes", release, cwd=tmp_path)
    assert (code, err, "fileKeyRef" in out) == (0, "", is_there)


def test_warnings_come_together_with_errors_in_the_order_of_lines(tmp_path):
    warning = hurting(tmp_path, "a.yaml")
    hurting(tmp_path, "b.yaml", "  flower: {prots: 1}\n")
    hurting(tmp_path, "c.yaml", "  logLevel: LOUD\n")  # a value that cannot be read: nothing is said that follows
    code, out, err = run("a.yaml", "b.yaml", "c.yaml", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert [line.partition(": lets")[0] for line in err.splitlines()][:2] == [
        warning.partition(": lets")[0],
        warning.replace("a.yaml", "b.yaml").partition(": lets")[0],
    ]
    assert [line.partition(": spec")[0] for line in err.splitlines()][2:] == ["b.yaml:8", "c.yaml:8"]


def test_the_problems_of_the_readme_are_what_is_printed(tmp_path):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [text] = re.findall(r"^```yaml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    (tmp_path / "app.yaml").write_text(text.replace("concurrency: 4", "concurency: 4").replace("cas: 3", 'cas: "3"'))
    code, out, err = run("app.yaml", cwd=tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 2)
    assert f"$ celery-render app.yaml\n{err}" in readme


def test_the_readme_names_the_versions_that_are_tried():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name, tried in {"Kubernetes": since.table().releases, "Celery": versions.TRIED}.items():
        assert re.search(rf"^\| {name} \| \[{re.escape(f'{tried[0]} to {tried[-1]}')}\]", readme, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing at all"),
        pytest.param(["--check", "app.yaml"], id="check without a folder"),
        pytest.param(["--crd", "app.yaml"], id="two things at once"),
        pytest.param(["--crd", "--schema"], id="two printouts at once"),
        pytest.param(["--function", "app.yaml"], id="a file for what reads standard input"),
        pytest.param(["--init", "shop", "-o", "out"], id="a folder for a printout"),
        pytest.param(["--crd", "--strict"], id="strict where nothing is judged"),
        pytest.param(["--crd", "--kubernetes", "1.34"], id="a release where nothing is judged"),
        pytest.param(["app.yaml", "--kubernetes", "1.32"], id="a release that is not supported"),
        pytest.param(["--nonsense"], id="an unknown option"),
        pytest.param(["app.yaml", "-o", ""], id="a folder without a name"),
        pytest.param(["app.yaml", "-o", "out", "-o", "more"], id="two folders"),
        pytest.param(["app.yaml", "-o", "-"], id="standard output as a folder"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_hint(arguments, tmp_path):
    app(tmp_path)
    code, out, err = run(*arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert "Usage: celery-render" in err


@pytest.mark.parametrize(
    ("arguments", "together"),
    [
        (["--init", "shop", "--schema"], "--init and --schema"),
        (["--init", "shop", "app.yaml"], "--init and FILEs"),
        (["--function", "app.yaml"], "--function and FILEs"),
        (["--crd", "--schema", "app.yaml"], "--schema, --crd and FILEs"),
    ],
)
def test_what_does_not_go_together_is_named(arguments, together, tmp_path):
    assert f"{together} do not go together: name one of them." in run(*arguments, cwd=tmp_path)[2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="an empty file"),
        pytest.param(b"# only a comment\n", "is empty", id="only comments"),
        pytest.param(b"\xff\xfe\x00", "UTF-8", id="not UTF-8"),
        pytest.param(b"x" * (1024 * 1024 + 1), "larger than 1 MiB", id="too large"),
        pytest.param(b"kind: &a [*a]\n", "alias", id="an alias"),
        pytest.param(b"[1, 2]\n", "is a list: write a CeleryApp", id="not a mapping"),
    ],
)
def test_a_file_that_is_no_app_is_refused_without_a_traceback(content, words, tmp_path):
    (tmp_path / "app.yaml").write_bytes(content)
    code, out, err = run("app.yaml", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err


def test_a_folder_with_a_foreign_file_in_the_way_is_left_alone(tmp_path):
    app(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kustomization.yaml").write_text("resources: []\n")
    code, _, err = run("app.yaml", "-o", "out", cwd=tmp_path)
    assert (code, names(tmp_path / "out")) == (1, ["kustomization.yaml"])
    assert "kustomization.yaml" in err


def test_a_starter_renders_as_it_is(tmp_path):
    code, starter, _ = run("--init", "my-shop", cwd=tmp_path)
    assert code == 0
    code, out, err = run("-", cwd=tmp_path, stdin=starter)
    assert (code, err) == (0, "")
    assert "name: my-shop-worker" in out


def test_a_starter_with_everything_uncommented_renders_too(tmp_path):
    _, starter, _ = run("--init", "shop", cwd=tmp_path)
    field = re.compile(r"^( *)# ( *(- \{)?[a-z]\w*:)", re.MULTILINE)
    everything = field.sub(r"\1\2", starter).replace("      replicas: 2\n", "")  # scaling takes its place
    code, out, err = run("-", cwd=tmp_path, stdin=everything)
    assert (code, err) == (0, ""), everything
    assert out.count("kind: CeleryApp\n") == starter.count("The base then holds this CeleryApp too")
    assert all(f"name: shop-{part}\n" in out for part in ("worker", "beat", "flower"))


def test_a_name_that_cannot_be_is_refused_by_init(tmp_path):
    code, out, err = run("--init", "My Shop", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert "lower-case" in err


def test_the_crd_that_is_printed_is_the_one_in_the_repository(tmp_path):
    _, out, _ = run("--crd", cwd=tmp_path)
    assert out == (Path(__file__).parents[2] / "crds/celeryapps.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ["app.yaml"],
        ["app.yaml", "-o", "out"],
        ["app.yaml", "-o", "out", "--check"],
        ["--schema"],
        ["--crd"],
        ["--init", "shop"],
    ],
    ids=" ".join,
)
def test_a_full_disk_behind_standard_output_is_said_in_a_line(arguments, tmp_path):
    app(tmp_path)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([COMMAND, *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.decode()) == (1, "standard output: No space left on device\n")


FULL, CLOSED = "No space left on device", "is not open for writing"


def shell(command, *arguments, cwd):
    """Run a command with the redirections that a shell knows; $0 is the program."""
    done = subprocess.run(["sh", "-c", command, *arguments], cwd=cwd, capture_output=True, check=False, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("$0 --help > /dev/full", FULL),
        ("$0 app.yaml >&-", CLOSED),
        ("$0 app.yaml <&- >&-", CLOSED),
        ("$0 app.yaml -o out >&-", CLOSED),
        ("$0 --help >&-", CLOSED),
        ("$0 app.yaml 1< app.yaml", CLOSED),
    ],
)
def test_a_standard_output_that_takes_nothing_is_said_in_a_line(command, words, tmp_path):
    app(tmp_path)
    assert shell(command, COMMAND, cwd=tmp_path) == (1, "", f"standard output: {words}\n")


def test_what_is_written_is_written_though_nobody_is_told(tmp_path):
    app(tmp_path)
    shell("$0 app.yaml -o out >&-", COMMAND, cwd=tmp_path)
    assert names(tmp_path / "out") == SHOP


def test_who_has_read_enough_is_told_nothing(tmp_path):
    app(tmp_path)
    assert shell("$0 app.yaml | true", COMMAND, cwd=tmp_path) == (0, "", "")


@pytest.mark.parametrize("arguments", ["-", "--function"])
def test_a_closed_standard_input_is_said_in_a_line(arguments, tmp_path):
    words = "-: standard input is closed: name a file, or pipe one into it\n"
    assert shell(f"$0 {arguments} <&-", COMMAND, cwd=tmp_path) == (1, "", words)


def test_standard_output_needs_no_temporary_file(tmp_path):
    app(tmp_path)
    out = run("app.yaml", cwd=tmp_path)
    assert shell("ulimit -f 0; $0 app.yaml", COMMAND, cwd=tmp_path) == out


def test_much_output_waits_in_a_temporary_file_and_where_there_is_none_it_says_so(tmp_path):
    app(tmp_path)
    little = "from render import cli; cli.HELD_BYTES = 1; cli.main()"
    ask = ('$0 -c "$1" app.yaml', sys.executable, little)
    assert shell(*ask, cwd=tmp_path) == run("app.yaml", cwd=tmp_path)
    code, out, err = shell("ulimit -f 0; " + ask[0], *ask[1:], cwd=tmp_path)
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"a temporary file: No usable temporary directory found in .*: set TMPDIR to a folder with room\n", err
    )


@pytest.mark.parametrize(
    ("program", "typed", "completed"), [("render", "--k", "--kubernetes"), ("reconcile", "st", "status")]
)
def test_a_shell_completes_options_and_commands(program, typed, completed):
    name = f"celery-{program}"
    variables = {
        "COMP_WORDS": f"{name} {typed}",
        "COMP_CWORD": "1",
        f"_CELERY_{program.upper()}_COMPLETE": "bash_complete",
    }
    command = COMMAND.with_name(name)
    done = subprocess.run([command], env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.stdout == f"plain,{completed}\n"
