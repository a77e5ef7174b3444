"""Why a pod is not ready, in the words of the kubelet and of the scheduler. Pure.

A message that changes is a status that is written: what changes without being news (counts of nodes and of restarts,
ports, back-off times) is left out, and what alternates (ErrImagePull and ImagePullBackOff; Error, CrashLoopBackOff and
Running) is one reason.
"""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from reconciler.model import Manifest, Ref, Unready

LONGEST_MESSAGE = 240  # characters
MOST_REASONS = 3
"""Of one Deployment's pods; they are mostly one."""
UNSCHEDULABLE, IMAGE_PULL, CRASH_LOOP = "Unschedulable", "ImagePullBackOff", "CrashLoopBackOff"
CREATING = ("ContainerCreating", "PodInitializing")
"""What a container waits for that nothing is wrong with, as far as it says."""
MOUNTING = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady")
PROBING = ("Unhealthy", "NodeNotReady")
STOPPED = ("StartError", "ContainerCannotRun")
"""How a container ends that has never begun: the message says why."""

_NO_NODE = re.compile(r"^\d+/\d+ nodes are available: ")
_COUNT = re.compile(r"^\d+ ")
_PORT = re.compile(r"\S+:\d+->")
_TIMED_OUT = ("timed out", "deadline exceeded")


class Why(NamedTuple):
    """Why pods of one Deployment are not ready."""

    reason: str
    words: str


class Told(NamedTuple):
    """A warning that Kubernetes gives of a pod."""

    reason: str
    message: str
    at: datetime


def unready(manifest: Manifest) -> Unready | None:
    """Return why a pod is not ready; None for one that is, or is not to be any more."""
    status, pod = manifest.get("status") or {}, Ref.of(manifest)
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready, scheduled = conditions.get("Ready", {}), conditions.get("PodScheduled", {})
    is_over = "deletionTimestamp" in manifest["metadata"] or status.get("phase") in ("Succeeded", "Failed")
    if is_over or ready.get("status") == "True":
        return None
    if scheduled.get("status") == "False":
        return Unready(pod, scheduled.get("reason", UNSCHEDULABLE), _unscheduled(scheduled.get("message", "")))
    inits, containers = status.get("initContainerStatuses") or (), status.get("containerStatuses") or ()
    if stopped := next((found for each in (*inits, *containers) if (found := _stopped(each))), None):
        return Unready(pod, *stopped)
    running = [each["state"]["running"] for each in containers if "running" in (each.get("state") or {})]
    if running and ready:
        begun = (*(each["startedAt"] for each in running), ready["lastTransitionTime"])
        return Unready(pod, since=max(map(_time, begun)), asks=PROBING)
    if scheduled and not any({"running", "terminated"} & (each.get("state") or {}).keys() for each in inits):
        return Unready(pod, since=_time(scheduled["lastTransitionTime"]), asks=MOUNTING)
    return None


def told(event: Manifest) -> Told:
    """Return what an Event tells, as kubelets and controllers write it: by the older of the two APIs."""
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("deprecatedLastTimestamp")
    at = last or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return Told(event["reason"], _short(event.get("note", "")), _time(at))


def heard(about: Unready, events: Iterable[Told]) -> Unready | None:
    """Return why a pod is not ready that does not say so itself; None if its Events do not either."""
    found = [each for each in events if each.reason in about.asks and about.since and each.at >= about.since]
    # That it took too long comes again and again beside what it waits for.
    found.sort(key=lambda each: (not any(text in each.message for text in _TIMED_OUT), each.at))
    return about._replace(reason=found[-1].reason, message=found[-1].message) if found else None


def why(found: Iterable[Unready]) -> Why | None:
    """Return why pods of a Deployment are not ready, each reason once, what most of them say first."""
    counts = Counter((each.reason, each.message) for each in found if each.reason)
    if not counts:
        return None
    ordered = sorted(counts, key=lambda each: (-counts[each], each))
    words = [": ".join(filter(None, each)) for each in ordered[:MOST_REASONS]]
    return Why(ordered[0][0], "; ".join(words))


def _stopped(container: Manifest) -> tuple[str, str] | None:
    """Return what keeps a container from running, if it says so; an init container that has ended well is ready."""
    if container.get("ready"):
        return None
    state, name = container.get("state") or {}, container["name"]
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in ("ErrImagePull", IMAGE_PULL):
        cause = _cause(waiting.get("message", ""))
        words = f"the image {container['image']} cannot be pulled"
        return IMAGE_PULL, _short(": ".join(filter(None, [words, cause])))
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended and reason in (*CREATING, CRASH_LOOP, ""):
        return CRASH_LOOP, _short(f"container {name} {_ended(ended)}")
    if reason and reason not in CREATING:
        return reason, _short(f"container {name}: {waiting.get('message', '')}".removesuffix(": "))
    return None


def _ended(terminated: Manifest) -> str:
    reason, message = terminated.get("reason", ""), terminated.get("message", "")
    words = f"ends with exit code {terminated['exitCode']}" + (f" ({reason})" if reason else "")
    return f"{words}: {_cause(message, 2)}" if reason in STOPPED and message else words


def _unscheduled(message: str) -> str:
    """Return what keeps a pod from every node, without how many nodes that are."""
    message = message.partition(" preemption: ")[0].strip().removesuffix(".")
    if not _NO_NODE.match(message):
        return _short(message)
    message = message.removesuffix(". not found")  # what became of the preemption, where that is not said as above
    reasons = sorted({_COUNT.sub("", each) for each in _NO_NODE.sub("", message).split(", ")})
    return _short(f"no node takes it: {', '.join(reasons)}")


def _cause(message: str, links: int = 1) -> str:
    """Return the end of a chain of errors."""
    chain = _PORT.sub("", message).strip().removesuffix(": unknown").split(": ")
    return "" if message.startswith("Back-off") and len(chain) == 1 else ": ".join(chain[-links:])


def _short(message: str) -> str:
    line = (message.strip().splitlines() or [""])[0]
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
