"""What of client.py and transport.py needs no server; tests/cluster/reconcile/test_client.py has the rest."""

import ssl

import pytest

from reconciler.cluster import client, errors
from reconciler.cluster.transport import Request

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBQTCB56ADAgECAhR5Scx9gvnyL5cJyyF6lrn007DOXDAKBggqhkjOPQQDAjAV
MRMwEQYDVQQDDAprdWJlcm5ldGVzMCAXDTI2MTEyMzA1MTEwMVoYDzIxMjYxMDMw
MDUxMTAxWjAVMRMwEQYDVQQDDAprdWJlcm5ldGVzMFkwEwYHKoZIzj0CAQYIKoZI
zj0DAQcDQgAEZ4FqBdYoL/70rYZskOz4xNzumDl7WF4/dEMswSa1xzdkFnr2zx3b
HrwRQfWkpWWLkp8WG2N+Rxc52OJRY5ttUqMTMBEwDwYDVR0TAQH/BAUwAwEB/zAK
BggqhkjOPQQDAgNJADBGAiEA7AQmaWCb/VqbIHGtrg7X5zLlMGahzWGQcbX6WXEw
M54CIQCKe2rawFn+SykpMCV7j1wupL2uvAlOYd8RbHzapH1dbA==
-----END CERTIFICATE-----
"""
"""As that of an older EKS cluster: valid, but without key identifiers."""

REQUEST = Request("Deployment/shop/shop-worker", "apply", "PATCH", "/any")


@pytest.mark.parametrize(
    ("request_", "writes"),
    [
        (REQUEST, True),
        (REQUEST._replace(query={"dryRun": "All"}), False),
        (REQUEST._replace(method="DELETE"), True),
        (REQUEST._replace(method="GET"), False),
    ],
)
def test_what_changes_something_is_a_write(request_, writes):
    assert request_.writes is writes


def test_a_request_reads_as_a_sentence_begins():
    assert str(REQUEST) == "Deployment/shop/shop-worker apply"


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_a_service_account_needs_both_its_files(tmp_path, missing):
    for name in {"token", "ca.crt"} - {missing}:
        (tmp_path / name).write_text("any")
    with pytest.raises(errors.NoCluster, match=f"{tmp_path}: no token and ca.crt"):
        client.in_cluster("https://10.0.0.1:443", tmp_path)


def test_a_token_is_read_for_every_request(tmp_path):
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text(AUTHORITY)
    access = client.in_cluster("https://10.0.0.1:443", tmp_path)
    assert access.authorization() == "Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert access.authorization() == "Bearer second"


def test_connections_are_kept_until_the_authority_is_another(tmp_path):
    (tmp_path / "token").write_text("any")
    (tmp_path / "ca.crt").write_text(AUTHORITY)
    access = client.in_cluster("https://10.0.0.1:443", tmp_path)
    first = access.pool()
    assert access.pool() is first
    (tmp_path / "ca.crt").write_text("# as before\n" + AUTHORITY)
    assert access.pool() is not first


def test_the_server_is_verified_but_not_more_strictly_than_by_kubectl(tmp_path):
    (tmp_path / "token").write_text("any")
    (tmp_path / "ca.crt").write_text(AUTHORITY)
    context = client.in_cluster("https://10.0.0.1:443", tmp_path).pool().connection_pool_kw["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_causes_and_reason_are_the_servers():
    causes = [{"field": "spec.replicas", "message": "must not be negative", "reason": "FieldValueInvalid"}]
    error = errors.Invalid("refused", {"reason": "Invalid", "details": {"causes": causes}})
    assert (error.reason, error.causes) == ("Invalid", tuple(causes))


@pytest.mark.parametrize("status", [None, {}, {"details": None}, {"details": {"causes": None}}])
def test_an_error_without_details_has_no_causes(status):
    error = errors.Forbidden("refused", status)
    assert (error.reason, error.causes, error.is_terminating) == ("", (), False)
