"""TLS, Sentinel, lists of brokers and virtual hosts: whatever leads Celery to a broker leads us there."""

from contextlib import contextmanager

import free_ports
import pytest
import servers

from reconciler.scaling.brokers import faults
from reconciler.scaling.model import Backlog


@pytest.fixture
def behind_tls(on_redis, certificate):
    """Return the rediss:// URL of a Redis."""
    port = int(on_redis.rpartition(":")[2].removesuffix("/0"))
    with servers.tls(port, certificate) as tls_port:
        yield f"rediss://{servers.HERE}:{tls_port}/0"


def test_redis_over_tls(on_redis, behind_tls, certificate, publish, backlog):
    publish(on_redis, 3)
    trusted = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(certificate.path)}
    assert backlog(behind_tls, tls=trusted) == Backlog(3, 0)
    assert backlog(behind_tls) == Backlog(3, 0), "without broker_use_ssl Celery trusts everybody"
    query = f"?ssl_cert_reqs=required&ssl_ca_certs={certificate.path}"
    assert backlog(behind_tls + query) == Backlog(3, 0)
    assert backlog(behind_tls, tls={"ssl_cert_reqs": "required"}).message.endswith(faults.UNTRUSTED)


def test_rabbitmq_over_tls(on_rabbitmq, rabbitmq_server, certificate, publish, backlog):
    publish(on_rabbitmq, 3)
    plain, secure = f":{rabbitmq_server.port}/", f":{rabbitmq_server.tls_port}/"
    url = on_rabbitmq.replace("amqp:", "amqps:").replace(plain, secure)
    trusted = {"ca_certs": str(certificate.path), "server_hostname": servers.HERE}
    assert backlog(url, tls=trusted) == Backlog(3, 0)
    assert backlog(url).message.endswith(faults.UNTRUSTED)


def test_rabbitmq_s_virtual_hosts_do_not_mix(on_rabbitmq, vhosts, publish, backlog):
    publish(on_rabbitmq, 3)
    other = f"{on_rabbitmq.rpartition('/')[0]}/{next(vhosts)}"
    assert (backlog(on_rabbitmq), backlog(other)) == (Backlog(3, 0), Backlog(0, 0))


@pytest.mark.parametrize("order", ["alive first", "dead first"])
def test_the_next_of_a_list_is_asked_if_the_first_is_down(url, publish, backlog, order):
    publish(url, 3)
    dead = url.replace(url.rpartition("/")[0].rpartition(":")[2], str(free_ports.take(1)[0]))
    urls = [url, dead] if order == "alive first" else [dead, url]
    assert backlog(";".join(urls)) == Backlog(3, 0)


@contextmanager
def sentinel(program, folder, redis, password):
    """Yield the port of a sentinel that watches a Redis."""
    folder.mkdir()
    config = folder / "sentinel.conf"
    config.write_text(f"sentinel monitor shop {servers.HERE} {redis.port} 1\nrequirepass {password}\n")
    server = servers.Redis(program, folder, config, "--sentinel")
    server.start()
    yield server.port
    server.stop()


def test_sentinel(redis_program, redis, tmp_path, publish, backlog):
    redis.start()
    publish(redis.url, 3)
    dead = free_ports.take(1)[0]
    with sentinel(redis_program, tmp_path / "sentinel", redis, "shop-sentinel") as port:
        options = {"master_name": "shop", "sentinel_kwargs": {"password": "shop-sentinel"}}
        url = f"sentinel://{servers.HERE}:{dead}/0;sentinel://{servers.HERE}:{port}/0"
        assert backlog(url, options=options) == Backlog(3, 0)
        assert backlog(url, options=options | {"master_name": "other"}).message.endswith(faults.MASTER)
        assert "master_name is missing" in backlog(url).message
