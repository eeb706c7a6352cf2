"""Hosts for cluster tests: network namespaces with addresses and names of their own on one bridge.

    with World("n1", "n2", "a1") as world:
        world["n1"].run([SMACKD, "status"])

With `tasks=True` they run tasks and the edge, as smackd does by itself; their control groups are the machine's. Names resolve by /etc/netns/NAMESPACE/hosts, which `ip netns exec` puts over /etc/hosts. All of it carries a random mark
and is removed at the end, also of a failed test.
"""

import hashlib
import os
import random
import shutil
import subprocess

import harness
from harness import NO_TASKS, Process, run
from tasks import cgroup_roots, remove_group


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    def __init__(self, world, name, number):
        self.world = world
        self.name = name
        self.address = f"{world.prefix}.{number}"
        self.namespace = f"smk{world.mark}{name}"
        self.work = os.path.join(world.work, name)
        self.directory = os.path.join(self.work, "data")
        self.process = None
        self.base = {"PATH": os.environ["PATH"], "HOME": self.work, **({} if world.tasks else NO_TASKS)}
        os.makedirs(os.path.join(self.work, "cgroup"))

    def words(self, words):
        if not self.world.tasks:
            return ["ip", "netns", "exec", self.namespace, *words]
        # As `ip netns exec` does, but with the control groups in its new /sys.
        groups = os.path.join(self.work, "cgroup")
        enter = (f"mount --bind /etc/netns/{self.namespace}/hosts /etc/hosts && mount --rbind /sys/fs/cgroup {groups} && "
                 f"mount -t sysfs sysfs /sys && mount --rbind {groups} /sys/fs/cgroup && umount -l {groups} && exec \"$@\"")
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "sh", "-c", enter, "sh", *words]

    def run(self, words, environment=None, stdin=None, limit=90):
        return run(self.words(words), {**self.base, **(environment or {})}, stdin, limit)

    def start(self, words, environment=None):
        self.process = Process(self.words(words), self.work, "smackd", {**self.base, **(environment or {})})
        return self.process

    def python(self, text, *words, limit=30):
        """Runs a Python program on this host."""
        return self.run(["python3", "-c", text, *words], limit=limit)

    def group_name(self):
        return "smackd-" + hashlib.sha256(f"{self.directory}/agent".encode()).hexdigest()[:8]

    def end_tasks(self):
        """What a host that is switched off takes along: the shims, the tasks and the edge."""
        harness.end_survivors(self.directory)
        for root in cgroup_roots():
            for path, _, _ in os.walk(f"{root}/{self.group_name()}", topdown=False):
                remove_group(path)

    def power_off(self):
        """All of it at once."""
        self.process.kill()
        self.end_tasks()

    def set_address_of(self, name, address):
        """What the name means on this host from now on, for programs started later."""
        path = f"/etc/netns/{self.namespace}/hosts"
        with open(path) as file:
            others = [line for line in file if not line.endswith(f" {name}\n")]
        with open(path, "w") as file:
            file.writelines([*others, f"{address} {name}\n"])

    def plug(self, up):
        """Pulls the network cable, or puts it back."""
        ip("link", "set", f"v{self.world.mark}{self.name}", "up" if up else "down")


class World:
    def __init__(self, *names, tasks=False):
        self.tasks = tasks
        harness.need_root()
        harness.need_tool("ip")
        self.mark = f"{random.getrandbits(16):04x}"
        self.prefix = f"10.{random.randint(64, 250)}.{random.randint(0, 250)}"
        self.work = harness.temporary_directory()
        self.bridge = f"smkbr{self.mark}"
        self.hosts = {name: Host(self, name, i + 2) for i, name in enumerate(names)}

    def __getitem__(self, name):
        return self.hosts[name]

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        ip("link", "add", self.bridge, "type", "bridge")
        ip("link", "set", self.bridge, "up")
        table = "127.0.0.1 localhost\n" + "".join(f"{host.address} {name}\n" for name, host in self.hosts.items())
        for name, host in self.hosts.items():
            ip("netns", "add", host.namespace)
            os.makedirs(f"/etc/netns/{host.namespace}")
            with open(f"/etc/netns/{host.namespace}/hosts", "w") as file:
                file.write(table)
            outer = f"v{self.mark}{name}"
            ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            ip("link", "set", outer, "master", self.bridge, "up")
            inside = ["-n", host.namespace]
            ip(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
            ip(*inside, "link", "set", "lo", "up")
            ip(*inside, "link", "set", "eth0", "up")

    def __exit__(self, *_):
        for host in self.hosts.values():
            if host.process is not None and host.process.running():
                host.process.kill()
            if self.tasks:
                host.end_tasks()
            subprocess.run(["ip", "netns", "del", host.namespace], capture_output=True, check=False)
            subprocess.run(["ip", "link", "del", f"v{self.mark}{host.name}"], capture_output=True, check=False)
            shutil.rmtree(f"/etc/netns/{host.namespace}", ignore_errors=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False)
