"""The identity of a task: what it reads by its socket and its token, on a server and on an agent, and what ends it."""

import json
import os
import time

import harness
from harness import Demo, wait_until
from test_apps import add, eventually, running
from test_cluster_apps import add as add_to_cluster
from test_cluster_apps import running as running_in_cluster
from test_cluster_apps import wait_for_room
from test_join import cli, cli_json, join_by_bundle, start, start_first
from world import World

SOCKET = "/run/smackd/api.sock"
TOKEN = "/run/smackd/token"
SLEEP = "exec sleep 3600"


def app(app_id, **more):
    return {"id": app_id, "cmd": SLEEP, "cpus": 0.01, "mem": 32, "networks": [{"mode": "container/bridge"}], **more}


def inside(demo, task, *words):
    """Standard output of a program in the task."""
    answer = demo.cli("task", "exec", task, "--", *words)
    assert answer.code == 0, answer
    return answer.out


def ask(demo, task, path, *words):
    """(status, body) by the task's socket, with curl and nothing else."""
    out = inside(demo, task, "curl", "-sS", "--path-as-is", "-w", "\n%{http_code}", "--unix-socket", SOCKET, *words, "http://smackd" + path)
    body, _, status = out.rpartition("\n")
    return int(status), body


def apps_seen(demo, task):
    status, body = ask(demo, task, "/v2/apps")
    assert status == 200, (status, body)
    return sorted(one["id"] for one in json.loads(body)["apps"])


def identity_directories():
    return {os.path.join("/run", one, "tasks", task) for one in os.listdir("/run") if one.startswith("smackd-")
            for task in (os.listdir(os.path.join("/run", one, "tasks")) if os.path.isdir(os.path.join("/run", one, "tasks")) else [])}


def two_tenants():
    demo = Demo().start()
    for team in ("team-a", "team-b"):
        assert demo.cli("tenant", "add", team, f"/{team}").code == 0
    for one in (app("/team-a/web"), app("/team-a/user", user="nobody"), app("/team-a/host", networks=[{"mode": "host"}]),
                app("/team-b/web", env={"PASSWORD": "secret-of-b"}), app("/common"), app("/team-a/none", labels={"SMACKD_IDENTITY": "none"})):
        add(demo, one)
    return demo, {one: running(demo, one)[0]["id"] for one in
                  ("/team-a/web", "/team-a/user", "/team-a/host", "/team-b/web", "/common", "/team-a/none")}


