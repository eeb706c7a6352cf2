"""Nodes without a cluster, on hosts of their own, whose tasks reach each other by address: what the state would tell them is told by
the test."""

import os
import re
import subprocess

from harness import wait_until
from tasks import Tasks

VNI = 4242
PORT = 4789
UNDERLAY = 51820
LIMIT_S = 120  # a program's start takes long in an emulated machine

# What each "KIND ADDRESS PORT" says: by ask(), and of the program's arguments.
ASK = r"""
import os, socket, sys
def tcp(host, port):
    with socket.create_connection((host, int(port)), timeout=1.5) as c: return c.makefile().readline().strip()
def udp(host, port, size=10):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1.5)
    s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: never in fragments
    s.connect((host, int(port))); s.send(b"x" * int(size)); return s.recv(65536).decode()
def ping(host):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(1.5)
    s.connect((host, 0)); s.send(bytes([8, 0, 0, 0, 0, 1, 0, 1]) + b"smackd"); return "pong" if s.recv(100)[0] == 0 else "no"
def ask(question):
    kind, *words = question.split()
    try: return {"tcp": tcp, "udp": udp, "ping": ping}[kind](*words)
    except OSError as e: return type(e).__name__ if e.errno is None else "error %d" % e.errno
for question in sys.argv[1:]: print(question, "=", ask(question), flush=True)
"""

# In a task: says who it is to whoever connects, by TCP and UDP, and shows from where. Asks what is written into its pipe.
SERVE = ASK + r"""
import threading
def serve_udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 8081))
    while True:
        data, peer = s.recvfrom(65536)
        print("udp", peer[0], data[:40].decode(errors="replace"), flush=True)
        s.sendto(os.environ["NAME"].encode() + b" " + peer[0].encode() + b" %d" % len(data), peer)
def serve_one(c, peer):
    with c:
        c.sendall((os.environ["NAME"] + " " + peer[0] + "\n").encode())
        while data := c.recv(1 << 18): c.sendall(data)
def obey():
    os.mkfifo("/tmp/questions")
    while True:
        with open("/tmp/questions") as questions:
            for line in questions:
                number, *several = line.strip().split("|")
                for question in several: print("answer", number, question, "=", ask(question), flush=True)
for one in (serve_udp, obey): threading.Thread(target=one, daemon=True).start()
s = socket.create_server(("", 8080), backlog=64)
print("ready", flush=True)
while True: threading.Thread(target=serve_one, args=s.accept(), daemon=True).start()
"""

# Takes what comes on port 8082 and says how many bytes it was.
SINK = r"""
import socket
s = socket.create_server(("", 8082)); print("ready", flush=True)
while True:
    c, _ = s.accept(); total = 0; room = memoryview(bytearray(1 << 20))
    while n := c.recv_into(room): total += n
    c.sendall(str(total).encode()); c.close()
"""

# Sends for SECONDS and prints the bytes per second that arrived.
SOURCE = r"""
import socket, sys, time
c = socket.create_connection((sys.argv[1], 8082)); piece = bytes(1 << 20); begin = time.monotonic()
while time.monotonic() < begin + float(sys.argv[2]): c.sendall(piece)
c.shutdown(socket.SHUT_WR); total = int(c.recv(100)); print(total / (time.monotonic() - begin))
"""

# On a host: waits for SECONDS for TEXT in what passes its eth0; prints whether it came, and the UDP ports that packets went to.
CAPTURE = r"""
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(("eth0", 0)); s.settimeout(0.2)
print("capturing", flush=True)
seen, ports, end = False, set(), time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try: frame = s.recv(65536)
    except TimeoutError: continue
    if frame[12:14] == b"\x08\x00" and frame[23] == 17 and (sys.argv[1].encode() in frame or frame[36:38] == b"\xca\x6c"): end = min(end, time.monotonic() + 2)
    seen |= sys.argv[1].encode() in frame
    if frame[12:14] == b"\x08\x00" and frame[23] == 17: ports.add(struct.unpack(">H", frame[36:38])[0])
print("seen" if seen else "hidden", *sorted(ports), flush=True)
"""

class Node(Tasks):
    def __init__(self, host, subnet, wireguard_port=0):
        self.host, self.wireguard_port = host, wireguard_port
        self.allowed, self.asked = [], 0
        super().__init__(subnet)

    def wait(self, ready, what, limit=LIMIT_S):
        super().wait(ready, what, max(limit, LIMIT_S))

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
        self.allowed = self.allowed if allowed is None else allowed
        return self.do("network", **self.order(*peers))["problems"]

    def order(self, *peers):
        own = bool(self.ready["key"])
        told = [{name: value for name, value in peer.as_peer().items() if own or name not in ("key", "wireguard_port")} for peer in peers]
        return {"vni": VNI if told else 0, "port": PORT, "address": self.host.address, "peers": told, "allowed": self.allowed}

    def serve(self, name, tenant="", number=0, ports=(), **spec):
        """A task that answers; its address."""
        self.launch(name, ["python3", "-u", "-c", SERVE], environment={"NAME": name, "PATH": os.environ["PATH"]}, tenant=tenant,
                    tenant_number=number, network={"mode": "bridge", "ports": list(ports)}, **spec)
        address = self.started(name)["address"]
        wait_until(lambda: "ready" in self.text(name), LIMIT_S, f"{name} to serve: {self.text(name, 'stderr')}")
        return address

    def from_task(self, task, *questions):
        """Question -> answer, asked inside a task of serve()."""
        self.asked += 1
        start = f"answer {self.asked} "
        self.exec(task, ["sh", "-c", "echo \"$0\" >/tmp/questions", "|".join([str(self.asked), *questions])])

        def found():
            return [line[len(start):] for line in self.text(task).splitlines() if line.startswith(start)]
        wait_until(lambda: len(found()) == len(questions), LIMIT_S, f"{task}'s answers to {questions}")
        return answers("\n".join(found()))

    def from_host(self, *questions):
        return answers(self.sh("python3", "-c", ASK, *questions))

    def received(self, task):
        """What its UDP port got: (sender, text)."""
        return re.findall(r"^udp (\S+) (.*)$", self.text(task), re.MULTILINE)


def answers(out, err=""):
    found = dict(line.split(" = ", 1) for line in out.splitlines() if " = " in line)
    assert found, (out, err)
    return found
