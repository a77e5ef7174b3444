"""Rendering on the way: what docs/gitops.md says of kustomize, Argo CD and pre-commit, done as they do it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ARGOCD = ROOT / "kustomize/argocd/plugin"
PAGE = (ROOT / "docs/gitops.md").read_text()
SNIPPETS = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
REMOTE = re.compile(r"https://git\.example\.com/celery-render\.git//([\w/-]+)\?ref=v[\d.]+")
SCRIPTS = str(Path(sys.executable).parent)
ENVIRONMENT = os.environ | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
APP = """\
apiVersion: celeryproject.org/v1alpha1
kind: CeleryApp
metadata:
  name: shop
spec:
  image: registry.example.com/shop:1.4.2
  app: shop.celery:app
"""
MAIL = f"""{APP.replace("shop", "mail").partition("spec:")[0]}spec: {{image: mail, app: mail, reconcile: "Scale"}}\n"""
CHILDREN = (("ConfigMap", "probe"), ("Deployment", "worker"))
SCALED = "  workers: [{name: worker, scaling: {maxReplicas: 3, cpu: {averageValue: 100m}}}]\n"


def run(command, cwd, *, check=True, **environment):
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT | environment, check=False, capture_output=True, text=True, timeout=300
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def put(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read(text):
    return list(yaml.load_all(text, yaml.CSafeLoader))


def names(manifests):
    return {f"{manifest['kind']} {manifest['metadata']['name']}" for manifest in manifests}


@pytest.fixture
def snippet(tmp_path):
    """Return a function: the file of the page, with what it takes from this repository taken from here."""

    def snippet(name):
        here = (tmp_path / name).parent
        return REMOTE.sub(lambda match: os.path.relpath(ROOT / match[1], here), SNIPPETS[name])

    return snippet


@pytest.fixture
def kustomize(binary):
    """Return a function: what `kustomize build` does with a folder."""

    def kustomize(folder, *options, check=True):
        return run([binary, "kustomize", "build", *options, str(folder)], folder, check=check)

    return kustomize


FUNCTIONS = ("--enable-alpha-plugins", "--enable-exec")


def test_kustomize_renders_the_app_of_the_page(kustomize, snippet, tmp_path):
    folder, text = tmp_path / "apps/shop", snippet("apps/shop/app.yaml")
    put(tmp_path, {"apps/shop/kustomization.yaml": snippet("apps/shop/kustomization.yaml")})
    put(folder, {"app.yaml": text + SCALED})
    manifests = read(kustomize(folder, *FUNCTIONS).stdout)
    assert names(manifests) == {"ConfigMap eu-shop-probe", "Deployment eu-shop-worker", "CeleryApp eu-shop"}
    [app] = [each for each in manifests if each["kind"] == "CeleryApp"]
    [deployment] = [each for each in manifests if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert app["spec"]["image"] == container["image"] == "registry.example.com/shop:1.4.3"
    assert "annotations" not in app["metadata"]

    assert kustomize(folder, "--enable-alpha-plugins").stdout == ""
    put(folder, {"app.yaml": text + "  replics: 2\n"})
    refused = kustomize(folder, *FUNCTIONS, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "CeleryApp shop: spec.replics: unknown field" in refused.stderr


def test_kustomize_renders_what_overlays_have_changed(kustomize, snippet, tmp_path):
    overlay = "apps/shop/overlays/production/kustomization.yaml"
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}, "data": {"on": "yes"}}
    base = {"resources": ["app.yaml", "note.yaml"]}
    put(tmp_path, {overlay: snippet(overlay)})
    put(
        tmp_path / "apps/shop/base",
        {"app.yaml": APP, "note.yaml": json.dumps(note), "kustomization.yaml": json.dumps(base)},
    )
    manifests = read(kustomize((tmp_path / overlay).parent, *FUNCTIONS).stdout)
    flower = {"Service shop-flower", "Deployment shop-flower"}
    assert names(manifests) == {"ConfigMap note", "ConfigMap shop-probe", "Deployment shop-worker"} | flower
    assert note in manifests


def in_argo_cd(step, folder):
    """Run a command of the plugin as Argo CD does: in the folder of the Application, with what that sets."""
    plugin = yaml.safe_load((ARGOCD / "plugin.yaml").read_text())
    command = plugin["spec"]["generate"] if step == "generate" else plugin["spec"]["discover"]["find"]
    return run(command["command"], folder, check=False, ARGOCD_APP_NAME="shop", ARGOCD_ENV_STAGE="production")


@pytest.mark.parametrize(
    ("files", "is_found"),
    [
        pytest.param({"app.yaml": f"{APP}  reconcile: Scale\n"}, True, id="applied by something else"),
        pytest.param({"an app.yaml": f"{APP}  reconcile: Scale\n", "-x.yaml": ""}, True, id="with odd names"),
        pytest.param({"app.yml": MAIL}, True, id="spelled otherwise"),
        pytest.param({"app.yaml": f"{APP}  # reconcile: Scale\n"}, False, id="applied by celery-reconcile"),
        pytest.param(
            {"app.yaml": f"{APP}  reconcile: Scale\n", "kustomization.yaml": ""}, False, id="a kustomization's"
        ),
        pytest.param({"deployment.yaml": "kind: Deployment\n"}, False, id="no app"),
        pytest.param({"README.md": ""}, False, id="no YAML"),
    ],
)
def test_argo_cd_finds_the_apps_that_it_is_to_render(files, is_found, tmp_path):
    put(tmp_path, files)
    found = in_argo_cd("discover", tmp_path)
    assert (found.returncode, bool(found.stdout), found.stderr) == (0, is_found, "")


def test_argo_cd_gets_the_children_of_apps_that_say_so_and_the_other_files_as_they_are(tmp_path):
    """An app that celery-reconcile applies stays in the output, or with pruning it would be deleted."""
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: shop-broker}"  # no newline at its end
    put(
        tmp_path,
        {
            "a shop.yaml": f"{APP}  reconcile: Scale\n{SCALED}",
            "blog.yaml": APP.replace("shop", "blog") + "  # reconcile: Scale\n",
            "mail.yml": MAIL,
            "secret.yaml": secret,
            "note.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}}',
        },
    )
    found = in_argo_cd("generate", tmp_path)
    manifests = [each for each in read(found.stdout) if each]
    children = {f"{kind} {app}-{of}" for app in ("shop", "mail") for kind, of in CHILDREN}
    assert names(manifests) == children | {"CeleryApp shop", "CeleryApp blog", "Secret shop-broker", "ConfigMap note"}
    assert [each["spec"].get("reconcile") for each in manifests if each["kind"] == "CeleryApp"] == [None, "Scale"]


def test_argo_cd_gets_no_children_of_apps_that_do_not_say_so(tmp_path):
    put(tmp_path, {"app.yaml": APP})
    found = in_argo_cd("generate", tmp_path)
    assert (found.returncode, read(found.stdout)[0]) == (0, yaml.safe_load(APP))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            f"{APP}  reconcile: Scale\n  replics: 2\n", "app.yaml:9: spec.replics: unknown field", id="a typo"
        ),
        pytest.param(
            f"{APP}  reconcile: Scale\n---\n{APP.replace('shop', 'blog')}",
            "app.yaml: some of its apps say reconcile: Scale and some do not: give each a file of its own",
            id="a file of both kinds",
        ),
    ],
)
def test_argo_cd_is_told_what_is_wrong(text, said, tmp_path):
    put(tmp_path, {"app.yaml": text})
    refused = in_argo_cd("generate", tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(said)


def test_argo_cd_gets_the_sidecar_by_a_component(kustomize, tmp_path):
    """The volumes are those of Argo CD's own Deployment, as far as the sidecar needs them."""
    volumes = [{"name": name, "emptyDir": {}} for name in ("var-files", "plugins")]
    server = {"name": "argocd-repo-server", "image": "quay.io/argoproj/argocd:v3.1.0"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "argocd-repo-server"},
        "spec": {"template": {"spec": {"containers": [server], "volumes": volumes}}},
    }
    component = os.path.relpath(ARGOCD, tmp_path)
    image = {"name": "celery-render", "newName": "registry.example.com/celery-render"}
    overlay = {"namespace": "argocd", "resources": ["argocd.yaml"], "components": [component], "images": [image]}
    put(tmp_path, {"argocd.yaml": json.dumps(deployment), "kustomization.yaml": json.dumps(overlay)})
    config, server = read(kustomize(tmp_path).stdout)
    pod = server["spec"]["template"]["spec"]
    [sidecar] = [each for each in pod["containers"] if each["name"] == "celery-render"]
    assert sidecar["image"].startswith("registry.example.com/celery-render:")
    assert {each["name"] for each in sidecar["volumeMounts"]} <= {each["name"] for each in pod["volumes"]}
    [volume] = [each for each in pod["volumes"] if each["name"] == "celery-render"]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert config["data"] == {"plugin.yaml": (ARGOCD / "plugin.yaml").read_text()}


