"""Nodes without a cluster, on hosts of their own, whose tasks reach each other by address: what the state would tell them is told by
the test."""

import os
import re
import subprocess

from tasks import Tasks

VNI = 4242
PORT = 4789
UNDERLAY = 51820

# In a task: says who it is to whoever connects, by TCP and UDP, and shows from where.
SERVE = r"""
import os, socket, threading
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 8081))
    while True:
        data, peer = s.recvfrom(65536)
        print("udp", peer[0], data[:40].decode(errors="replace"), flush=True)
        s.sendto(os.environ["NAME"].encode() + b" " + peer[0].encode() + b" %d" % len(data), peer)
def one(c, peer):
    with c:
        c.sendall((os.environ["NAME"] + " " + peer[0] + "\n").encode())
        while True:
            data = c.recv(1 << 18)
            if not data: return
            if data[:4] != b"bulk": c.sendall(data)
threading.Thread(target=udp, daemon=True).start()
s = socket.create_server(("", 8080), backlog=64)
print("ready", flush=True)
while True: threading.Thread(target=one, args=s.accept(), daemon=True).start()
"""

# In a task or on a host: what each "KIND ADDRESS PORT" says.
ASK = r"""
import socket, subprocess, sys
def tcp(host, port):
    with socket.create_connection((host, int(port)), timeout=1.5) as c: return c.makefile().readline().strip()
def udp(host, port, size=10):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1.5)
    s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: never in fragments
    s.connect((host, int(port))); s.send(b"x" * int(size)); return s.recv(65536).decode()
def ping(host):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(1.5)
    s.connect((host, 0)); s.send(bytes([8, 0, 0, 0, 0, 1, 0, 1]) + b"smackd"); return "pong" if s.recv(100)[0] == 0 else "no"
for what in sys.argv[1:]:
    kind, *words = what.split()
    try: print(what, "=", globals()[kind](*words), flush=True)
    except OSError as e: print(what, "=", type(e).__name__ if e.errno is None else "error %d" % e.errno, flush=True)
"""


class Node(Tasks):
    def __init__(self, host, subnet, wireguard_port=0):
        self.host, self.wireguard_port = host, wireguard_port
        self.peers, self.allowed = [], []
        super().__init__(subnet)

    def words(self):
        return self.host.words([*super().words(), str(self.wireguard_port)])

    def __exit__(self, *words):
        super().__exit__(*words)
        self.sh("ip", "link", "del", f"smx{self.name}", check=False)

    def sh(self, *words, check=True):
        """On the node's host."""
        return subprocess.run(["ip", "netns", "exec", self.host.namespace, *words], capture_output=True, text=True, check=check).stdout

    def as_peer(self):
        key = self.ready["key"]
        return {"name": self.host.name, "subnet": self.subnet, "address": self.host.address, "port": PORT,
                **({"key": key, "wireguard_port": self.wireguard_port} if key else {})}

    def tell(self, *peers, allowed=None):
        """The whole of it, as the state has it now; the problems."""
        self.peers = list(peers)
        self.allowed = self.allowed if allowed is None else allowed
        own = bool(self.ready["key"])
        told = [{name: value for name, value in peer.as_peer().items() if own or name not in ("key", "wireguard_port")} for peer in peers]
        return self.do("network", vni=VNI if told else 0, port=PORT, address=self.host.address, peers=told, allowed=self.allowed)["problems"]

    def serve(self, name, tenant="", number=0, ports=(), **spec):
        """A task that answers; its address."""
        self.launch(name, ["python3", "-u", "-c", SERVE], environment={"NAME": name, "PATH": os.environ["PATH"]}, tenant=tenant,
                    tenant_number=number, network={"mode": "bridge", "ports": list(ports)}, **spec)
        address = self.started(name)["address"]
        for _ in range(100):
            if "ready" in self.text(name):
                return address
            self.exec(name, ["sleep", "0.1"])
        raise AssertionError(f"{name} does not serve: {self.text(name, 'stderr')}")

    def from_task(self, task, *questions):
        """Question -> answer, asked inside a task of this node."""
        _, out, err = self.exec(task, ["python3", "-c", ASK, *questions])
        return answers(out, err)

    def from_host(self, *questions):
        return answers(self.sh("python3", "-c", ASK, *questions))

    def received(self, task):
        """What its UDP port got: (sender, text)."""
        return re.findall(r"^udp (\S+) (.*)$", self.text(task), re.MULTILINE)


def answers(out, err=""):
    found = dict(line.split(" = ", 1) for line in out.splitlines() if " = " in line)
    assert found, (out, err)
    return found
