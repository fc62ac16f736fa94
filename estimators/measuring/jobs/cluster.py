"""Ray: work on the machines of a cluster. The only module that imports it, in an environment of its own.

As a program it stands in the place of the local worker: one job on standard input, events on standard output, and an
end to the work on the node when its parent ends it. Nothing of Ray reaches the dashboard's process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from estimators.hardware.catalogue import find_accelerator
from estimators.measuring.foreign import at, count, text
from estimators.measuring.jobs.environment import ROOT
from estimators.measuring.jobs.node_runner import NodeRunner
from estimators.measuring.jobs.process import end_with_parent
from estimators.provenance import Refusal

REACH_S = 4.0  # to the cluster's address
JOIN_S = 45.0  # until Ray has connected and copied the code
ASK_EVERY_S = 0.3
SILENT_S = 20.0  # of a node that does not answer: it is lost
TRIES = 3  # of a piece of work whose node is lost
ADDRESS = re.compile(r"\[?([\w.:-]+?)\]?:(\d{1,5})", re.ASCII)

Shared = TypeVar("Shared")
Piece = TypeVar("Piece")
Made = TypeVar("Made")


class ClusterUnavailable(Refusal):
    """The cluster cannot be reached, or has nothing to run this on."""


def connect(address: str, packages: Sequence[str]) -> Any:
    """Ray, connected to the cluster at `address`, whose nodes will have these packages of the project."""
    _reach(address)
    import ray

    def late(_signal: int, _frame: object) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, JOIN_S)
    try:
        ray.init(
            address=address,
            namespace="rightsize",
            logging_level=logging.CRITICAL,
            log_to_driver=False,
            runtime_env={"py_modules": [str(ROOT / name) for name in packages], "excludes": ["__pycache__"]},
        )
    except Exception as problem:
        said = " ".join(str(problem).split())[:200] or "no answer in time"
        raise ClusterUnavailable(
            f"The Ray cluster at {address[:100]} took no connection ({said}).",
            field="device",
            remedy="This machine must be a node of it: ray start --address=HEAD:6379 --num-cpus=0.",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    return ray


def _reach(address: str) -> None:
    """Refuses an address of the wrong kind, or that nobody answers on, before Ray waits a minute for it."""
    if address == "auto":
        return
    found = ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ClusterUnavailable(
            f"RAY_ADDRESS={address[:100]} is no address of a cluster.",
            field="device",
            remedy="Give the head as host:port, such as 10.0.0.5:6379.",
        )
    try:
        socket.create_connection((found[1], int(found[2])), timeout=REACH_S).close()
    except OSError as problem:
        raise ClusterUnavailable(
            f"No Ray cluster answers at {address[:100]} ({problem.strerror or type(problem).__name__}).",
            field="device",
            remedy="Start it, correct RAY_ADDRESS, or unset it to work on this machine.",
        ) from None


# One measurement on a matching node


def main() -> int:
    """Relays one measurement. What libraries print goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def tell(event: str, **values: object) -> None:
        channel.write(json.dumps({"event": event, **values}) + "\n")

    asked = json.loads(sys.stdin.readline())
    end_with_parent()
    try:
        measure(asked, tell)
    except Refusal as refusal:
        tell("refused", field=refusal.field, message=str(refusal))
    except Exception as problem:
        tell("failed", message=f"The cluster failed ({type(problem).__name__}).")
    return 0


