"""What stands between the reconciler and the API server."""

import fault_proxy
import pytest


@pytest.fixture
def proxy(cluster):
    """Return an API server that fails on demand, in front of the real one."""
    with fault_proxy.running(cluster) as proxy:
        yield proxy
