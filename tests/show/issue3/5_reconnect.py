"""Must show 5 of issue 3: agents that lose their server at the same moment.

Three servers; AGENTS (500) agents with certificates and TLS of their own, all but STEADY (20) of them at one follower,
which is killed. Measured: the time until all are connected again, the processor time it took on both sides, and what
others felt meanwhile: the longest time between two answers to the agents that stayed, and whether Raft changed its
leader or its term. A heartbeat is missed when an answer takes longer than LIMIT_S, after which an agent leaves.
"""

import os
import re
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../integration"), os.path.join(HERE, "../../bench")]

import harness  # noqa: E402
from agents import Agents  # noqa: E402
from cluster import Cluster  # noqa: E402
from harness import wait_until  # noqa: E402

AGENTS = int(os.environ.get("AGENTS", "500"))
STEADY = int(os.environ.get("STEADY", "20"))
RUNS = int(os.environ.get("RUNS", "1"))
LIMIT_S = 3
RECONNECT_LIMIT_S = 600


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def consensus_lines(server):
    return len(re.findall(r"msg=consensus|consensus role=", server.process.log()))


def one_run():
    cluster = Cluster(3).start()
    agents = None
    try:
        leader = wait_until(cluster.leader, 20, "a leader")
        victim = next(server for server in cluster.servers if server is not leader)
        others = [server for server in cluster.servers if server is not victim]
        first = cluster.servers.index(victim)
        agents = Agents(cluster, AGENTS, first=first, steady=STEADY)
        print(f"first connection: {agents.wait_connected(RECONNECT_LIMIT_S)}", flush=True)
        time.sleep(5)
        quiet = agents.ask("stats")
        print(f"quiet: heartbeat p50 {quiet['heartbeat_p50_ms']} ms, p99 {quiet['heartbeat_p99_ms']} ms, "
              f"max {quiet['heartbeat_max_ms']} ms, snapshots {quiet['snapshots']}", flush=True)
        before = {server.name: cpu_seconds(server.process.child.pid) for server in others}
        own = cpu_seconds(agents.pid())
        changes = {server.name: consensus_lines(server) for server in others}
        agents.ask("reset")
        victim.process.kill()
        agents.wait_connected(RECONNECT_LIMIT_S)
        stats = agents.ask("stats")
        servers_cpu = {server.name: cpu_seconds(server.process.child.pid) - before[server.name] for server in others}
        stats["servers_cpu"], stats["agents_cpu"] = servers_cpu, cpu_seconds(agents.pid()) - own
        stats["elections"] = sum(consensus_lines(server) - changes[server.name] for server in others)
        time.sleep(3)
        after = agents.ask("stats")
        stats["connected"] = after["connected"]
        stats["quiet_lost"] = quiet["lost"]
        assert all(server.running() for server in others), "a server ended"
        return stats
    finally:
        if agents:
            agents.stop()
        cluster.stop()


def main():
    failed = []
    times = []
    for _ in range(RUNS):
        stats = one_run()
        times.append(stats["all_connected_ms"] / 1000)
        cpu = ", ".join(f"{name} {value:.1f} s" for name, value in stats["servers_cpu"].items())
        print(f"{AGENTS - STEADY} agents lost their server: all connected after {times[-1]:.2f} s; longest time between "
              f"two answers of theirs {stats['gap_ms'] / 1000:.2f} s; of the {STEADY} others {stats['steady_gap_ms'] / 1000:.2f} s; "
              f"dials that failed {stats['failed_dials']}; CPU: {cpu}, all agents {stats['agents_cpu']:.1f} s; "
              f"changes of leader or term {stats['elections']}", flush=True)
        if stats["failed_dials"]:
            print(f"  why dials failed: {stats['reasons']}")
        if stats["connected"] != AGENTS:
            failed.append(f"{stats['connected']} of {AGENTS} are connected")
        if stats["steady_gap_ms"] > LIMIT_S * 1000:
            failed.append("an agent of another server missed a heartbeat")
        if stats["elections"]:
            failed.append("Raft's heartbeats were missed")
        if stats["snapshots"]:
            failed.append(f"{stats['snapshots']} agents needed a snapshot again")
    print(f"{'FAIL' if failed else 'PASS'}: {AGENTS} agents reconnect: median {statistics.median(times):.2f} s over {RUNS} run(s), "
          f"{os.cpu_count()} processors for all of it{'; ' + '; '.join(failed) if failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        code = main()
    finally:
        harness.clean_up()
    sys.exit(code)
