"""A machine in a box: network and mounts of its own for the programs of one test, so that ports, names and settings of the kernel are
theirs alone. Cheaper than a World: one machine, no wires."""

import os
import subprocess

from harness import NO_TASKS, Process, SMACKD, run, temporary_directory, wait_until

opened = []
HOLD = "ip link set lo up && mount --make-rprivate / && echo ready && exec sleep infinity"


class Box:
    def __init__(self, hosts="127.0.0.1 localhost\n10.9.9.1 n1\n", resolver=""):
        self.work = temporary_directory()
        self.left = []
        self.directory = os.path.join(self.work, "data")
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.work, "KRB5CCNAME": f"FILE:{self.work}/none.ccache",
                            "SMACKD_SESSION_FILE": f"{self.work}/session.json", **NO_TASKS}
        self.holder = Process(["unshare", "--net", "--mount", "sh", "-c", HOLD], self.work, "holder")
        wait_until(lambda: "ready" in self.holder.output(), 10, "the box")
        self.file("/etc/hosts", hosts)
        self.file("/etc/resolv.conf", resolver)
        opened.append(self)
        self.must("ip address add 10.9.9.1/24 dev lo")

    def words(self, words):
        return ["nsenter", "-t", str(self.holder.child.pid), "-n", "-m", "--", *words]

    def sh(self, command, limit=60, **environment):
        return run(self.words(["sh", "-c", command]), {**self.environment, **environment}, limit=limit)

    def must(self, command):
        answer = self.sh(command)
        assert answer.code == 0, f"{command}: {answer}"
        return answer.out

    def file(self, path, text):
        """Lays a file over one of the machine's, here alone."""
        own = os.path.join(self.work, path.strip("/").replace("/", "_"))
        with open(own, "w") as file:
            file.write(text)
        self.must(f"mount --bind {own} $(readlink -f {path})")

    def smackd(self, *words, stdin=None, limit=60, before=(), **environment):
        return run(self.words([*before, SMACKD, *words]), {**self.environment, **environment}, stdin, limit)

    def leave(self, words, name="left", ready=None, **environment):
        process = Process(self.words(words), self.work, name, {**self.environment, **environment})
        self.left.append(process)
        if ready:
            def is_ready():
                assert process.running(), f"{words} ended: {process.log()[-3000:]}"
                return ready in process.output()
            wait_until(is_ready, 30, f"readiness of {words}")
        return process

    def copy(self, source):
        subprocess.run(["cp", "-a", source, self.directory], check=True)
        return self

    def close(self):
        for process in self.left:
            if process.running():
                process.kill()
        if self.holder.running():
            self.holder.kill()


def close_all():
    """With what was left running in them."""
    while opened:
        opened.pop().close()
