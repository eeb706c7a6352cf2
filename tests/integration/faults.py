"""Three servers in network namespaces, of smackd or of etcd, clients of registers beside them, and faults of the leader.

    with FaultWorld() as world:
        store = SmackdStore(world).start()
        clients = Clients(world, store).start()
        fault = Paused()
        fault.begin(store, store.leader())

Every server keeps its data on a loop device of its own (slow disks), and its process in a blkio group of its own.
Times are time.monotonic_ns(), the clock of the history file.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import harness
from harness import Process, SMACKD, TOOLS, run, wait_until
from world import World

SERVERS = ("n1", "n2", "n3")
REALM = "FAULTS.SMACKD"
DISK_MIB = 400
SLOW_WRITES_PER_S = 10
BLKIO = "/sys/fs/cgroup/blkio"
PACKAGES = {"nft": "nftables", "etcd": "etcd-server", "etcdctl": "etcd-client", "openssl": "openssl", "mkfs.ext4": "e2fsprogs"}


def install_peers():
    """What the faults and the peer need, from Debian."""
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if missing and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


class Disk:
    """An ext4 file system on a loop device, and the blkio group (cgroup v1) of who writes to it."""

    def __init__(self, path, image, name, mebibytes=DISK_MIB):
        self.path = path
        self.group = os.path.join(BLKIO, name)
        with open(image, "wb") as file:
            file.truncate(mebibytes << 20)
        must("mkfs.ext4", "-q", "-F", image)
        self.device = must("losetup", "-f", "--show", image).strip()
        os.makedirs(path, exist_ok=True)
        must("mount", self.device, path)
        self.number = must("lsblk", "-no", "MAJ:MIN", self.device).strip()
        if self.can_be_slow():
            os.makedirs(self.group, exist_ok=True)

    @staticmethod
    def can_be_slow():
        return os.path.exists(os.path.join(BLKIO, "blkio.throttle.write_iops_device"))

    def own(self, pid):
        if self.can_be_slow():
            self.write("cgroup.procs", str(pid))

    def limit(self, writes_per_s):
        """0: no limit."""
        self.write("blkio.throttle.write_iops_device", f"{self.number} {writes_per_s}")

    def write(self, name, text):
        with open(os.path.join(self.group, name), "w") as file:
            file.write(text)

    def close(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True, check=False)
        subprocess.run(["losetup", "-d", self.device], capture_output=True, check=False)
        for _ in range(50):  # until the last process of it is gone
            if subprocess.run(["rmdir", self.group], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.02)


def must(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class FaultWorld(World):
    def __init__(self, *more, disk_mib=DISK_MIB):
        super().__init__(*SERVERS, "c1", *more)
        self.disk_mib = disk_mib
        self.disks = {}

    def make(self):
        super().make()
        harness.need_tool("nft")
        for name in SERVERS:
            host = self[name]
            self.disks[name] = Disk(os.path.join(host.work, "mount"), os.path.join(host.work, "disk"),
                                    f"smk{self.mark}{name}", self.disk_mib)
            host.directory = os.path.join(host.work, "mount", "data")

    def __exit__(self, *exception):
        for host in self.hosts.values():
            if exception and exception[0] is not None and host.process is not None:
                print(f"--- {host.name}\n{host.process.log()[-2500:]}", flush=True)
            if host.process is not None and host.process.running():
                host.process.send_signal(signal.SIGCONT)
                host.process.kill()
        for disk in self.disks.values():
            disk.close()
        super().__exit__(*exception)

    def start(self, name, words, environment=None):
        host = self[name]
        process = host.start(words, environment)
        self.disks[name].own(process.child.pid)
        return process


class SmackdStore:
    """A static cluster of three voters, as `smackd start` runs them. `binary`: another build; `under(name)`: the words of
    a program that each server runs under."""
    kind = "smackd"

    def __init__(self, world, binary=SMACKD, environment=None, under=lambda name: []):
        self.world = world
        self.binary = binary
        self.under = under
        self.environment = environment or {}
        places = [f"{world[name].directory}={name}:5055" for name in SERVERS]
        made = run([os.path.join(TOOLS, "make_cluster"), REALM, *places])
        assert made.code == 0, made
        self.urls = [f"https://{name}:5050" for name in SERVERS]
        self.ca = os.path.join(world["n1"].directory, "cluster/ca.pem")
        self.token_file = os.path.join(world.work, "token")

    def start(self):
        for name in SERVERS:
            self.start_one(name)
        for name in SERVERS:
            self.wait_ready(name)
        answer = self.cli("n1", "login")
        assert answer.code == 0, answer
        with open(os.path.join(self.world.work, "session.json")) as file:
            token = next(iter(json.load(file).values()))["token"]
        with open(self.token_file, "w") as file:
            file.write(token + "\n")
        return self

    def start_one(self, name):
        host = self.world[name]
        self.world.start(name, [*self.under(name), self.binary, "start", "--data-dir", host.directory, "--node-name", name],
                         self.environment)

    def wait_ready(self, name, limit=30):
        process = self.world[name].process

        def ready():
            assert process.running(), f"{name} ended\n{process.log()[-3000:]}"
            return "ready" in process.output()
        wait_until(ready, limit, f"readiness of {name}")

    def cli(self, name, *words):
        world, first = self.world, self.world["n1"]
        return world["c1"].run([SMACKD, *words], {
            "SMACKD_URL": f"https://{name}:5050", "SMACKD_SESSION_FILE": os.path.join(world.work, "session.json"),
            "SMACKD_KEYTAB": f"{first.directory}/keytabs/admin.keytab", "KRB5_CONFIG": f"{first.directory}/krb5.conf",
            "KRB5CCNAME": f"FILE:{world.work}/none.ccache"})

    def leader(self):
        def found():
            for name in SERVERS:
                answer = self.cli(name, "status", "--json") if self.world[name].process.running() else None
                leader = answer.json()["leader"] if answer is not None and answer.code == 0 else None
                if leader:
                    return leader["machine"]
            return None
        return wait_until(found, 30, "a leader")

    def whole(self):
        """All three take part again."""
        def caught_up():
            for name in SERVERS:
                answer = self.cli(name, "status", "--json")
                if answer.code != 0 or not answer.json()["leader"]:
                    return False
            return True
        wait_until(caught_up, 60, "three servers that know a leader")

    def client_words(self):
        return ["smackd", "--token-file", self.token_file]

    def stop(self):
        for name in SERVERS:
            self.world[name].process.kill()


class EtcdStore:
    """Debian's etcd with its defaults (heartbeat 100 ms, election 1000 ms), TLS for members and clients."""
    kind = "etcd"

    def __init__(self, world):
        harness.need_tool("etcd")
        harness.need_tool("etcdctl")
        self.world = world
        self.urls = [f"https://{name}:2379" for name in SERVERS]
        self.ca = os.path.join(world.work, "etcd.pem")
        self.key = os.path.join(world.work, "etcd.key")
        names = ",".join(f"DNS:{name},IP:{world[name].address}" for name in SERVERS)
        must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=faults", "-addext", f"subjectAltName={names},IP:127.0.0.1", "-keyout", self.key, "-out", self.ca)

    def start(self):
        for name in SERVERS:
            self.start_one(name)
        for name in SERVERS:
            self.wait_ready(name)
        return self

    def start_one(self, name):
        host = self.world[name]
        initial = ",".join(f"{other}=https://{other}:2380" for other in SERVERS)
        self.world.start(name, [
            "etcd", "--name", name, "--data-dir", f"{host.work}/mount/etcd", "--listen-peer-urls", f"https://{host.address}:2380",
            "--initial-advertise-peer-urls", f"https://{name}:2380", "--listen-client-urls",
            f"https://{host.address}:2379,https://127.0.0.1:2379", "--advertise-client-urls", f"https://{name}:2379",
            "--initial-cluster", initial, "--initial-cluster-token", self.world.mark, "--log-level", "error",
            "--cert-file", self.ca, "--key-file", self.key, "--peer-cert-file", self.ca, "--peer-key-file", self.key,
            "--peer-trusted-ca-file", self.ca, "--peer-client-cert-auth"])

    def etcdctl(self, name, *words):
        return self.world["c1"].run(["etcdctl", "--endpoints", f"https://{name}:2379", "--command-timeout", "3s", *words],
                                    {"ETCDCTL_API": "3", "ETCDCTL_CACERT": self.ca})

    def status(self, name):
        answer = self.etcdctl(name, "endpoint", "status", "-w", "json")
        return json.loads(answer.out)[0]["Status"] if answer.code == 0 and answer.out.strip() else None

    def wait_ready(self, name, limit=30):
        wait_until(lambda: self.etcdctl(name, "endpoint", "health").code == 0, limit, f"health of etcd {name}")

    def leader(self):
        def found():
            for name in SERVERS:
                status = self.status(name)
                if status and status.get("leader") and status["leader"] == status["header"]["member_id"]:
                    return name
            return None
        return wait_until(found, 30, "a leader of etcd")

    def whole(self):
        for name in SERVERS:
            self.wait_ready(name, 60)

    def client_words(self):
        return ["etcd"]

    def stop(self):
        for name in SERVERS:
            self.world[name].process.kill()


