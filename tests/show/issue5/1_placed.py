"""Must show 1 of issue 5, on real daemons: three servers (one of them public), five agents in two zones, 40 apps with 200 instances and
constraints of every kind. All run, each constraint is kept, and every node answers every name with the hosts that run the app and routes
to each of its tasks.
"""

import collections
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
from answering import app  # noqa: E402
from harness import SMACKD, wait_until  # noqa: E402
from test_cluster_apps import ASK, add, wait_for_room  # noqa: E402
from test_join import cli, cli_json, start, start_first  # noqa: E402
from world import World  # noqa: E402

SERVERS, AGENTS = ("n1", "n2", "n3"), ("a1", "a2", "a3", "a4", "a5")
PUBLIC = "n3"
ZONES = {"a1": "east", "a2": "east", "a3": "west", "a4": "west", "a5": "west"}
DISKS = {"a1": "ssd", "a2": "hdd", "a3": "ssd", "a4": "hdd", "a5": "ssd"}
FIRST_PORT = 10100
LIMIT_S = 120

# Per kind: the constraints, what they mean for the hosts of the instances, and how many instances.
KINDS = {
    "unique": ([["hostname", "UNIQUE"]], lambda hosts: max(collections.Counter(hosts).values()) == 1, 5),
    "group_by zone": ([["@zone", "GROUP_BY", "2"], ["hostname", "LIKE", "a[1-5]"]],
                      lambda hosts: within_one([ZONES[host] for host in hosts], 2), 6),
    "group_by hostname": ([["hostname", "GROUP_BY"], ["hostname", "LIKE", "a[1-5]"]], lambda hosts: within_one(hosts, 5), 6),
    "cluster": ([["hostname", "CLUSTER", "a4"]], lambda hosts: set(hosts) == {"a4"}, 3),
    "like": ([["disk", "LIKE", "ssd"]], lambda hosts: all(DISKS.get(host) == "ssd" for host in hosts), 5),
    "unlike": ([["disk", "UNLIKE", "ssd"], ["hostname", "LIKE", "a.*"]],
               lambda hosts: all(DISKS[host] == "hdd" for host in hosts), 4),
    "max_per": ([["hostname", "MAX_PER", "2"]], lambda hosts: max(collections.Counter(hosts).values()) <= 2, 7),
    "is": ([["disk", "IS", "hdd"]], lambda hosts: all(DISKS.get(host) == "hdd" for host in hosts), 4),
}

LOOK = """
import json, socket, sys
exec(sys.argv[1])
import io, contextlib
wrong = []
for app in json.loads(sys.argv[2]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        dns("127.0.0.1", app["name"])
    code, *found = out.getvalue().split()
    if code != "0" or sorted(found) != sorted(app["addresses"]):
        wrong.append(f"{app['name']}: {code} {found} instead of {app['addresses']}")
    seen = set()
    for _ in range(12 * len(app["tasks"])):
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                http("127.0.0.1", app["port"], "localhost")
        except OSError as problem:
            wrong.append(f"{app['name']} at {app['port']}: {problem}")
            break
        status, _, body = out.getvalue().strip().partition(" ")
        if status != "200":
            wrong.append(f"{app['name']} at {app['port']}: {status} {body}")
            break
        seen.add(body.split()[1])
        if seen == set(app["tasks"]):
            break
    if not seen <= set(app["tasks"]) or not seen:
        wrong.append(f"{app['name']} at {app['port']}: answered by {seen - set(app['tasks'])}")
    elif seen != set(app["tasks"]):
        wrong.append(f"{app['name']} at {app['port']}: never by {set(app['tasks']) - seen}")
print(json.dumps(wrong))
"""


def within_one(groups, most):
    counts = list(collections.Counter(groups).values())
    counts += [0] * (most - len(counts))
    return max(counts) - min(counts) <= 1


def join(world, name):
    words = ["--role", "server" if name in SERVERS else "agent"]
    if name == PUBLIC:
        words += ["--role", "public"]
    if name in DISKS:
        words += ["--attribute", f"disk={DISKS[name]}"]
    bundle = cli(world, "machine", "add", name, *words, "--bundle", "-").out
    zone = ["--zone", ZONES[name]] if name in ZONES else []
    joined = world[name].run([SMACKD, "join", "-", "--data-dir", world[name].directory, *zone], stdin=bundle)
    assert joined.code == 0, joined
    start(world[name])


def definitions():
    apps = []
    kinds = list(KINDS.items())
    for i in range(40):
        kind, (constraints, _, instances) = kinds[i % len(kinds)]
        one = app(instances, ".*", f"/{'team-b/' if i % 3 == 0 else ''}app{i:02}", FIRST_PORT + i, constraints=constraints,
                  cpus=0.01, mem=16)
        apps.append((kind, one))
    return apps


def places_of(world):
    """App -> its running, healthy tasks."""
    found = {}
    for one in cli_json(world, "task", "list")["tasks"]:
        if one["state"] == "TASK_RUNNING":
            found.setdefault(one["appId"], []).append(one)
    return found


def main():
    with World(*SERVERS, *AGENTS, tasks=True) as world:
        start_first(world["n1"])
        for name in SERVERS[1:] + AGENTS:
            join(world, name)
        wait_for_room(world, len(SERVERS + AGENTS))
        apps = definitions()
        wanted = sum(one["instances"] for _, one in apps)
        began = time.monotonic()
        for _, one in apps:
            add(world, one, "--detach")
        wait_until(lambda: cli_json(world, "deployment", "list")["deployments"] == [], LIMIT_S, "all deployments done")
        took = time.monotonic() - began
        places = places_of(world)
        running = sum(map(len, places.values()))
        assert running == wanted, f"{running} of {wanted} run"
        broken = [f"{one['id']} ({kind}): {sorted(task['host'] for task in places[one['id']])}" for kind, one in apps
                  if not KINDS[kind][1]([task["host"] for task in places[one["id"]]])]
        print(f"  {len(apps)} apps, {running} instances run after {took:.1f} s; constraints broken: {broken or 'none'}", flush=True)
        spec = [{"name": ".".join(reversed(one["id"].strip("/").split("/"))) + ".marathon.mesos",
                 "addresses": sorted({world[task["host"]].address for task in places[one["id"]]}),
                 "tasks": [task["id"] for task in places[one["id"]]],
                 "port": one["container"]["portMappings"][0]["servicePort"]} for _, one in apps]
        wrong = []
        for name in SERVERS + AGENTS:
            answer = world[name].python(LOOK, ASK.replace("globals()[sys.argv[1]](*sys.argv[2:])", ""), json.dumps(spec), limit=300)
            assert answer.code == 0, answer
            wrong += [f"{name}: {text}" for text in json.loads(answer.out)]
    harness.clean_up()
    for text in wrong[:10]:
        print(f"    {text}")
    good = not broken and not wrong
    print(f"{'PASS' if good else 'FAIL'} placed: {len(apps)} apps, {running} instances on {len(SERVERS + AGENTS)} nodes after {took:.1f} s, "
          f"{len(broken)} constraints broken; {len(apps) * len(SERVERS + AGENTS)} names and routes asked, {len(wrong)} wrong")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
