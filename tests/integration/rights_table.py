"""Who may what: a row for each route of the daemon, played by test_rights.py.

The routes are asked of the running daemon (GET /smack/v1/routes); one without a row here fails the test. Besides its row every
route is tried without a sign-in, with a forged token and by a user without any rule. `tom` has view, launch, change, kill and exec on
/team-a; /team-b is somebody else's. A task of /team-a/web plays the same rows with its own identity (NOT_FOR_TASKS). In paths and bodies {own} and {other} stand for an app of each, {own_task} and {other_task}
for a task, {deployment} for a deployment of the other team that waits.
"""

from dataclasses import dataclass, field

MARATHON_PREFIXES = ["", "/marathon", "/service/marathon"]
ID = "{id...}"

# The other team's app as somebody may write it. Each means /team-b/web or nothing at all.
SPELLINGS = [
    "team-b/web", "/team-b/web", "//team-b/web", "team-b//web", "team-b/./web", "team-b/web/", "team-b/web/.",
    "team-a/../team-b/web", "team-a/web/../../team-b/web", "../team-b/web", "team-a/../../team-b/web",
    "%74eam-b/web", "%2Fteam-b%2Fweb", "team-b%2Fweb", "team-a%2F..%2Fteam-b%2Fweb", "team-a/%2e%2e/team-b/web",
    "team-a/%2E./team-b/web", "TEAM-B/web", "team-b/web%20", "team-b/web%00", "team-b/web;team-a", "team-a%00/../team-b/web", "team-b/web%2F", "*/team-b/web", "team-b/web/tasks/x",
]
# These are names below /team-a, and none that there can be.
NOWHERE = ["team-a/%252e%252e/team-b/web", "team-a/..%5cteam-b/web"]
# Ids of new apps in bodies: none of them is below /team-a.
NEW_IDS = [
    "/team-b/new", "team-b/new", "//team-b/new", "/team-b//new", "/team-a/../team-b/new", "./team-b/new",
    "/team-a/x/../../team-b/new", "/team-ab", "/team-ab/new", "/team-a.b/new", "/new", "new", "/team", "/team-b/web",
]
# Those that are no ids are refused as such, whoever asks.
NO_IDS = ["../team-b/new", "/Team-a/new", "/team-a%2fnew", "/team-a\\\\new", "/team-a\\u0000/new", "/", "", ".", "..", "/..", "/team-a/..", "/team-a/../../x"]


@dataclass
class Row:
    """`own`: (path, body, statuses) that tom is granted. `refused`: (path, body) that are 403 to him. `hidden`: (path, body,
    statuses) that are answered, but tell nothing of the others' and change nothing of theirs."""
    kind: str = "path"    # or: open (no sign-in), known (any user of the cluster), admin
    own: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    hidden: list = field(default_factory=list)


def admin(path=None, body=None):
    return Row("admin", refused=[(path, body)])


def listed(path=None, *more):
    """A list: others' elements are left out."""
    return Row(own=[(path, None, [200])], hidden=[(one, None, [200]) for one in (path, *more)])


def of_app(suffix, body=None, own=(), query="", hidden=()):
    """A route on one app: each spelling of the other's id at each of Marathon's prefixes."""
    refused = [(f"{prefix}/v2/{suffix.replace(ID, spelling)}{query}", body) for prefix in MARATHON_PREFIXES for spelling in SPELLINGS]
    nowhere = [(f"/v2/{suffix.replace(ID, spelling)}{query}", body, [404, 422]) for spelling in NOWHERE]
    return Row(own=list(own), refused=refused, hidden=[*hidden, *nowhere])


# Reads on routes for tasks that take some rule, which tasks have none of: what is about the cluster. Of all others a task of
# /team-a reads what tom does, when team-a is its tenant, and changes nothing.
NOT_FOR_TASKS = {"GET /smack/v1/status", "GET /smack/v1/dns", "GET /v2/info", "GET /v2/leader"}

GROUP_SPELLINGS = [one.replace("/web", "") for one in SPELLINGS]


def of_group(suffix, body=None, own=(), query="", hidden=()):
    """The same of the other team's group."""
    refused = [(f"{prefix}/v2/{suffix.replace(ID, spelling)}{query}", body) for prefix in MARATHON_PREFIXES for spelling in GROUP_SPELLINGS]
    return Row(own=list(own), refused=refused, hidden=list(hidden))


