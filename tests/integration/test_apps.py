"""Applications on one node: from a definition to an answer, and what happens to them when the daemon dies."""

import json
import os
import signal
import socket
import struct
import time

import harness
from harness import Demo

LIMIT_S = 60
SERVER = ("mkdir -p www && echo \"hello from $MARATHON_APP_ID $MESOS_TASK_ID\" > www/index.html && cd www && "
          "exec python3 -m http.server $PORT0")


def eventually(check, limit=LIMIT_S, what="it"):
    """The first true value of check(); what it last raised when the time is over."""
    end = time.monotonic() + limit
    problem = None
    while True:
        try:
            value = check()
            if value:
                return value
            problem = None
        except (AssertionError, OSError, KeyError, IndexError) as raised:
            problem = raised
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about in {limit} s: {problem}")
        time.sleep(0.1)


def definition(demo, name, app):
    path = os.path.join(demo.work, f"{name}.json")
    with open(path, "w") as file:
        json.dump(app, file)
    return path


def add(demo, app, *options):
    answer = demo.cli("app", "add", definition(demo, app["id"].strip("/").replace("/", "_"), app), *options)
    assert answer.code == 0, answer
    return answer


def show(demo, app):
    answer = demo.cli("app", "show", app, "--json")
    assert answer.code == 0, answer
    return answer.json()


def running(demo, app, count=1):
    tasks = [task for task in show(demo, app)["tasks"] if task["state"] == "TASK_RUNNING"]
    return tasks if len(tasks) == count else None


def http(port, host="127.0.0.1", path="/", name=None, limit=5):
    with socket.create_connection((host, port), timeout=limit) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {name or host}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode(errors="replace")


