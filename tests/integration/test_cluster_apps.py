"""Applications on a cluster: real tasks on several hosts, named and routed from each of them, and hosts that die."""

import concurrent.futures
import json
import os
import signal
import sqlite3
import time

from harness import SMACKD, wait_until
from test_apps import eventually
from test_join import admin, cli, cli_json, join_by_bundle, roles_of, start, start_first
from world import World

SERVICE_PORT = 10080
SERVER = ('mkdir -p www && echo "hello from $HOST $MESOS_TASK_ID" > www/index.html && cd www && '
          "exec python3 -m http.server 8080")

ASK = """
import socket, struct, sys
def http(address, port, name):
    with socket.create_connection((address, int(port)), timeout=5) as connection:
        connection.sendall(f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n".encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    print(head.split()[1].decode(), body.decode(errors="replace").strip())
def dns(address, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.sendto(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">HH", 1, 1), (address, 53))
        reply = client.recv(4096)
    at, found = 12 + len(labels) + 4, []
    for _ in range(struct.unpack(">H", reply[6:8])[0]):
        while reply[at] and reply[at] < 192:
            at += reply[at] + 1
        at += 2 if reply[at] >= 192 else 1
        kind, _, _, length = struct.unpack(">HHIH", reply[at:at + 10])
        if kind == 1:
            found.append(socket.inet_ntoa(reply[at + 10:at + 14]))
        at += 10 + length
    print(reply[3] & 15, *sorted(found))
globals()[sys.argv[1]](*sys.argv[2:])
"""


def web(instances, **more):
    return {
        "id": "/web", "cmd": SERVER, "cpus": 0.1, "mem": 32, "instances": instances,
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": SERVICE_PORT}]},
        "labels": {"HAPROXY_GROUP": "external,internal", "HAPROXY_0_VHOST": "web.example"},
        "constraints": [["hostname", "GROUP_BY"]],
        "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1, "delaySeconds": 1,
                          "gracePeriodSeconds": 60}],
        **more,
    }


def add(world, app, *options):
    path = os.path.join(world.work, "app.json")
    with open(path, "w") as file:
        json.dump(app, file)
    return cli(world, "app", "add", path, *options)


def plan(world, app, via):
    path = os.path.join(world.work, "plan.json")
    with open(path, "w") as file:
        json.dump(app, file)
    return cli_json(world, "app", "plan", path, via=via)


def tasks_of(world, app, via="n1"):
    return cli_json(world, "app", "show", app, via=via)["tasks"]


def running(world, app, via="n1"):
    """Host -> ids of its running tasks."""
    found = {}
    for task in tasks_of(world, app, via):
        if task["state"] == "TASK_RUNNING":
            found.setdefault(task["host"], []).append(task["id"])
    return found


def wait_for_room(world, count):
    """Until so many nodes have told what they have for tasks."""
    words = ("sql", "SELECT count(*) AS nodes FROM capacities WHERE memory_bytes > 0")
    wait_until(lambda: str(count) in cli(world, *words).out.split(), 30, f"{count} nodes with room")


def http(host, address, port, name="localhost"):
    answer = host.python(ASK, "http", address, str(port), name)
    assert answer.code == 0, answer
    status, _, body = answer.out.strip().partition(" ")
    return int(status), body


def dns(host, name, server="127.0.0.1"):
    """(response code, addresses) by the DNS of that host itself."""
    answer = host.python(ASK, "dns", server, name)
    assert answer.code == 0, answer
    code, *addresses = answer.out.split()
    return int(code), addresses


def serves(host, places):
    """Names and routes are right on this host: `places` are the addresses of the hosts that run the app."""
    code, addresses = dns(host, "web.marathon.mesos")
    assert (code, set(addresses)) == (0, places), (host.name, code, addresses, places)
    for address, port, name in (("127.0.0.1", SERVICE_PORT, "localhost"), (host.address, SERVICE_PORT, "localhost"),
                                ("127.0.0.1", 80, "web.example"), (host.address, 80, "web.example")):
        status, body = http(host, address, port, name)
        assert status == 200 and body.startswith("hello from "), (host.name, address, port, status, body)
    return True


def three_servers(world):
    start_first(world["n1"])
    for name in ("n2", "n3"):
        join_by_bundle(world, name, "server")
        start(world[name])
    voters = {"n1": "voter", "n2": "voter", "n3": "voter"}
    wait_until(lambda: roles_of(world) == voters, 60, f"three voters: {roles_of(world)}")