def app(app_id, **more):
    return {"id": app_id, "cmd": "exec sleep 3600", "cpus": 0.01, "mem": 16, "networks": [{"mode": "container/bridge"}], **more}


def text(app_id):
    return '{"id": "%s", "cmd": "exec sleep 3600", "networks": [{"mode": "container/bridge"}]}' % app_id


def ports(*mappings):
    return {"type": "MESOS", "portMappings": list(mappings)}


# Definitions below /team-a that reach for what is not tom's.
THEFTS = {
    "virtual host": app("/team-a/thief", container=ports({"containerPort": 80}), labels={"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "b.example"}),
    "virtual host in capitals, of several": app("/team-a/thief", container=ports({"containerPort": 80}),
                                                labels={"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "mine.example,B.Example"}),
    "virtual host with another path": app("/team-a/thief", container=ports({"containerPort": 80}), labels={
        "HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "b.example", "HAPROXY_0_PATH": "/mine"}),
    "service port": app("/team-a/thief", container=ports({"containerPort": 80, "servicePort": 19771}), labels={"HAPROXY_GROUP": "external"}),
    "service port by label": app("/team-a/thief", container=ports({"containerPort": 80}),
                                 labels={"HAPROXY_GROUP": "internal", "HAPROXY_0_PORT": "19771"}),
    "service port as host port": app("/team-a/thief", container=ports({"containerPort": 80, "hostPort": 19771})),
    "virtual address": app("/team-a/thief", container=ports({"containerPort": 80, "labels": {"VIP_1": "/b-VIP:80"}})),
    "DNS label": app("/team-a/label"),
    "host network": app("/team-a/thief", networks=[{"mode": "host"}]),
    "host network, since nothing is said": app("/team-a/thief", networks=None),
    "host network in the old form": app("/team-a/thief", networks=None, container={"type": "DOCKER", "docker": {"image": "x", "network": "HOST"}}),
    "no system-call filter": app("/team-a/thief", container={"type": "MESOS", "linuxInfo": {"seccomp": {"unconfined": True}}}),
    "the node's IPC": app("/team-a/thief", container={"type": "MESOS", "linuxInfo": {"ipcInfo": {"mode": "SHARE_PARENT"}}}),
    "privileged": app("/team-a/thief", container={"type": "DOCKER", "docker": {"image": "x", "privileged": True}}),
    "host path": app("/team-a/thief", container={"type": "MESOS", "volumes": [{"containerPath": "/host", "hostPath": "/etc", "mode": "RO"}]}),
}
# On /v2/apps by POST, PUT and PATCH, on one app by PUT.
AS_UPDATE = {name: {key: value for key, value in wanted.items() if key != "id"} for name, wanted in THEFTS.items() if name != "DNS label"}

# As members of a group /team-a/thieves.
IN_GROUP = [{**wanted, "id": "thief"} for name, wanted in THEFTS.items() if name != "DNS label"]

A_RULE = {"subject": "user:tom", "actions": ["admin"], "tenant": "*", "path": "/"}
DELETE = None

ROWS = {
    "GET /ping": Row("open"),
    "GET /health": Row("open"),
    "GET /ready": Row("open"),
    "POST /smack/v1/login": Row("open"),
    "POST /acs/api/v1/auth/login": Row("open"),

    "POST /smack/v1/logout": Row("known"),
    "GET /smack/v1/whoami": Row("known"),
    "GET /smack/v1/realm": Row("known"),
    "GET /smack/v1/policy/check": Row("known", refused=[("/smack/v1/policy/check?user=bertha", None), ("/smack/v1/policy/check?user=admin&action=admin", None)],
                                      own=[("/smack/v1/policy/check?action=view&path=/team-b", None, [200])]),

    "GET /smack/v1/status": listed(),
    "GET /smack/v1/routes": listed(),
    "GET /smack/v1/nodes": admin(),
    "GET /smack/v1/hold": admin(),
    "PUT /smack/v1/hold": admin("/smack/v1/hold", {"percent": 90}),
    "GET /smack/v1/events": listed("/smack/v1/events?from=oldest&follow=false", "/smack/v1/events?from=oldest&follow=false&kind=app,task,deployment,user,rule"),

    "GET /smack/v1/users": listed(),
    "POST /smack/v1/users": admin(None, {"name": "mallory"}),
    "GET /smack/v1/users/{name}": Row(own=[("/smack/v1/users/tom", None, [200])], refused=[("/smack/v1/users/bertha", None), ("/smack/v1/users/none", None)]),
    "PUT /smack/v1/users/{name}": admin("/smack/v1/users/bertha", {"disabled": True}),
    "DELETE /smack/v1/users/{name}": admin("/smack/v1/users/bertha"),
    "POST /smack/v1/users/{name}/password": admin("/smack/v1/users/bertha/password", {"password": "correct horse battery 9"}),
    "POST /smack/v1/users/{name}/keytab": Row("admin", refused=[("/smack/v1/users/bertha/keytab", {}), ("/smack/v1/users/tom/keytab", {})]),
    "POST /smack/v1/users/{name}/enable": admin("/smack/v1/users/bertha/enable", {}),
    "POST /smack/v1/users/{name}/disable": Row("admin", refused=[("/smack/v1/users/bertha/disable", {}), ("/smack/v1/users/tom/disable", {})]),

    "GET /smack/v1/groups": listed(),
    "POST /smack/v1/groups": admin(None, {"name": "admins2", "members": ["tom"]}),
    "GET /smack/v1/groups/{name}": admin("/smack/v1/groups/b-team"),
    "PUT /smack/v1/groups/{name}": Row("admin", refused=[("/smack/v1/groups/admins", {"members": ["tom"]}), ("/smack/v1/groups/b-team", {"members": ["tom"]})]),
    "DELETE /smack/v1/groups/{name}": admin("/smack/v1/groups/b-team"),
    "GET /smack/v1/directory-groups": listed(),
    "GET /smack/v1/directory-groups/{sid}": admin("/smack/v1/directory-groups/S-1-5-21-1-2-3-512"),
    "PUT /smack/v1/directory-groups/{sid}": admin("/smack/v1/directory-groups/S-1-5-21-1-2-3-512", {"group": "admins"}),
    "DELETE /smack/v1/directory-groups/{sid}": admin("/smack/v1/directory-groups/S-1-5-21-1-2-3-512"),

    "GET /smack/v1/machines": listed(),
    "POST /smack/v1/machines": admin(None, {"name": "m9"}),
    "GET /smack/v1/machines/{name}": admin("/smack/v1/machines/localhost"),
    "PUT /smack/v1/machines/{name}": admin("/smack/v1/machines/localhost", {"state": "suspended"}),
    "DELETE /smack/v1/machines/{name}": admin("/smack/v1/machines/localhost"),
    "POST /smack/v1/machines/{name}/keytab": admin("/smack/v1/machines/localhost/keytab", {}),
    "POST /smack/v1/machines/{name}/bundle": admin("/smack/v1/machines/localhost/bundle", {}),
    "GET /smack/v1/pending-machines": admin(),
    "DELETE /smack/v1/nodes/{id}": admin("/smack/v1/nodes/1"),
    "GET /smack/v1/nodes/{id}/usage": admin("/smack/v1/nodes/1/usage"),
    "PUT /smack/v1/nodes/{id}/drain": admin("/smack/v1/nodes/1/drain", {"note": "mine"}),
    "DELETE /smack/v1/nodes/{id}/drain": admin("/smack/v1/nodes/1/drain"),

    "GET /smack/v1/rules": listed(),
    "POST /smack/v1/rules": admin(None, {"id": "mine", **A_RULE}),
    "GET /smack/v1/rules/{id}": Row(own=[("/smack/v1/rules/tom", None, [200])], refused=[("/smack/v1/rules/bertha", None)]),
    "PUT /smack/v1/rules/{id}": Row("admin", refused=[("/smack/v1/rules/mine", A_RULE), ("/smack/v1/rules/tom", A_RULE)]),
    "DELETE /smack/v1/rules/{id}": Row("admin", refused=[("/smack/v1/rules/bertha", None), ("/smack/v1/rules/tom", None)]),
    "GET /smack/v1/realm/principals": admin(),

    "POST /smack/v1/sql": admin(None, {"query": "SELECT * FROM apps"}),
    "GET /smack/v1/audit": admin(),
    "GET /smack/v1/refusals": admin(),
    "POST /smack/v1/backup": admin(None, {}),
    "GET /smack/v1/backups": admin(),
    "GET /metrics": admin(),

    "POST /smack/v1/apps/plan": Row(
        own=[(None, app("/team-a/planned"), [200]), ("/smack/v1/apps/plan?force=true", app("team-a/deep/planned"), [200]),
             ("/smack/v1/apps/plan?force=true", {"id": "/team-a/web", "instances": 2}, [200])],
        refused=[(None, text(one)) for one in NEW_IDS] + [("/smack/v1/apps/plan?force=true", {"id": one, "instances": 9}) for one in
                 ("/team-b/web", "team-b/web", "/team-b/none", "/team-a/../team-b/web")] + [("/smack/v1/apps/plan?force=true", one) for one in THEFTS.values()],
        hidden=[(None, text(one), [422]) for one in NO_IDS]),
    "GET /smack/v1/tasks/{id}/log/{stream}": Row(
        own=[("/smack/v1/tasks/{own_task}/log/stdout", None, [200])],
        refused=[("/smack/v1/tasks/{other_task}/log/stdout", None), ("/smack/v1/tasks/{other_task}/log/stderr?offset=0&length=10", None),
                 ("/smack/v1/tasks/{other_task}/log/stdout?wait=true", None), ("/smack/v1/tasks/%74eam-b_web.instance-1._app.1/log/stdout", None)],
        hidden=[("/smack/v1/tasks/team-a_web.instance-..%2F{other_task}/log/stdout", None, [400, 404, 422]),
                ("/smack/v1/tasks/team-a_web.instance-1%2F..%2F{other_task}/log/stdout", None, [400, 404, 422]),
                ("/smack/v1/tasks/{own_task}/log/..%2F..%2F{other_task}%2Fstdout", None, [400, 404, 422]),
                ("/smack/v1/tasks/..%2F{other_task}/log/stdout", None, [400, 403, 404, 422])]),
    "GET /smack/v1/tasks/{id}/exec": Row(  # 426: granted, and a WebSocket was not asked for
        own=[("/smack/v1/tasks/{own_task}/exec", None, [426])],
        refused=[("/smack/v1/tasks/{other_task}/exec", None), ("/smack/v1/tasks/%74eam-b_web.instance-1._app.1/exec", None),
                 ("/smack/v1/tasks/team-b_none.instance-1._app.1/exec", None)],
        hidden=[("/smack/v1/tasks/team-a_web.instance-..%2F{other_task}/exec", None, [400, 404, 422]),
                ("/smack/v1/tasks/team-a_web.instance-1%2F..%2F{other_task}/exec", None, [400, 404, 422]),
                ("/smack/v1/tasks/..%2F{other_task}/exec", None, [400, 403, 404, 422])]),
    "GET /smack/v1/tenants": listed(),
    "PUT /smack/v1/tenants/{name}": admin("/smack/v1/tenants/mine", {"paths": ["/team-b"]}),
    "DELETE /smack/v1/tenants/{name}": admin("/smack/v1/tenants/none"),
    "GET /smack/v1/allowances": listed(),
    "PUT /smack/v1/allowances/{pair}": admin("/smack/v1/allowances/mine:other", {"ports": []}),
    "DELETE /smack/v1/allowances/{pair}": admin("/smack/v1/allowances/mine:other"),
    "GET /smack/v1/dns": listed(),
    "PUT /smack/v1/dns/{name}": admin("/smack/v1/dns/b.example", {"addresses": ["127.0.0.66"]}),
    "DELETE /smack/v1/dns/{name}": admin("/smack/v1/dns/static.b.example"),

    "GET /v2/apps": listed(None, "/marathon/v2/apps", "/service/marathon/v2/apps?embed=apps.tasks&embed=apps.failures", "/v2/apps?id=team-b",
                           "/v2/apps?cmd=secret", "/v2/apps?label=team%3D%3Db", "/v2/apps?label=team%20notin%20(a)"),
    "POST /v2/apps": Row(
        own=[(None, app("/team-a/new"), [201]), ("/v2/apps?force=true", app("team-a/deep/new"), [201]), ("/marathon/v2/apps/", app("//team-a/more"), [201])],
        refused=[("/v2/apps", text(one)) for one in NEW_IDS] + [("/v2/apps?force=true", one) for one in THEFTS.values()]
        + [("/service/marathon/v2/apps", text("/team-b/new"))],
        hidden=[("/v2/apps", text(one), [422]) for one in NO_IDS]),
    "PUT /v2/apps": Row(
        own=[("/v2/apps?force=true", [app("/team-a/new", instances=0)], [200])],
        refused=[("/v2/apps?force=true", [app("/team-a/new"), {"id": one, "cmd": "exec sleep 1"}]) for one in ("/team-b/web", "team-b/x", "/team-a/../team-b/web")]
        + [("/v2/apps?force=true", [app("/team-a/new"), one]) for one in THEFTS.values()]
        + [("/v2/apps?force=true&partialUpdate=false", [{"id": "/team-b/web", "cmd": "exec sleep 1"}])]),
    "PATCH /v2/apps": Row(
        own=[("/v2/apps?force=true", [{"id": "/team-a/new", "labels": {"a": "b"}}], [200])],
        refused=[("/v2/apps?force=true", [{"id": one, "instances": 9}]) for one in ("/team-b/web", "team-b/web", "/team-b/none", "/none")]),
    "POST /v2/apps/{id...}/restart": of_app("apps/{id...}/restart", {}, own=[("/v2/apps/team-a/new/restart?force=true", {}, [200])], query="?force=true"),
    "GET /v2/apps/{id...}/versions": of_app("apps/{id...}/versions", own=[("/v2/apps/team-a/web/versions", None, [200])]),
    "GET /v2/apps/{id...}/versions/{version}": of_app("apps/{id...}/versions/{other_version}", own=[("/v2/apps/team-a/web/versions/{own_version}", None, [200])]),
    "GET /v2/apps/{id...}/tasks": of_app("apps/{id...}/tasks", own=[("/v2/apps/team-a/web/tasks", None, [200])],
                                         hidden=[("/v2/apps/team-b/*/tasks", None, [200]), ("/v2/apps/*/tasks", None, [200])]),
    "DELETE /v2/apps/{id...}/tasks": of_app("apps/{id...}/tasks", own=[("/v2/apps/team-a/new/tasks", DELETE, [200])], query="?host=*"),
    "DELETE /v2/apps/{id...}/tasks/{task}": of_app("apps/{id...}/tasks/{other_task}", own=[("/v2/apps/team-a/web/tasks/{own_task}", DELETE, [200])],
                                                   hidden=[("/v2/apps/team-a/web/tasks/{other_task}", DELETE, [404])]),
    "GET /v2/apps/{id...}": of_app("apps/{id...}", own=[("/v2/apps/team-a/web", None, [200]), ("/v2/apps/team-a/*", None, [200])],
                                   hidden=[("/v2/apps/team-b/*", None, [200]), ("/v2/apps/*", None, [200]), ("/v2/apps//team-b//*?embed=apps.tasks", None, [200])]),
    "PUT /v2/apps/{id...}": of_app("apps/{id...}", {"instances": 9}, query="?force=true", own=[("/v2/apps/team-a/put?force=true", app("/team-a/put"), [201])]),
    "PATCH /v2/apps/{id...}": of_app("apps/{id...}", {"instances": 9}, query="?force=true", own=[("/v2/apps/team-a/put?force=true", {"labels": {"x": "y"}}, [200])]),
    "DELETE /v2/apps/{id...}": of_app("apps/{id...}", own=[("/v2/apps/team-a/put", DELETE, [200])], query="?force=true"),
    "GET /v2/groups": listed(None, "/marathon/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.tasks", "/v2/groups?embed=group.groups"),
    "POST /v2/groups": Row(
        own=[("/v2/groups?force=true", {"id": "/team-a/g", "apps": [app("one"), app("/team-a/g/two", dependencies=["one"])]}, [201])],
        refused=[("/v2/groups", {"id": one, "apps": [app("x")]}) for one in ("/team-b", "team-b", "//team-b/g", "/team-a/../team-b/g", "/", "/g", "team-ab")]
        + [("/v2/groups", {"apps": [app("x")]}), ("/v2/groups", {"groups": [{"id": "team-a", "apps": []}]})]
        + [("/v2/groups", {"id": "/team-a/thieves", "apps": [one]}) for one in IN_GROUP]),
    "PUT /v2/groups": Row(
        own=[("/v2/groups?force=true", {"id": "/team-a/g", "scaleBy": 0}, [200]), ("/v2/groups?dryRun=true", {"id": "/team-a/g", "scaleBy": 2}, [200])],
        refused=[("/v2/groups?force=true", one) for one in (
            {"scaleBy": 2}, {"apps": []}, {"groups": []}, {"groups": [{"id": "team-b", "apps": []}]}, {"id": "/team-b", "scaleBy": 9},
            {"id": "/team-b", "apps": []}, {"id": "/team-b", "version": "2001-01-01T00:00:00.000Z"}, {"dependencies": ["/team-b"]},
            {"version": "2001-01-01T00:00:00.000Z"})] + [("/v2/groups?dryRun=true", {"id": "/team-b", "scaleBy": 9})]),
    "DELETE /v2/groups": Row("admin", refused=[(None, None), ("/v2/groups?force=true", None), ("/v2/groups//?force=true", None)]),
    "GET /v2/groups/apps": listed(),
    "GET /v2/groups/versions": listed(),
    "GET /v2/groups/versions/{version}": Row(own=[("/v2/groups/versions/{own_version}", None, [200])], hidden=[("/v2/groups/versions/{other_version}", None, [404])]),
    "GET /v2/groups/{id...}/apps": of_group("groups/{id...}/apps", own=[("/v2/groups/team-a/apps", None, [200])]),
    "GET /v2/groups/{id...}/versions": of_group("groups/{id...}/versions", own=[("/v2/groups/team-a/versions", None, [200])]),
    "GET /v2/groups/{id...}/versions/{version}": of_group("groups/{id...}/versions/{other_version}", own=[("/v2/groups/team-a/versions/{own_version}", None, [200])]),
    "GET /v2/groups/{id...}": of_group("groups/{id...}", own=[("/v2/groups/team-a", None, [200]), ("/v2/groups/team-a/?embed=group.apps.tasks", None, [200])]),
    "POST /v2/groups/{id...}": of_group("groups/{id...}", {"id": "g", "apps": [app("x")]}, query="?force=true",
                                        own=[("/v2/groups/team-a?force=true", {"id": "h", "groups": [{"id": "deep", "apps": []}]}, [201])]),
    "PUT /v2/groups/{id...}": of_group("groups/{id...}", {"scaleBy": 9}, query="?force=true", own=[("/v2/groups/team-a/g?force=true", {"dependencies": []}, [200])]),
    "PATCH /v2/groups/{id...}": of_group("groups/{id...}", {"enforceRole": True}, own=[("/v2/groups/team-a", {"enforceRole": False}, [200])]),
    "DELETE /v2/groups/{id...}": of_group("groups/{id...}", own=[("/v2/groups/team-a/g?force=true", None, [200])], query="?force=true"),
    "GET /v2/tasks": listed(None, "/v2/tasks?status=running", "/marathon/v2/tasks?status[]=staging&status[]=running"),
    "POST /v2/tasks/delete": Row(
        own=[("/v2/tasks/delete", {"ids": ["{own_task}"]}, [200])],
        hidden=[("/v2/tasks/delete", {"ids": ["{other_task}"]}, [200, 403]), ("/v2/tasks/delete?scale=true&force=true", {"ids": ["{other_task}"]}, [200, 403]),
                ("/v2/tasks/delete?wipe=true", {"ids": ["{other_task}"]}, [200, 403])]),
    "GET /v2/deployments": listed(),
    "DELETE /v2/deployments/{id}": Row(hidden=[("/v2/deployments/{deployment}", DELETE, [404]), ("/v2/deployments/{deployment}?force=true", DELETE, [404])]),
    "GET /v2/queue": listed(None, "/v2/queue?embed=lastUnusedOffers"),
    "DELETE /v2/queue/{id...}/delay": of_app("queue/{id...}/delay", own=[("/v2/queue/team-a/web/delay", DELETE, [204])]),
    "GET /v2/events": listed("/v2/events?follow=false&since={oldest}"),
    "GET /v2/info": listed(),
    "GET /v2/leader": listed(),
}
ROWS["PUT /v2/apps/{id...}"].refused += [("/v2/apps/team-a/thief?force=true", one) for one in AS_UPDATE.values()]
ROWS["PUT /v2/apps/{id...}"].refused += [("/v2/apps/team-a/new?force=true&partialUpdate=false", one) for one in AS_UPDATE.values()]
ROWS["PUT /v2/groups/{id...}"].refused += [("/v2/groups/team-a?force=true", {"groups": [{"id": "thieves", "apps": [one]}]}) for one in IN_GROUP]
ROWS["PUT /v2/groups/{id...}"].refused += [("/v2/groups/team-a?force=true", {"id": "/team-b", "scaleBy": 9})]
# A null in an update is nothing given.
ROWS["PATCH /v2/apps/{id...}"].refused += [("/v2/apps/team-a/new?force=true", one) for name, one in AS_UPDATE.items() if "nothing is said" not in name]
