"""Tasks of different nodes reach each other by address: real packets between hosts of their own, with what a cluster would say told
by the test. Tenants, published ports, forged packets, nodes that are forgotten, allowances, a daemon that is killed."""

import contextlib
import os
import subprocess
import time

from harness import Skip, wait_until
from overlay import CAPTURE, PORT, SINK, SOURCE, UNDERLAY, VNI, Node
from world import World

TEAM_A, TEAM_B = ("team-a", 17), ("team-b", 18)
CLOSED = ("TimeoutError", "error 101", "error 113")

HOST_SERVER = "import socket\ns=socket.create_server(('', 9000))\nwhile True:\n c, _ = s.accept(); c.sendall(b'host\\n'); c.close()"

# From a host: one VXLAN packet to ADDRESS with a UDP packet inside, from SOURCE to TARGET:8081, marked NUMBER.
FORGE = r"""
import socket, struct, sys
to, source, target, number, text, hardware = sys.argv[1:7]
port, vni = int(sys.argv[7]), int(sys.argv[8])
data = text.encode()
def total(b):
    b += b"\0" * (len(b) % 2); s = sum(struct.unpack(f">{len(b) // 2}H", b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
udp = struct.pack(">HHHH", 5000, 8081, 8 + len(data), 0) + data
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target))
ip = ip[:10] + struct.pack(">H", total(ip)) + ip[12:]
frame = bytes.fromhex(hardware) + bytes.fromhex("025300000001") + b"\x08\x00" + ip + udp
head = struct.pack(">BBHI", 0x88, 0, int(number), vni << 8)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(head + frame, (to, port))
"""


@contextlib.contextmanager
def two_nodes(*outsiders, wireguard_port=0):
    with World("n1", "n2", *outsiders, tasks=True) as world, contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(Node(world[f"n{i}"], f"10.63.{i}.0/24", wireguard_port)) for i in (1, 2)]
        one, two = nodes
        assert one.tell(two) == [] and two.tell(one) == []
        yield world, one, two


def hardware_of(node):
    """Of its VXLAN device."""
    return "0253" + bytes(int(part) for part in node.subnet.split("/")[0].split(".")).hex()


def forge(host, node, source, target, number, text, vni=VNI):
    answer = host.run(["python3", "-c", FORGE, node.host.address, source, target, str(number), text, hardware_of(node), str(PORT),
                       str(vni)])
    assert answer.code == 0, answer


def everything(address):
    return [f"tcp {address} 8080", f"udp {address} 8081", f"ping {address}"]


def reaches(node, task, address):
    found = node.from_task(task, *everything(address))
    return {kind.split()[0]: answer for kind, answer in found.items()}


def is_closed(found):
    return all(answer in CLOSED for answer in found.values())


