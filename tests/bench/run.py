#!/usr/bin/env python3
"""The figures of `make bench`: smackd beside etcd and the raw disk, all in one run on this machine.

    tests/bench/run.py [--seconds N] [--only PART,...]     parts: writes reads feed api idle
                                                      join failover detection replication agents nodes
                                                      starts shims apps edge scale

Everything runs on loopback; loads are bounded in count and time. Figures are medians of three rounds where a round
is short; ratios are more reliable than absolutes on a shared machine, which is why the raw disk is measured before
each block.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../integration")]

import app_starts  # noqa: E402
import cluster  # noqa: E402
import cluster_figures  # noqa: E402
import etcd_peer  # noqa: E402
import harness  # noqa: E402
import scale  # noqa: E402
import task_starts  # noqa: E402

BENCHES = os.environ.get("SMACKD_BENCHES", os.path.join(harness.ROOT, "build/release/bench"))
CLIENTS = (1, 16, 256)
ETCD_WRITES = {1: 2000, 16: 12000, 256: 40000}
WATCHERS = 200
IDLE_S = 20
PSS_AIM_MIB = 24
PACKAGES = {"etcd": "etcd-server", "openssl": "openssl", "etcdctl": "etcd-client", "wrk": "wrk"}


def install_peers():
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if missing and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def raw_disk(folder):
    output = subprocess.run([os.path.join(BENCHES, "raw_fdatasync"), folder, "2"], capture_output=True, text=True,
                            check=True).stdout.split()
    return float(output[0])


def load_figures(text):
    """(per second, p50 ms, p99 ms) of the load tool's line."""
    found = re.search(r"([\d.]+)/s, p50 ([\d.]+) ms, p99 ([\d.]+) ms", text)
    if not found:
        raise RuntimeError(f"the load tool printed: {text}")
    return tuple(float(value) for value in found.groups())


def smackd_writes(urls, token, work, clients, seconds, ca=None):
    load = cluster.Load(urls, token, work, clients=clients, ca=ca).start(seconds)
    load.process.wait(seconds + 60)
    return load_figures(load.process.output())


class OneNode:
    name = "smackd, one node"

    def __enter__(self):
        self.demo = harness.Demo().start()
        self.urls = [self.demo.environment["SMACKD_URL"]]
        self.token, self.work, self.ca = self.demo.token(), self.demo.work, None
        return self

    def __exit__(self, *_):
        self.demo.stop()


class ThreeNodes:
    name = "smackd, three processes over mTLS"

    def __enter__(self):
        self.cluster = cluster.Cluster(3).start()
        first = self.cluster.servers[0]
        assert self.cluster.cli(first, "login").code == 0
        with open(os.path.join(self.cluster.work, "session.json")) as file:
            self.token = next(iter(json.load(file).values()))["token"]
        leader = harness.wait_until(self.cluster.leader, 10, "a leader")
        self.urls, self.work = [leader.url()], self.cluster.work
        self.ca = os.path.join(first.directory, "cluster/ca.pem")
        return self

    def __exit__(self, *_):
        self.cluster.stop()


def bench_writes(seconds, benchmark):
    print("\n## Durable commands per second (200-byte values; acknowledged after fsync on a majority)\n")
    row("who", "clients", "per second", "p50 ms", "p99 ms", "raw fdatasync/s just before", "x etcd")
    row(*["---"] * 7)
    for place, members in ((OneNode, 1), (ThreeNodes, 3)):
        peer = etcd_writes(members, benchmark)
        with place() as node:
            for clients in CLIENTS:
                raw = raw_disk(node.work)
                rate, p50, p99 = smackd_writes(node.urls, node.token, node.work, clients, seconds, node.ca)
                ratio = f"{rate / peer[clients][0]:.1f}" if clients in peer else "-"
                row(node.name, clients, f"{rate:.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{raw:.0f}", ratio)


