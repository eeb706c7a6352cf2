"""Must show 1 of issue 3: three servers and three agents from six empty directories, by the documented commands.

The clock runs from the exec of the first process until six nodes are listed, three of them voters and all ready. RUNS
times (10) by seed and keytab, and as often by bundles over a pipe. AIM_S is the aim for the median.
"""

import concurrent.futures
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
from harness import SMACKD, wait_until  # noqa: E402
from test_join import cli, cli_json, keytab_of, roles_of, start_first, wait_ready  # noqa: E402
from world import World  # noqa: E402

RUNS = int(os.environ.get("RUNS", "10"))
AIM_S = 5
SERVERS, AGENTS = ("n2", "n3"), ("a1", "a2", "a3")


def by_bundle(world, name, role):
    bundle = cli(world, "machine", "add", name, "--role", role, "--bundle", "-").out
    bundle_file = os.path.join(world[name].work, "bundle")
    with open(bundle_file, "w") as file:
        file.write(bundle)
    host = world[name]
    host.start(["sh", "-c", f"exec {SMACKD} join - --start --data-dir {host.directory} <{bundle_file}"])
    wait_ready(host)


def by_seed(world, name, role):
    cli(world, "machine", "add", name, "--role", role)
    host = world[name]
    host.start([SMACKD, "join", "--start", "--seed", "n1", "--keytab", keytab_of(world, "machine", name), "--kdc",
                f"{world['n1'].address}:88", "--data-dir", host.directory])
    wait_ready(host)


def one_run(join):
    with World("n1", *SERVERS, *AGENTS) as world:
        began = time.monotonic()
        start_first(world["n1"])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waits = [pool.submit(join, world, name, "server") for name in SERVERS]
            waits += [pool.submit(join, world, name, "agent") for name in AGENTS]
            for wait in waits:
                wait.result()
            # Within the pool: a process dies with the thread that started it.
            wait_until(lambda: len(cli_json(world, "node", "list")["nodes"]) == 6, 40, "six nodes")
            wait_until(lambda: list(roles_of(world).values()).count("voter") == 3, 40, "three voters")
            took = time.monotonic() - began
            for host in world.hosts.values():
                host.process.kill()
        return took


def main():
    failed = False
    for name, join in (("seed and keytab", by_seed), ("bundles over a pipe", by_bundle)):
        try:
            times = [one_run(join) for _ in range(RUNS)]
        except AssertionError as problem:
            print(f"FAIL join by {name}: {problem}")
            failed = True
            continue
        median, worst = statistics.median(times), max(times)
        failed |= median > AIM_S
        print(f"{'PASS' if median <= AIM_S else 'FAIL'} join by {name}: {RUNS} runs, median {median:.2f} s, worst {worst:.2f} s "
              f"(aim {AIM_S} s)", flush=True)
    harness.clean_up()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
