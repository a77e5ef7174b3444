"""How many messages each group has on Amazon SQS. Its client, botocore, is an extra and known to nobody else.

Queues are named, and region, endpoint and keys found, as kombu does it (kombu/transport/SQS). Our own role is shown to
Amazon alone, and nothing is said here that a server answered: whoever writes a CeleryApp chooses the server.
"""

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from threading import Lock
from typing import Any, NamedTuple

from reconciler.scaling.brokers import faults
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.hosts import Hosts, was_denied
from reconciler.scaling.brokers.load import Node
from reconciler.scaling.model import Backlog, Unreadable
from render import naming

Queues = frozenset[str]
Backlogs = Mapping[Queues, Backlog | Unreadable]

EXTRA = "botocore, which counts on Amazon SQS, is not installed: pip install 'celery-render[reconciler,sqs]'"
_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
_ABSENT = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_STRANGE = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidSecurity", "MissingAuthenticationToken"}
)
_STRANGE |= frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "ExpiredToken", "ExpiredTokenException"})
_THROTTLED = frozenset({"RequestThrottled", "ThrottlingException", "Throttling"})
_AMAZON = re.compile(r"([-a-z0-9]+\.)?sqs\.[-a-z0-9]+\.(vpce\.)?amazonaws\.com(\.cn)?")
REFUSED = "it refuses the request"
_CLIENTS = 256
_MOST_BYTES = 1 << 16
_MAKING = Lock()
"""botocore's sessions are not for many threads; its clients are."""


class Account(NamedTuple):
    """Where a queue is, and who asks: by a role of our own if no key is given."""

    region: str
    endpoint: str | None
    """None: Amazon's own."""
    key: str | None
    secret: str | None


class Size(NamedTuple):
    """The messages of a queue."""

    visible: int = 0
    in_flight: int = 0
    """With a worker, and not acknowledged."""
    delayed: int = 0
    """Until a time of their own no worker gets them."""


class _UnknownError(Exception):
    """Why nothing is known of a queue, in words of ours."""


def counted(broker: Broker, hosts: Hosts, workers: Mapping[Queues, Collection[Node]], seconds: float) -> Backlogs:
    """Return what each group has, or why it has no number, given the workers of each.

    A queue that is not there is empty: the first worker makes it. With workers that should have made it, it must be in
    another region or account than we look in, and nothing is known of it.
    """
    consumed, end = Queues().union(*(queues for queues, its in workers.items() if its)), time.monotonic() + seconds
    sizes = dict[str, Size | Unreadable]()
    for queue in sorted(Queues().union(*workers)):
        asked = partial(_asked, broker, hosts, queue, seconds, is_consumed=queue in consumed)
        sizes[queue] = _size(f"{broker}: queue {queue}", asked, end, seconds)
    return {group: _backlog([sizes[queue] for queue in sorted(group)]) for group in workers if group}


def _backlog(sizes: list[Size | Unreadable]) -> Backlog | Unreadable:
    """Return the sum. Delayed messages have one worker ready for them and not more, as those with an ETA on Redis."""
    visible = in_flight = delayed = 0
    for size in sizes:
        if isinstance(size, Unreadable):
            return size
        visible, in_flight, delayed = visible + size.visible, in_flight + size.in_flight, delayed + size.delayed
    return Backlog(visible or int(delayed > 0 and not in_flight), in_flight)


def _size(subject: str, asked: Callable[[], Size], end: float, seconds: float) -> Size | Unreadable:
    if time.monotonic() > end:
        return Unreadable(f"{subject}: no answer within {seconds:g} s")
    try:
        return asked()
    except _UnknownError as unknown:
        return Unreadable(f"{subject}: {unknown}")
    except Exception:  # noqa: BLE001 (options are of any type, an answer may be anything)
        return Unreadable(f"{subject}: {faults.UNKNOWN}")


def _asked(broker: Broker, hosts: Hosts, queue: str, seconds: float, *, is_consumed: bool) -> Size:
    try:
        from botocore.exceptions import (  # noqa: PLC0415 (an extra)
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
            ReadTimeoutError,
        )
    except ImportError:
        raise _UnknownError(EXTRA) from None
    name = naming.sqs_queue(queue, broker.options.get("queue_name_prefix") or "")
    predefined = broker.options.get("predefined_queues") or {}
    if predefined and name not in predefined:
        raise _UnknownError(f"{name} is not among the predefined_queues of broker_transport_options")
    chosen = predefined.get(name, {})
    account = _account(broker, chosen)
    with _MAKING:
        client = _client(account, hosts, seconds)
    try:
        told = client.get_queue_attributes(QueueUrl=chosen.get("url") or _url(client, name), AttributeNames=_COUNTS)
        return Size(*(int(told["Attributes"][count]) for count in _COUNTS))
    except (ConnectTimeoutError, ReadTimeoutError):
        raise _UnknownError(f"no answer within {seconds:g} s") from None
    except EndpointConnectionError:
        raise _UnknownError("no connection") from None
    except (KeyError, ValueError):
        raise _UnknownError("its answer is not understood") from None
    except ClientError as error:
        if error.response["Error"].get("Code") in _ABSENT and not (chosen or is_consumed):
            return Size()
        raise _UnknownError(_words(error.response, account)) from None


