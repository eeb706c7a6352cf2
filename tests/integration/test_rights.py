"""Who may what: the table of routes x attempts (rights_table.py) against a demo with two teams."""

import json
import socket
import struct
from urllib.parse import unquote

import harness
from harness import wait_until
from rights import NAMES, PASSWORD, SECRETS, Client, Teams, filled, sample_path
from rights_table import NOT_FOR_TASKS, ROWS, app

_teams = []
figures = {"routes": 0, "attempts": 0, "refused": 0, "hidden": 0, "granted": 0}


def teams():
    if not _teams:
        _teams.append(Teams())
    return _teams[0]


def routes():
    return teams().admin.json("GET", "/smack/v1/routes")["routes"]


def name_of(route):
    return f"{route['method']} {route['path']}"


def changes(method):
    return method != "GET"


def try_one(client, method, path, body=None, statuses=(), told=()):
    """The answer, with its status and without what must not be told."""
    status, text = client.ask(method, path, body, {"Accept": "text/event-stream"} if "/events" in path else None)
    figures["attempts"] += 1
    assert status in statuses, f"{method} {path} {json.dumps(body)[:200]}: {status}, expected {list(statuses)}: {text[:500]}"
    for word in told if status < 400 else SECRETS[:3]:  # refusals repeat what was written
        assert word not in text, f"{method} {path} tells '{word}': {text[:500]}"
    return text


def is_malformed(path):
    """Dots that would climb, and zero bytes: refused as no address at all, before anybody is asked who they are."""
    plain = unquote(path.partition("?")[0])
    return "\0" in plain or any(part in (".", "..") for part in plain.split("/"))


def refused(client, method, path, body=None):
    """403, with the reason and what to do about it, and no word of what is there. True for one that is recorded."""
    figures["refused"] += 1
    if is_malformed(path):
        try_one(client, method, path, body, [400], SECRETS[:1])
        return False
    text = try_one(client, method, path, body, [403], SECRETS[:1])
    answer = json.loads(text)
    message = answer.get("message") or answer["error"]["message"]
    assert "smackd policy add" in message or "which you may not change" in message, (method, path, message)
    return True


def test_every_route_has_a_row():
    served = {name_of(route) for route in routes()}
    figures["routes"] = len(served)
    assert served - set(ROWS) == set(), f"routes without a row in rights_table.py: {sorted(served - set(ROWS))}"
    assert set(ROWS) - served == set(), f"rows of routes that are gone: {sorted(set(ROWS) - served)}"
    for route in routes():
        assert (route["access"] == "anonymous") == (ROWS[name_of(route)].kind == "open"), route


def test_nobody_comes_in_without_a_proof_or_a_rule():
    world = teams()
    words = world.words()
    before = world.of_others(), world.policy_refusals()
    count = 0
    for route in routes():
        row, method, path = ROWS[name_of(route)], route["method"], sample_path(route["path"], words)
        if row.kind == "open":
            continue
        body = {} if method in ("POST", "PUT", "PATCH") else None
        for client in (world.anonymous, world.forged, Client(world.demo, "Negotiate YIIBxwYGKwYBBQUCoIIBuzCCAbc="), Client(world.demo, "token=none")):
            try_one(client, method, path, body, [400, 401] if client.headers.get("Authorization", "").startswith("Negotiate") else [401], SECRETS)
            figures["refused"] += 1
        if row.kind == "known":
            continue
        refused(world.nora, method, path, body)
        count += 1
    assert world.of_others() == before[0]
    assert world.policy_refusals() - before[1] == count, "each refusal is recorded"
    recorded = world.admin.json("GET", "/smack/v1/refusals?limit=1000")["refusals"]
    assert sum(one["principal"].startswith("nora@") for one in recorded) >= count, recorded[:3]


