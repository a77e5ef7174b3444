"""Nothing is timed here: on a busy machine a deadline fails for no reason."""

import os

import build
import hypothesis
import pytest
from celery_versions import VERSIONS

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def release(pytestconfig):
    """Return the release of Kubernetes that is tested with, such as 1.33."""
    return pytestconfig.getoption("kubernetes")


@pytest.fixture
def newest(release):
    """Skip a test that asks for more than the older releases have."""
    if release != build.NEWEST:
        pytest.skip(f"only on the newest, {build.NEWEST}")


@pytest.fixture(scope="session")
def binary(pytestconfig, release):
    """Return the binary of the release's control plane. Without Go: a skip on a laptop, a failure under CI=true."""
    uncaptured = pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled
    try:
        with uncaptured():  # the first build takes minutes and says so
            return build.binary(release)
    except build.NoToolchain as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))


def pytest_addoption(parser):
    text = "a version of Celery to test with, may be repeated; by default the one that is installed here"
    parser.addoption("--celery", action="append", choices=VERSIONS, help=text)
    text = "the release of Kubernetes on whose control plane to test; by default the newest"
    parser.addoption("--kubernetes", choices=build.RELEASES, default=build.NEWEST, help=text)
