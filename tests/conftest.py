"""Nothing is timed here: on a busy machine a deadline fails for no reason."""

import os

import build
import hypothesis
import pytest
from celery_versions import VERSIONS

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def binary(pytestconfig):
    """Return the control plane's binary. Without a Go toolchain: a skip on a laptop, a failure under CI=true."""
    uncaptured = pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled
    try:
        with uncaptured():  # the first build takes minutes and says so
            return build.binary()
    except build.NoToolchain as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))


def pytest_addoption(parser):
    text = "a version of Celery to test with, may be repeated; by default the one that is installed here"
    parser.addoption("--celery", action="append", choices=VERSIONS, help=text)