def dns(port, name, kind=1):
    """Addresses (A) or raw answers of one question over UDP, and the response code."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack(">HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.sendto(struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + question, ("127.0.0.1", port))
        reply = client.recv(4096)
    identity, flags, _, answers, _, _ = struct.unpack(">HHHHHH", reply[:12])
    assert identity == 4711
    addresses = []
    at = 12 + len(question)
    for _ in range(answers):
        while reply[at] and reply[at] < 192:
            at += reply[at] + 1
        at += 2 if reply[at] >= 192 else 1
        found, _, _, length = struct.unpack(">HHIH", reply[at:at + 10])
        if found == 1:
            addresses.append(socket.inet_ntoa(reply[at + 10:at + 14]))
        at += 10 + length
    return flags & 15, addresses


def test_a_command_runs_and_ends():
    demo = Demo()
    demo.start()
    add(demo, {"id": "/counter", "cmd": "echo started; exec sleep 600", "cpus": 0.1, "mem": 32})
    task = running(demo, "/counter")[0]
    log = eventually(lambda: demo.cli("task", "log", task["id"]).out)
    assert "started" in log, log
    answer = demo.cli("app", "scale", "/counter", "3")
    assert answer.code == 0, answer
    assert running(demo, "/counter", 3)
    assert "/counter" in demo.cli("marathon", "app", "list").out  # as DC/OS users type it
    assert task["id"] in [one["id"] for one in show(demo, "/counter")["tasks"]]
    answer = demo.cli("app", "remove", "/counter")
    assert answer.code == 0, answer
    assert demo.cli("app", "list", "--json").json()["apps"] == []
    demo.stop()


def test_a_failing_command_backs_off_and_says_why():
    demo = Demo()
    demo.start()
    add(demo, {"id": "/broken", "cmd": "echo no luck >&2; exit 7", "cpus": 0.1, "mem": 32}, "--detach")
    failure = eventually(lambda: show(demo, "/broken").get("lastTaskFailure"))
    assert failure["state"] == "TASK_FAILED", failure
    assert "7" in failure["message"], failure
    told = demo.cli("app", "explain", "/broken")
    assert told.code == 0 and "last failure" in told.out and "it wrote last: no luck (" in told.out, told
    assert demo.cli("task", "log", "--stderr", "/broken").out == "no luck\n"
    late = demo.cli("app", "update", "/broken", definition(demo, "later", {
        "cmd": "echo no luck either >&2; exit 8", "healthChecks": [{"protocol": "TCP", "port": 1}]}), "--force", "--timeout", "4")
    assert late.code == 1 and "ended with exit code 8; it wrote last: no luck either (" in late.err, late
    demo.stop()


def test_bridge_service_port_dns_and_virtual_host():
    demo = Demo()
    demo.start()
    service_port = harness.free_port()
    add(demo, {
        "id": "/web", "cmd": SERVER.replace("$PORT0", "8080"), "cpus": 0.1, "mem": 64, "instances": 2,
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": service_port}]},
        "labels": {"HAPROXY_GROUP": "external,internal", "HAPROXY_0_VHOST": "web.example"},
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 30}],
    })
    tasks = running(demo, "/web", 2)
    status, body = eventually(lambda: answer_of(lambda: http(service_port)), what="the service port's answer")
    assert status == 200 and "hello from /web" in body, (status, body)
    status, body = eventually(lambda: answer_of(lambda: http(demo.ports["http"], name="web.example")), what="the virtual host's answer")
    assert status == 200 and "hello from /web" in body, (status, body)
    assert http(demo.ports["http"], name="other.example")[0] == 503
    code, addresses = dns(demo.ports["dns"], "web.marathon.mesos")
    assert code == 0 and addresses, (code, addresses)
    status, body = http(tasks[0]["ports"][0], host=addresses[0])
    assert status == 200 and "hello from /web" in body, (status, body)
    code, addresses = dns(demo.ports["dns"], "marathon-lb.marathon.mesos")
    assert code == 0 and len(addresses) == 1, (code, addresses)
    assert http(service_port, host=addresses[0])[0] == 200
    # A bridge whose MAC address follows its ports cuts tasks off for seconds when one with a lower one comes or goes.
    bridge = next(line.split()[1] for line in harness.run(["ip", "-o", "-4", "address"]).out.splitlines() if f" {addresses[0]}/" in line)
    with open(f"/sys/class/net/{bridge}/addr_assign_type") as file:
        assert file.read().strip() == "3", "set by us"
    assert dns(demo.ports["dns"], "nothing.marathon.mesos")[0] == 3
    demo.stop()


def answer_of(ask):
    status, body = ask()
    return (status, body) if status == 200 else None


def test_tasks_outlive_the_daemon():
    demo = Demo()
    demo.start()
    add(demo, {"id": "/lasting", "cmd": "while true; do date +%s.%N; sleep 0.2; done", "cpus": 0.1, "mem": 32, "instances": 2})
    before = {task["id"] for task in running(demo, "/lasting", 2)}
    log = demo.cli("task", "log", sorted(before)[0]).out
    demo.process.kill()
    time.sleep(1)
    demo.start()
    after = {task["id"] for task in eventually(lambda: running(demo, "/lasting", 2))}
    assert before == after, (before, after)
    more = eventually(lambda: longer(demo.cli("task", "log", sorted(before)[0]).out, log))
    assert more.startswith(log), (log, more)
    demo.stop()


def longer(text, than):
    return text if len(text) > len(than) else None


def test_the_demo_ends_its_tasks_and_starts_them_again():
    demo = Demo()
    demo.start()
    add(demo, {"id": "/again", "cmd": "exec sleep 4711", "cpus": 0.1, "mem": 32})
    demo.stop()
    left = harness.run(["pgrep", "-f", "^sleep 4711$"]).out
    assert left == "", left
    demo.start()
    eventually(lambda: running(demo, "/again"))
    demo.stop()


def test_wrong_definitions_change_nothing():
    demo = Demo()
    demo.start()
    for app, word in [({"id": "/x"}, "cmd"), ({"id": "/X", "cmd": "sleep 1"}, "id"), ({"id": "/x", "cmd": "sleep 1", "cpus": -1}, "cpus"),
                      ({"id": "/x", "cmd": "sleep 1", "instances": "many"}, "instances")]:
        answer = demo.cli("app", "add", definition(demo, "wrong", app))
        assert answer.code == 1 and word in answer.err, (app, answer)
    assert demo.cli("app", "list", "--json").json()["apps"] == []
    demo.stop()


def test_a_plan_says_what_then_happens():
    demo = Demo()
    demo.start()
    eventually(lambda: "capacity" in demo.must_json("node", "list")["nodes"][0], what="the node's word of what it has")
    web = {"id": "/web", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 32, "instances": 2, "labels": {"team": "a"}}
    file = definition(demo, "web", web)
    planned = demo.cli("app", "plan", file, "--exit-code")
    assert planned.code == 3 and planned.out.startswith("/web is new\n") and '+ /cpus  0.1\n' in planned.out, planned
    assert "tasks: 2 wanted; 0 stay, 2 start, 0 end\n" in planned.out, planned
    assert demo.cli("app", "plan", file).code == 0 and demo.cli("app", "list", "--json").json()["apps"] == []
    add(demo, web)
    assert demo.cli("app", "plan", file, "--exit-code").code == 0
    before = {task["id"] for task in running(demo, "/web", 2)}

    for change, effect, words in [({"labels": {"team": "b"}}, "describe", '~ /labels/team  "a" -> "b"\n'), ({"instances": 3}, "scale", "~ /instances  2 -> 3\n"),
                                  ({"cmd": "exec sleep 700"}, "restart", '~ /cmd  "exec sleep 600" -> "exec sleep 700"  (replaces tasks)\n')]:
        told = demo.cli("app", "plan", "-", "--id", "/web", "--exit-code", stdin=json.dumps(change))
        assert told.code == 3 and words in told.out, (change, told)
        plan = demo.cli("app", "plan", "-", "--id", "/web", "--json", stdin=json.dumps(change)).json()
        assert plan["effect"] == effect, plan
        answer = demo.cli("app", "update", "/web", definition(demo, "change", change))
        assert answer.code == 0, answer
        after = {task["id"] for task in running(demo, "/web", plan["tasks"]["wanted"])}
        counted = {"wanted": len(after), "kept": len(before & after), "started": len(after - before), "stopped": len(before - after)}
        assert plan["tasks"] == counted and plan["nodes"][0]["then"] == len(after), (plan, counted)
        before = after

    # What does not fit is said node by node, and what is wrong as `app add` says it.
    crowd = demo.cli("app", "plan", definition(demo, "crowd", {"id": "/crowd", "cmd": "exec sleep 600", "cpus": 1, "mem": 16, "instances": 1000}), "--json").json()
    assert crowd["waiting"]["count"] + crowd["tasks"]["started"] == 1000 and crowd["waiting"]["reasons"] == {"InsufficientCpus": 1}, crowd
    assert "needs 1 cpus" in crowd["waiting"]["nodes"][0]["text"], crowd
    wrong = definition(demo, "wrong", {"id": "/wrong", "cmd": "x", "instances": -1})
    planned, added = demo.cli("app", "plan", wrong, "--exit-code"), demo.cli("app", "add", wrong)
    assert planned.code == 1 and "/instances" in planned.err and planned.err == added.err, (planned, added)
    assert demo.cli("app", "plan").code == 2
    demo.stop()


def test_the_edge_serves_on_while_the_daemon_is_gone():
    demo = Demo()
    demo.start()
    add(demo, {
        "id": "/web", "cmd": SERVER.replace("$PORT0", "8080"), "cpus": 0.1, "mem": 64,
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": harness.free_port()}]},
        "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "web.example"},
    })
    ask = lambda: http(demo.ports["http"], name="web.example")  # noqa: E731
    eventually(lambda: answer_of(ask), what="the virtual host's answer")
    demo.process.kill()
    for _ in range(20):
        assert ask()[0] == 200
    assert dns(demo.ports["dns"], "web.marathon.mesos")[0] == 0
    demo.start()
    for _ in range(20):
        assert ask()[0] == 200
    add(demo, {"id": "/more", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 32})
    eventually(lambda: dns(demo.ports["dns"], "more.marathon.mesos")[0] == 0, what="the new name")
    demo.stop()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", demo.ports["http"])) != 0, "the edge of a demo ends with it"