def test_each_route_gives_what_is_ones_own_and_refuses_what_is_not():
    world = teams()
    before, problems = world.of_others(), []
    for route in routes():
        name, method, pattern = name_of(route), route["method"], route["path"]
        row, words = ROWS[name], world.words()
        recorded, apps = world.policy_refusals(), world.apps()
        asked = sum(said(problems, refused, world.tom, method, filled(path or pattern, words), filled(body, words)) for path, body in row.refused)
        note(problems, world.policy_refusals() - recorded == asked, f"{name}: each refusal is recorded")
        for path, body, statuses in row.hidden:
            told = SECRETS if "/v2/deployments/" in (path or "") or "{other_task}" in (path or "") else SECRETS + NAMES
            told = told if "{other_version}" in (path or "") else (*told, words["{other_version}"])
            said(problems, try_one, world.tom, method, filled(path or pattern, words), filled(body, words), statuses, told)
            figures["hidden"] += 1
        note(problems, world.apps() == apps, f"{name}: a refused request has changed something")
        for path, body, statuses in row.own:
            told = SECRETS if "policy/check" in (path or "") else SECRETS + NAMES
            said(problems, try_one, world.tom, method, filled(path or pattern, words), filled(body, words), statuses, told if method == "GET" else ())
            figures["granted"] += 1
        note(problems, world.of_others() == before, f"{name}: something of the others has changed")
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:30])


def said(problems, ask, *words):
    """What a try gives; one that goes wrong is noted, so that one run tells them all."""
    try:
        return ask(*words)
    except AssertionError as problem:
        problems.append(str(problem))
        return False


def note(problems, holds, text):
    if not holds:
        problems.append(text)


def test_a_ticket_and_a_token_of_dcos_are_refused_alike():
    world = teams()
    words = world.words()
    before = world.of_others()
    token = world.anonymous.json("POST", "/acs/api/v1/auth/login", {"uid": "tom", "password": PASSWORD})["token"]
    dcos = Client(world.demo, "token=" + token)
    assert dcos.json("GET", "/smack/v1/whoami")["user"] == "tom"
    for route in routes():
        row = ROWS[name_of(route)]
        if not row.refused:
            continue
        path, body = row.refused[0]
        path, body = filled(path or route["path"], words), filled(body, words)
        refused(dcos, route["method"], path, body)
        data = [] if body is None else ["-H", "Content-Type: application/json", "--data", body if isinstance(body, str) else json.dumps(body)]
        status, _, text = world.demo.curl(path, "--path-as-is", "-X", route["method"], *data, environment=world.tickets["tom"])
        figures["attempts"] += 1
        figures["refused"] += 1
        assert status == 403 and SECRETS[0] not in text, (route, status, text)
    assert world.of_others() == before
    status, text = world.anonymous.ask("POST", "/acs/api/v1/auth/login", {"uid": "tom", "password": "wrong horse battery 7"})
    assert status == 401, (status, text)


def test_a_task_reads_what_is_its_tenants_and_changes_nothing():
    world = teams()
    words = world.words()
    for team in ("team-a", "team-b"):
        world.admin.json("PUT", f"/smack/v1/tenants/{team}", {"paths": [f"/{team}"]})
    try:
        token = world.demo.must("task", "exec", words["{own_task}"], "--", "cat", "/run/smackd/token").out.strip()
        task = Client(world.demo, "Bearer " + token)
        assert task.json("GET", "/smack/v1/whoami")["app"] == "/team-a/web"
        before, apps, problems = world.of_others(), world.apps(), []
        for route in routes():
            play_as_task(problems, task, route, words)
        note(problems, world.of_others() == before and world.apps() == apps, "something has changed")
        assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:30])
    finally:
        for team in ("team-a", "team-b"):
            world.admin.json("DELETE", f"/smack/v1/tenants/{team}")


