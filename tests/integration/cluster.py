"""Static clusters of several smackd processes on loopback, and write load against them."""

import os
import random
import subprocess
import time

import harness
from harness import Process, SMACKD, TOOLS, free_port, need_root, run, temporary_directory, wait_until

REALM = "CLUSTER.SMACKD"


class Server:
    """One `smackd start` of a static cluster."""

    def __init__(self, work, number):
        self.work = work
        self.name = f"n{number}"
        self.directory = os.path.join(work, self.name)
        self.ports = {name: free_port() for name in ("api", "cluster", "kdc")}
        self.process = None
        self.config = os.path.join(work, f"{self.name}.toml")
        with open(self.config, "w") as file:
            file.write('[api]\nhost_names = ["localhost"]\n')

    def start(self):
        words = [SMACKD, "start", "--config", self.config, "--data-dir", self.directory, "--node-name", self.name]
        for name, port in self.ports.items():
            words += [f"--{name}-addr", f"127.0.0.1:{port}"]
        self.process = Process(words, self.work, self.name)
        return self

    def running(self):
        return self.process is not None and self.process.running()

    def wait_ready(self, limit=30):
        def ready():
            assert self.process.running(), f"{self.name} ended\n{self.process.log()[-3000:]}"
            return "ready" in self.process.output()
        wait_until(ready, limit, f"readiness of {self.name}")

    def url(self):
        return f"https://localhost:{self.ports['api']}"


class Cluster:
    def __init__(self, size):
        need_root()
        self.work = temporary_directory()
        self.servers = [Server(self.work, i + 1) for i in range(size)]
        places = [f"{server.directory}=127.0.0.1:{server.ports['cluster']}" for server in self.servers]
        made = run([os.path.join(TOOLS, "make_cluster"), REALM, *places])
        assert made.code == 0, made

    def start(self):
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()
        return self

    def stop(self):
        for server in self.servers:
            if server.running():
                assert server.process.stop() == 0, f"{server.name}: {server.process.log()[-2000:]}"

    def environment(self, server):
        return {"PATH": os.environ["PATH"], "HOME": self.work, "KRB5CCNAME": f"FILE:{self.work}/none.ccache",
                "KRB5_CONFIG": os.path.join(server.directory, "krb5.conf"),
                "SMACKD_KEYTAB": os.path.join(self.servers[0].directory, "keytabs/admin.keytab"),
                "SMACKD_SESSION_FILE": os.path.join(self.work, "session.json"), "SMACKD_URL": server.url()}

    def cli(self, server, *words):
        return run([SMACKD, *words], self.environment(server))

    def status(self, server):
        answer = self.cli(server, "status", "--json")
        return answer.json() if answer.code == 0 else None

    def leader(self):
        for server in self.servers:
            if server.running():
                status = self.status(server)
                if status and status["leader"]:
                    return next((s for s in self.servers if s.name == status["leader"]["machine"]), None)
        return None


class Load:
    """tests/tools/load in the background, with its acknowledgements in a file outside of every data directory."""

    def __init__(self, urls, token, work, clients=16, ca=None):
        self.work = work
        self.ack = os.path.join(work, f"acks.{random.getrandbits(32):x}")
        token_file = os.path.join(work, "load.token")
        with open(token_file, "w") as file:
            file.write(token + "\n")
        self.common = ["--token-file", token_file, "--ack", self.ack]
        if ca:
            self.common += ["--ca", ca]
        for url in urls:
            self.common += ["--url", url]
        self.clients = clients
        self.process = None

    def start(self, seconds):
        self.process = Process([os.path.join(TOOLS, "load"), "write", *self.common, "--clients", str(self.clients),
                                "--seconds", str(seconds)], self.work, "load")
        return self

    def acknowledged(self):
        if not os.path.exists(self.ack):
            return 0
        with open(self.ack, "rb") as file:
            return file.read().count(b"\n")

    def wait_for_more(self, count, limit=30):
        """Until `count` further writes were acknowledged."""
        goal = self.acknowledged() + count
        wait_until(lambda: self.acknowledged() >= goal, limit, f"{count} more acknowledged writes")

    def stop(self):
        self.process.kill()

    def verify(self):
        answer = run([os.path.join(TOOLS, "load"), "verify", *self.common], limit=120)
        assert answer.code == 0, answer
        return answer.out.strip()


def random_pause(low_s, high_s):
    time.sleep(random.uniform(low_s, high_s))


__all__ = ["Cluster", "Load", "Server", "harness", "random_pause", "subprocess"]
