#!/usr/bin/env python3
"""Ingress, churn and DNS of `smackd edge` beside HAProxy, nginx, Knot and NSD, in one run and interleaved.

    tests/bench/edge.py [ingress|churn|dns]... [--rounds N] [--scale X] [--secs S]

The harness under tests/bench/edge reports CPU seconds per 100,000 requests (per million queries): on a busy machine only that
compares. Server on core 0, load and backend on core 1, all of it on loopback and bounded in count and time.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))
import harness  # noqa: E402

PACKAGES = {"haproxy": "haproxy", "nginx": "nginx-light", "knotd": "knot", "nsd": "nsd", "dnsperf": "dnsperf"}
MAKE = "python3 @@here@@/make_table.py"
INGRESS = "http=@@http@@ vhttp=@@vhttp@@ https=@@https@@ backend=@@backend@@ nvhosts=@@nvhosts@@"


def descriptors(work):
    start = f"{harness.SMACKD} edge --table @@dir@@/table.json"
    task = ('{"id":"%s","app":"/app%s","framework":"marathon","name":"app%s","host_addresses":["127.0.0.1"],'
            '"ports":[{"host_port":@@bp@@}]}')
    app = ('{"id":"/app@@i@@","ports":[{"http":true,"groups":["external"],"routes":[{"host":"app@@i@@.marathon.mesos"}]}]}')
    churn = {"variant": "table", "gen": "", "dyn": "," + task % ("extra", "0", "0"), "apply": {"type": "signal", "signal": "HUP"},
             "repeat": {"APPS": {"count": "nvhosts", "calc": {"c": "'' if i == 0 else ','"}, "line": "@@c@@" + app},
                        "TASKS": {"count": "nvhosts", "calc": {"c": "'' if i == 0 else ','", "bp": "backend + i % 10"},
                                  "line": "@@c@@" + task % ("app@@i@@.1", "@@i@@", "@@i@@")}},
             "files": {"table.json": ['{"epoch":1,"revision":1,"settings":{"groups":[{"name":"external","http_listeners":',
                                      '["127.0.0.1:@@http@@"]}]},"apps":[@@APPS@@],"tasks":[@@TASKS@@@@DYN@@]}']}}
    both = {
        "ingress": {"name": "smackd", "kind": "ingress", "ports": {"http": 0, "https": 1, "vhttp": 2}, "wait": ["http"], "start": start,
                    "gen": f"{MAKE} ingress @@dir@@/table.json {INGRESS} crt=@@crt@@ key=@@key@@", "churn": [churn]},
        "dns": {"name": "smackd", "kind": "dns", "ports": {"auth": 0, "fwd": 0}, "ready": "auth", "wait": ["auth"], "start": start,
                "gen": f"{MAKE} dns @@dir@@/table.json auth=@@auth@@ upstream=@@upstream@@ zone=@@zfile@@"}}
    paths = {}
    for kind, descriptor in both.items():
        paths[kind] = os.path.join(work, f"smackd-{kind}.json")
        with open(paths[kind], "w") as file:
            json.dump(descriptor, file)
    return paths


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["ingress", "churn", "dns"])
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--scale", default="0.3")
    parser.add_argument("--secs", default="1")
    parser.add_argument("--cases", default="")
    chosen = parser.parse_args()
    harness.install(PACKAGES)
    if not os.path.exists("/usr/include/openssl/ssl.h"):
        subprocess.run(["apt-get", "install", "-y", "-q", "libssl-dev"], check=False, stdout=subprocess.DEVNULL)
    work = harness.temporary_directory("edge_bench")
    smackd = descriptors(work)
    runs = {"ingress": ["ingress.py", "--mem", "--peers", f"haproxy,haproxy-mlb,nginx,{smackd['ingress']}", "--rounds", chosen.rounds,
                        "--scale", chosen.scale],
            "churn": ["churn.py", "--peers", f"haproxy,nginx,{smackd['ingress']}", "--secs", "6", "--rate", "1000", "--close-rate", "100"],
            "dns": ["dns.py", "--peers", f"knot,nsd,{smackd['dns']}", "--rounds", chosen.rounds, "--secs", chosen.secs]}
    environment = {**os.environ, "BENCH_WORK": work}
    failed = 0
    for what in chosen.what:
        words = [sys.executable, os.path.join(HERE, "edge", runs[what][0]), *runs[what][1:]]
        if chosen.cases and what != "churn":
            words += ["--cases", chosen.cases]
        print(f"\n## {what}", flush=True)
        failed += subprocess.run(words, env=environment, check=False).returncode != 0
    harness.clean_up()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