def test_tenants_over_two_nodes():
    with two_nodes("x") as (world, one, two):
        a1, b1 = one.serve("a1", *TEAM_A), one.serve("b1", *TEAM_B)
        a2 = two.serve("a2", *TEAM_A, ports=[{"host": 31000, "task": 8080}, {"host": 31001, "task": 8081, "udp": True}])
        common = two.serve("common")
        # Its own tenant's, both ways, by whatever protocol, from the task's own address.
        assert reaches(one, "a1", a2) == {"tcp": f"a2 {a1}", "udp": f"a2 {a1} 10", "ping": "pong"}
        assert reaches(two, "a2", a1) == {"tcp": f"a1 {a2}", "udp": f"a1 {a2} 10", "ping": "pong"}
        # Common tasks reach all and are reached by all.
        assert reaches(one, "b1", common)["tcp"] == f"common {b1}" and reaches(two, "common", b1)["tcp"] == f"b1 {common}"
        # Another tenant's: nothing, both ways.
        assert is_closed(reaches(one, "b1", a2)), reaches(one, "b1", a2)
        assert is_closed(reaches(two, "a2", b1)), reaches(two, "a2", b1)
        # Published ports at the node's address ask for the tenant, too; hosts and the world reach them.
        published = [f"tcp {two.host.address} 31000", f"udp {two.host.address} 31001"]
        assert list(one.from_task("a1", *published).values()) == [f"a2 {a1}", f"a2 {a1} 10"]
        assert is_closed(one.from_task("b1", *published))
        assert one.from_host(published[0])[published[0]] == f"a2 {one.host.address}"
        # Of the node itself a task of another one reaches nothing that is not opened.
        two.host.start(["python3", "-c", HOST_SERVER])
        on_host = f"tcp {two.host.address} 9000"
        wait_until(lambda: one.from_host(on_host)[on_host] == "host", 10, "a server on the host")
        assert is_closed(one.from_task("a1", on_host))
        two.do("blocked", prefixes=[], ports=[9000])
        assert one.from_task("a1", on_host)[on_host] == "host"
        two.host.process.kill()
        # As much as goes into one packet passes; a byte more does not begin its way.
        mtu = int(two.exec("a2", ["cat", "/sys/class/net/eth0/mtu"])[1])
        assert mtu == 1450, mtu
        fits, too_long = f"udp {a2} 8081 {mtu - 28}", f"udp {a2} 8081 {mtu - 27}"
        assert one.from_task("a1", fits, too_long) == {fits: f"a2 {a1} {mtu - 28}", too_long: "error 90"}
        # Nobody else's device is in the way of the node's own addresses.
        assert world["x"].run(["python3", "-c", "import socket; socket.create_connection(('%s', 31000), 2)" % two.host.address]).code == 0


def test_forged_packets():
    with two_nodes("x", "n3") as (world, one, two):
        a1 = one.serve("a1", *TEAM_A)
        a2 = two.serve("a2", *TEAM_A)
        assert reaches(one, "a1", a2)["udp"] == f"a2 {a1} 10"
        # What a known node sends for its own subnet is taken: so the packets that follow are well made.
        forge(one.host, two, a1, a2, TEAM_A[1], "genuine")
        wait_until(lambda: (a1, "genuine") in two.received("a2"), 20, "the packet of a known node")
        forge(world["x"], two, a1, a2, TEAM_A[1], "outsider")
        forge(one.host, two, "10.63.7.9", a2, TEAM_A[1], "foreign-subnet")
        forge(one.host, two, "10.63.2.77", a2, TEAM_A[1], "own-subnet")
        forge(one.host, two, one.host.address, a2, TEAM_A[1], "node-address")
        forge(one.host, two, a1, a2, 0, "no-tenant")
        forge(one.host, two, a1, a2, TEAM_B[1], "other-tenant")
        forge(one.host, two, a1, a2, TEAM_A[1], "other-network", VNI + 1)
        # A task cannot speak for its node, neither to the other one nor to its own.
        _, out, _ = one.exec("a1", ["python3", "-c", FORGE, two.host.address, a1, a2, str(TEAM_A[1]), "from-a-task", hardware_of(two),
                                    str(PORT), str(VNI)])
        for target in (one.host.address, "10.63.1.1"):
            one.exec("a1", ["python3", "-c", FORGE, target, "10.63.2.9", a1, str(TEAM_A[1]), "to-its-node", hardware_of(one), str(PORT),
                            str(VNI)])
        # Nor take another's address: a task with every capability sends raw packets, of its neighbour, its node, the other node's task.
        one.serve("mighty", *TEAM_B, privileged=True)
        raw = ("import socket,struct,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW)\n"
               "for source in sys.argv[2:]:\n u=struct.pack('>HHHH',5000,8081,8+5,0)+b'spoof'\n"
               " s.sendto(struct.pack('>BBHHHBBH4s4s',0x45,0,20+len(u),1,0,64,17,0,socket.inet_aton(source),socket.inet_aton(sys.argv[1]))+u,(sys.argv[1],0))\n"
               "print('sent')")
        _, out, err = one.exec("mighty", ["python3", "-c", raw, a2, a1, "10.63.1.1", "10.63.2.50", one.host.address])
        assert "sent" in out, err
        forge(one.host, two, a1, a2, TEAM_A[1], "last")
        wait_until(lambda: (a1, "last") in two.received("a2"), 20, "the last packet")
        taken = {text for _, text in two.received("a2")} - {"x" * 10}
        assert taken == {"genuine", "last"}, taken
        assert not {text for _, text in one.received("a1")} - {"x" * 10}, one.received("a1")


