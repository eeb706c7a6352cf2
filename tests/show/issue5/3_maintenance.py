"""Must show 3 of issue 5: everything an operator does to a cluster, and nobody notices.

Three servers and three agents, 12 instances over all of them, a client that sends RATE (1000) requests a second (GET and POST, on new and
kept connections; a reset or a second try counts as failed). Each node is drained and undrained in turn; all servers are restarted one after
the other; the daemon of every node is replaced by another binary; the leader is killed KILLS (20) times; DEPLOYMENTS (20) apps come
meanwhile. No request may fail, and no task may be restarted but by the drains.
"""

import os
import shutil
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import answering  # noqa: E402
import harness  # noqa: E402
from answering import app, count, deploy, healthy, seconds_until, start_cluster, traffic  # noqa: E402
from harness import SMACKD, wait_until  # noqa: E402
from test_cluster_apps import wait_for_room  # noqa: E402
from test_gossip import wait_liveness  # noqa: E402
from test_join import admin, roles_of, start, wait_ready  # noqa: E402
from world import World  # noqa: E402

RATE = int(os.environ.get("RATE", "1000"))
KILLS = int(os.environ.get("KILLS", "20"))
DEPLOYMENTS = int(os.environ.get("DEPLOYMENTS", "20"))
SERVERS, AGENTS = ("n1", "n2", "n3"), ("a1", "a2", "a3")
ALL = SERVERS + AGENTS
WANTED = 12
LIMIT_S = 120


class Show:
    def __init__(self, world):
        self.world = world
        self.good = True
        self.lines = []

    def phase(self, name, act, drains=False):
        world = self.world
        before = {task for ids in healthy(world, "n1").values() for task in ids}
        with traffic(world, "n1", RATE) as asking:
            time.sleep(2)
            began = time.monotonic()
            act()
            took = time.monotonic() - began
            time.sleep(2)
        seconds_until(lambda: count(healthy(world, "n1")) == WANTED, LIMIT_S, "as many as wanted")
        kept = before == {task for ids in healthy(world, "n1").values() for task in ids}
        result = asking.result
        bad = result["failed"] + result["closed_idle"]
        self.good &= bad == 0 and (kept or drains)
        print(f"  {name} ({took:.0f} s): {asking.figures()}; tasks {'are the same' if kept else 'have moved'}", flush=True)
        for failure in result["failures"][:3]:
            print(f"    {failure}", flush=True)
        self.lines.append(f"{name}: {bad} of {result['requests']} failed")


def cli_any(world, *words, limit=LIMIT_S):
    """By whichever server answers: one may be away."""
    end = time.monotonic() + limit
    while True:
        for via in SERVERS:
            answer = world[via].run([SMACKD, *words], admin(world, via))
            if answer.code == 0:
                return answer
        assert time.monotonic() < end, answer
        time.sleep(0.2)


def stop(host):
    """As a service manager does; tasks and edge stay."""
    host.process.child.send_signal(signal.SIGTERM)
    wait_until(lambda: not host.process.running(), 30, f"the end of {host.name}")


def settled(world):
    wait_liveness(world, {name: "alive" for name in ALL}, limit=60)
    wait_until(lambda: roles_of(world) == {name: "voter" for name in SERVERS}, 60, "three voters")


def drain_each(world):
    for name in ALL:
        cli_any(world, "node", "drain", name, "--timeout", "2m")
        cli_any(world, "node", "undrain", name)


def restart_servers(world):
    for name in SERVERS:
        stop(world[name])
        start(world[name])
        settled(world)


def replace_binaries(world):
    other = os.path.join(world.work, "smackd-other")
    shutil.copy2(SMACKD, other)
    for name in ALL:
        host = world[name]
        stop(host)
        host.start([other, "start", "--data-dir", host.directory])
        wait_ready(host)
        settled(world)


def kill_leaders(world):
    for _ in range(KILLS):
        leader = None
        while leader is None:
            for via in SERVERS:
                answer = world[via].run([SMACKD, "status", "--json"], admin(world, via))
                if answer.code == 0 and answer.json()["leader"]:
                    leader = answer.json()["leader"]["machine"]
                    break
        world[leader].process.kill()
        start(world[leader])
        settled(world)


def deployments(world):
    for i in range(DEPLOYMENTS):
        name = f"/more{i % 4}"
        more = app(2, ".*", name, 10200 + i % 4, env={"VERSION": str(i), "PORT": "8080"})
        words = ["update", name] if i >= 4 else ["add"]
        path = os.path.join(world.work, "more.json")
        with open(path, "w") as file:
            file.write(harness.json.dumps(more))
        cli_any(world, "app", *words, path, "--timeout", "120")


def main():
    with World(*ALL, answering.CLIENT, tasks=True) as world:
        start_cluster(world, SERVERS, AGENTS)
        settled(world)
        wait_for_room(world, len(ALL))
        deploy(world, app(WANTED, ".*"))
        show = Show(world)
        show.phase("drain of each node", lambda: drain_each(world), drains=True)
        show.phase("restart of each server", lambda: restart_servers(world))
        show.phase("another binary on each node", lambda: replace_binaries(world))
        def both():
            deploying = threading.Thread(target=deployments, args=(world,))
            deploying.start()
            kill_leaders(world)
            deploying.join()
        show.phase(f"{KILLS} leaders killed, {DEPLOYMENTS} deployments", both)
    harness.clean_up()
    print(f"{'PASS' if show.good else 'FAIL'} maintenance at {RATE} requests/s: " + "; ".join(show.lines))
    return 0 if show.good else 1


if __name__ == "__main__":
    sys.exit(main())