def no_fetch_from_nodes(world):
    """What users name does not lead to the ports of other nodes."""
    add(world, {"id": "/curious", "cmd": "sleep 600", "cpus": 0.1, "mem": 32, "constraints": [["hostname", "CLUSTER", "n1"]],
                "uris": [f"http://{world['n2'].address}:80/file"]}, "--detach")
    eventually(lambda: "it is the address of a node of this cluster" in cli(world, "app", "explain", "/curious").out, what="the refusal")
    cli(world, "app", "remove", "/curious", "--force")


def test_servers_run_tasks_and_replace_those_of_a_dead_host():
    with World("n1", "n2", "n3", tasks=True) as world:
        three_servers(world)
        assert cli_json(world, "status")["alarms"] == []
        wait_for_room(world, 3)
        planned = [plan(world, web(6), via) for via in ("n1", "n2", "n3")]
        add(world, web(6), "--timeout", "120")
        places = running(world, "/web")
        for one in planned:  # whichever server is asked, the plan is what then happens
            assert {node["host"]: node["then"] for node in one["nodes"]} == {host: len(ids) for host, ids in places.items()}, (one, places)
        assert {host: len(ids) for host, ids in places.items()} == {"n1": 2, "n2": 2, "n3": 2}, places
        for name in ("n1", "n2", "n3"):
            eventually(lambda host=world[name]: serves(host, {world[n].address for n in world.hosts}), what=f"routes of {name}")
        # From each host all tasks are reached, on whichever host they run.
        assert {http(world["n2"], "127.0.0.1", SERVICE_PORT)[1].split()[2] for _ in range(24)} == {"n1", "n2", "n3"}
        no_fetch_from_nodes(world)

        # A host that is gone answers nothing, not even with a refusal: requests that may be sent twice find another one.
        lost = set(places["n3"])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asking = pool.submit(world["n1"].python, ASK_ON, "127.0.0.1", str(SERVICE_PORT), "6")
            time.sleep(1)
            world["n3"].plug(False)
            world["n3"].power_off()
            asked, failed, what = asking.result(60).out.split(maxsplit=2)
        assert int(asked) > 50 and int(failed) == 0, (asked, failed, what)
        def replaced():
            now = running(world, "/web")
            assert {host: len(ids) for host, ids in now.items()} == {"n1": 3, "n2": 3}, now
            return not lost & {one for ids in now.values() for one in ids}
        eventually(replaced, 60, "the tasks of n3 elsewhere")
        left = {world["n1"].address, world["n2"].address}
        for name in ("n1", "n2"):
            eventually(lambda host=world[name]: serves(host, left), what=f"routes of {name} without n3")

        world["n3"].plug(True)
        # The host comes back: nobody is above the wanted count, and it takes part again.
        start(world["n3"])
        add_up = lambda: sum(len(ids) for ids in running(world, "/web").values()) == 6
        eventually(add_up, 60, "six tasks with n3 back")
        eventually(lambda: serves(world["n3"], {world[host].address for host in running(world, "/web")}), what="routes of n3")


TICK = 'while :; do echo "$HOST $MESOS_TASK_ID $(date +%s%N)" >> /shared/ticks; sleep 0.05; done'


def spans_of(path):
    """Task -> (host, first and last of its ticks in ns)."""
    spans = {}
    with open(path) as file:
        for line in file:
            host, task, at = line.split()
            _, first, _ = spans.get(task, (host, int(at), int(at)))
            spans[task] = (host, first, int(at))
    return spans


def test_a_task_with_a_lease_never_runs_twice():
    """CUT_S: how long its host is cut off."""
    cut_s = float(os.environ.get("CUT_S", "25"))
    with World("n1", "n2", "n3", tasks=True) as world:
        three_servers(world)
        wait_for_room(world, 3)
        shared = os.path.join(world.work, "shared")
        os.mkdir(shared)
        os.chmod(shared, 0o777)
        ticks = os.path.join(shared, "ticks")
        add(world, {"id": "/one", "cmd": TICK, "cpus": 0.1, "mem": 32, "labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"},
                    "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0},
                    "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
                    "container": {"type": "MESOS",
                                  "volumes": [{"containerPath": "/shared", "hostPath": shared, "mode": "RW"}]}})
        ((host, (task,)),) = running(world, "/one").items()
        via = next(name for name in world.hosts if name != host)
        # The next daemon renews what the one before did: it runs on for longer than a lease.
        world[host].process.kill()
        start(world[host])
        time.sleep(10)
        assert running(world, "/one", via) == {host: [task]}

        cut_at = time.time_ns()
        world[host].plug(False)
        eventually(lambda: len(spans_of(ticks)) == 2, 60, "a substitute on another host")
        time.sleep(max(0, cut_s - (time.time_ns() - cut_at) / 1e9))
        world[host].plug(True)
        eventually(lambda: host not in running(world, "/one", via) and len(running(world, "/one", via)) == 1, 60,
                   "one task after the host is back")
        time.sleep(3)
        spans = spans_of(ticks)
        assert len(spans) == 2, spans
        last = spans.pop(task)[2]
        ((_, (second, first, _)),) = spans.items()
        assert second != host and last < first, (last, first)
        print(f"leases: cut off for {cut_s:.0f} s: the task ended after {(last - cut_at) / 1e9:.1f} s, its substitute ran after "
              f"{(first - cut_at) / 1e9:.1f} s, never both")


