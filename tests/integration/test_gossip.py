"""Who answers: nodes that die, stop, come back, and packets that nobody should believe."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time

from harness import wait_until
from test_join import cli, cli_json, join_by_bundle, logged, start, start_first
from world import World

CLUSTER_PORT = 5055


def liveness(world, via="n1"):
    return {node["machine"]: node["liveness"] for node in cli_json(world, "node", "list", via=via)["nodes"]}


def wait_liveness(world, wanted, limit=20, via="n1"):
    def settled():
        seen = liveness(world, via)
        return all(seen.get(name) == state for name, state in wanted.items())
    wait_until(settled, limit, f"{wanted} as {via} sees it: {liveness(world, via)}")


def five_nodes(world):
    """n1, n2: servers; a1: an agent that others reach; a2: one behind NAT."""
    start_first(world["n1"])
    join_by_bundle(world, "n2", "server")
    start(world["n2"])
    for name in ("a1", "a2"):
        join_by_bundle(world, name, "agent")
    a2 = world["a2"]
    config = os.path.join(a2.work, "smackd.toml")
    with open(config, "w") as file:
        file.write('[node]\ngossip = "stream"\n')
    start(world["a1"])
    start(a2, "--config", config)


def test_gossip_sees_who_dies_stops_and_returns():
    with World("n1", "n2", "a1", "a2") as world:
        five_nodes(world)
        everybody = {name: "alive" for name in ("n1", "n2", "a1", "a2")}
        for server in ("n1", "n2"):
            wait_liveness(world, everybody, via=server)
        world["a1"].process.kill()
        world["a2"].process.kill()
        for server in ("n1", "n2"):
            wait_liveness(world, {"n1": "alive", "n2": "alive", "a1": "dead", "a2": "dead"}, via=server)
        start(world["a1"])
        start(world["a2"], "--config", os.path.join(world["a2"].work, "smackd.toml"))
        wait_liveness(world, everybody)
        # Stopped in good order is not dead.
        for name in ("a1", "a2"):
            world[name].process.stop(signal.SIGTERM)
        wait_liveness(world, {"n1": "alive", "a1": "left", "a2": "left"})
        # Two seconds are no death; a cable that is out is one, and its end is noticed.
        world["n2"].process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        world["n2"].process.send_signal(signal.SIGCONT)
        world["n2"].plug(False)
        wait_until(lambda: "what=unreachable node=2 name=n2" in world["n1"].process.log(), 30,
                   f"n2 unreachable: {world['n1'].process.log()[-2000:]}")
        world["n2"].plug(True)
        wait_liveness(world, {"n2": "alive"}, limit=30)


@contextlib.contextmanager
def wire_tap(world, name):
    """Packets at the bridge's end of a host's cable."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    tap.bind((f"v{world.mark}{name}", 0))
    tap.settimeout(0.5)
    try:
        yield tap
    finally:
        tap.close()


def gossip_payload(frame, source, target):
    """Of an Ethernet frame with a UDP datagram from the one host to the other's cluster port, else None."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    header = (frame[14] & 15) * 4
    udp = frame[14 + header:]
    addresses = (socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34]))
    port, length = struct.unpack("!HH", udp[2:6])
    if addresses != (source, target) or port != CLUSTER_PORT:
        return None
    return udp[8:length]


SEND = """
import socket, sys
packet = bytes.fromhex(sys.argv[2])
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(packet, (sys.argv[1], %d))
""" % CLUSTER_PORT


def send_from(host, target, packet):
    subprocess.run(host.words([sys.executable, "-c", SEND, target, packet.hex()]), check=True, timeout=20)


def test_gossip_refuses_replays_strangers_and_the_removed():
    with World("n1", "a1", "a2", "x1") as world:
        n1, a1, x1 = world["n1"], world["a1"], world["x1"]
        start_first(n1)
        for name in ("a1", "a2"):
            join_by_bundle(world, name, "agent")
            start(world[name])
        wait_liveness(world, {"a1": "alive", "a2": "alive"})
        with wire_tap(world, "a1") as tap:
            def capture():
                with contextlib.suppress(TimeoutError):
                    return gossip_payload(tap.recv(2048), a1.address, n1.address)
            deadline = time.monotonic() + 30
            packet = None
            while packet is None and time.monotonic() < deadline:
                packet = capture()
        assert packet, "a1 sent n1 no gossip"
        assert b"a1" not in packet and b"a2" not in packet, "gossip is in clear text"
        send_from(x1, n1.address, packet)
        logged(world, "gossip", "replayed", x1.address)
        time.sleep(1.2)  # one refusal a second is told; the others are counted
        send_from(x1, n1.address, packet[:-1] + bytes([packet[-1] ^ 1]))
        logged(world, "gossip", "no gossip key of ours", x1.address)
        time.sleep(1.2)
        send_from(x1, n1.address, b"\x00" * 64)
        wait_until(lambda: n1.process.log().count(f"gossip packet refused peer={x1.address}") >= 3, 10,
                   n1.process.log()[-2000:])

        # The removed one has the key until it has changed; it is not in the registry, and then the key is worthless.
        def versions():
            return n1.process.log().count("gossip keys version=")
        before = versions()
        # It would stop by itself as soon as a server tells it: here none can.
        for rule in ("add table ip cut", "add chain ip cut out { type filter hook output priority 0; }",
                     "add rule ip cut out tcp dport 5055 drop", "add rule ip cut out tcp sport 5055 drop"):
            answer = a1.run(["nft", rule])
            assert answer.code == 0, answer
        cli(world, "machine", "remove", "a1")
        assert a1.process.running()
        logged(world, "gossip", "is not in the machine registry", a1.address)
        wait_until(lambda: versions() >= before + 3, 90, f"three steps of rotation: {n1.process.log()[-3000:]}")
        logged(world, "gossip", "no gossip key of ours", a1.address)
        wait_liveness(world, {"a2": "alive"})
