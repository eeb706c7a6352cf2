"""Wrong input through the API: each with the status and the body of the reference, and nothing changed."""

import json
import os

import harness
from harness import Demo
from rights import Client

CASES = os.path.join(harness.ROOT, "tests/cases/wrong_apps.jsonl")
APP = {"id": "/there", "cmd": "exec sleep 3600", "cpus": 4000}  # for ever on its way: its deployment holds it
STATE = """
SELECT 'app', id, version FROM apps UNION ALL SELECT 'group', id, version FROM app_groups UNION ALL SELECT 'deployment', id, ''
FROM deployments UNION ALL SELECT 'task', id, desired FROM tasks UNION ALL SELECT 'change', count(*), '' FROM audit WHERE actor_kind = 'user'
"""
NO_APP = "App '/none' does not exist"
LOCKED = "App is locked by one or more deployments. Override with the option '?force=true'."
NOT_VALID, NO_JSON = "Object is not valid", "Invalid JSON"
DEEP = "[" * 5000 + "]" * 5000
# method, path, body, status, beginning of the message, and where details name a place that place
REQUESTS = [
    ("POST", "/v2/apps", "", 400, NO_JSON), ("POST", "/v2/apps", "{", 400, NO_JSON), ("POST", "/v2/apps", "nonsense", 400, NO_JSON),
    ("POST", "/v2/apps", '{"id": "/x", "cmd": "ls",}', 400, NO_JSON), ("POST", "/v2/apps", "{'id': '/x'}", 400, NO_JSON),
    ("POST", "/v2/apps", '{"id": "/x", "cmd": "ls"} {}', 400, NO_JSON), ("POST", "/v2/apps", '{"id": "/x", "cmd": "a\\ud800"}', 400, NO_JSON),
    ("POST", "/v2/apps", '{"id": "/x", "cmd": "ls", "cpus": 1e999}', 400, NO_JSON), ("POST", "/v2/apps", '{"id": "/x", "cmd": "ls", "cpus": NaN}', 400, NO_JSON),
    ("POST", "/v2/apps", DEEP, 400, NO_JSON), ("POST", "/v2/apps", "[]", 400, NO_JSON, "/"), ("POST", "/v2/apps", "null", 400, NO_JSON, "/"),
    ("POST", "/v2/apps", '"x"', 400, NO_JSON, "/"), ("POST", "/v2/apps", "7", 400, NO_JSON, "/"), ("POST", "/v2/apps", "{}", 422, NOT_VALID, "/id"),
    ("POST", "/v2/apps", {"id": "/there", "cmd": "ls"}, 409, "An app with id [/there] already exists."),
    ("POST", "/v2/apps", {"id": "there", "cmd": "ls"}, 409, "An app with id [/there] already exists."),
    ("POST", "/v2/apps", {"id": "/there/below", "cmd": "ls"}, 422, NOT_VALID, "/"),
    ("POST", "/v2/apps", {"id": "/x", "cmd": "ls", "cpus": -1, "mem": -1, "instances": -1}, 422, NOT_VALID, "/cpus", "/mem", "/instances"),
    ("POST", "/v2/apps", {"id": "/x", "cmd": "ls", "dependencies": ["/x"]}, 422, NOT_VALID, "/dependencies(0)"),
    ("GET", "/v2/apps/none", None, 404, NO_APP), ("GET", "/marathon/v2/apps/none", None, 404, NO_APP), ("GET", "/service/marathon/v2/apps//none", None, 404, NO_APP),
    ("DELETE", "/v2/apps/none", None, 404, NO_APP), ("POST", "/v2/apps/none/restart", "{}", 404, NO_APP), ("PATCH", "/v2/apps/none", {"instances": 1}, 404, NO_APP),
    ("GET", "/v2/apps/none/versions", None, 404, NO_APP), ("GET", "/v2/apps/none/tasks", None, 404, NO_APP), ("DELETE", "/v2/apps/none/tasks", None, 404, NO_APP),
    ("DELETE", "/v2/apps/none/tasks/none.instance-1._app.1", None, 404, NO_APP),
    ("DELETE", "/v2/apps/there/tasks/there.instance-1._app.1", None, 404, "Task 'there.instance-1._app.1' does not exist"),
    ("GET", "/v2/apps/none/versions/2001-01-01T00:00:00.000Z", None, 404, "App '/none' does not exist"),
    ("GET", "/v2/apps/there/versions/2001-01-01T00:00:00.000Z", None, 404, "App '/there' does not exist in version 2001-01-01T00:00:00.000Z"),
    ("GET", "/v2/apps/there/versions/yesterday", None, 422, ""),
    ("PUT", "/v2/apps/there", {"version": "2001-01-01T00:00:00.000Z"}, 404, "App '/there' does not exist in version"),
    ("PUT", "/v2/apps/there", {"version": "2001-01-01T00:00:00.000Z", "cmd": "ls"}, 422, NOT_VALID, "/version"),
    ("PUT", "/v2/apps/there", {"version": "yesterday"}, 422, NOT_VALID, "/version"),
    ("PUT", "/v2/apps/there", {"instances": 2}, 409, LOCKED), ("PUT", "/v2/apps/there?partialUpdate=false", {"cmd": "exec sleep 1"}, 409, LOCKED),
    ("PATCH", "/v2/apps/there", {"instances": 2}, 409, LOCKED), ("POST", "/v2/apps/there/restart", "{}", 409, LOCKED),
    ("DELETE", "/v2/apps/there?force=false", None, 409, LOCKED), ("PUT", "/v2/apps", [{"id": "/there", "instances": 2}], 409, LOCKED),
    ("PUT", "/v2/apps/there?force=true", {"instances": -1}, 422, NOT_VALID, "/instances"), ("PUT", "/v2/apps/there?force=true", {"instances": "2"}, 400, NO_JSON, "/instances"),
    ("PUT", "/v2/apps/there?force=true", {"id": "/other", "instances": 2}, 422, NOT_VALID, "/id"), ("PUT", "/v2/apps/there?force=true", "[]", 400, NO_JSON, "/"),
    ("PUT", "/v2/apps/there?force=true", {"cmd": "ls", "args": ["x"]}, 422, NOT_VALID, "/"), ("PUT", "/v2/apps/there?force=true", "{", 400, NO_JSON),
    ("PUT", "/v2/apps/new?partialUpdate=false", {"instances": 2}, 422, NOT_VALID, "/"), ("PUT", "/v2/apps/NEW", {"cmd": "ls"}, 422, NOT_VALID, "/id"),
    ("PUT", "/v2/apps", {"id": "/x", "cmd": "ls"}, 400, NO_JSON), ("PUT", "/v2/apps", [{"id": "/x"}], 422, NOT_VALID, "/"), ("PUT", "/v2/apps", [7], 400, NO_JSON),
    ("PUT", "/v2/apps", [{"id": "/x", "cmd": "ls"}, {"id": "/y", "cmd": "ls", "cpus": 0}], 422, NOT_VALID, "/cpus"),
    ("PUT", "/v2/apps", [{"id": "/x", "cmd": "ls", "dependencies": ["/y"]}, {"id": "/y", "cmd": "ls", "dependencies": ["/x"]}], 422, NOT_VALID, "/dependencies"),
    ("PATCH", "/v2/apps", [{"id": "/none", "instances": 1}], 404, NO_APP),
    ("GET", "/v2/apps?label=(", None, 422, "Can not parse label selector"), ("GET", "/v2/apps?label=a%20in%20b", None, 422, "Can not parse label selector"),
    ("DELETE", "/v2/apps/there/tasks?scale=true&wipe=true", None, 400, ""), ("POST", "/v2/tasks/delete?scale=true&wipe=true", {"ids": []}, 400, ""),
    ("POST", "/v2/tasks/delete", "{", 400, NO_JSON), ("POST", "/v2/tasks/delete", {}, 400, NO_JSON), ("POST", "/v2/tasks/delete", {"ids": "x"}, 400, NO_JSON),
    ("POST", "/v2/tasks/delete", {"ids": ["x"]}, 400, "Invalid task id 'x'"), ("POST", "/v2/tasks/delete", {"ids": [7]}, 400, "Invalid task id"),
    ("POST", "/v2/tasks/delete", {"ids": ["../there.instance-1._app.1"]}, 400, "Invalid task id"),
    ("DELETE", "/v2/deployments/none", None, 404, "DeploymentPlan none does not exist"), ("DELETE", "/v2/deployments/none?force=true", None, 404, "DeploymentPlan none does not exist"),
    ("DELETE", "/v2/queue/none/delay", None, 404, "Application /none not found in tasks queue."),
    ("GET", "/v2/events", None, 405, ""), ("GET", "/v2/none", None, 404, ""), ("GET", "/marathon/v2/none", None, 404, ""), ("POST", "/v2/tasks", "{}", 405, ""),
    ("PUT", "/v2/deployments", "{}", 405, ""), ("PATCH", "/v2/tasks/delete", "{}", 405, ""),
    ("GET", "/v2/groups/none", None, 404, "Group '/none' does not exist"), ("DELETE", "/v2/groups/none", None, 404, "Group '/none' does not exist"),
    ("GET", "/v2/groups/there", None, 404, "Group '/there' does not exist"), ("PUT", "/v2/groups/none", {"scaleBy": 2}, 404, "Group '/none' does not exist"),
    ("GET", "/v2/groups/none/versions", None, 404, "Group '/none' does not exist"), ("GET", "/v2/groups/team/versions/2001-01-01T00:00:00.000Z", None, 404, "Group '/team' does not exist"),
    ("POST", "/v2/groups", "{", 400, NO_JSON), ("POST", "/v2/groups", {"id": "/team", "apps": []}, 409, "Group /team is already created. Use PUT to change this group."),
    ("POST", "/v2/groups", {"id": "/there"}, 409, "An app with the path /there already exists."), ("POST", "/v2/groups", {"id": "/G"}, 422, NOT_VALID, "/id"),
    ("POST", "/v2/groups", {"id": "/g", "apps": {}}, 400, NO_JSON, "/apps"), ("POST", "/v2/groups", {"id": "/g", "apps": [{"id": "x"}]}, 422, NOT_VALID, "/apps(0)"),
    ("POST", "/v2/groups", {"id": "/g", "groups": [{"id": "x", "apps": [{"id": "y", "cmd": "ls", "cpus": -1}]}]}, 422, NOT_VALID, "/groups(0)/apps(0)/cpus"),
    ("POST", "/v2/groups", {"id": "/g", "apps": [{"id": "/h/x", "cmd": "ls"}]}, 422, NOT_VALID, "/apps(0)/id"),
    ("POST", "/v2/groups", {"id": "/g", "dependencies": ["/g"]}, 422, NOT_VALID, "/dependencies(0)"),
    ("PUT", "/v2/groups/team", {"scaleBy": 2, "apps": []}, 422, NOT_VALID, "/scaleBy"), ("PUT", "/v2/groups/team", {"scaleBy": -1}, 422, NOT_VALID, "/scaleBy"),
    ("PUT", "/v2/groups/team", {"scaleBy": "2"}, 400, NO_JSON, "/scaleBy"), ("PUT", "/v2/groups/team", {"version": "x"}, 422, NOT_VALID, "/version"),
    ("PUT", "/v2/groups/team", {"version": "2001-01-01T00:00:00.000Z"}, 404, "Group '/team' does not exist in version"),
    ("PUT", "/v2/groups/team", {"version": "2001-01-01T00:00:00.000Z", "groups": []}, 422, NOT_VALID, "/version"),
    ("PATCH", "/v2/groups/team", {"apps": []}, 422, ""), ("PATCH", "/v2/groups/team/x", {"enforceRole": True}, 422, ""), ("PUT", "/v2/groups/team", {"scaleBy": 2}, 409, LOCKED),
    ("DELETE", "/v2/groups/team", None, 409, LOCKED), ("DELETE", "/v2/groups", None, 409, LOCKED),
]
_world = []