ASK_ON = """
import socket, sys, time
address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
end, asked, failed = time.monotonic() + seconds, 0, []
while time.monotonic() < end:
    asked += 1
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
            data = b""
            while piece := connection.recv(65536):
                data += piece
        if not data.startswith(b"HTTP/1.1 200"):
            failed.append(repr(data[:60]))
    except OSError as problem:
        failed.append(str(problem))
    time.sleep(0.01)
print(asked, len(failed), failed[:3])
"""


def test_a_drained_node_is_emptied_and_nobody_notices():
    with World("n1", "n2", "n3", tasks=True) as world:
        three_servers(world)
        wait_for_room(world, 3)
        add(world, web(6), "--timeout", "120")
        eventually(lambda: serves(world["n1"], {world[n].address for n in world.hosts}), what="routes of n1")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asking = pool.submit(world["n1"].python, ASK_ON, "127.0.0.1", str(SERVICE_PORT), "15")
            said = cli(world, "node", "drain", "n3", "--note", "new disk", "--timeout", "2m")
            assert said.code == 0 and "Drained node" in said.out, said
            asked, failed, what = asking.result(60).out.split(maxsplit=2)
        assert int(asked) > 100 and int(failed) == 0, (asked, failed, what)
        places = running(world, "/web")
        assert "n3" not in places and sum(map(len, places.values())) == 6, places
        n3 = next(node for node in cli_json(world, "node", "list")["nodes"] if node["machine"] == "n3")
        assert n3["tasks"] == 0 and n3["drain"]["note"] == "new disk", n3
        assert "drained (new disk)" in cli(world, "node", "list").out
        # It gets nothing new until it is undrained.
        add(world, {"id": "/there", "cmd": "sleep 600", "cpus": 0.1, "mem": 32, "constraints": [["hostname", "CLUSTER", "n3"]]},
            "--detach")
        eventually(lambda: "is being drained" in cli(world, "app", "explain", "/there").out, what="the reason")
        assert cli(world, "node", "undrain", "n3").code == 0
        eventually(lambda: list(running(world, "/there")) == ["n3"], what="a task on n3")
        # With a deadline that is past, what finds no other node is killed all the same.
        said = cli(world, "node", "drain", "n3", "--deadline", "1s", "--timeout", "60s")
        assert said.code == 0, said
        assert running(world, "/there") == {}
        # Wrong words change nothing.
        assert "0 of 3 nodes are unreachable" in cli(world, "node", "hold", "--percent", "50").out
        assert cli_json(world, "node", "hold")["percent"] == 50
        for words, text in ((["drain", "n9"], "no node 'n9'; see: smackd node list"),
                            (["drain", "n2", "--deadline", "soon"], "--deadline: 'soon' is no duration"),
                            (["undrain", "n2"], "node 2 is not drained"),
                            (["hold", "--percent", "101"], "percent: must be a whole number from 1 to 100"),
                            (["hold", "--percent", "half"], "--percent 'half': must be a whole number from 1 to 100")):
            said = world["n1"].run([SMACKD, "node", *words], admin(world, "n1"))
            assert said.code != 0 and text in said.err, (words, said)
        assert cli(world, "node", "undrain", "n3").code == 0


def test_a_node_that_cannot_run_tasks_says_why():
    with World("n1", tasks=True) as world:
        host = world["n1"]
        # Control groups out of sight: what a container without them looks like.
        words = host.words
        host.words = lambda wanted: words(["sh", "-c", 'umount -l /sys/fs/cgroup && exec "$@"', "sh", *wanted])
        start_first(host)
        def alarmed():
            alarms = cli_json(world, "status")["alarms"]
            return [one["message"] for one in alarms if one["name"] == "tasks"] == ["n1 cannot run tasks; its log says why"]
        eventually(alarmed, what="the alarm")
        why = [line for line in host.process.log().splitlines() if "alarm tasks" in line]
        assert len(why) == 1 and "cgroup" in why[0], why
        add(world, {"id": "/waits", "cmd": "sleep 600", "cpus": 0.1, "mem": 32}, "--detach")
        assert running(world, "/waits") == {}
        assert "n1" in cli(world, "app", "explain", "/waits").out


