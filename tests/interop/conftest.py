"""A control plane per run with celery-reconcile installed; a namespace per test; and a table of what was seen."""

from dataclasses import replace

import control_plane
import pytest
import reconciler_process

PATIENCE_SECONDS = 300
"""Tools like these wait, too, before they try again."""


@pytest.fixture(scope="session")
def plane(binary, tmp_path_factory):
    """Return the control plane, in which the CRD and kustomize/base are installed."""
    with control_plane.running(binary, tmp_path_factory.mktemp("control-plane")) as plane:
        reconciler_process.install(plane)
        yield plane


@pytest.fixture
def reconciler(plane):
    """Return a celery-reconcile that runs, as in its pod."""
    with reconciler_process.running(plane) as reconciler:
        yield reconciler


@pytest.fixture
def cluster(plane):
    """Return the plane as seen from a namespace of the test's own."""
    with control_plane.own_namespace(plane) as cluster:
        yield replace(cluster, patience_seconds=PATIENCE_SECONDS)


SEEN = {}
"""By page, claim and tool: what became of the test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.when == "call" or report.outcome != "passed":
        tool = item.callspec.params["tool"] if "tool" in item.fixturenames else item.module.TOOL
        claim = SEEN.setdefault(item.module.PAGE, {}).setdefault(item.originalname, {})
        if claim.get(tool, "passed") == "passed":  # of several cases one that failed is what counts
            claim[tool] = report.outcome
    return report


def pytest_terminal_summary(terminalreporter):
    """Print for each page the table that it holds: a test's name is the claim, its parameter or its file the tool."""
    for page, claims in SEEN.items():
        tools = sorted({tool for seen in claims.values() for tool in seen})
        terminalreporter.section(f"for {page}")
        terminalreporter.write_line(row("", *tools))
        terminalreporter.write_line(row(*["---"] * (1 + len(tools))))
        for claim, seen in claims.items():
            text = claim.removeprefix("test_").replace("_", " ")
            terminalreporter.write_line(row(text, *(seen.get(tool, "") for tool in tools)))


def row(*cells):
    return f"| {' | '.join(cells)} |"
