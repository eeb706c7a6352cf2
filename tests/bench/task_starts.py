#!/usr/bin/env python3
"""Starts of isolated tasks: from the launcher's taking one to its execve, and to its end being told. task_starts.py [COUNT]

Beside it `crun run` and `runc run` of the same root file system, where they are installed and work on this machine's groups.
Times are of this moment's load: compare within one run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import harness  # noqa: E402
from tasks import Tasks, busybox_layers  # noqa: E402


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def line(name, to_exec, total):
    text = f"{name}: "
    if to_exec:
        text += f"to execve p50 {percentile(to_exec, 0.5):.1f} ms p99 {percentile(to_exec, 0.99):.1f} ms, "
    return text + f"start to end p50 {percentile(total, 0.5):.1f} ms p99 {percentile(total, 0.99):.1f} ms ({len(total)} starts)"


def ours(count, kind, **spec):
    to_exec, total = [], []
    with Tasks("auto" if kind == "bridge" else "") as tasks:
        for i in range(count):
            began = time.monotonic()
            tasks.launch(f"t{i}", ["/bin/true"], **spec)
            tasks.ended(f"t{i}")
            total.append((time.monotonic() - began) * 1000)
            to_exec.append(tasks.event(f"t{i}", "started")["launch_us"] / 1000)
            tasks.do("ack", task=f"t{i}", sequence=2)
    return line(f"smackd {kind}", to_exec, total)


def peer(name, count):
    """The runtime's own default specification with a read-only busybox root."""
    if shutil.which(name) is None:
        return f"{name}: not installed"
    with tempfile.TemporaryDirectory() as bundle:
        shutil.copytree(busybox_layers()[0], f"{bundle}/rootfs", symlinks=True)
        subprocess.run([name, "spec"], cwd=bundle, check=True, stdout=subprocess.DEVNULL)
        with open(f"{bundle}/config.json") as file:
            config = json.load(file)
        config["process"]["args"], config["process"]["terminal"] = ["/bin/true"], False
        with open(f"{bundle}/config.json", "w") as file:
            json.dump(config, file)
        total = []
        for i in range(count):
            began = time.monotonic()
            run = subprocess.run([name, "run", f"bench{os.getpid()}-{i}"], cwd=bundle, capture_output=True, text=True, check=False)
            if run.returncode != 0:
                return f"{name}: does not run here: {run.stderr.strip()[:120]}"
            total.append((time.monotonic() - began) * 1000)
        return line(name, [], total)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    harness.install({"crun": "crun", "runc": "runc", "busybox": "busybox-static"})
    try:
        for name in ("crun", "runc"):
            print(peer(name, count))
        layers = busybox_layers()
        for kind, spec in (("image", {"rootfs": layers}), ("bridge", {"rootfs": layers, "network": {"mode": "bridge"}}),
                           ("host root", {})):
            print(ours(count, kind, **spec), flush=True)
    finally:
        harness.clean_up()


if __name__ == "__main__":
    main()