def test_keys_of_tasks_are_checked_by_name():
    with World("n1", tasks=True) as world:
        host = world["n1"]
        for words, environment, text in (
                (["--cpus", "many"], {}, "--cpus: 'many' is no number of cpus"),
                (["--memory", "8 apples"], {}, "--memory: '8 apples' is no size"),
                (["--dns-addr", "somewhere"], {}, "--dns-addr: address 'somewhere' must be HOST:PORT"),
                ([], {"SMACKD_TASKS_RUN": "perhaps"}, "SMACKD_TASKS_RUN: 'perhaps' is neither true nor false"),
                ([], {"SMACKD_TASKS_PORTS": "70000-80000"}, "SMACKD_TASKS_PORTS: '70000-80000' is no range of ports")):
            answer = host.run([SMACKD, "start", "--data-dir", host.directory, *words], environment)
            assert answer.code != 0 and text in answer.err, (words, environment, answer)
            assert not os.path.exists(host.directory), "nothing was made"


def copy_of_state(host, kind):
    """Keys of an agent's copy of the state (agent.db) of that kind."""
    with sqlite3.connect(f"file:{host.directory}/agent.db?mode=ro", uri=True) as database:
        return sorted(key for (key,) in database.execute("SELECT key FROM rows WHERE kind = ?", (kind,)))


def kill_task(host, task):
    """Its processes die as of a bug of their own."""
    killed = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cgroup") as file:
                if f"{host.group_name()}/{task}" in file.read():
                    os.kill(int(pid), signal.SIGKILL)
                    killed += 1
        except OSError:
            continue
    assert killed, f"no process of {task}"


def answering(host, rounds=12):
    """Ids of the tasks that answer on this host's service port; every request must be answered."""
    found = set()
    for _ in range(rounds):
        status, body = http(host, "127.0.0.1", SERVICE_PORT)
        assert status == 200, (host.name, status, body)
        found.add(body.split()[-1])
    return found


def test_agents_run_tasks_also_with_the_server_away():
    with World("n1", "a1", "a2", tasks=True) as world:
        server, first, second = world["n1"], world["a1"], world["a2"]
        server.base.update({"SMACKD_TASKS_RUN": "false", "SMACKD_EDGE_RUN": "true"})
        start_first(server)
        for name in ("a1", "a2"):
            join_by_bundle(world, name, "agent")
            start(world[name])
        wait_for_room(world, 2)
        add(world, web(4), "--timeout", "120")
        places = running(world, "/web")
        assert {host: len(ids) for host, ids in places.items()} == {"a1": 2, "a2": 2}, places
        addresses = {first.address, second.address}
        for host in (server, first, second):
            eventually(lambda host=host: serves(host, addresses), what=f"routes of {host.name}")
        # Each agent has its own tasks and what they run; of the others' where they are.
        assert copy_of_state(first, "task") == sorted(places["a1"])
        assert copy_of_state(first, "endpoint") == sorted(places["a2"])
        assert len(copy_of_state(first, "definition")) == 1
        # An app on one of them: the other one learns what it needs for routes, and no more.
        add(world, {"id": "/lone", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 32, "constraints": [["hostname", "CLUSTER", "a2"]]})
        assert [key.split()[0] for key in copy_of_state(second, "definition")] == ["/lone", "/web"]
        assert [key.split()[0] for key in copy_of_state(first, "definition")] == ["/web"]
        cli(world, "app", "remove", "/lone")

        everyone = set(places["a1"]) | set(places["a2"])
        server.process.kill()
        # Names, routes and tasks go on; what dies here leaves the tables here.
        for host in (first, second):
            serves(host, addresses)
        eventually(lambda: answering(first) == everyone, what="all tasks from a1")
        dead = places["a1"][0]
        kill_task(first, dead)
        eventually(lambda: answering(first) == everyone - {dead}, what="the tasks that are left, from a1")

        # A host that is switched off and on runs what it had, under the same ids, with nobody to ask.
        second.power_off()
        start(second)
        eventually(lambda: set(places["a2"]) <= answering(second), 90, what="the tasks of a2 once more, on a2")
        eventually(lambda: answering(first) == everyone - {dead}, what="the tasks of a2 once more, from a1")

        # The server comes back: it hears of what ended, and what is missing is replaced.
        start(server)
        def whole():
            now = running(world, "/web")
            kept = {one for ids in now.values() for one in ids}
            assert len(kept) == 4 and dead not in kept, now
            return set(places["a2"]) | {places["a1"][1]} <= kept
        eventually(whole, 90, "four tasks, three of them as before")
        for host in (server, first, second):
            eventually(lambda host=host: serves(host, addresses), what=f"routes of {host.name} at the end")