class Clients:
    """tests/tools/registers in a namespace of its own, and what it has recorded."""

    def __init__(self, world, store, clients=256):
        self.world = world
        mark = f"{random.getrandbits(32):x}"
        self.history = os.path.join(world.work, f"history.{mark}")
        self.stop_file = os.path.join(world.work, f"stop.{mark}")
        self.words = [os.path.join(TOOLS, "registers"), *store.client_words(), "--ca", store.ca, "--history", self.history,
                      "--stop-file", self.stop_file, "--clients", str(clients), "--seed", str(random.getrandbits(48))]
        for url in store.urls:
            self.words += ["--url", url]
        self.read_to = 0
        self.rest = ""
        self.acknowledged = []  # (invoked, returned) of each write, ns
        self.process = None

    def start(self):
        host = self.world["c1"]
        self.process = Process(host.words(self.words), host.work, "registers", {"PATH": os.environ["PATH"]})
        return self

    def look(self):
        """Reads what the history has grown by."""
        if not os.path.exists(self.history):
            return
        with open(self.history) as file:
            file.seek(self.read_to)
            text = self.rest + file.read()
            self.read_to = file.tell()
        lines = text.split("\n")
        self.rest = lines.pop()
        for line in lines:
            words = line.split(" ")
            if words[5] == "ok" and words[4] != "read":
                self.acknowledged.append((int(words[0]), int(words[1])))

    def wait_for_more(self, count, limit=60):
        self.look()
        goal = len(self.acknowledged) + count

        def there():
            assert self.process.running(), f"the clients ended: {self.process.log()[-2000:]}"
            self.look()
            return len(self.acknowledged) >= goal
        wait_until(there, limit, f"{count} more acknowledged writes")

    def first_after(self, since_ns, limit=30):
        """Seconds from `since_ns` until the first acknowledgement of a write that began after it."""
        seen = len(self.acknowledged)

        def found():
            self.look()
            times = [returned for invoked, returned in self.acknowledged[max(0, seen - 2000):] if invoked >= since_ns]
            return min(times, default=0)
        return (wait_until(found, limit, "an acknowledged write") - since_ns) / 1e9

    def rate(self, from_ns, to_ns):
        """Acknowledged writes per second."""
        self.look()
        return sum(from_ns <= returned < to_ns for _, returned in self.acknowledged) / ((to_ns - from_ns) / 1e9)

    def stop(self, limit=120):
        with open(self.stop_file, "w"):
            pass
        assert self.process.wait(limit) == 0, self.process.log()[-2000:]
        summary = self.process.output().strip().splitlines()[-1]
        assert " 0 of them unread" in summary, f"registers were not read at the end: {summary}"
        return summary

    def judge(self):
        """(is it linearizable, what the checker prints)"""
        answer = run([os.path.join(TOOLS, "check_history"), self.history], limit=600)
        return answer.code == 0, answer.out.strip()