def test_a_task_speaks_for_itself():
    before = identity_directories()
    demo, tasks = two_tenants()
    web, user, host = tasks["/team-a/web"], tasks["/team-a/user"], tasks["/team-a/host"]
    own = ["/team-a/host", "/team-a/none", "/team-a/user", "/team-a/web"]
    for task in (web, user, host):
        assert apps_seen(demo, task) == own, task
        names = inside(demo, task, "sh", "-c", f"ls -A /run/smackd; stat -c %a {TOKEN}; touch /run/smackd/x 2>&1; "
                       "echo $SMACKD_TOKEN_FILE $SMACKD_SOCKET; id -u; stat -c %u /run/smackd/token").split("\n")
        assert names[:3] == ["api.sock", "token", "400"] and "Read-only file system" in names[3], names
        assert names[4] == f"{TOKEN} {SOCKET}" and names[5] == names[6], names
    assert apps_seen(demo, tasks["/common"]) == ["/common"]
    status, body = ask(demo, web, "/smack/v1/whoami")
    assert status == 200 and json.loads(body)["task"] == web, body
    # Nothing else: no change, no logs and no names of others, nothing of the cluster, no sign-in.
    for path, *words in (("/v2/apps/team-b/web",), ("/v2/apps/common",), ("/v2/apps/team-b/web/tasks",), ("/smack/v1/nodes",), ("/smack/v1/users",),
                         ("/smack/v1/status",), ("/metrics",), ("/v2/info",), (f"/smack/v1/tasks/{user}/log/stdout",),
                         (f"/smack/v1/tasks/{web}/exec",), ("/v2/apps/team-a/web", "-X", "DELETE"), ("/smack/v1/events",),
                         ("/v2/apps/team-a/web?force=true", "-X", "PUT", "-H", "Content-Type: application/json", "-d", '{"instances": 2}'),
                         ("/smack/v1/login", "-X", "POST", "-H", "Content-Type: application/json", "-d", '{"user": "admin", "password": "x"}')):
        status, body = ask(demo, web, path, *words)
        assert status == 403 and "secret-of-b" not in body, (path, status, body)
    assert ask(demo, web, "/")[0] == 404
    assert ask(demo, web, f"/smack/v1/tasks/{web}/log/stdout")[0] == 200
    assert ask(demo, web, "/v2/apps", "-H", "Authorization: Bearer x")[0] == 422
    for path in ("/v2/tasks", "/v2/groups", "/smack/v1/tenants", "/v2/deployments", "/v2/queue"):
        status, body = ask(demo, web, path)
        assert status == 200 and "team-b" not in body and "common" not in body, (path, body)
    # A rule gives more, at the door and in apply, to the tasks of that app alone.
    demo.must("policy", "add", "scale", "task:/team-a/web", "--allow", "change", "--path", "/team-b")
    change = ("/v2/apps/team-b/web?force=true", "-X", "PUT", "-H", "Content-Type: application/json", "-d", '{"instances": 2}')
    status, body = ask(demo, web, *change)
    assert status == 200, body
    assert ask(demo, user, *change)[0] == 403
    audit = demo.must("sql", "SELECT actor_kind, principal FROM audit ORDER BY revision DESC LIMIT 40").out
    assert f"task:{web}" in audit, audit
    demo.must("policy", "remove", "scale")
    assert ask(demo, web, *change)[0] == 403
    # Who has none has nothing.
    assert inside(demo, tasks["/team-a/none"], "sh", "-c", "ls -d /run/smackd 2>&1; echo [$SMACKD_SOCKET]").endswith("[]\n")

    # The token, from where the network lets it through; over with the task.
    token = inside(demo, host, "cat", TOKEN).strip()
    by_token = lambda path: demo.request("GET", path, headers={"Authorization": f"Bearer {token}"})[0]  # noqa: E731
    assert by_token("/v2/apps/team-a/web") == 200 and by_token("/v2/apps/team-b/web") == 403 and by_token("/smack/v1/users") == 403
    assert demo.request("POST", "/smack/v1/login", body="{}", headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})[0] == 401

    # A daemon that dies takes the socket along; the next one serves it in the running task.
    demo.process.kill()
    answer = harness.run(["true"])
    assert answer.code == 0
    demo.start()
    eventually(lambda: apps_seen(demo, web) == own, what="the socket after the daemon's end")
    assert inside(demo, web, "cat", TOKEN).strip() != "", "the token is there, too"
    assert by_token("/v2/apps/team-a/web") == 200
    demo.must("app", "remove", "/team-a/host")
    eventually(lambda: by_token("/v2/apps/team-a/web") == 401, what="the end of the token with its task")
    # A tenant's path is of now.
    demo.must("tenant", "remove", "team-a")
    assert apps_seen(demo, web) == ["/team-a/web"]
    for one in ("/team-a/web", "/team-a/user", "/team-a/none", "/team-b/web", "/common"):
        demo.must("app", "remove", one)
    eventually(lambda: not identity_directories() - before, what="no directory of a task left behind")


# What a hostile task does to its socket, each for a while; the last line is what it got.
FLOOD = r"""
import socket, threading, time
path, got = "/run/smackd/api.sock", {}
def one():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(path)
    return s
held = []
for _ in range(1000):
    try:
        held.append(one())
    except OSError as error:
        got["connect"] = type(error).__name__
        break
refused = sum(b"503" in s.recv(12) for s in held[100:110])
def endless():
    try:
        s = one()
        while True:
            s.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 4000)
    except OSError:
        pass
def slow():
    try:
        s = one()
        s.sendall(b"POST /v2/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        while True:
            s.sendall(b"x")
            time.sleep(0.5)
    except OSError:
        pass
def many():
    end = time.time() + 8
    while time.time() < end:
        try:
            s = one()
            s.sendall(b"GET /v2/apps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = s.recv(12)[9:].decode()
            got[answer] = got.get(answer, 0) + 1
        except OSError as error:
            got[type(error).__name__] = got.get(type(error).__name__, 0) + 1
for s in held:
    s.close()
threads = [threading.Thread(target=each, daemon=True) for each in [endless] * 8 + [slow] * 8 + [many] * 8]
for thread in threads:
    thread.start()
time.sleep(9)
print("FLOOD", len(held), refused, got, flush=True)
time.sleep(3600)
"""