class World:
    def __init__(self):
        self.demo = Demo().start()
        self.admin = Client(self.demo, "Bearer " + self.demo.token())
        self.admin.json("POST", "/v2/apps", APP)
        self.admin.json("POST", "/v2/groups", {"id": "/team", "apps": [{**APP, "id": "one"}]})
        self.cases = 0

    def state(self):
        return self.admin.json("POST", "/smack/v1/sql", {"query": STATE})["rows"], self.admin.json("GET", "/v2/apps")

    def refused(self, method, path, body, status, message, *places, word=None, headers=None):
        """One wrong request; its answer has Marathon's form and names the places."""
        got, text = self.admin.ask(method, path, body, headers)
        what = f"{method} {path} {body if isinstance(body, str) else json.dumps(body)}"[:300]
        assert got == status, f"{what}: {got}, expected {status}: {text[:400]}"
        answer = json.loads(text)
        assert isinstance(answer["message"], str) and answer["message"].startswith(message), f"{what}: {answer}"
        assert set(answer) <= {"message", "details", "deployments", "error"}, f"{what}: {answer}"
        details = answer.get("details", [])
        if isinstance(details, list):
            assert all(set(one) == {"path", "errors"} and one["errors"] and all(isinstance(error, str) for error in one["errors"]) for one in details), answer
        if message == LOCKED:
            assert answer["deployments"] and all(set(one) == {"id"} for one in answer["deployments"]), answer
        for place in places:
            errors = [error for one in details if one["path"] == place for error in one["errors"]]
            assert errors and (word is None or any(word in error for error in errors)), f"{what}: {place} {word}: {answer}"
        self.cases += 1