# ---- faults of the leader; end() may be called at any time after begin()

class Killed:
    name = "kill -9"

    def begin(self, store, leader):
        self.store, self.leader = store, leader
        store.world[leader].process.kill()

    def end(self):
        self.store.start_one(self.leader)
        self.store.wait_ready(self.leader)


class Paused:
    name = "SIGSTOP"

    def begin(self, store, leader):
        self.process = store.world[leader].process
        self.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.process.send_signal(signal.SIGCONT)


class Cut:
    """Packets between the leader and the other servers are dropped where they arrive; its clients still reach it.
    `hears`, `heard`: what is left of it."""

    def __init__(self, name, hears, heard):
        self.name = name
        self.hears, self.heard = hears, heard

    def begin(self, store, leader):
        self.world, self.dropping = store.world, []
        others = [name for name in SERVERS if name != leader]
        if not self.hears:
            self.drop(leader, others)
        if not self.heard:
            for name in others:
                self.drop(name, [leader])

    def drop(self, name, sources):
        addresses = ", ".join(self.world[source].address for source in sources)
        rules = (f"table inet fault {{\n chain in {{\n type filter hook input priority 0;\n"
                 f" ip saddr {{ {addresses} }} drop\n }}\n}}\n")
        answer = self.world[name].run(["nft", "-f", "-"], stdin=rules)
        assert answer.code == 0, answer
        self.dropping.append(name)

    def end(self):
        for name in self.dropping:
            answer = self.world[name].run(["nft", "delete", "table", "inet", "fault"])
            assert answer.code == 0, answer


class SlowDisk:
    name = "slow disk"

    def begin(self, store, leader):
        self.disk = store.world.disks[leader]
        self.disk.limit(SLOW_WRITES_PER_S)

    def end(self):
        self.disk.limit(0)


def cuts():
    return [Cut("partition", hears=False, heard=False), Cut("one-way partition, hears nothing", hears=False, heard=True),
            Cut("one-way partition, is not heard", hears=True, heard=False)]