def test_a_task_that_floods_its_socket_harms_itself():
    demo = Demo().start()
    add(demo, app("/good"))
    good = running(demo, "/good")[0]["id"]
    add(demo, app("/bad", cmd="exec python3 -u -c \"$FLOOD\"", env={"FLOOD": FLOOD}, mem=128))
    bad = running(demo, "/bad")[0]["id"]
    flooded = lambda: next((line for line in demo.cli("task", "log", bad).out.splitlines() if line.startswith("FLOOD")), None)  # noqa: E731
    slowest, asked = 0, 0
    end = time.monotonic() + 60
    while not flooded():
        began = time.monotonic()
        assert ask(demo, good, "/v2/apps")[0] == 200
        assert demo.request("GET", "/v2/apps", headers=demo.bearer())[0] == 200
        slowest, asked = max(slowest, time.monotonic() - began), asked + 1
        assert time.monotonic() < end, "the flood did not end"
    line = flooded()
    assert asked > 3 and slowest < 5, (asked, slowest, line)
    assert "'503'" in line, line


PROBE = r"""
import http.client, json, os, socket, time
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(os.environ["SMACKD_SOCKET"])
def get(path):
    try:
        connection = Unix("smackd")
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError as error:
        return type(error).__name__, None
while True:
    status, apps = get("/v2/apps")
    _, who = get("/smack/v1/whoami")
    try:
        token = len(open(os.environ["SMACKD_TOKEN_FILE"]).read())
    except OSError:
        token = 0
    print(json.dumps({"status": status, "apps": sorted(one["id"] for one in (apps or {}).get("apps", [])),
                      "who": (who or {}).get("app"), "token": token, "time": time.time()}), flush=True)
    time.sleep(0.3)
"""


def test_on_an_agent_the_request_goes_the_way_the_agent_has():
    with World("n1", "a1", tasks=True) as world:
        server, agent = world["n1"], world["a1"]
        server.base.update({"SMACKD_TASKS_RUN": "false"})
        start_first(server)
        join_by_bundle(world, "a1", "agent")
        start(agent)
        wait_for_room(world, 1)
        for team in ("team-a", "team-b"):
            cli(world, "tenant", "add", team, f"/{team}")
        for one in ("/team-a/other", "/team-b/web"):
            add_to_cluster(world, app(one))
        add_to_cluster(world, app("/team-a/probe", cmd="exec python3 -u -c \"$PROBE\"", env={"PROBE": PROBE}))
        task = running_in_cluster(world, "/team-a/probe")["a1"][0]

        def found(expected, what, log=None):
            """A round of the probe that began after now."""
            began = time.time()

            def right():
                text = open(log).read() if log else cli(world, "task", "log", task).out
                rounds = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
                last = [one for one in rounds if one["time"] > began + 0.3]
                return last and {key: last[-1][key] for key in expected} == expected and last[-1]
            return eventually(right, what=what)
        well = {"status": 200, "apps": ["/team-a/other", "/team-a/probe"], "who": "/team-a/probe"}
        assert found(well, "what the task reads")["token"] > 100
        # The agent's daemon dies: the task goes on, and its socket works again with the next one.
        agent.process.kill()
        start(agent)
        assert found(well, "what the task reads after its node's daemon has died")["token"] > 100
        assert running_in_cluster(world, "/team-a/probe") == {"a1": [task]}
        # Without a server it is told so; the log is read where it is.
        log = next(os.path.join(root, "stdout." + name.split(".")[-1]) for root, _, files in os.walk(os.path.join(agent.directory, "agent", "logs", task))
                   for name in files if name.startswith("stdout"))
        server.process.kill()
        found({"status": 503, "apps": []}, "the answer without a server", log)
        start(server)
        found(well, "what the task reads once more")
        # A task that is gone is nobody, though its node may still say so.
        listed = cli_json(world, "app", "list")["apps"]
        assert {one["id"] for one in listed} >= {"/team-a/probe", "/team-b/web"}, listed
        wait_until(lambda: cli(world, "app", "remove", "/team-a/probe").code == 0, 30, "the removal")
