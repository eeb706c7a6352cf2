"""Real tasks without a cluster: drives build/release/tools/tasks, and counts what is left behind on the host."""

import base64
import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time

import harness
from harness import SMACKD, TOOLS, need_root, wait_until

LIMIT_S = 60


class Tasks:
    """A node's tasks; `daemon` is what holds the TaskRunner, and may be killed and started again."""

    def __init__(self, subnet=""):
        need_root()
        self.directory = os.path.join(harness.temporary_directory("tasks"), "agent")
        self.name = hashlib.sha256(self.directory.encode()).hexdigest()[:8]
        self.subnet = subnet
        self.events = []
        self.next_id = 0
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.daemon.poll() is None:
            for task in self.do("list")["tasks"]:
                if task["phase"] != "ENDED":
                    self.do("kill", task=task["task_id"], grace_ms=0)
            self.quit()
        for shim in self.shims().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(shim, signal.SIGKILL)
        wait_until(lambda: not self.shims(), 10, "shims to end")
        for root in cgroup_roots():
            for path, _, _ in os.walk(f"{root}/smackd-{self.name}", topdown=False):
                remove_group(path)
        subprocess.run(["ip", "link", "del", f"smk{self.name}"], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["nft", "delete", "table", "inet", f"smackd_{self.name}"], stderr=subprocess.DEVNULL, check=False)

    def start(self):
        self.log = open(os.path.join(os.path.dirname(self.directory), "daemon.log"), "ab")
        self.daemon = subprocess.Popen(self.words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                       bufsize=1)
        self.answers = {}
        self.arrived = threading.Condition()
        self.ready = None
        threading.Thread(target=self.read, args=(self.daemon,), daemon=True).start()
        self.wait(lambda: self.ready is not None, "the runner to be ready")
        assert "failed" not in self.ready, self.ready

    def words(self):
        return [f"{TOOLS}/tasks", self.directory, SMACKD, self.subnet]

    def read(self, daemon):
        for line in daemon.stdout:
            message = json.loads(line)
            with self.arrived:
                if "event" in message:
                    self.events.append(message["event"])
                elif "id" in message:
                    self.answers[message["id"]] = message
                else:
                    self.ready = message
                self.arrived.notify_all()
        with self.arrived:
            self.arrived.notify_all()

    def wait(self, ready, what, limit=LIMIT_S):
        with self.arrived:
            done = self.arrived.wait_for(lambda: ready() or self.daemon.poll() is not None, limit)
            if not ready():
                raise AssertionError(f"no {what} within {limit} s (done: {done}, events: {self.events[-5:]})\n"
                                     + open(self.log.name).read()[-2000:])

    def ask(self, what, **order):
        """The answer as it is, an error too."""
        self.next_id += 1
        number = self.next_id
        self.daemon.stdin.write(json.dumps({"do": what, "id": number, **order}) + "\n")
        self.daemon.stdin.flush()
        self.wait(lambda: number in self.answers, f"answer to {what}")
        return self.answers.pop(number)

    def do(self, what, **order):
        answer = self.ask(what, **order)
        assert "error" not in answer, (what, order, answer)
        return answer

    def launch(self, task_id, command, **spec):
        key = "shell" if isinstance(command, str) else "words"
        self.do("launch", spec={"task_id": task_id, key: command, **spec})
        return task_id

    def event(self, task_id, *kinds, limit=LIMIT_S):
        """Waits for the newest event of one of the kinds."""
        def found():
            return [e for e in self.events if e["task_id"] == task_id and e["what"] in kinds]
        self.wait(found, f"{kinds} of {task_id}", limit)
        return found()[-1]

    def ended(self, task_id, limit=LIMIT_S):
        return self.event(task_id, "exited", "failed", limit=limit)

    def started(self, task_id):
        event = self.event(task_id, "started", "failed")
        assert event["what"] == "started", event
        return event

    def run(self, task_id, command, **spec):
        """Runs it to its end: (last event, stdout, stderr)."""
        self.launch(task_id, command, **spec)
        return self.ended(task_id), self.text(task_id), self.text(task_id, "stderr")

    def read_log(self, task_id, stream="stdout", offset=0, length=1 << 20):
        answer = self.do("log", task=task_id, stream=stream, offset=offset, length=length)
        return answer["offset"], base64.b64decode(answer["bytes"]), answer["end"]

    def text(self, task_id, stream="stdout"):
        return self.read_log(task_id, stream)[1].decode(errors="replace")

    def exec(self, task_id, words, **order):
        answer = self.do("exec", task=task_id, words=words, **order)
        return answer, base64.b64decode(answer["out"]).decode(), base64.b64decode(answer["err"]).decode()

    def acknowledge(self, task_id):
        last = self.ended(task_id)
        self.do("ack", task=task_id, sequence=last["sequence"])
        wait_until(lambda: not os.path.exists(f"{self.directory}/tasks/{task_id}"), 20, "the task's directory to go")

    def quit(self):
        self.daemon.stdin.close()
        self.daemon.wait(20)

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait()

    # ---- looking at the host

    def shims(self):
        """Task id -> pid of living shims of this agent."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    words = file.read().split("\0")
                if words[1:2] != ["shim"]:
                    continue
                directory = os.readlink(f"/proc/{pid}/fd/4")
                with open(f"/proc/{pid}/status") as file:
                    depth = len(re.search(r"^NSpid:(.*)$", file.read(), re.MULTILINE)[1].split())
            except OSError:
                continue  # it has just ended, or is a task's init, which has no descriptors of ours
            if directory.startswith(self.directory) and depth == 1:
                found[words[2]] = int(pid)
        return found

    def launcher(self):
        for pid in children(self.daemon.pid):
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    if "launcher" in file.read().split("\0"):
                        return pid
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
        return None

    def census(self):
        """Everything on the host that carries this agent's name or belongs to its tasks."""
        with open("/proc/self/mountinfo") as file:
            mounts = [line for line in file if self.directory in line or f"smackd-{self.name}" in line]
        groups = [path for root in cgroup_roots() for path, _, _ in os.walk(f"{root}/smackd-{self.name}")
                  if path != f"{root}/smackd-{self.name}"]
        links = [name for name in os.listdir("/sys/class/net") if name.startswith(f"v{self.name}x")]
        table = subprocess.run(["nft", "list", "map", "inet", f"smackd_{self.name}", "published"], capture_output=True,
                               text=True, check=False).stdout if shutil.which("nft") else ""
        elements = re.findall(r"(?:tcp|udp) \. \d+ : ", table)
        return {"shims": self.shims(), "mounts": mounts, "groups": groups, "links": links, "elements": elements,
                "tasks": os.listdir(f"{self.directory}/tasks")}

    def of_agent(self):
        """What an agent has on the host as long as it runs or has tasks."""
        found = [f"smk{self.name}"] if os.path.exists(f"/sys/class/net/smk{self.name}") else []
        found += [root for root in cgroup_roots() if os.path.exists(f"{root}/smackd-{self.name}")]
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
        return found + [line for line in tables.splitlines() if self.name in line]

    def nothing_left(self):
        wait_until(lambda: not any(self.census().values()), 20, f"nothing to be left: {self.census()}")


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += [int(child) for child in file.read().split()]
    return found