def stream(node, task, address):
    """A connection that says something every 50 ms and hears it back; its lines are counted in the task's log."""
    program = ("import socket,sys,time\nc=socket.create_connection((sys.argv[1],8080));f=c.makefile('rw');f.readline()\n"
               "c.settimeout(30)\nn=0\nwhile True:\n f.write('%d\\n'%n);f.flush();assert f.readline()=='%d\\n'%n\n n+=1;print(n,flush=True);time.sleep(.05)")
    node.launch(task, ["python3", "-u", "-c", program, address], tenant=TEAM_A[0], tenant_number=TEAM_A[1], network={"mode": "bridge"})
    node.started(task)

    def count():
        return len(node.text(task).split())
    wait_until(lambda: count() > 5, 60, f"the connection of {task}")
    return count


def goes_on(count, what):
    before = count()
    wait_until(lambda: count() > before + 5, 60, what)


def stands_still(count, what):
    time.sleep(0.5)
    before = count()
    time.sleep(1.5)
    assert count() <= before + 1, (what, before, count())


def test_nodes_come_and_go():
    with two_nodes() as (_, one, two):
        a1, a2 = one.serve("a1", *TEAM_A), two.serve("a2", *TEAM_A)
        count = stream(one, "stream", a2)
        # The daemon's death and its return are nobody's business, nor is the launcher's.
        one.kill_daemon()
        time.sleep(1)
        one.start()
        goes_on(count, "the connection after kill -9 of the daemon")
        assert one.tell(two) == []
        goes_on(count, "the connection after the daemon's return")
        assert reaches(one, "a1", a2)["tcp"] == f"a2 {a1}"
        # The other node forgets this one: from there nothing is taken, at once.
        two.tell()
        stands_still(count, "a connection from a node that is forgotten")
        assert is_closed(reaches(one, "a1", a2)) and "smx" not in two.sh("ip", "-br", "link")
        two.tell(one)
        goes_on(count, "the connection with the node back")
        # This one forgets the other: what tasks still send goes nowhere else.
        one.tell()
        assert is_closed(reaches(one, "a1", a2)), reaches(one, "a1", a2)
        assert "10.63.2" not in one.sh("ip", "route")
        one.tell(two)
        assert reaches(one, "a1", a2)["tcp"] == f"a2 {a1}"
        # A peer whose subnet this machine uses otherwise is told, and its route is not taken.
        two.sh("ip", "addr", "add", "10.63.1.77/32", "dev", "lo")
        two.sh("ip", "link", "add", "lan", "type", "bridge")
        two.sh("ip", "link", "set", "lan", "up")
        two.sh("ip", "route", "add", "10.63.1.0/26", "dev", "lan")
        problems = two.tell(one)
        assert len(problems) == 1 and "n1" in problems[0] and "10.63.1.0/26" in problems[0] and "tasks.network" in problems[0], problems
        two.sh("ip", "link", "del", "lan")
        assert two.tell(one) == []
        # Something else has the port: that is told, and nothing is sent where there is no way.
        two.tell()
        two.host.start(["python3", "-c", f"import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', {PORT})); "
                                         "print('bound', flush=True); time.sleep(600)"])
        wait_until(lambda: "bound" in two.host.process.output(), 20, "the port to be another's")
        refused = two.ask("network", **two.order(one))
        assert f"does nothing else of the machine use UDP port {PORT}" in refused["error"], refused
        assert one.host.address not in two.sh("nft", "list", "map", "inet", f"smackd_{two.name}", "nodes")
        two.host.process.kill()
        assert two.tell(one) == [] and reaches(one, "a1", a2)["tcp"] == f"a2 {a1}"