def world():
    if not _world:
        _world.append(World())
    return _world[0]


def test_wrong_definitions():
    with open(CASES) as file:
        cases = [json.loads(line) for line in file]
    assert len(cases) >= 150
    for method, path in (("POST", "/v2/apps"), ("PUT", "/v2/apps")):
        before = world().state()
        for case in cases:
            body = case["body"] if method == "POST" else f"[{case['body']}]"
            message = NO_JSON if case["status"] == 400 else NOT_VALID
            world().refused(method, path, body, case["status"], message, case["path"], word=case["word"])
        assert world().state() == before


def test_wrong_requests():
    before, problems = world().state(), []
    for method, path, body, status, message, *places in REQUESTS:
        try:
            world().refused(method, path, body, status, message, *places)
            assert world().state() == before, (method, path, body, "has changed something")
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:30])


def test_wrong_bodies():
    before = world().state()
    good = json.dumps({"id": "/x", "cmd": "ls"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "application/jsonx"):
        world().refused("POST", "/v2/apps", good, 422, "Content-Type", headers={"Content-Type": kind})
    big = json.dumps({"id": "/x", "cmd": "ls", "labels": {f"l{i}": "x" * 1000 for i in range(300)}})
    got, text = world().admin.ask("POST", "/v2/apps", big)
    assert got in (413, 422) and "message" in json.loads(text), (got, text[:300])
    assert world().state() == before


def test_figures():
    print(f"wrong input: {world().cases} cases, nothing changed")
    assert world().cases >= 100
