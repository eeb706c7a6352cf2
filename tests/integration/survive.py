"""What the survival tests and shows share: who is who among the processes of a demo, and whether its tasks went on."""

import json
import os
import re
import signal

import harness
from harness import Process

END_S = 3  # after its start, when a task of add_ending() ends


# ---- processes


def process_of(words, demo):
    """The pid of the process of this demo with these words in its command line; the youngest when there are several."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{pid}/stat") as file:
                born = int(file.read().rpartition(")")[2].split()[19])
        except OSError:
            continue
        if all(word in line for word in words):
            found.append((born, int(pid)))
    assert found, f"no process {words} of {demo.directory}"
    return max(found)[1]


def daemon(demo):
    return demo.process.child.pid


def edge(demo):
    return process_of(("smackd edge", demo.directory + "/"), demo)


def edge_or_none(demo):
    try:
        return edge(demo)
    except AssertionError:
        return None


def launcher(demo):
    """The child of the daemon that is one."""
    children = []
    for thread in os.listdir(f"/proc/{daemon(demo)}/task"):
        with open(f"/proc/{daemon(demo)}/task/{thread}/children") as file:
            children += file.read().split()
    for pid in children:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"launcher" in file.read():
                    return int(pid)
        except FileNotFoundError:
            continue  # it has just ended
    raise AssertionError(f"the daemon has no launcher among {children}")


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def start(demo, binary=None):
    """The demo again, by another file perhaps."""
    if binary is None:
        demo.start()
        return
    words = demo.words()
    words[0] = binary
    demo.process = Process(words, demo.work, "demo")
    harness.wait_until(lambda: "ready" in demo.process.output() or not demo.process.running(), harness.READY_LIMIT_S, "the other binary")
    assert demo.process.running(), demo.process.log()[-4000:]


# ---- tasks


def add(demo, app):
    path = os.path.join(demo.work, app["id"].strip("/") + ".json")
    with open(path, "w") as file:
        json.dump(app, file)
    return demo.must("app", "add", path, "--detach")


def pids_of(demo):
    """Task id -> (host pid of its shim, of the first process in it)."""
    pids = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                children = file.read().split()
        except OSError:
            continue
        if len(words) >= 3 and words[1] == "shim":
            pids[words[2]] = (int(pid), *sorted(map(int, children)))
    return pids


class Tasks:
    """Tasks that are there now and must be there, unchanged, later."""

    def __init__(self, demo):
        self.demo = demo
        running = {task["id"] for task in demo.must_json("task", "list")["tasks"] if task["state"] == "TASK_RUNNING"}
        self.pids = {task: pids for task, pids in pids_of(demo).items() if task in running}
        assert self.pids and len(self.pids) == len(running), (self.pids, running)

    def changes(self):
        now, listed = pids_of(self.demo), {task["id"] for task in self.demo.must_json("task", "list")["tasks"] if task["state"] == "TASK_RUNNING"}
        return [f"task {task}: processes {pids} have become {now.get(task)}" for task, pids in self.pids.items() if now.get(task) != pids] + [
            f"task {task} is not listed as running" for task in self.pids if task not in listed]


def add_counters(demo, count):
    """Tasks that write 1, 2, 3 ..., ten a second."""
    command = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.1; done"
    add(demo, {"id": "/counter", "cmd": command, "cpus": 0.02, "mem": 16, "instances": count})
    harness.wait_until(lambda: len(counters(demo)) == count, 120, "the counters")


def counters(demo):
    return [task["id"] for task in demo.must_json("app", "show", "/counter")["tasks"] if task["state"] == "TASK_RUNNING"]


def missing_numbers(demo):
    """Logs that do not say 1, 2, 3 ... to their end."""
    problems = []
    for task in counters(demo):
        lines = demo.must("task", "log", task).out.split()
        if lines != [str(number + 1) for number in range(len(lines))] or not lines:
            at = next((i for i, line in enumerate(lines) if line != str(i + 1)), len(lines))
            problems.append(f"log of {task}: {len(lines)} lines, wrong from line {at + 1} on")
    return problems


def add_ending(demo, name, codes):
    """One-task apps that end after END_S with these codes, and are not started again soon."""
    apps = {}
    name = re.sub("[^a-z]", "", name)
    for code in codes:
        app = f"/ends-{name}-{code}"
        add(demo, {"id": app, "cmd": f"echo begins; sleep {END_S}; echo ends; exit {code}", "cpus": 0.02, "mem": 16,
                   "backoffSeconds": 3600, "maxLaunchDelaySeconds": 3600})
        apps[app] = code
    harness.wait_until(lambda: all(demo.must_json("app", "show", app)["tasks"] for app in apps), 60, "the tasks that end")
    return apps


def failure_of(demo, app):
    return demo.must_json("app", "show", app).get("lastTaskFailure")


def wait_for_ends(demo, apps):
    harness.wait_until(lambda: all(failure_of(demo, app) for app in apps), 120, "the ends of tasks in the state")


def wrong_ends(demo, apps):
    problems = []
    for app, code in apps.items():
        failure = failure_of(demo, app)
        state = "TASK_FINISHED" if code == 0 else "TASK_FAILED"
        if failure["state"] != state or (code != 0 and str(code) not in failure["message"]):
            problems.append(f"{app} ended with {code}, and the state says {failure}")
        log = demo.must("task", "log", failure["taskId"]).out.split()
        if log != ["begins", "ends"]:
            problems.append(f"{app}: its log is {log}")
        demo.must("app", "remove", app, "--detach")
    return problems
