"""Must show 7 of issue 3, second part: any one of three voters' disks alone, and what a backup file gives away.

Three voters under load are killed. For each of the three, RUNS times (3): its data directory is copied and is all that
is left; measured is the time from the exec of `smackd recover --yes --start` to the first write it acknowledges, and
every write the load had acknowledged must be there. AIM_S is the aim for each run.
"""

import http.client
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
from harness import Process, SMACKD, wait_until  # noqa: E402
from test_recover import loaded_cluster  # noqa: E402

RUNS = int(os.environ.get("RUNS", "3"))
WRITES = int(os.environ.get("WRITES", "20000"))
AIM_S = 5
LIMIT_S = 30


def write(server, token, tls, name):
    """True when the server acknowledges it."""
    connection = http.client.HTTPSConnection("localhost", server.ports["api"], timeout=2, context=tls)
    try:
        connection.request("PUT", f"/smack/v1/groups/{name}", json.dumps({"description": name, "members": []}),
                           {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        return connection.getresponse().status in (200, 201)
    except OSError:
        return False
    finally:
        connection.close()


def recover_alone(server, kept, load, token, tls):
    """(seconds to the first acknowledged write, the verifier's line)"""
    shutil.rmtree(server.directory, ignore_errors=True)
    subprocess.run(["cp", "-a", kept, server.directory], check=True)
    words = [SMACKD, "recover", "--yes", "--start", "--config", server.config, "--data-dir", server.directory]
    for name, port in server.ports.items():
        words += [f"--{name}-addr", f"127.0.0.1:{port}"]
    began = time.monotonic()
    process = Process(words, server.work, f"{server.name}.recovered")
    try:
        wait_until(lambda: process.running() and write(server, token, tls, "first"), LIMIT_S, "an acknowledged write")
        took = time.monotonic() - began
        load.common = load.common[:load.common.index("--url")] + ["--url", server.url()]
        return took, load.verify()
    except AssertionError as problem:
        raise AssertionError(f"{problem}\n{process.output()}{process.log()[-3000:]}") from problem
    finally:
        process.kill()
        shutil.rmtree(server.directory)


def main():
    cluster, load, token = loaded_cluster(3, WRITES)
    tls = ssl.create_default_context(cafile=shutil.copy(os.path.join(cluster.servers[0].directory, "cluster/ca.pem"),
                                                        os.path.join(cluster.work, "ca.pem")))
    load.common[load.common.index("--ca") + 1] = os.path.join(cluster.work, "ca.pem")
    for server in cluster.servers:
        server.process.kill()
    kept = {server.name: os.path.join(cluster.work, f"kept.{server.name}") for server in cluster.servers}
    for server in cluster.servers:
        shutil.move(server.directory, kept[server.name])
    good = True
    for server in cluster.servers:
        try:
            found = [recover_alone(server, kept[server.name], load, token, tls) for _ in range(RUNS)]
        except AssertionError as problem:
            print(f"FAIL recovery: {server.name}'s disk alone: {problem}")
            good = False
            continue
        times = [took for took, _ in found]
        passed = max(times) < AIM_S
        good &= passed
        print(f"{'PASS' if passed else 'FAIL'} recovery: {server.name}'s disk alone, one command, {RUNS} times: first acknowledged "
              f"write after median {statistics.median(times):.2f} s, worst {max(times):.2f} s (aim {AIM_S} s); {found[0][1]}",
              flush=True)
    harness.clean_up()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