def test_what_is_allowed():
    allow = [{"from": TEAM_A[1], "to": TEAM_B[1], "port": 8080}]
    with two_nodes() as (_, one, two):
        a1, b2 = one.serve("a1", *TEAM_A), two.serve("b2", *TEAM_B)
        b1 = one.serve("b1", *TEAM_B)
        assert is_closed(reaches(one, "a1", b2)) and is_closed(reaches(one, "a1", b1))
        for node, other in ((one, two), (two, one)):
            node.tell(other, allowed=allow)
        # That port, that direction, over nodes and on one.
        for task in (b1, b2):
            found = reaches(one, "a1", task)
            assert found["tcp"].startswith("b") and found["udp"] in CLOSED and found["ping"] in CLOSED, found
        assert is_closed(reaches(two, "b2", a1)) and is_closed(reaches(one, "b1", a1))
        count = stream(one, "stream", b2)
        two.tell(one, allowed=[])
        stands_still(count, "a connection whose allowance is taken back")
        two.tell(one, allowed=allow)
        goes_on(count, "the connection with the allowance back")
        for node, other in ((one, two), (two, one)):
            node.tell(other, allowed=[{"from": TEAM_A[1], "to": TEAM_B[1]}])
        assert reaches(one, "a1", b2) == {"tcp": f"b2 {a1}", "udp": f"b2 {a1} 10", "ping": "pong"}
        assert is_closed(reaches(two, "b2", a1))


def has_wireguard(world):
    host = world["n1"]
    made = host.run(["ip", "link", "add", "wgtest", "type", "wireguard"])
    host.run(["ip", "link", "del", "wgtest"])
    return made.code == 0


def test_wireguard():
    """Where the kernel has it (test_kernels runs this on one that has)."""
    with World("n1", "n2", "n3", tasks=True) as world, contextlib.ExitStack() as stack:
        if not has_wireguard(world):
            raise Skip("this kernel has no WireGuard")
        one, two = (stack.enter_context(Node(world[f"n{i}"], f"10.63.{i}.0/24", UNDERLAY)) for i in (1, 2))
        three = stack.enter_context(Node(world["n3"], "10.63.3.0/24"))
        assert len(one.ready["key"]) == 64 and one.ready["key"] != two.ready["key"] and three.ready["key"] == ""
        for node in (one, two, three):
            assert node.tell(*[other for other in (one, two, three) if other is not node]) == []
        a1, a2, a3 = (node.serve(f"a{i}", *TEAM_A) for i, node in enumerate((one, two, three), 1))
        b2 = two.serve("b2", *TEAM_B)
        assert reaches(one, "a1", a2) == {"tcp": f"a2 {a1}", "udp": f"a2 {a1} 10", "ping": "pong"}
        assert reaches(two, "a2", a1)["tcp"] == f"a1 {a2}" and is_closed(reaches(one, "a1", b2))
        # To one that has no WireGuard in the clear, both ways.
        assert reaches(one, "a1", a3)["tcp"] == f"a3 {a1}" and reaches(three, "a3", a2)["tcp"] == f"a2 {a3}"
        assert two.exec("a2", ["cat", "/sys/class/net/eth0/mtu"])[1].strip() == "1390"
        fits = f"udp {a2} 8081 {1390 - 28}"
        assert one.from_task("a1", fits)[fits] == f"a2 {a1} {1390 - 28}"
        seen, *ports = captured(two, one, "a1", a2)
        assert seen == "hidden" and str(UNDERLAY) in ports and str(PORT) not in ports, (seen, ports)
        seen, *ports = captured(three, one, "a1", a3)
        assert seen == "seen" and str(PORT) in ports, (seen, ports)
        # What comes in the clear from a node that encrypts is not that node's.
        forge(one.host, two, a1, a2, TEAM_A[1], "in-the-clear")
        forge(one.host, three, a1, a3, TEAM_A[1], "as-it-should")
        wait_until(lambda: (a1, "as-it-should") in three.received("a3"), 60, "a packet in the clear")
        assert (a1, "in-the-clear") not in two.received("a2")
        # The key is the node's own and stays; a node that is forgotten is no peer.
        key = one.ready["key"]
        one.kill_daemon()
        one.start()
        assert one.ready["key"] == key and one.tell(two, three) == []
        assert reaches(one, "a1", a2)["tcp"] == f"a2 {a1}"
        two.tell(three)
        assert is_closed(reaches(one, "a1", a2))
        # Another key: the others are told, and it goes on.
        two.tell(one, three)
        again(one, "a1", a2, f"a2 {a1}")
        two.quit()
        os.unlink(f"{two.directory}/wireguard.key")
        two.start()
        assert two.tell(one, three) == [] and one.tell(two, three) == []
        again(one, "a1", a2, f"a2 {a1}")