def etcd_writes(members, benchmark):
    """Three members speak TLS like ours, so that like is compared with like."""
    if benchmark is None or shutil.which("etcd") is None:
        print("etcd or its benchmark tool is not to be had here: no peer figures")
        return {}
    folder = tempfile.mkdtemp(prefix="smackd_bench_etcd_")
    tls = members > 1
    peer = etcd_peer.Etcd(folder, members, tls)
    figures = {}
    try:
        endpoint = etcd_peer.leader_first(peer)
        for clients in CLIENTS:
            raw = raw_disk(folder)
            figures[clients] = etcd_peer.run_benchmark(benchmark, endpoint, clients, "put", ETCD_WRITES[clients],
                                                        ca=peer.ca)
            rate, p50, p99 = figures[clients]
            row("etcd, three members over mTLS" if tls else "etcd, one member", clients, f"{rate:.0f}", f"{p50:.2f}", f"{p99:.2f}",
                f"{raw:.0f}", "1")
    finally:
        peer.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def wrk(url, token, seconds, connections=64):
    """Requests per second and p99 of one target; the token goes in by a script file, not the command line."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.headers["Authorization"] = "Bearer {token}"\n')
        script.flush()
        output = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, url],
                                capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"{url}: {output}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    return rate, re.search(r"99%\s+(\S+)", output).group(1)


def bench_reads(seconds, benchmark):
    print("\n## Reads per second (64 connections)\n")
    row("who", "kind", "per second", "p99")
    row(*["---"] * 4)
    with OneNode() as node:
        node.demo.must("group", "add", "bench", "admin")
        for kind, query in (("stale", ""), ("consistent", "?consistent=true")):
            rate, p99 = wrk(f"{node.urls[0]}/smack/v1/groups/bench{query}", node.token, seconds)
            row(node.name, kind, f"{rate:.0f}", p99)
    if benchmark is None or shutil.which("etcd") is None:
        return
    folder = tempfile.mkdtemp(prefix="smackd_bench_etcd_")
    peer = etcd_peer.Etcd(folder, 1)
    try:
        for kind, consistency in (("stale", "s"), ("consistent", "l")):
            rate, _, p99 = etcd_peer.run_benchmark(benchmark, peer.endpoints(), 64, consistency, 40000)
            row("etcd, 1 member", kind, f"{rate:.0f}", f"{p99:.2f}ms")
    finally:
        peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


def bench_feed(_seconds, _benchmark):
    print(f"\n## Change feed with {WATCHERS} watchers\n")
    with OneNode() as node:
        output = subprocess.run([os.path.join(BENCHES, "feed_delay"), str(node.demo.ports["api"]), str(WATCHERS), "500",
                                 "50"], capture_output=True, text=True, check=True,
                                env={**os.environ, "SMACKD_TOKEN": node.token}).stdout.split()
    received, expected = int(output[0]), int(output[1])
    print(f"{received} of {expected} events arrived; delay from acknowledgement p50 {output[2]} ms, p99 {output[3]} ms; "
          f"from sending p50 {output[4]} ms, p99 {output[5]} ms")


def bench_api(seconds, _benchmark):
    print("\n## API requests per second on one node\n")
    with OneNode() as node:
        rate, p99 = wrk(f"{node.urls[0]}/smack/v1/whoami", node.token, seconds)
        print(f"whoami with a token: {rate:.0f}/s, p99 {p99}")
        tool = os.path.join(BENCHES, "negotiate_load")
        output = subprocess.run([tool, node.urls[0], "4", str(seconds)], capture_output=True, text=True, check=True,
                                env={**os.environ, **node.demo.environment}).stdout
        print(f"whoami with Negotiate: {output.strip()}")


def descendants(pid):
    found = [pid]
    for candidate in os.listdir("/proc"):
        if candidate.isdigit():
            try:
                with open(f"/proc/{candidate}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                found += descendants(int(candidate))
    return found


def proc_value(pid, file, key):
    with open(f"/proc/{pid}/{file}") as text:
        return int(re.search(rf"^{key}:\s+(\d+)", text.read(), re.MULTILINE).group(1))


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def bench_idle(_seconds, _benchmark):
    print("\n## Idle, one node with the embedded realm\n")
    with OneNode() as node:
        time.sleep(5)
        pids = descendants(node.demo.process.child.pid)
        cpu, written = cpu_seconds(pids), sum(proc_value(pid, "io", "write_bytes") for pid in pids)
        time.sleep(IDLE_S)
        cpu = cpu_seconds(pids) - cpu
        written = sum(proc_value(pid, "io", "write_bytes") for pid in pids) - written
        pss = sum(proc_value(pid, "smaps_rollup", "Pss") for pid in pids) / 1024
        anonymous = sum(proc_value(pid, "smaps_rollup", "Pss_Anon") for pid in pids) / 1024
    print(f"{len(pids)} processes: PSS {pss:.1f} MiB (anonymous {anonymous:.1f}; aim {PSS_AIM_MIB}), "
          f"CPU {100 * cpu / IDLE_S:.2f} % of one core, {written / IDLE_S:.0f} bytes written a second")


def bench_starts(_seconds, _benchmark):
    print("\n## Starts of isolated tasks through the launcher, beside crun and runc: same root, filter, user namespace and limits\n")
    assert task_starts.run(200), "something is left behind"


def bench_shims(_seconds, _benchmark):
    print("\n## A task's shim: exec'ed by the launcher (as it is) or forked from a small process\n")
    row("shim", "start p50 ms", "p99 ms", "memory of its own, KiB")
    row(*["---"] * 4)
    directory = os.path.join(harness.temporary_directory("shims"), "agent")
    done = subprocess.run([f"{BENCHES}/shim_kinds", harness.SMACKD, directory, "30"], check=True, capture_output=True, text=True, timeout=300)
    for line in done.stdout.splitlines():
        row(*line.split())


def bench_apps(_seconds, _benchmark):
    print("\n## Applications through the API of one node\n")
    assert app_starts.run(30, 500), "something is left behind"


def bench_scale(_seconds, _benchmark):
    print("\n## A large cluster: simulated nodes, real decisions, real state\n")
    missed = scale.run(60)
    if missed:
        print(f"missed: {'; '.join(missed)}")


def bench_edge(_seconds, _benchmark):
    """Ingress beside HAProxy and nginx, DNS beside Knot and NSD; the harness prints its own tables."""
    subprocess.run([sys.executable, os.path.join(HERE, "edge.py")], check=True)


PARTS = {"writes": bench_writes, "reads": bench_reads, "feed": bench_feed, "api": bench_api, "idle": bench_idle,
         **cluster_figures.CLUSTER_PARTS, "starts": bench_starts, "shims": bench_shims, "apps": bench_apps, "edge": bench_edge,
         "scale": bench_scale}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=8, help="of each load")
    parser.add_argument("--only", default=",".join(PARTS))
    options = parser.parse_args()
    install_peers()
    harness.install_tools()
    benchmark = etcd_peer.build_benchmark(os.environ.get("SMACKD_CACHE") or os.path.expanduser("~/.cache/smackd"))
    failed = 0
    try:
        for part in options.only.split(","):
            try:
                PARTS[part](options.seconds, benchmark)
            except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as problem:
                print(f"{part}: not measured: {problem}")
                failed += 1
    finally:
        harness.clean_up()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