def cgroup_roots():
    with open("/proc/self/mountinfo") as file:
        return [line.split()[4] for line in file if " - cgroup" in line]


def remove_group(path):
    for _ in range(100):
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)


_image = {}


def busybox_layers():
    """Two read-only layers of an image: a static busybox, and a second layer over it."""
    if "layers" not in _image:
        if shutil.which("busybox") is None:
            raise harness.Skip("busybox is not installed")
        base = harness.temporary_directory("image")
        first, second = f"{base}/1", f"{base}/2"
        for folder in ("bin", "etc", "tmp", "var/lib", "secret"):
            os.makedirs(f"{first}/{folder}")
        shutil.copy(shutil.which("busybox"), f"{first}/bin/busybox")
        applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                os.symlink("busybox", f"{first}/bin/{applet}")
        with open(f"{first}/etc/passwd", "w") as file:
            file.write("root:x:0:0::/root:/bin/sh\napp:x:1234:1235::/var/lib:/bin/sh\n")
        with open(f"{first}/etc/group", "w") as file:
            file.write("root:x:0:\napp:x:1235:\nextra:x:77:app\n")
        with open(f"{first}/etc/below", "w") as file:
            file.write("below\n")
        os.symlink("/etc/shadow", f"{first}/etc/hostname")  # an image must not make us write through it
        os.chmod(f"{first}/tmp", 0o1777)
        os.makedirs(f"{second}/etc")
        with open(f"{second}/etc/below", "w") as file:
            file.write("above\n")
        _image["layers"] = [first, second]
    return _image["layers"]
