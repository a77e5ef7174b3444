"""What can go wrong with the API server. A class only where a caller acts differently; messages start with the subject.

ClusterError      the API server did not do what was asked (other refusals, such as 415)
├── Invalid       400, 422: it refuses the object; trying again helps only once the object is another
├── Conflict      409: the object is not the one we knew (its UID, its resourceVersion), or a name is taken
├── Expired       410: the server has forgotten the state that was asked for: list anew
├── NotFound      404: no such object, or no such kind
├── Forbidden     403: a verb is missing in our RBAC, or the namespace is being deleted (`is_terminating`)
├── Throttled     429, also after the one wait that is granted; `retry_after_seconds` says when to come back
├── Unavailable   5xx, time-outs, resets, half a response, a token that is refused: nothing is known, ask again later
└── ListFailed    a LIST that did not come back whole, whatever the reason (`from` it): never an empty list
Halted            no write any more: the Lease was lost since it was planned, or the process is asked to stop. Not a
                  failure of any app: the pass ends
NoCluster         neither in a pod nor with a kubeconfig: there is no API server to talk to
"""

from collections.abc import Mapping
from typing import Any


class ClusterError(Exception):
    """One answer of the API server that is no success; `status` is its Status object, empty when there was none."""

    def __init__(self, message: str, status: Mapping[str, Any] | None = None, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.status = status or {}
        self.retry_after_seconds = retry_after_seconds

    @property
    def reason(self) -> str:
        """The server's one word, such as AlreadyExists."""
        return str(self.status.get("reason", ""))

    @property
    def causes(self) -> tuple[Mapping[str, Any], ...]:
        """Every field the server complains of: `field`, `message`, `reason`."""
        return tuple((self.status.get("details") or {}).get("causes") or ())


class Invalid(ClusterError):  # noqa: N818 (says what it is, here and below)
    pass


class Conflict(ClusterError):  # noqa: N818
    pass


class Expired(ClusterError):  # noqa: N818
    pass


class NotFound(ClusterError):  # noqa: N818
    pass


class Forbidden(ClusterError):  # noqa: N818
    @property
    def is_terminating(self) -> bool:
        """Whether the namespace is being deleted: nothing can be created in it, and nothing needs to be."""
        return any(cause.get("reason") == "NamespaceTerminating" for cause in self.causes)


class Throttled(ClusterError):  # noqa: N818
    pass


class Unavailable(ClusterError):  # noqa: N818
    pass


class ListFailed(ClusterError):  # noqa: N818
    pass


class Halted(Exception):  # noqa: N818
    pass


class NoCluster(Exception):  # noqa: N818
    pass
