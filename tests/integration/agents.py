"""Many agents with real TLS in one process (tests/tools/agents.cc), driven over its standard input."""

import json
import os
import subprocess
import threading
import time

import harness
from harness import TOOLS


class Agents:
    """`count` agents of a static cluster (cluster.Cluster). With `first` (from 0) they begin at that server, but for
    `steady` of them, which stay at the one after it."""

    def __init__(self, cluster, count, first=None, steady=0):
        words = [os.path.join(TOOLS, "agents"), "--dir", cluster.servers[0].directory, "--count", str(count),
                 "--steady", str(steady)]
        for server in cluster.servers:
            words += ["--server", f"127.0.0.1:{server.ports['cluster']}"]
        if first is not None:
            words += ["--first", str(first + 1)]
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=harness._die_with_parent)
        self.lines = []
        self.arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            with self.arrived:
                self.lines.append(line.strip())
                self.arrived.notify_all()

    def _take(self, fits, limit):
        end = time.monotonic() + limit
        with self.arrived:
            while True:
                for line in self.lines:
                    if fits(line):
                        self.lines.remove(line)
                        return line
                left = end - time.monotonic()
                if left <= 0 or self.child.poll() is not None and not self.lines:
                    raise AssertionError(f"the agents' process did not answer within {limit} s: {self.lines}")
                self.arrived.wait(min(left, 0.5))

    def wait_connected(self, limit=120):
        return self._take(lambda line: line.startswith("all connected"), limit)

    def ask(self, command, limit=30):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return json.loads(self._take(lambda line: line.startswith("{"), limit))

    def pid(self):
        return self.child.pid

    def stop(self):
        self.child.kill()
        self.child.wait()
