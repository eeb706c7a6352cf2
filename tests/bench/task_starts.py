#!/usr/bin/env python3
"""Starts of isolated tasks through the launcher alone, beside crun and runc with the same root, filter, user namespace and limits.

    tests/bench/task_starts.py [STARTS]        of each kind, in interleaved batches (default 200)

Times are of this moment's load: compare within one run.
"""

import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]

import harness  # noqa: E402
import oci_peers  # noqa: E402
from tasks import Tasks, busybox_layers  # noqa: E402

BATCH = 20
AT_ONCE = 4
AIM_MS = 6
AIM_TIMES_CRUN = 5
LIMITS = {"memory": oci_peers.MEMORY, "pids": oci_peers.PIDS}


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


class Ours:
    """One kind of task; seconds from the order to its end being told, milliseconds to its execve."""

    def __init__(self, name, subnet="", **spec):
        self.name, self.spec, self.count, self.to_exec = name, {**LIMITS, **spec}, 0, []
        self.tasks = Tasks(subnet)

    def launch(self):
        self.count += 1
        return self.tasks.launch(f"t{self.count}", ["/bin/true"], **self.spec)

    def start(self):
        began = time.monotonic()
        task = self.launch()
        end = self.tasks.ended(task)
        took = time.monotonic() - began
        assert (end["what"], end["code"]) == ("exited", 0), end
        self.to_exec.append(self.tasks.event(task, "started")["launch_us"] / 1000)
        self.forget(task)
        return took

    def forget(self, task):
        self.tasks.do("ack", task=task, sequence=2)
        self.tasks.events[:] = [event for event in self.tasks.events if event["task_id"] != task]

    def per_second(self, starts):
        """AT_ONCE tasks under way all the time."""
        began = time.monotonic()
        under_way = []
        for _ in range(starts):
            under_way.append(self.launch())
            if len(under_way) == AT_ONCE:
                self.forget(self.end_of(under_way.pop(0)))
        for task in under_way:
            self.forget(self.end_of(task))
        return starts / (time.monotonic() - began)

    def end_of(self, task):
        self.tasks.ended(task)
        return task

    def stop(self):
        """What is left on the host of all that was started."""
        for task in self.tasks.do("list")["tasks"]:
            self.tasks.acknowledge(task["task_id"])
        self.tasks.nothing_left()
        self.tasks.quit()
        try:
            harness.wait_until(lambda: not self.tasks.of_agent(), 20, "the agent's things to go")
        except AssertionError:
            pass
        return self.tasks.of_agent() + [task for task in self.tasks.shims()]


def groups_named(part):
    return [path for path, folders, _ in os.walk("/sys/fs/cgroup") if part in os.path.basename(path)]


def per_second_of(runtime, starts):
    """Peers have no queue of their own: AT_ONCE processes side by side."""
    words = runtime.worker.args[4:]
    if runtime.name == "crun":
        return None  # only in its worker's mount namespace
    began = time.monotonic()
    under_way, count = [], 0
    while count < starts or under_way:
        while count < starts and len(under_way) < AT_ONCE:
            count += 1
            under_way.append(subprocess.Popen([*words, f"{runtime.name}-many-{os.getpid()}-{count}"], stdout=subprocess.DEVNULL,
                                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        under_way.pop(0).wait()
    return starts / (time.monotonic() - began)


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def measure(starts, work):
    """Prints the table; returns (p50 of an image task to execve, and start to end, as parts of crun's)."""
    layers = busybox_layers()
    peers, problems = oci_peers.runtimes(work, layers[0])
    kinds = [Ours("smackd, image, network of its own", rootfs=layers[:1], network={"mode": "none"}),
             Ours("smackd, image, on the bridge", "auto", rootfs=layers[:1], network={"mode": "bridge"}),
             Ours("smackd, host's programs", rootfs=[])]
    took = {kind.name: [] for kind in [*kinds, *peers]}
    for _ in range(max(1, starts // BATCH)):
        for kind in [*kinds, *peers]:
            took[kind.name] += [kind.start() * 1000 for _ in range(BATCH)]
    crun = percentile(took["crun"], 0.5) if "crun" in took else None
    row("start of /bin/true", "to execve p50 / p99 ms", "start to end p50 / p99 ms", "times faster than crun", f"starts/s, {AT_ONCE} at once")
    row(*["---"] * 5)
    for kind in [*kinds, *peers]:
        ms = took[kind.name]
        to_exec = getattr(kind, "to_exec", None)
        many = kind.per_second(starts) if to_exec else per_second_of(kind, min(starts, 40))
        row(kind.name, f"{percentile(to_exec, 0.5):.1f} / {percentile(to_exec, 0.99):.1f}" if to_exec else "",
            f"{percentile(ms, 0.5):.1f} / {percentile(ms, 0.99):.1f}", f"{crun / percentile(ms, 0.5):.1f}" if crun else "",
            f"{many:.0f}" if many else "")
    for problem in problems:
        print(problem)
    result = {"exec_ms": percentile(kinds[0].to_exec, 0.5), "total_ms": percentile(took[kinds[0].name], 0.5), "crun_ms": crun}
    result["left"] = [thing for kind in kinds for thing in kind.stop()]
    for peer in peers:
        peer.stop()
    result["left"] += groups_named(f"-bench-{os.getpid()}-")
    return result


def run(starts):
    """Everything; the last line says whether the aims are met. False: something was left behind."""
    harness.install({"crun": "crun", "runc": "runc", "busybox": "busybox-static"})
    result = measure(starts, harness.temporary_directory("oci"))
    times = result["crun_ms"] / result["total_ms"] if result["crun_ms"] else 0
    print(f"an isolated start takes {result['exec_ms']:.1f} ms to execve and {result['total_ms']:.1f} ms to its end (p50; aim {AIM_MS} ms), "
          f"{times:.1f} times faster than crun (aim {AIM_TIMES_CRUN}); left behind: {', '.join(result['left']) or 'nothing'}")
    return not result["left"]


def main():
    try:
        return 0 if run(int(sys.argv[1]) if len(sys.argv) > 1 else 200) else 1
    finally:
        harness.clean_up()


if __name__ == "__main__":
    sys.exit(main())