def play_as_task(problems, task, route, words):
    """A route's row as a task that no rule names."""
    name, method, pattern = name_of(route), route["method"], route["path"]
    row = ROWS[name]
    if row.kind == "open":
        return
    if route["access"] != "task":
        body = {} if changes(method) else None
        said(problems, try_one, task, method, sample_path(pattern, words), body, [403], SECRETS)
        figures["refused"] += 1
        return
    for path, body in row.refused:
        path = filled(path or pattern, words)
        said(problems, try_one, task, method, path, filled(body, words), [400] if is_malformed(path) else [403], SECRETS[:1])
        figures["refused"] += 1
    reads = method == "GET" and name not in NOT_FOR_TASKS
    for path, body, statuses in row.hidden:
        allowed = statuses if reads else [403, *(status for status in statuses if status >= 400)]
        told = SECRETS if "/v2/deployments/" in (path or "") or "{other_task}" in (path or "") else SECRETS + NAMES
        said(problems, try_one, task, method, filled(path or pattern, words), filled(body, words), allowed, told)
        figures["hidden"] += 1
    for path, body, statuses in row.own:
        allowed = statuses if reads else [403, *(status for status in statuses if status >= 400)]
        said(problems, try_one, task, method, filled(path or pattern, words), filled(body, words), allowed, SECRETS + NAMES if reads else ())
        figures["granted"] += reads


def test_launch_alone_is_launch_alone():
    world = teams()
    made = world.lea.ask("POST", "/v2/apps", {"id": "/team-a/of-lea", "cmd": "exec sleep 3600", "cpus": 0.01, "mem": 16, "networks": [{"mode": "container/bridge"}]})
    assert made[0] == 201, made
    for method, path, body in (("GET", "/v2/apps/team-a/of-lea", None), ("PUT", "/v2/apps/team-a/of-lea?force=true", {"instances": 2}),
                               ("DELETE", "/v2/apps/team-a/of-lea", None), ("POST", "/v2/apps/team-a/of-lea/restart?force=true", {}),
                               ("DELETE", "/v2/apps/team-a/of-lea/tasks", None), ("GET", "/v2/apps", None), ("GET", "/v2/tasks", None),
                               ("POST", "/v2/apps", {"id": "/team-b/of-lea", "cmd": "exec sleep 3600"})):
        refused(world.lea, method, path, body)


def test_root_of_a_task_is_nobody_on_the_node():
    world = teams()
    made = world.tom.ask("POST", "/v2/apps", app("/team-a/root", cmd="exec sleep 471108", user="root"))
    assert made[0] == 201, made
    pid = wait_until(lambda: harness.run(["pgrep", "-f", "^sleep 471108$"]).out.strip(), 60, "the task")
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.split(":", 1) for line in file.read().splitlines())
    assert all(int(uid) >= 0x70000000 for uid in status["Uid"].split() + status["Gid"].split()), status
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", status


def test_a_zone_is_not_walked():
    world = teams()
    port = world.demo.ports["dns"]
    for name in ("mesos", "marathon.mesos", "smack", "team-a.marathon.mesos", ""):
        for kind in (252, 251, 255):  # AXFR, IXFR, ANY
            code, answers, text = dns_tcp(port, name, kind)
            assert kind == 255 or code == 5, (name, kind, code)
            assert b"team-b" not in text and answers <= 4, (name, kind, answers, text)
            figures["attempts"] += 1


def dns_tcp(port, name, kind):
    """Response code, count of answers and all bytes of one question."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0" + struct.pack(">HH", kind, 1)
    message = struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + question
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(struct.pack(">H", len(message)) + message)
        size = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
        reply = client.recv(size, socket.MSG_WAITALL)
    return struct.unpack(">H", reply[2:4])[0] & 15, struct.unpack(">H", reply[6:8])[0], reply


def test_figures():
    print(f"rights: {figures['routes']} routes, {figures['attempts']} attempts, {figures['refused']} refused, "
          f"{figures['hidden']} answered without what is others', {figures['granted']} granted")
    assert figures["attempts"] > 1000, figures