def measure(asked: Mapping[str, object], tell: Callable[..., None]) -> None:
    """Runs the job on a node with the accelerator it names, telling its events; ended with this process."""
    ray = connect(text(at(asked, "address")), ["estimators"])
    needs = needed(ray.nodes(), text(at(asked, "accelerator")), count(at(asked, "gpus")) or 0)
    runner = ray.remote(num_cpus=1, num_gpus=needs.pop("GPU", 0.0), resources=needs)(NodeRunner).remote()
    signal.signal(signal.SIGTERM, _leave)
    try:
        started = runner.start.remote(asked["job"], text(at(asked, "python")))
        while not ray.wait([started], timeout=1.0)[0]:
            tell("waiting", message="waiting for a node of the cluster")
        node = ray.get(started)
        tell("progress", share=0.0, message=f"starting on {node}", seconds_left=None)
        while True:
            events, ended = ray.get(runner.take.remote(), timeout=SILENT_S)
            for event in events:
                tell(**event)
            if ended:
                return
            time.sleep(ASK_EVERY_S)
    except ray.exceptions.OutOfMemoryError:
        tell("out_of_memory", message="The node ran out of memory, and the cluster ended the measurement.")
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
        tell("failed", message="The node that measured it was lost; what it had measured is gone. Start it again.")
    finally:
        with contextlib.suppress(Exception):
            ray.kill(runner)


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(3)


def needed(nodes: Sequence[Mapping[str, Any]], accelerator: str, gpus: int) -> dict[str, float]:
    """Ray's resources for a job: GPUs, and the label of the accelerator as the nodes that have it write it.

    Any node will do for the CPU. Raises `ClusterUnavailable` when no node has what is asked.
    """
    has = [dict(node["Resources"]) for node in nodes if node.get("Alive")]
    if not gpus:
        if any(found.get("CPU", 0.0) >= 1.0 for found in has):
            return {}
        raise ClusterUnavailable("No node of the cluster lends a CPU.", field="device", remedy="Add a node.")
    able = [found for found in has if found.get("GPU", 0.0) >= gpus]
    labels = {label for found in able for label in found if not accelerator or is_label_of(label, accelerator)}
    if able and not accelerator:
        return {"GPU": float(gpus)}
    if labels:
        return {"GPU": float(gpus), min(labels): 0.001}
    known = sorted(
        {label.partition(":")[2] for found in has for label in found if label.startswith("accelerator_type")}
    )
    raise ClusterUnavailable(
        f"No node of the cluster has {gpus} x {accelerator or 'GPU'}.",
        field="device",
        remedy=f"It has {', '.join(known)}." if known else "It has no GPU.",
    )


def is_label_of(label: str, accelerator: str) -> bool:
    """Whether a resource's name stands for an accelerator of our table: Ray's own label for it, or its plain name.

    Ray says "A100" for every A100 and "AMD-Instinct-MI300X-OAM" for an MI300X; the measurement names what it ran on.
    """
    kind, colon, name = label.rpartition(":")
    if colon and kind != "accelerator_type":
        return False
    if not colon:
        try:
            return find_accelerator(label).name == accelerator
        except Refusal:
            return False
    return accelerator.casefold().split("-")[0] in name.casefold().split("-")


# Many pieces of work, in order


def spread(ray: Any, work: Callable[[Shared, Piece], Made], shared: Shared, pieces: Iterable[Piece]) -> Iterator[Made]:
    """`work(shared, piece)` of every piece on the cluster's CPUs, in the order of the pieces.

    `shared` is sent to each node once. Twice as many pieces as CPUs are under way at a time, so none waits for this
    process and it holds no more than those.
    """
    task = ray.remote(num_cpus=1, max_retries=TRIES)(work)
    sent = ray.put(shared)
    at_once = 2 * max(1, int(ray.cluster_resources().get("CPU", 1.0)))
    under_way: deque[Any] = deque()
    try:
        for piece in pieces:
            under_way.append(task.remote(sent, piece))
            if len(under_way) >= at_once:
                yield ray.get(under_way.popleft())
        while under_way:
            yield ray.get(under_way.popleft())
    except ray.exceptions.RayError as problem:
        raise ClusterUnavailable(
            f"The cluster lost work that {TRIES + 1} nodes had tried ({type(problem).__name__}).",
            field="cases",
            remedy="Unset RAY_ADDRESS to run it here.",
        ) from None


if __name__ == "__main__":
    raise SystemExit(main())