def own_certificate(world, name, host):
    """A file as an operator has it: a certificate of its own authority with its key; and the certificate alone."""
    path = os.path.join(world.work, f"{name}.pem")
    answer = world["n1"].run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                              "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{host}",
                              "-keyout", f"{path}.key", "-out", f"{path}.crt"])
    assert answer.code == 0, answer
    with open(path, "w") as both, open(f"{path}.crt") as certificate, open(f"{path}.key") as key:
        both.write(certificate.read() + key.read())
    return path, f"{path}.crt"


def https(host, authority, name):
    """The status under that name on the host itself, or curl's code when the certificate is not the authority's for it."""
    answer = host.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority,
                       "--resolve", f"{name}:443:127.0.0.1", f"https://{name}/"])
    return int(answer.out) if answer.code == 0 else -answer.code


def test_https_by_the_clusters_ca_and_by_files():
    with World("n1", "a1", tasks=True) as world:
        start_first(world["n1"])
        join_by_bundle(world, "a1", "agent")
        path, authority = own_certificate(world, "shop", "shop.example")
        config = os.path.join(world.work, "a1.toml")
        with open(config, "w") as file:
            file.write(f'[edge]\ncertificates = ["{path}"]\n')
        start(world["a1"], "--config", config)
        wait_for_room(world, 2)
        labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "web.example,shop.example,n1"}
        add(world, web(1, labels=labels, constraints=[]))
        cluster_ca = f"{world['n1'].directory}/cluster/ca.pem"
        for name in ("n1", "a1"):
            eventually(lambda: https(world[name], cluster_ca, "web.example") == 200, what=f"the CA's certificate on {name}")
        assert https(world["a1"], authority, "shop.example") == 200
        assert https(world["a1"], cluster_ca, "shop.example") == -60  # the file is in force
        eventually(lambda: https(world["n1"], cluster_ca, "shop.example") == 200, what="the CA's certificate without a file")
        assert https(world["a1"], cluster_ca, "n1") == -60  # nobody but n1 itself may show that name
        path, newer = own_certificate(world, "shop", "shop.example")
        eventually(lambda: https(world["a1"], newer, "shop.example") == 200, what="the replaced file")
        with open(path, "w") as file:
            file.write("nothing")
        eventually(lambda: "has no certificate" in world["a1"].process.log(), what="an alarm about the file")
        assert https(world["a1"], newer, "shop.example") == 200  # the last good one
        # With no server a node that starts has what it was given.
        world["n1"].process.kill()
        world["a1"].process.kill()
        start(world["a1"])
        assert https(world["a1"], cluster_ca, "web.example") in (200, 502, 503)


def test_logs_and_usage_of_other_nodes():
    with World("n1", "n2", "a1", tasks=True) as world:
        start_first(world["n1"])
        for name, role in (("n2", "server"), ("a1", "agent")):
            join_by_bundle(world, name, role)
            start(world[name])
        wait_for_room(world, 3)
        for name in ("n1", "n2", "a1"):
            add(world, {"id": f"/{name}", "cmd": f"echo out of {name}; echo err of {name} >&2; sleep 600", "cpus": 0.1, "mem": 32,
                        "constraints": [["hostname", "CLUSTER", name]]})
        for name in ("n1", "n2", "a1"):
            task = tasks_of(world, f"/{name}")[0]["id"]
            for via in ("n1", "n2"):
                eventually(lambda: f"out of {name}" in cli(world, "task", "log", task, via=via).out, what=f"the log of {name} by {via}")
                assert f"err of {name}" in cli(world, "task", "log", task, "--stderr", via=via).out
        for via in ("n1", "n2"):
            def all_measured():
                nodes = cli_json(world, "top", via=via)["nodes"]
                return {node["machine"] for node in nodes if node.get("usage", {}).get("memory_used_bytes", 0) > 0} == {"n1", "n2", "a1"}
            eventually(all_measured, what=f"usage of all nodes by {via}")
        world["a1"].process.kill()
        task = tasks_of(world, "/a1")[0]["id"]
        answer = world["n2"].run([SMACKD, "task", "log", task], admin(world, "n2"))
        assert answer.code == 1 and "is connected to no server now" in answer.err, answer