@pytest.fixture
def commit(tmp_path):
    """Return a function: what the hooks of the page say to a commit of these files.

    Only that the hook comes from here and is installed already is different.
    """
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    config = yaml.safe_load(SNIPPETS[".pre-commit-config.yaml"])
    hooks = [hook | wanted | {"language": "system"} for wanted in config["repos"][0]["hooks"]]
    assert {wanted["id"] for wanted in hooks} == {hook["id"]}

    def commit(files):
        put(tmp_path, {**files, ".pre-commit-config.yaml": json.dumps({"repos": [{"repo": "local", "hooks": hooks}]})})
        run(["git", "init", "--quiet"], tmp_path)
        run(["git", "add", "."], tmp_path)
        return run(
            ["pre-commit", "run", "--color=never"], tmp_path, check=False, PRE_COMMIT_HOME=str(tmp_path / ".git/cache")
        )

    return commit


def test_pre_commit_takes_an_app_and_its_base(commit, tmp_path):
    put(
        tmp_path, {"apps/shop/app.yaml": APP, "other/app.yml": APP.replace("shop", "blog"), "other/more.yaml": "a: 1\n"}
    )
    run(["celery-render", "apps/shop/app.yaml", "-o", "apps/shop/base"], tmp_path)
    done = commit({})
    assert (done.returncode, done.stdout.count("Passed")) == (0, 2), done.stdout


def test_pre_commit_refuses_an_app_that_is_wrong_and_a_base_that_is_old(commit, tmp_path):
    put(tmp_path, {"apps/shop/app.yaml": APP})
    run(["celery-render", "apps/shop/app.yaml", "-o", "apps/shop/base"], tmp_path)
    done = commit({"apps/shop/app.yaml": f"{APP}  logLevel: DEBUG\n", "blog/app.yaml": f"{APP}  replics: 2\n"})
    assert done.returncode == 1
    assert "blog/app.yaml:8: spec.replics: unknown field" in done.stdout
    assert "apps/shop/base/shop/deployment-shop-worker.yaml is out of date" in done.stdout
