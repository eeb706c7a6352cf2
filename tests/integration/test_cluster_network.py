"""Tasks of a real cluster reach each other by address over two nodes: subnets by the state, tenants and allowances by the command line,
ingress and names by the tasks' own addresses, machines that are suspended and removed, a daemon that is killed."""

import json
import os

from harness import SMACKD, wait_until
from overlay import ASK, SERVE, answers
from test_apps import eventually
from test_cluster_apps import dns, http, wait_for_room
from test_join import admin, cli, cli_json, join_by_bundle, start, start_first
from world import World

SERVICE_PORT = 10090
CLOSED = ("TimeoutError", "error 101", "error 113")


def serving(app, host, *, network="container/bridge", mapping=None, **more):
    ports = [mapping or {"containerPort": 8080, "hostPort": 0}]
    return {"id": app, "cmd": "exec python3 -u -c \"$SERVE\"", "cpus": 0.05, "mem": 48, "networks": [{"mode": network, **more}],
            "container": {"type": "MESOS", "portMappings": ports}, "env": {"SERVE": SERVE, "NAME": app}, "constraints": [["hostname", "CLUSTER", host]]}


def add(world, app):
    path = os.path.join(world.work, "app.json")
    with open(path, "w") as file:
        json.dump(app, file)
    answer = cli(world, "app", "add", path, "--timeout", "60")
    assert answer.code == 0, answer


def task_of(world, app):
    def running():
        tasks = [task for task in cli_json(world, "app", "show", app)["tasks"] if task["state"] == "TASK_RUNNING"]
        return tasks[0] if tasks and tasks[0].get("ipAddresses") else None
    return eventually(running, 30, f"a task of {app}")


def asks(world, task, *questions, via="n1"):
    """Question -> answer, asked in a task of that server's own node."""
    answer = world[via].run([SMACKD, "task", "exec", task["id"], "--", "python3", "-c", ASK, *questions], admin(world, via))
    return answers(answer.out, answer.err)


def node_of(world, machine):
    return next(node for node in cli_json(world, "node", "list")["nodes"] if node["machine"] == machine)


def test_addresses_over_nodes():
    with World("n1", "n2", tasks=True) as world:
        start_first(world["n1"])
        join_by_bundle(world, "n2", "agent")
        start(world["n2"])
        wait_for_room(world, 2)
        for tenant in ("team-a", "team-b"):
            answer = cli(world, "tenant", "add", tenant, f"/{tenant}")
            assert answer.code == 0, answer
        # A subnet of its own for each, in the state.
        subnets = [node_of(world, name)["capacity"]["task_subnet"] for name in ("n1", "n2")]
        assert all(subnet.endswith(".0/24") for subnet in subnets) and len(set(subnets)) == 2, subnets
        for app, host in (("/team-a/one", "n1"), ("/team-a/two", "n2"), ("/team-b/two", "n2"), ("/team-b/one", "n1")):
            add(world, serving(app, host))
        tasks = {app: task_of(world, app) for app in ("/team-a/one", "/team-a/two", "/team-b/two", "/team-b/one")}
        inside = {app: task["ipAddresses"][0]["ipAddress"] for app, task in tasks.items()}
        for app, at in (("/team-a/one", 0), ("/team-a/two", 1)):
            assert inside[app].rsplit(".", 1)[0] == subnets[at].rsplit(".", 1)[0], (inside, subnets)
        mine, others = f"tcp {inside['/team-a/two']} 8080", f"tcp {inside['/team-b/two']} 8080"
        published = f"tcp {world['n2'].address} {tasks['/team-b/two']['ports'][0]}"
        source = inside["/team-a/one"]

        def reaches():
            return asks(world, tasks["/team-a/one"], mine, others, published)
        wait_until(lambda: reaches()[mine] == f"/team-a/two {source}", 20, "the tenant's other task by its address")
        found = reaches()
        assert found[others] in CLOSED and found[published] in CLOSED, found
        # It is told how packets go; nothing is wrong.
        status = cli_json(world, "status")
        assert "clear text" in status["task_network"] and "network" not in {alarm["name"] for alarm in status["alarms"]}, status
        assert "task network" in cli(world, "status").out

        # Allowed, at that port, and no longer.
        answer = cli(world, "tenant", "allow", "team-a", "team-b", "--port", "8080")
        assert answer.code == 0, answer
        wait_until(lambda: reaches()[others] == f"/team-b/two {source}", 20, "what is allowed")
        assert reaches()[published] == f"/team-b/two {source}"
        assert cli_json(world, "tenant", "allowed")["allowances"] == [{"from": "team-a", "to": "team-b", "ports": ["8080/tcp"]}]
        back = asks(world, tasks["/team-b/one"], mine)
        assert back[mine] in CLOSED, back
        assert cli(world, "tenant", "forbid", "team-a", "team-b").code == 0
        wait_until(lambda: reaches()[others] in CLOSED, 20, "what is forbidden again")
        for words, why in ((("team-a", "nobody"), "no tenant 'nobody'"), (("team-a", "team-a"), "reach each other anyway")):
            refused = world["n1"].run([SMACKD, "tenant", "allow", *words], admin(world, "n1"))
            assert refused.code == 1 and why in refused.err, refused

        # A mapping without a port of the host: the other node's ingress and names take the task's address.
        app = serving("/plain", "n2", network="container", mapping={"containerPort": 8080, "servicePort": SERVICE_PORT}, name="smack")
        app["cmd"], app["labels"] = "exec python3 -m http.server 8080", {"HAPROXY_GROUP": "internal"}
        add(world, app)
        address = task_of(world, "/plain")["ipAddresses"][0]["ipAddress"]
        wait_until(lambda: dns(world["n1"], "plain.marathon.mesos") == (0, [address]), 20, "the task's address by its name")
        eventually(lambda: http(world["n1"], "127.0.0.1", SERVICE_PORT)[0] == 200, 20, "the task by the other node's ingress")

        # A daemon that dies takes nothing along.
        world["n1"].process.kill()
        start(world["n1"])
        wait_until(lambda: reaches()[mine] == f"/team-a/two {source}", 20, "the other task after kill -9")
        # A suspended machine is nobody's peer, at once; it comes back.
        assert cli(world, "machine", "suspend", "n2").code == 0
        wait_until(lambda: reaches()[mine] in CLOSED, 10, "nothing from a suspended machine")
        assert cli(world, "machine", "resume", "n2").code == 0
        wait_until(lambda: reaches()[mine] == f"/team-a/two {source}", 40, "the machine's return")
        # A node that is forgotten: its subnet is nobody's, and what is made for it is gone.
        assert cli(world, "node", "remove", "n2").code == 0
        wait_until(lambda: reaches()[mine] in CLOSED, 10, "nothing from a node that is forgotten")
        assert subnets[1].rsplit("/")[0] not in world["n1"].run(["ip", "route"]).out
        assert "smx" not in world["n1"].run(["ip", "-br", "link"]).out
