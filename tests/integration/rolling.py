"""An app of several instances, changed while requests run: what the rolling tests and shows share."""

import json
import os
import time

import harness
from traffic import SERVER_COMMAND

NAME = "rolling.example"
UPDATE_LIMIT_S = 300


def web(version, instances, upgrade=None, **more):
    """The app's definition; a task listens START_S after its start."""
    return {
        "id": "/web", "cmd": SERVER_COMMAND, "cpus": 0.05, "mem": 48, "instances": instances,
        "env": {"VERSION": str(version), "PORT": "8080", "START_S": "0.2"},
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 8080, "hostPort": 0, "name": "http"}]},
        "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": NAME},
        "healthChecks": [{"protocol": "HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 60}],
        "upgradeStrategy": upgrade or {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5}, **more,
    }


def definition(demo, app):
    path = os.path.join(demo.work, "web.json")
    with open(path, "w") as file:
        json.dump(app, file)
    return path


def cli(demo, *words):
    """A command that waits for a deployment, on a busy machine."""
    answer = harness.run([harness.SMACKD, *words, "--timeout", str(UPDATE_LIMIT_S)], demo.environment, limit=UPDATE_LIMIT_S + 30)
    assert answer.code == 0, f"{words}: {answer}"


def add(demo, app):
    cli(demo, "app", "add", definition(demo, app))


def update(demo, app):
    """Seconds until it is done."""
    began = time.monotonic()
    cli(demo, "app", "update", app["id"], definition(demo, app))
    return time.monotonic() - began


def tasks(demo, app="/web"):
    return demo.must_json("app", "show", app)["tasks"]
