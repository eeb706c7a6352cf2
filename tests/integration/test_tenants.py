"""Tenants on a real daemon: what tasks of one see and reach of another's, by name and by address, while tenants come and go;
and what an application that eats memory is said to have died of."""

import json

import harness
from harness import Demo
from test_apps import add, definition, eventually, running, show

# Tries its targets for ever, a line each round: what NAME resolves to, what ADDRESS:PORT says.
PROBE = r"""
import json, os, socket, time
socket.setdefaulttimeout(1.5)
def name(text):
    try:
        return sorted({found[4][0] for found in socket.getaddrinfo(text, 80, socket.AF_INET, socket.SOCK_STREAM)})
    except socket.gaierror as error:
        return "NXDOMAIN" if error.errno in (-2, -5) else f"error {error.errno}"
def address(text):
    host, port = text.split(":")
    try:
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return "answers" if connection.recv(100).startswith(b"HTTP/") else "closes"
    except OSError as error:
        return type(error).__name__
while True:
    found = {target: (address if ":" in target else name)(target) for target in os.environ["TARGETS"].split()}
    print(json.dumps(found), flush=True)
    time.sleep(0.3)
"""
BRIDGE = [{"mode": "container/bridge"}]


def web(app, service_port=None):
    mapping = {"containerPort": 8080, "hostPort": 0, **({"servicePort": service_port} if service_port else {})}
    return {"id": app, "cmd": "exec python3 -m http.server 8080", "cpus": 0.05, "mem": 64, "networks": BRIDGE,
            "container": {"type": "MESOS", "portMappings": [mapping]}, "labels": {"HAPROXY_GROUP": "internal"},
            "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 60}]}


def task_of(demo, app):
    return running(demo, app)[0]


def probe(demo, app, targets):
    add(demo, {"id": app, "cmd": "exec python3 -u -c \"$PROBE\"", "cpus": 0.05, "mem": 64, "networks": BRIDGE,
               "container": {"type": "MESOS"}, "env": {"PROBE": PROBE, "TARGETS": " ".join(targets)}})
    return task_of(demo, app)["id"]


def last_of(demo, task):
    """What the probe found in a whole round that began after now."""
    rounds = lambda: [line for line in demo.cli("task", "log", task).out.splitlines() if line.startswith("{")]  # noqa: E731
    before = len(rounds())
    return json.loads(eventually(lambda: rounds()[before + 1:], what="another round of the probe")[0])


def sees(demo, task, expected):
    found = {}

    def as_expected():
        found.update(last_of(demo, task))
        return {target: found[target] for target in expected} == expected
    try:
        eventually(as_expected, limit=30)
    except AssertionError:
        raise AssertionError(f"{task} found {found}, expected {expected}") from None


def test_tenants_are_kept_apart():
    demo = Demo()
    demo.start()
    for words in (("team-a", "/team-a"), ("team-b", "/team-b", "/team-b-too")):
        answer = demo.cli("tenant", "add", *words)
        assert answer.code == 0, answer
    service_port = harness.free_port()
    for app in (web("/team-a/web"), web("/team-b/web", service_port), web("/shared")):
        add(demo, app)
    tasks = {app: task_of(demo, app) for app in ("/team-a/web", "/team-b/web", "/shared")}
    inside = {app: f"{task['ipAddresses'][0]['ipAddress']}:8080" for app, task in tasks.items()}
    gateway = inside["/shared"].rsplit(".", 1)[0] + ".1"
    published = {app: f"{gateway}:{task['ports'][0]}" for app, task in tasks.items()}
    names = {"/team-a/web": "web.team-a.marathon.mesos", "/team-b/web": "web.team-b.marathon.mesos", "/shared": "shared.marathon.mesos"}
    every = [*names.values(), *inside.values(), *published.values(), "marathon-lb-internal.marathon.mesos", "leader.mesos",
             f"{gateway}:{service_port}", f"{gateway}:{demo.ports['api']}", f"127.0.0.1:{demo.ports['api']}"]
    a, b, common = probe(demo, "/team-a/probe", every), probe(demo, "/team-b-too/probe", every), probe(demo, "/probe", every)

    def reaches(*apps):
        return {**{names[app]: [gateway] for app in apps}, **{inside[app]: "answers" for app in apps},
                **{published[app]: "answers" for app in apps}}

    def reaches_not(*apps):
        return {**{names[app]: "NXDOMAIN" for app in apps}, **{inside[app]: "TimeoutError" for app in apps},
                **{published[app]: "TimeoutError" for app in apps}}

    # What is everybody's: the load balancer's name, and by it the service ports of the internal group.
    always = {"marathon-lb-internal.marathon.mesos": [gateway], f"{gateway}:{service_port}": "answers",
              f"{gateway}:{demo.ports['api']}": "TimeoutError", f"127.0.0.1:{demo.ports['api']}": "ConnectionRefusedError"}
    sees(demo, a, {**reaches("/team-a/web", "/shared"), **reaches_not("/team-b/web"), **always})
    sees(demo, b, {**reaches("/team-b/web", "/shared"), **reaches_not("/team-a/web"), **always})
    sees(demo, common, {**reaches("/team-a/web", "/team-b/web", "/shared"), **always})
    # A daemon that dies takes nothing of it along, nor does one that comes back.
    demo.process.kill()
    demo.start()
    sees(demo, a, {**reaches("/team-a/web", "/shared"), **reaches_not("/team-b/web"), **always})
    # Wrong tenants change nothing.
    for words, why in ((("team-c", "/team-b"), "belongs to tenant 'team-b'"), (("team-c", "/"), "everybody's"),
                       (("team-c", "team-x"), "path"), (("Team C", "/team-c"), "tenant")):
        answer = demo.cli("tenant", "add", *words)
        assert answer.code == 1 and why in answer.err, (words, answer)
    answer = demo.cli("tenant", "remove", "team-c")
    assert answer.code == 1 and "no tenant" in answer.err, answer
    listed = demo.cli("tenant", "list", "--json").json()["tenants"]
    assert {one["name"]: one["paths"] for one in listed} == {"team-a": ["/team-a"], "team-b": ["/team-b", "/team-b-too"]}, listed
    # While tasks run, a tenant ends, and another path gets an owner.
    assert demo.cli("tenant", "remove", "team-b").code == 0
    sees(demo, a, {**reaches("/team-a/web", "/team-b/web", "/shared"), **always})
    assert demo.cli("tenant", "add", "owner", "/shared").code == 0
    sees(demo, a, {**reaches("/team-a/web", "/team-b/web"), **reaches_not("/shared"), **always})
    demo.stop()


def test_an_application_that_eats_memory():
    demo = Demo()
    demo.start()
    app = {"id": "/eater", "cmd": "exec python3 -c 'b = []\nwhile True: b.append(bytearray(1 << 20))'", "cpus": 0.1, "mem": 32,
           "backoffSeconds": 3600}
    answer = demo.cli("app", "add", definition(demo, "eater", app), "--detach")
    assert answer.code == 0, answer
    failure = eventually(lambda: show(demo, "/eater").get("lastTaskFailure"))
    assert failure["state"] == "TASK_FAILED" and "out of memory" in failure["message"].lower(), failure
    told = demo.cli("app", "explain", "/eater")
    assert "out of memory" in told.out.lower(), told
    demo.stop()
