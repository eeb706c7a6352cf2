#!/usr/bin/env python3
"""Applications through the API of `smackd demo`: POST to running, POST to the first 200 through DNS and ingress, many instances.

    tests/bench/app_starts.py [STARTS [INSTANCES]]        (default 30 and 500)
"""

import http.client
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]

import harness  # noqa: E402
import test_apps  # noqa: E402
from task_starts import groups_named, percentile, row  # noqa: E402

AIM_FIRST_ANSWER_MS = 300
LIMIT_S = 120
BRIDGE = {"networks": [{"mode": "container/bridge"}],
          "container": {"type": "MESOS", "portMappings": [{"containerPort": 8080, "hostPort": 0}]}}


class Api:
    """One kept connection with a token."""

    def __init__(self, demo):
        self.headers = {**demo.bearer(), "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection("127.0.0.1", demo.ports["api"], timeout=60)

    def call(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status < 300 or answer.status == 404, (method, path, answer.status, text[:300])
        return answer.status, json.loads(text) if text else {}

    def until(self, path, check, pause=0.0005):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            found = check(*self.call("GET", path))
            if found:
                return found
            time.sleep(pause)
        raise AssertionError(f"{path}: not within {LIMIT_S} s")


def gone(status, _):
    return status == 404


def remove(api, app, pause=0.002):
    """Its deployment may end while it is asked to be given up for this: then once more."""
    while api.call("DELETE", f"/v2/apps/{app}?force=true")[1].get("message", "").startswith("DeploymentPlan"):
        time.sleep(pause)
    api.until(f"/v2/apps/{app}", gone, pause)


def to_running(api, count):
    """Milliseconds from POST to TASK_RUNNING being told by the API, one app after the other."""
    took = []
    for number in range(count):
        began = time.monotonic()
        api.call("POST", "/v2/apps", {"id": f"/one{number}", "cmd": "exec sleep 1000", "cpus": 0.01, "mem": 16})
        api.until(f"/v2/apps/one{number}", lambda _, body: body["app"]["tasksRunning"] == 1)
        took.append((time.monotonic() - began) * 1000)
        remove(api, f"one{number}")
    return took


def answers(port, name):
    try:
        return test_apps.http(port, name=name)[0] == 200
    except OSError:
        return False


def to_first_answer(demo, api, count):
    """From POST to the name's address and a 200 through the ingress, by a web server on the bridge."""
    took = []
    for number in range(count):
        name = f"web{number}.example"
        began = time.monotonic()
        api.call("POST", "/v2/apps", {"id": f"/web{number}", "cmd": "echo hello > index.html; exec busybox httpd -f -p 8080", "cpus": 0.01,
                                      "mem": 16, "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": name}, **BRIDGE})
        while not test_apps.dns(demo.ports["dns"], f"web{number}.marathon.mesos")[1]:
            time.sleep(0.001)
        while not answers(demo.ports["http"], name):
            assert time.monotonic() - began < LIMIT_S
            time.sleep(0.001)
        took.append((time.monotonic() - began) * 1000)
        remove(api, f"web{number}")
    return took


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def of_shims(directory):
    """(shims, their memory in KiB: all that is shared counted once) below an agent's directory."""
    count, memory = 0, 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if file.read().split("\0")[1:2] != ["shim"] or not os.readlink(f"/proc/{pid}/fd/4").startswith(directory):
                    continue
            with open(f"/proc/{pid}/smaps_rollup") as file:
                memory += int(next(line for line in file if line.startswith("Pss:")).split()[1])
            count += 1
        except (OSError, IndexError, StopIteration):
            continue
    return count, memory


def many(demo, api, instances):
    """One app of so many `sleep`: seconds until all run, and until all are gone."""
    daemon = demo.process.child.pid
    before = cpu_seconds(daemon)
    began = time.monotonic()
    api.call("POST", "/v2/apps", {"id": "/many", "cmd": "exec sleep 100000", "cpus": 0.001, "mem": 8, "instances": instances})
    api.until("/v2/apps/many", lambda _, body: body["app"]["tasksRunning"] == instances, pause=0.25)
    up = time.monotonic() - began
    daemon_s = cpu_seconds(daemon) - before
    shims, memory = of_shims(demo.directory)
    began = time.monotonic()
    remove(api, "many", pause=0.25)
    harness.wait_until(lambda: of_shims(demo.directory)[0] == 0, LIMIT_S, "the shims to end")
    return {"up_s": up, "down_s": time.monotonic() - began, "daemon_cpu_s": daemon_s, "shims": shims,
            "shim_kib": memory / shims if shims else 0}


def left_of(demo):
    """What carries the stopped demo's mark on the host."""
    import hashlib
    name = hashlib.sha256(f"{demo.directory}/agent".encode()).hexdigest()[:8]
    links = [link for link in os.listdir("/sys/class/net") if name in link]
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split()[4] for line in file if demo.directory in line]
    return (groups_named(f"smackd-{name}") + links + [line for line in tables.splitlines() if name in line] + mounts +
            [f"{of_shims(demo.directory)[0]} shims"] * (of_shims(demo.directory)[0] > 0))


def run(starts, instances):
    """Prints the rows; False when something is left behind."""
    harness.install({"busybox": "busybox-static", "nft": "nftables"})
    demo = harness.Demo()
    demo.start()
    api = Api(demo)
    to_running(api, 2)  # the first ones warm what is read from disk
    running = to_running(api, starts)
    first = to_first_answer(demo, api, max(5, starts // 2))
    row("through the API", "p50 ms", "p99 ms", "aim")
    row(*["---"] * 4)
    row("POST of an app to TASK_RUNNING", f"{percentile(running, 0.5):.0f}", f"{percentile(running, 0.99):.0f}", "")
    row("POST of an app to its first 200 through DNS and ingress", f"{percentile(first, 0.5):.0f}", f"{percentile(first, 0.99):.0f}",
        f"{AIM_FIRST_ANSWER_MS}")
    figures = many(demo, api, instances)
    print(f"\n{instances} instances of sleep: all run after {figures['up_s']:.1f} s ({instances / figures['up_s']:.0f} starts/s; the daemon "
          f"took {figures['daemon_cpu_s']:.1f} s of CPU), all are gone {figures['down_s']:.1f} s after the order; a shim takes "
          f"{figures['shim_kib']:.0f} KiB")
    demo.stop()
    left = left_of(demo)
    print(f"first 200 after {percentile(first, 0.5):.0f} ms (p50; aim {AIM_FIRST_ANSWER_MS} ms); left behind: {', '.join(left) or 'nothing'}")
    return not left


def main():
    numbers = [int(word) for word in sys.argv[1:]] + [30, 500][len(sys.argv) - 1:]
    try:
        return 0 if run(*numbers) else 1
    finally:
        harness.clean_up()


if __name__ == "__main__":
    sys.exit(main())
