"""reconciler/cli.py and settings.py: options, their environment variables, and what follows from them."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reconciler import cli
from reconciler.cluster import errors
from reconciler.cluster.lease import Claim
from reconciler.model import CELERY_APP, CHILD_KINDS, POD
from reconciler.scaling.simulation import cli as simulate_cli
from reconciler.service.settings import Settings

COMMANDS = {"run": cli.run, "diff": cli.diff, "status": cli.status}
OPTIONS = [
    (name, option)
    for name, command in (COMMANDS | {"simulate": simulate_cli.command, "explain": cli.explain}).items()
    for option in command.params
    if isinstance(option, click.Option)
]
GIVEN = {
    "kubeconfig": None,
    "context": None,
    "service_account": "/nowhere",
    "namespace": None,
    "selector": "",
    "request_timeout": 10.0,
    "broker_timeout": 5.0,
    "broker_hosts": "",
    "allow_cluster_trigger_authentication": False,
    "log_format": "text",
    "log_level": "INFO",
}


@pytest.fixture
def outside(monkeypatch, tmp_path):
    """Stand on a laptop without a cluster."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def pod(monkeypatch, tmp_path):
    """Stand in a pod; return where its service account is mounted."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("secret")
    (tmp_path / "namespace").write_text("celery-render-system\n")
    return tmp_path


OF_ONE_TIME = {("status", "output"), ("status", "watch"), ("simulate", "output")}
"""Of a variable these would surprise: run has a watch of its own, and what is drawn is not what is shown."""


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda each: getattr(each, "name", each))
def test_every_option_is_an_environment_variable_too(command, option):
    name = next(each for each in option.opts if each.startswith("--")).removeprefix("--")
    variable = None if (command, option.name) in OF_ONE_TIME else f"CELERY_RECONCILE_{name.upper().replace('-', '_')}"
    assert option.envvar == variable, command
    assert option.name in (name.replace("-", "_"), f"{name}_seconds"), command


def test_every_option_of_run_is_a_setting_and_every_setting_is_an_option():
    assert {option.name for option in cli.run.params} == {field.name for field in fields(Settings)}


def test_every_option_is_explained():
    explained = {option.name for _, option in OPTIONS if option.help}
    assert {option.name for _, option in OPTIONS} - explained == {"log_format", "log_level", "lease_name"}


BROKERS = {"broker_timeout", "broker_hosts", "allow_cluster_trigger_authentication"}


@pytest.mark.parametrize(
    ("command", "brokers", "elsewhere"),
    [
        (cli.run, BROKERS, "all"),
        (cli.diff, BROKERS, "all"),
        (cli.status, set(), "the context's"),
        (cli.explain, set(), "the context's"),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_help_names_what_the_command_uses(command, brokers, elsewhere):
    assert {option.name for option in command.params} & BROKERS == brokers
    [namespace] = [option for option in command.params if option.name == "namespace"]
    assert namespace.help.endswith(f"; else {elsewhere}.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_page(command):
    shown = CliRunner().invoke(cli.main, [command, "--help"])
    assert shown.exit_code == 0
    assert re.search(r"CELERY_RECONCILE_NAMESPACE", shown.output)


def test_hosts_that_are_none_are_refused_at_once():
    ended = CliRunner().invoke(cli.main, ["run", "--broker-hosts", "*.example.com, redis://redis"])
    assert ended.exit_code == 2
    assert "redis://redis is neither a host's name, such as *.example.com, nor a network" in ended.output


def test_wrong_usage_has_code_2():
    assert CliRunner().invoke(cli.main, ["run", "--interval", "0"]).exit_code == 2


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_cluster_it_says_so(command):
    ended = CliRunner().invoke(cli.main, [command])
    assert ended.exit_code == 2
    assert ended.output.splitlines()[-1].startswith("celery-reconcile: ")
    assert "Traceback" not in ended.output


def test_a_context_that_is_not_there_is_said_with_what_to_set(outside):  # noqa: ARG001 (stands there)
    ended = CliRunner().invoke(cli.main, ["explain", "shop"])
    said = "celery-reconcile: no cluster: looked into ~/.kube/config, and this is no pod: "
    assert ended.output.startswith(said)
    assert ended.output.endswith("found: set KUBECONFIG, or give --kubeconfig FILE and --context NAME\n")


NO_KUBECONFIGS = {
    "text": ("junk", "kc is no kubeconfig"),
    "a list": ("[]", "kc is no kubeconfig"),
    "no YAML": ("a: b\nc: {", "line 2 of kc is no YAML"),
    "nothing": ("", "looked into kc: Invalid kube-config. kc file is empty"),
    "other types": ("current-context: a\ncontexts: 3", "kc is no kubeconfig"),
    "no file": (None, "kc does not exist"),
    "a folder": ("/", "looked into kc: Is a directory"),
}


HINT = "set KUBECONFIG, or give --kubeconfig FILE and --context NAME"


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(("written", "why"), NO_KUBECONFIGS.values(), ids=NO_KUBECONFIGS)
def test_a_file_that_is_no_kubeconfig_is_named(monkeypatch, tmp_path, written, why):
    monkeypatch.chdir(tmp_path)
    if written == "/":
        Path("kc").mkdir()
    elif written is not None:
        Path("kc").write_text(written)
    ended = CliRunner().invoke(cli.main, ["status", "--kubeconfig", "kc"])
    assert (ended.exit_code, ended.output) == (2, f"celery-reconcile: no cluster: {why}: {HINT}\n")


def test_so_it_is_in_the_variable(tmp_path):
    (tmp_path / "kc").write_text("junk")
    command = [sys.executable, "-m", "reconciler", "status"]
    environment = os.environ | {"KUBECONFIG": str(tmp_path / "kc")}
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    said = f"celery-reconcile: no cluster: {tmp_path}/kc is no kubeconfig: {HINT}\n"
    assert (ended.returncode, ended.stderr) == (2, said)


NUMBERS = [
    (command.name, each.opts[0])
    for command in (*COMMANDS.values(), simulate_cli.command)
    for each in command.params
    if isinstance(each.type, click.FloatRange)
]


@pytest.mark.parametrize("given", ["nan", "inf"])
@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_what_has_no_end_is_no_number(command, option, given):
    ended = CliRunner().invoke(cli.main, [command, "app.yaml", option, given])
    assert ended.exit_code == 2
    assert f"Invalid value for '{option}'" in ended.output
    assert f"{given} is not" in ended.output


def test_without_the_extra_it_says_how_to_get_it():
    code = "import sys; sys.modules['urllib3'] = None; from reconciler.__main__ import main; main()"
    ended = subprocess.run([sys.executable, "-c", code, "--help"], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    where = "'celery-render[reconciler]', or '.[reconciler]' in a checkout"
    assert ended.stderr == f"celery-reconcile needs the package urllib3: pip install {where}\n"


def test_kubectl_finds_it_as_a_plugin():
    ended = subprocess.run(
        [Path(sys.executable).with_name("kubectl-celery"), "--help"], check=True, capture_output=True
    )
    assert ended.stdout.startswith(b"Usage: kubectl celery [OPTIONS] COMMAND")


def test_ctrl_c_ends_without_a_word(pod, capsys):
    (pod / "ca.crt").touch()
    with pytest.raises(SystemExit) as ended, cli.reading(Settings(**GIVEN | {"service_account": str(pod)})):
        raise KeyboardInterrupt
    assert (ended.value.code, *capsys.readouterr()) == (130, "", "")


# What follows from the options


def test_in_a_pod_its_service_account_is_used_and_needed(pod):
    with pytest.raises(errors.NoCluster, match=r"no token and ca\.crt"):
        Settings(**GIVEN | {"service_account": str(pod)}).access()


def test_a_kubeconfig_that_is_named_comes_before_the_pod(pod):
    with pytest.raises(errors.NoCluster, match="mine"):
        Settings(**GIVEN | {"service_account": str(pod), "kubeconfig": "mine"}).access()


def test_who_is_alone_or_only_looks_claims_nothing():
    assert Settings(**GIVEN, dry_run=False).claim() is None
    assert Settings(**GIVEN, dry_run=True, leader_elect=True).claim() is None


def test_the_lease_is_in_the_pods_namespace(pod):
    lease = {"leader_elect": True, "dry_run": False, "lease_name": "shard-1", "lease_duration": 30, "identity": "pod-1"}
    settings = Settings(**GIVEN | {"service_account": str(pod)} | lease)
    assert settings.claim() == Claim("celery-render-system", "shard-1", "pod-1", version("celery-render"), 30)


def test_without_an_identity_there_is_one_that_nobody_else_has(pod):
    settings = Settings(**GIVEN | {"service_account": str(pod)}, leader_elect=True, dry_run=False)
    assert settings.claim().identity != settings.claim().identity


def test_outside_of_a_pod_the_lease_must_be_given_a_namespace():
    with pytest.raises(errors.NoCluster, match="--lease-namespace"):
        Settings(**GIVEN, leader_elect=True, dry_run=False).claim()


def test_the_periods_are_those_of_client_go():
    claim = Claim("any", "any", "any", "any")
    periods = (claim.duration_seconds, claim.deadline_seconds, claim.renewal_seconds, claim.polling_seconds)
    assert periods == (15, 10, 2, 1)


def test_the_first_log_line_names_what_is_set():
    settings = Settings(**GIVEN, interval_seconds=60.0, once=False, dry_run=False)
    always = "service_account=/nowhere request_timeout=10.0 broker_timeout=5.0 log_format=text log_level=INFO"
    assert str(settings) == f"{always} interval_seconds=60.0 concurrency=8 rollouts=5"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({"watch": True}, 300), ({"watch": False}, 10), ({"watch": True, "interval_seconds": 7.0}, 7)],
)
def test_watches_spare_lists(options, seconds):
    assert Settings(**GIVEN, **options).interval == seconds


def test_without_options_five_apps_roll_at_a_time_and_the_interval_is_left_open():
    given = cli.run.make_context("run", []).params
    assert (given["interval_seconds"], given["rollouts"], given["watch"]) == (None, 5, True)


def test_the_replicas_of_an_installation_are_one_reconciler(pod):
    lease = {"leader_elect": True, "dry_run": False, "lease_name": "shard-1", "lease_duration": 30}
    settings = [Settings(**GIVEN | {"service_account": str(pod)} | lease, identity=name) for name in ("a", "b")]
    assert {each.installation for each in settings} == {"celery-render-system/shard-1"}


def test_without_a_lease_an_installation_is_its_host():
    assert Settings(**GIVEN, dry_run=False).installation == socket.gethostname()


# Standard output


PROGRAM = Path(sys.executable).with_name("celery-reconcile")
SHOP = Path(__file__).parents[2] / "examples/shop/app.yaml"
SPEC = {"image": "shop:1", "app": "shop", "workers": [{"name": "worker"}]}
APP = {"metadata": {"name": "shop", "namespace": "web", "uid": "1", "generation": 1}, "spec": SPEC}
LISTS = {kind.path("web"): f"{kind.name}List" for kind in (CELERY_APP, POD, *CHILD_KINDS)}
NOWHERE_TO_WRITE = {"> /dev/full": "No space left on device", ">&-": "is not open for writing"}


@pytest.fixture
def api_server():
    """Yield the URL of an API server with one app and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            items = [APP] if path == CELERY_APP.path("web") else []
            self.answer({"kind": LISTS.get(path), "items": items, "metadata": {}, "gitVersion": "v1.33.0"})

        def do_PATCH(self):
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def answer(self, body):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def shell(command, kubeconfig):
    """Return how a command ends that a shell runs; $0 is celery-reconcile."""
    options = {"CELERY_RECONCILE_NAMESPACE": "web", "CELERY_RECONCILE_LOG_LEVEL": "ERROR"}
    environment = os.environ | options | {"KUBECONFIG": str(kubeconfig)}
    ended = subprocess.run(["sh", "-c", command, PROGRAM], env=environment, capture_output=True, check=False, text=True)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("where", NOWHERE_TO_WRITE)