def _words(answer: Mapping[str, Any], account: Account) -> str:
    """Return a refusal in our own words."""
    code, status = answer["Error"].get("Code"), answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    who = "the key in the app's URL or settings" if account.key else "the reconciler's role"
    if code in _ABSENT:
        return f"is not in {account.region}, or {who} belongs to another account"
    if code in _STRANGE:
        return f"{who} is not valid"
    if code in _DENIED or status == HTTPStatus.FORBIDDEN:
        return f"{who} may not read it: allow sqs:GetQueueUrl and sqs:GetQueueAttributes"
    return "too many requests" if code in _THROTTLED else REFUSED


def _account(broker: Broker, chosen: Mapping[str, Any]) -> Account:
    """Return where a queue is, by its own predefined settings if it has any, by the URL and the options else."""
    [part] = broker.parts
    scheme, port = "https" if broker.options.get("is_secure") else "http", f":{part.port}" if part.port else ""
    host = f"[{part.hostname}]" if ":" in (part.hostname or "") else part.hostname
    endpoint = f"{scheme}://{host}{port}" if host else None
    region = chosen.get("region") or broker.options.get("region") or _own_region()
    key, secret = chosen.get("access_key_id") or part.username, chosen.get("secret_access_key") or part.password
    if endpoint and not key and not _AMAZON.fullmatch(part.hostname):
        raise _UnknownError(
            "the reconciler's role is shown to Amazon only: remove the host from the URL, or add a key to it"
        )
    if not region and not endpoint:
        raise _UnknownError("its region is not known: set region in broker_transport_options")
    return Account(region or "us-east-1", endpoint, key, secret)


def _own_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


@lru_cache
def _session(seconds: float) -> Any:
    """Return what makes clients, and finds our own role. Who renews its token waits no longer either."""
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    session = get_session()
    # Amazon closes connections that rest: a second attempt has a new one.
    times = {"connect_timeout": seconds / 2, "read_timeout": seconds / 2, "retries": {"total_max_attempts": 2}}
    session.set_default_client_config(Config(**times))
    return session


@lru_cache(_CLIENTS)
def _client(account: Account, hosts: Hosts, seconds: float) -> Any:
    """Return a client, which takes 0.1 s to make, and keeps its connections. It is not kept without credentials.

    Only what the app names is judged by `hosts`: Amazon's own servers, and where our role is from, it does not choose.
    """
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415

    session = _session(seconds)
    if not account.key and not session.get_credentials():
        raise _UnknownError("the reconciler has no AWS credentials: give its ServiceAccount a role")
    client = session.create_client(
        "sqs",
        region_name=account.region,
        endpoint_url=account.endpoint,
        aws_access_key_id=account.key,
        aws_secret_access_key=account.secret,
    )
    if account.endpoint:
        http = URLLib3Session(
            verify=session.get_config_variable("ca_bundle") or True, timeout=(seconds / 2, seconds / 2)
        )
        client.meta.events.register("before-send.sqs", partial(_sent, http, hosts))
    return client


class _Body(NamedTuple):
    """What botocore takes an answer's body from."""

    read: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.read


def _sent(http: Any, hosts: Hosts, request: Any, **_: Any) -> Any:
    """Return the answer of a server that is not known, and no more of it than Amazon's could have."""
    from botocore.awsrequest import AWSResponse  # noqa: PLC0415

    request.stream_output = True  # botocore would read all of it, however much
    with hosts.only():
        try:
            answer = http.send(request)
        except Exception:
            if was_denied():
                raise _UnknownError(faults.DENIED) from None
            raise
    body = _Body(answer.raw.read(_MOST_BYTES))
    if len(body.read) == _MOST_BYTES:
        answer.raw.close()
    return AWSResponse(answer.url, answer.status_code, answer.headers, body)


@lru_cache(10_000)
def _url(client: Any, name: str) -> str:
    """Return a queue's URL, which stays the same for as long as it has its name."""
    return str(client.get_queue_url(QueueName=name)["QueueUrl"])
