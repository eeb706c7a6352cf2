"""docs/operate.md and docs/recovery.md, typed as they stand on machines of their own."""

import json
import os
import re

from harness import ROOT, need_tool, wait_until
from typed import Typist, commands_of
from world import World

OPERATE = os.path.join(ROOT, "docs/operate.md")
RECOVERY = os.path.join(ROOT, "docs/recovery.md")
UNITS = {"smackd": ("smackd start", lambda process: re.search("^ready", process.output(), re.MULTILINE))}
REMOVED = 3
LIMIT_S = 120


class Operator:
    """Types sections, and looks how the cluster stands between them, as a person does."""

    def __init__(self, world, first):
        self.typist = Typist(world, "", UNITS)
        self.first = first

    def status(self, name=None):
        return json.loads(self.typist.type(name or self.first, "smackd status --json"))

    def wait_voters(self, *names):
        def there():
            return sorted(one["machine"] for one in self.status()["servers"] if one["role"] == "voter") == sorted(names)
        wait_until(there, LIMIT_S, f"the voters {names}: {self.status()['servers']}")

    def wait_alive(self, *names):
        def alive():
            nodes = json.loads(self.typist.type(self.first, "smackd node list --json"))["nodes"]
            return sorted(node["machine"] for node in nodes if node["liveness"] == "alive") == sorted(names)
        wait_until(alive, LIMIT_S, f"{names} alive: {self.typist.type(self.first, 'smackd node list')}")


def test_operate_a_cluster():
    need_tool("nsenter")
    with World("n1", "n2", "n3", "n4", "a1") as world:
        operator = Operator(world, "n1")
        typist = operator.typist
        try:
            made = typist.type_section(OPERATE, "The first server")
            assert "Recovery key" in made[0][2], made[0]
            typist.type_section(OPERATE, "Joining")
            operator.wait_voters("n1", "n2", "n3")
            operator.wait_alive("n1", "n2", "n3", "a1")

            removed(operator)
            typist.type_section(OPERATE, "Emptying a machine for work on it")
            typist.type_section(OPERATE, "Looking")
            typist.type_section(OPERATE, "Stopping and starting")
            operator.wait_voters("n1", "n2", "n3")
            typist.type_section(OPERATE, "Replacing a server")
            operator.wait_voters("n1", "n2", "n4")
            gone = typist["n3"].services["smackd"]
            wait_until(lambda: not gone.running(), LIMIT_S, "the end of n3")
            operator.wait_alive("n1", "n2", "n4", "a1")
            backups = typist.type_section(OPERATE, "Backups")
            assert "smackd.backup" in backups[0][1], backups
        finally:
            typist.close()


def removed(operator):
    """The section that removes a1 and lets it join again: between the two a1 stops by itself."""
    typist = operator.typist
    section = commands_of(OPERATE, "Suspending and removing")
    at = section.index(("n1", "smackd machine remove a1")) + 1
    for host, command in section[:at]:
        typist.type(host, command)
    service = typist["a1"].services["smackd"]
    wait_until(lambda: not service.running(), LIMIT_S, f"the end of a1: {service.log()[-2000:]}")
    assert service.wait() == REMOVED and "was removed" in service.log(), service.log()[-2000:]
    typist["a1"].services.clear()
    for host, command in section[at:]:
        typist.type(host, command)
    operator.wait_alive("n1", "n2", "n3", "a1")


def test_recovery_of_a_cluster():
    need_tool("nsenter")
    with World("n1", "n2", "n3", "r1") as world:
        operator = Operator(world, "n1")
        typist = operator.typist
        try:
            key = re.search(r"^ {4}(\S+)$", typist.type("n1", "smackd realm init EXAMPLE.ORG"), re.MULTILINE)[1]
            typist.type("n1", "systemctl start smackd")
            for name in ("n2", "n3"):
                typist.type("n1", f"smackd machine add {name} --role server --bundle - | ssh {name} smackd join -")
                typist.type(name, "systemctl start smackd")
            operator.wait_voters("n1", "n2", "n3")
            typist.type("n1", "smackd user add alice")
            typist.password = key
            typist.type_section(RECOVERY, "Making backups")
            typist.type("n1", "smackd user add bob")
            for name in ("n2", "n3"):  # their disks are gone
                typist[name].services.pop("smackd").kill()
            typist.type_section(RECOVERY, "Going on from one disk")
            assert "bob" in typist.type("n1", "smackd user list")
            operator.wait_voters("n1")

            typist[operator.first].services.pop("smackd").kill()  # and now the last one
            operator.first = "r1"
            typist.type_section(RECOVERY, "Restoring")
            users = typist.type("r1", "smackd user list")
            assert "alice" in users and "bob" not in users, users
            operator.wait_voters("r1")
        finally:
            typist.close()