@pytest.mark.parametrize(
    "command", ["--help", "status -o json", "explain shop", f"simulate {SHOP} --hours 0.1", "diff"]
)
def test_a_standard_output_that_takes_nothing_is_said_in_a_line(command, where, api_server, kubeconfig):
    told = (2, "", f"standard output: {NOWHERE_TO_WRITE[where]}\n")
    assert shell(f"$0 {command} {where}", kubeconfig(api_server)) == told


def test_a_difference_that_is_told_has_code_1(api_server, kubeconfig):
    code, out, err = shell("$0 diff", kubeconfig(api_server))
    assert (code, "Deployment" in out, err) == (1, True, "")


# Wrong usage


WRONG = {
    "explain -n default,other shop": "shop is in one namespace: name that one with -n.",
    "diff app.yaml": "app.yaml: diff takes neither files nor names: choose apps of the cluster with -n and -l; "
    "a file: celery-render FILE | kubectl diff -f -",
    "simulate app.yaml --hours abc": "'abc' is not a number: write a number of hours, such as 4.",
    "simulate app.yaml --cpu-per-task 250m": "'250m' is not a whole number: write a number of millicores, such as 250.",
    "run --metrics-port http": "'http' is not a whole number: write a port, such as 8080.",
    "run --interval 5m": "'5m' is not a number: write a number of seconds, such as 10.",
    "run --concurrency 1.5": "'1.5' is not a whole number: write a number such as 8.",
}


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(("command", "words"), WRONG.items())
def test_wrong_usage_is_said_with_what_to_write(command, words):
    ended = CliRunner().invoke(cli.main, command.split())
    assert (ended.exit_code, ended.output.endswith(f"{words}\n")) == (2, True), ended.output
