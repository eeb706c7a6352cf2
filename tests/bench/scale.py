#!/usr/bin/env python3
"""10,000 simulated nodes and 100,000 tasks on the real core and the real state: figures and their aims.

    tests/bench/scale.py [--seconds N]      how long placing may take before the figure is made of what is placed
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BENCHES = os.environ.get("SMACKD_BENCHES", os.path.join(HERE, "../../build/release/bench"))
LIMIT_S = 900
# Figure of scale.cc, what it is, unit, the most (or least) that is aimed at.
ROWS = (
    ("decide", "placements_per_s", "placements decided, constraints and all", "1/s", (">=", 20000)),
    ("durable", "durable_per_s", "the same, synced to the log (fdatasync), applied and committed", "1/s", (">=", 5000)),
    ("durable", "status_updates_per_s", "status updates of nodes, synced, applied, in the leader's model", "1/s", None),
    ("steady", "look_idle_p50_ms", "one look of the leader when nothing has changed", "ms", ("<=", 10)),
    ("steady", "look_one_change_p50_ms", "one look when one task has changed", "ms", ("<=", 10)),
    ("steady", "look_one_change_p95_ms", "the same, 95th percentile", "ms", None),
    ("steady", "list_apps_p50_ms", "GET /v2/apps: the answer of all apps", "ms", None),
    ("steady", "list_apps_p95_ms", "the same, 95th percentile", "ms", None),
    ("steady", "explain_p50_ms", "explain of an app that fits nowhere", "ms", None),
    ("steady", "explain_p95_ms", "the same, 95th percentile", "ms", None),
    ("durable", "database_bytes_per_task", "database, bytes a task", "bytes", None),
    ("steady", "model_mib", "the model in memory (PSS)", "MiB", None),
    ("steady", "model_load_p50_ms", "reading the model from the state", "ms", None),
)


def figures(part, *words):
    done = subprocess.run([os.path.join(BENCHES, "scale"), part, *words], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"scale {part}: {done.stderr.strip()[-300:]}")
    found = {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}
    if found.get("refused"):
        raise RuntimeError(f"scale {part}: {found['refused']:.0f} of the leader's commands were refused")
    return found


def measure(seconds):
    """{part: figures}; the state lives in a temporary directory (TMPDIR), on a real disk."""
    folder = tempfile.mkdtemp(prefix="smackd_scale_")
    try:
        limit = ("--seconds", str(seconds))
        return {"decide": figures("decide", *limit), "durable": figures("durable", folder, *limit), "steady": figures("steady", folder)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


def run(seconds):
    """Prints the table; the aims that were missed."""
    found = measure(seconds)
    missed = []
    print("| 10,000 nodes, 100,000 tasks, 3,000 apps | figure | aim |\n|---|---|---|")
    for part, name, what, unit, aim in ROWS:
        value = found[part][name]
        met = aim is None or (value >= aim[1] if aim[0] == ">=" else value <= aim[1])
        if not met:
            missed.append(what)
        wanted = "" if aim is None else f"{'at least' if aim[0] == '>=' else 'at most'} {aim[1]:,} {unit}{'' if met else ': missed'}"
        print(f"| {what} | {number(value)} {unit} | {wanted} |")
    for part in ("decide", "durable"):
        placed, wanted = found[part]["placed"], found["decide"]["wanted"]
        print(f"{part}: {placed:,.0f} of {wanted:,.0f} placed (the rest fits nowhere or was out of time)")
    durable = found["durable"]
    print(f"of the time of the durable ones {100 * durable['log_share']:.0f} % went to the log's sync, {100 * durable['apply_share']:.0f} % to applying")
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="limit of placing")
    missed = run(parser.parse_args().seconds)
    if missed:
        print(f"missed: {'; '.join(missed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