def again(node, task, address, answer):
    """WireGuard notices a session that the peer has forgotten by 15 s without an answer, then shakes hands anew."""
    wait_until(lambda: reaches(node, task, address)["tcp"] == answer, 60, "another session")


def captured(at, sender, task, address):
    """What the host of `at` sees of a text on its way to it."""
    text = "a-text-that-nobody-else-says"
    with subprocess.Popen(["ip", "netns", "exec", at.host.namespace, "python3", "-c", CAPTURE, text, "20"], stdout=subprocess.PIPE,
                          text=True) as capture:
        assert capture.stdout.readline() == "capturing\n"
        sender.exec(task, ["python3", "-c", "import socket,sys; socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(sys.argv[2].encode(),"
                                            "(sys.argv[1],8081))", address, text])
        return capture.stdout.read().split()


def test_throughput():
    """SECONDS each: one connection between tasks of two nodes, of one node, and between the hosts."""
    seconds = os.environ.get("SECONDS_EACH", "2")
    with two_nodes() as (_, one, two):
        sink = {"environment": {"PATH": os.environ["PATH"]}, "tenant": TEAM_A[0], "tenant_number": TEAM_A[1], "network": {"mode": "bridge"}}
        addresses = []
        for node, task in ((one, "near"), (two, "far")):
            node.launch(task, ["python3", "-u", "-c", SINK], **sink)
            addresses.append(node.started(task)["address"])
            wait_until(lambda node=node, task=task: "ready" in node.text(task), 20, task)
        near, far = addresses
        one.serve("source", *TEAM_A)

        def gbits(out):
            return float(out) * 8 / 1e9
        figures = {}
        two.host.start(["python3", "-c", SINK])
        wait_until(lambda: two.sh("ss", "-Hltn", "sport = 8082") or "ready" in two.host.process.output(), 20, "the host's sink")
        for name, address in (("task to task over VXLAN", far), ("task to task on one node", near)):
            figures[name] = gbits(one.exec("source", ["python3", "-c", SOURCE, address, seconds])[1])
        figures["host to host by plain veth"] = gbits(one.sh("python3", "-c", SOURCE, two.host.address, seconds))
        echo = two.serve("echo", *TEAM_A)
        pings = one.exec("source", ["python3", "-c", ROUND_TRIPS, echo])[1].split()
        print("throughput:", ", ".join(f"{name} {value:.1f} Gbit/s" for name, value in figures.items()) +
              f", round trip over VXLAN {pings[0]} us (half of them below {pings[1]})", flush=True)
        assert figures["task to task over VXLAN"] > figures["host to host by plain veth"] / 20, figures


ROUND_TRIPS = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect((sys.argv[1], 8081)); times = []
for _ in range(500):
    begin = time.monotonic_ns(); s.send(b"x")
    try: s.recv(100)
    except OSError: continue
    times.append((time.monotonic_ns() - begin) // 1000)
times.sort()
print(min(times) if times else -1, times[len(times) // 2] if times else -1)
"""
