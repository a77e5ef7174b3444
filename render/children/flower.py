"""Flower, the monitor: one pod. Its secrets are environment variables of this pod and of no other."""

from collections.abc import Mapping
from typing import Any

from render import naming
from render.children import arguments, connection, pod, start, volume
from render.model import CeleryApp, Component, Manifest

PORT = "http"
"""The name of the port, by which Service and Ingress know it."""

PROVIDERS = {
    "Google": "flower.views.auth.GoogleAuth2LoginHandler",
    "GitHub": "flower.views.auth.GithubLoginHandler",
    "GitLab": "flower.views.auth.GitLabLoginHandler",
    "Okta": "flower.views.auth.OktaLoginHandler",
}


def deployment(app: CeleryApp, flower: Component) -> Manifest:
    spec = flower.spec
    container = {
        "name": naming.FLOWER,
        **start.of(app, spec, args(app, flower)),
        "env": _env(spec),
        "ports": [{"name": PORT, "containerPort": spec["port"], "protocol": "TCP"}],
        **_probes(spec),
    }
    stored = "persistence" in spec
    volumes = [volume.of(app, flower, naming.FLOWER_DATA_PATH, spec["persistence"])] if stored else []
    template = pod.template(app, flower, container, volumes)
    template["spec"]["terminationGracePeriodSeconds"] = spec["terminationGracePeriodSeconds"]
    # Recreate: two pods would write one file. Without one, the new pod is there before the old one goes.
    strategy = {"type": "Recreate"} if stored else {"type": "RollingUpdate"}
    return pod.deployment(app, flower, template, replicas=1, strategy=strategy)


def path(spec: Mapping[str, Any]) -> str:
    """Return the path Flower lives under, with a slash at the end."""
    return f"/{spec['urlPrefix']}/" if "urlPrefix" in spec else "/"


def args(app: CeleryApp, flower: Component) -> list[str]:
    """Return the arguments of `celery`. An image of Flower's own does not hold the app, only the broker's URL."""
    spec = flower.spec
    own_image = spec["image"] != app.spec["image"] and spec["app"] == app.spec["app"]
    return [
        *([] if own_image else [f"--app={spec['app']}"]),
        "flower",
        *arguments.options(_options(spec)),
        *spec.get("args", ()),
    ]


def _options(spec: Mapping[str, Any]) -> Manifest:
    oauth = spec.get("auth", {}).get("oauth", {})
    stored = spec.get("persistence")
    return {
        "port": spec["port"],
        "url-prefix": spec.get("urlPrefix"),
        "read-only": spec["readOnly"],
        "purge-offline-workers": spec["purgeOfflineWorkersSeconds"],
        "max-tasks": spec["maxTasks"],
        "auth": oauth.get("emails"),
        "auth-provider": PROVIDERS[oauth["provider"]] if oauth else None,
        **({} if stored is None else _persistence(stored)),
    }


def _persistence(stored: Mapping[str, Any]) -> Manifest:
    milliseconds = stored["saveIntervalSeconds"] * 1000
    return {"persistent": True, "db": f"{naming.FLOWER_DATA_PATH}/flower", "state-save-interval": milliseconds}


def _env(spec: Mapping[str, Any]) -> list[Manifest]:
    auth = spec.get("auth", {})
    oauth = auth.get("oauth", {})
    secrets = {
        "FLOWER_BASIC_AUTH": auth.get("basicAuth"),
        "FLOWER_OAUTH2_KEY": oauth.get("clientIdFrom"),
        "FLOWER_OAUTH2_SECRET": oauth.get("clientSecretFrom"),
        "FLOWER_COOKIE_SECRET": oauth.get("cookieSecretFrom"),
        "FLOWER_BROKER_API": spec.get("brokerApiFrom"),
    }
    redirect = [{"name": "FLOWER_OAUTH2_REDIRECT_URI", "value": oauth["redirectUri"]}] if oauth else []
    return [*(connection.from_secret(name, source) for name, source in secrets.items() if source), *redirect]


def _probes(spec: Mapping[str, Any]) -> Manifest:
    """Return probes of the one page that needs no log-in. It does not ask the broker, so an outage restarts nothing."""
    healthcheck = {"path": f"{path(spec)}healthcheck", "port": PORT}
    return {
        "startupProbe": {
            "httpGet": dict(healthcheck),
            "periodSeconds": 5,
            "timeoutSeconds": 10,
            "failureThreshold": 60,
        },
        "readinessProbe": {"httpGet": dict(healthcheck), "periodSeconds": 10, "timeoutSeconds": 10},
        "livenessProbe": {"httpGet": dict(healthcheck), "periodSeconds": 30, "timeoutSeconds": 10},
    }
