"""The parts of `make bench` that need a cluster: joining, failover, detection, replication, agents, idle nodes.

Joining, failover and detection are the acceptance scripts of issue 3 with fewer runs.
"""

import json
import os
import re
import subprocess
import sys
import time

import cluster
import harness
import test_join
from agents import Agents
from world import World

AGENTS = int(os.environ.get("AGENTS", "500"))
CHANGES, EVERY_MS = 200, 50
IDLE_S = 20
PSS_AIM_MIB = {"server": 24, "agent": 12}
SHOW = os.path.join(harness.ROOT, "tests/show/issue3")


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def acceptance(script, environment):
    """The figures of an acceptance script; its own verdict is not this bench's."""
    done = subprocess.run([sys.executable, os.path.join(SHOW, script)], env={**os.environ, **environment},
                          capture_output=True, text=True, timeout=1800)
    print(done.stdout.strip() or done.stderr[-500:], flush=True)


def bench_join(_seconds, _benchmark):
    print("\n## Three servers and three agents from six empty directories\n")
    acceptance("1_join.py", {"RUNS": "3"})


def bench_failover(_seconds, benchmark):
    print("\n## The leader is killed under 256 clients\n")
    acceptance("3_failover.py", {"KILLS": "5", "FAULTS": "0", "ONLY": "kill", "STORES": "smackd,etcd" if benchmark else "smackd"})


def bench_detection(_seconds, _benchmark):
    print("\n## A host dies: until all others know\n")
    acceptance("4_detection.py", {"RUNS": "3"})


def bench_replication(seconds, _benchmark):
    print("\n## Acknowledged writes per second, processes over mTLS on this machine\n")
    row("voters", "clients", "per second", "p50 ms", "p99 ms")
    row(*["---"] * 5)
    for voters in (3, 5):
        made = cluster.Cluster(voters).start()
        try:
            leader = harness.wait_until(made.leader, 20, "a leader")
            assert made.cli(leader, "login").code == 0
            with open(os.path.join(made.work, "session.json")) as file:
                token = next(iter(json.load(file).values()))["token"]
            for clients in (1, 16, 256):
                load = cluster.Load([leader.url()], token, made.work, clients=clients,
                                    ca=os.path.join(leader.directory, "cluster/ca.pem")).start(seconds)
                load.process.wait(seconds + 60)
                found = re.search(r"([\d.]+)/s, p50 ([\d.]+) ms, p99 ([\d.]+) ms", load.process.output())
                row(voters, clients, *(found.groups() if found else ["no figures"]))
        finally:
            made.stop()


def pss_mib(pid):
    def one(candidate):
        with open(f"/proc/{candidate}/smaps_rollup") as text:
            return int(re.search(r"^Pss:\s+(\d+)", text.read(), re.MULTILINE).group(1)) / 1024
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return one(pid) + sum(one(int(child)) for child in children)


def bench_agents(_seconds, _benchmark):
    print(f"\n## Changes to {AGENTS} agents on three servers (TLS, one process with all agents)\n")
    made = cluster.Cluster(3).start()
    agents = None
    try:
        empty = [pss_mib(server.process.child.pid) for server in made.servers]
        agents = Agents(made, AGENTS)
        print(agents.wait_connected(600))
        time.sleep(5)
        agents.ask("reset")
        delays = agents.ask(f"fanout {CHANGES} {EVERY_MS}", 120)
        stats = agents.ask("stats")
        print(f"{delays['arrived']} of {delays['expected']} arrived; from commit p50 {delays['commit_p50_ms']} ms, p99 "
              f"{delays['commit_p99_ms']} ms; from sending p50 {delays['sending_p50_ms']} ms, p99 {delays['sending_p99_ms']} ms; "
              f"heartbeats meanwhile p99 {stats['heartbeat_p99_ms']} ms, lost streams {stats['lost']}")
        full = [pss_mib(server.process.child.pid) for server in made.servers]
        print("PSS of the servers without agents " + ", ".join(f"{value:.1f}" for value in empty) + " MiB, with them " +
              ", ".join(f"{value:.1f}" for value in full) + " MiB")
    finally:
        if agents:
            agents.stop()
        made.stop()


def interface_bytes(host):
    text = subprocess.run(["ip", "-n", host.namespace, "-s", "-j", "link"], capture_output=True, text=True, check=True).stdout
    links = [link for link in json.loads(text) if link["ifname"] != "lo"]
    return sum(link["stats64"]["rx"]["bytes"] + link["stats64"]["tx"]["bytes"] for link in links)


def main_pid(host):
    """The daemon behind `ip netns exec`, which execs it."""
    return host.process.child.pid


def bench_nodes(_seconds, _benchmark):
    print(f"\n## Idle nodes: three servers and two agents, over {IDLE_S} s\n")
    row("node", "bytes/s (sent and received)", "PSS MiB", "aim")
    row(*["---"] * 4)
    with World("n1", "n2", "n3", "a1", "a2") as world:
        test_join.start_first(world["n1"])
        for name in ("n2", "n3", "a1", "a2"):
            test_join.join_by_bundle(world, name, "server" if name[0] == "n" else "agent")
            test_join.start(world[name])
        voters = {"n1": "voter", "n2": "voter", "n3": "voter"}
        harness.wait_until(lambda: test_join.roles_of(world) == voters, 60, "three voters")
        time.sleep(10)
        hosts = [world[name] for name in ("n1", "n2", "n3", "a1", "a2")]
        before = [interface_bytes(host) for host in hosts]
        time.sleep(IDLE_S)
        for host, bytes_before in zip(hosts, before):
            kind = "server" if host.name[0] == "n" else "agent"
            row(f"{kind} {host.name}", f"{(interface_bytes(host) - bytes_before) / IDLE_S:.0f}",
                f"{pss_mib(main_pid(host)):.1f}", PSS_AIM_MIB[kind])


CLUSTER_PARTS = {"join": bench_join, "failover": bench_failover, "detection": bench_detection,
                 "replication": bench_replication, "agents": bench_agents, "nodes": bench_nodes}
