"""An app that answers the traffic of tests/tools/traffic on many hosts of a World: tests/tools/answer as its command, asked by a host of
its own that runs nothing."""

import os
import time

import harness
from tasks import cgroup_roots
from test_cluster_apps import add, tasks_of
from test_gossip import wait_liveness
from test_join import cli, join_by_bundle, start, start_first
from traffic import Traffic

PORT = 10080
CLIENT = "c1"


def app(instances, hosts, name="/web", port=PORT, **more):
    """`hosts`: a pattern of the hosts it may run on."""
    return {
        "id": name, "cmd": "/tools/answer", "cpus": 0.02, "mem": 24, "instances": instances, "env": {"VERSION": "1", "PORT": "8080"},
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS",
                      "volumes": [{"containerPath": "/tools", "hostPath": os.path.abspath(harness.TOOLS), "mode": "RO"}],
                      "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": port}]},
        "labels": {"HAPROXY_GROUP": "external,internal"}, "constraints": [["hostname", "LIKE", hosts], ["hostname", "GROUP_BY"]],
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1, "delaySeconds": 0, "gracePeriodSeconds": 60}],
        **more,
    }


def deploy(world, definition):
    answer = add(world, definition, "--timeout", "300")
    assert answer.code == 0, answer


def healthy(world, via, name="/web"):
    """Host -> ids of its healthy tasks."""
    found = {}
    for task in tasks_of(world, name, via):
        checks = task.get("healthCheckResults") or []
        if task["state"] == "TASK_RUNNING" and checks and all(check["alive"] for check in checks):
            found.setdefault(task["host"], set()).add(task["id"])
    return found


def count(places):
    return sum(len(ids) for ids in places.values())


def traffic(world, via, rate):
    """Requests of the client's host at the service port of host `via`."""
    client = world[CLIENT]
    return Traffic(PORT, "web.example", world.work, rate, host=world[via].address, enter=client.words([]))


def seconds_until(condition, limit_s, what, began=None):
    began = began or time.monotonic()
    while not condition():
        assert time.monotonic() - began < limit_s, f"not after {limit_s} s: {what()}" if callable(what) else what
        time.sleep(0.05)
    return time.monotonic() - began


ROUNDS = 400  # others ask meanwhile, so that one task may be met again before another is met once
ASK_AROUND = """
import socket, sys
seen = set()
for _ in range(int(sys.argv[2])):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: web.example\\r\\nConnection: close\\r\\n\\r\\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    seen.add(answer.split()[-2].decode())
print(*seen)
"""


def answers(world, name):
    """Ids of the tasks that answer at this host's ingress; every request must be answered."""
    asked = world[name].python(ASK_AROUND, str(PORT), str(ROUNDS), limit=120)
    assert asked.code == 0, (name, asked)
    return set(asked.out.split())


def tasks_on(world, name):
    """Tasks that run on the host, by their control groups."""
    return sum(entry.is_dir() for entry in os.scandir(f"{cgroup_roots()[0]}/{world[name].group_name()}"))


def start_cluster(world, servers, agents):
    """All of them joined, started and known to be alive; the first server is the first node."""
    start_first(world[servers[0]])
    for name in servers[1:] + agents:
        join_by_bundle(world, name, "server" if name in servers else "agent")
        start(world[name])
    wait_liveness(world, {name: "alive" for name in servers + agents}, limit=60)


def scale(world, instances, name="/web"):
    answer = cli(world, "app", "scale", name, str(instances), "--timeout", "120")
    assert answer.code == 0, answer
