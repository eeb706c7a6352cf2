"""The embedded realm's KDC on every server: killed, and lost with its machine, while people sign in and machines join."""

import json
import os
import re
import signal

from harness import SMACKD, need_tool, wait_until
from test_join import admin, cli, cli_json, join_by_bundle, join_by_seed, keytab_of, roles_of, start, start_first
from world import World

REALM = "JOIN.SMACKD"
# libkrb5 gives each KDC a second before it asks the next one as well; a sign-in is three exchanges.
LOST_KDC_LIMIT_S = 30


def kdc_pid(host):
    """The KDC child of the smackd that runs on this host, or None."""
    tasks = f"/proc/{host.process.child.pid}/task"
    for task in os.listdir(tasks):
        try:
            with open(f"{tasks}/{task}/children") as file:
                children = file.read().split()
            for child in children:
                with open(f"/proc/{child}/cmdline") as file:
                    if "kdc" in file.read().split("\0"):
                        return int(child)
        except FileNotFoundError:
            continue  # the task or the child has just ended
    return None


def kdcs_in(path):
    with open(path) as file:
        return re.findall(r"^\s*kdc = (\S+)$", file.read(), re.MULTILINE)


def kdcs_of(host):
    return kdcs_in(f"{host.directory}/krb5.conf")


def kinit(host, keytab, principal, krb5_conf):
    return host.run(["kinit", "-kt", keytab, f"{principal}@{REALM}"],
                    {"KRB5_CONFIG": krb5_conf, "KRB5CCNAME": f"FILE:{host.work}/kinit.ccache"}, limit=LOST_KDC_LIMIT_S)


def write_conf(host, text):
    path = f"{host.work}/krb5.conf"
    with open(path, "w") as file:
        file.write(text)
    return path


def only_kdc(host, address):
    """A krb5.conf that knows one KDC."""
    return write_conf(host, f"[libdefaults]\ndns_lookup_kdc = false\n[realms]\n{REALM} = {{\nkdc = {address}\n}}\n")


def test_kdc_child_killed():
    need_tool("kinit")
    with World("n1") as world:
        n1 = world["n1"]
        start_first(n1)
        alice = None
        cli(world, "user", "add", "alice")
        alice = keytab_of(world, "user", "alice")
        for _ in range(3):
            before = kdc_pid(n1)
            assert before is not None
            os.kill(before, signal.SIGKILL)
            wait_until(lambda: kinit(n1, alice, "alice", f"{n1.directory}/krb5.conf").code == 0, 15,
                       "a ticket after the KDC was killed")
            assert kdc_pid(n1) not in (None, before)
        assert n1.process.running() and "kdc ended" in n1.process.log()
        assert cli_json(world, "status")["leader"]["machine"] == "n1"


def test_kdc_node_lost():
    need_tool("kinit")
    with World("n1", "n2", "n3", "a1", "x1", "desk") as world:
        n1, n2, desk, a1 = world["n1"], world["n2"], world["desk"], world["a1"]
        start_first(n1)
        join_by_bundle(world, "a1", "agent")
        start(a1)
        for name in ("n2", "n3"):
            join_by_bundle(world, name, "server")
            start(world[name])
        wait_until(lambda: roles_of(world) == {"n1": "voter", "n2": "voter", "n3": "voter"}, 40, "three voters")

        # Every node lists them all, its own or the nearest first; also the agent that joined before the others.
        everybody = {"n1:88", "n2:88", "n3:88"}
        for name in ("n1", "n2", "n3"):
            wait_until(lambda name=name: set(kdcs_of(world[name])) == everybody, 10, f"all KDCs on {name}")
            assert kdcs_of(world[name])[0] == f"{name}:88", kdcs_of(world[name])
        wait_until(lambda: set(kdcs_of(a1)) == everybody, 10, f"all KDCs on a1: {kdcs_of(a1)}")
        with open(f"{a1.directory}/cluster/members.json") as file:
            assert [row["machine"] for row in json.load(file)["servers"]] == ["n1", "n2", "n3"]
        conf = write_conf(desk, cli(world, "realm", "krb5-conf").out)
        assert kdcs_in(conf)[0] == "n1:88" and set(kdcs_in(conf)) == everybody, kdcs_in(conf)
        cli(world, "user", "add", "alice")
        alice = keytab_of(world, "user", "alice")

        # The machine that everybody asks first is gone, and the agent's server with it.
        n1.plug(False)
        # What n1 acknowledged last is applied by the others once there is a new leader.
        wait_until(lambda: kinit(desk, alice, "alice", conf).code == 0, 30, "a ticket without n1")
        wait_until(lambda: n2.run([SMACKD, "user", "add", "bob"], admin(world, "n2")).code == 0, 30, "a leader without n1")
        bob = f"{world.work}/bob.keytab"
        cli(world, "user", "keytab", "bob", "--out", bob, via="n2")
        wait_until(lambda: kinit(desk, bob, "bob", conf).code == 0, 30, "a ticket of bob")
        signed_in = desk.run([SMACKD, "whoami", "--json"], {
            "SMACKD_URL": "https://n2:5050", "SMACKD_KEYTAB": f"{n1.directory}/keytabs/admin.keytab", "KRB5_CONFIG": conf,
            "SMACKD_SESSION_FILE": f"{desk.work}/session.json"})
        assert signed_in.code == 0 and signed_in.json()["user"] == "admin", signed_in
        password = n2.run([SMACKD, "user", "add", "carol", "--password-stdin"], admin(world, "n2"), "a long pass phrase\n")
        assert password.code == 0, password
        carol = desk.run([SMACKD, "login", "--user", "carol", "--password-stdin", "--ca", f"{n1.directory}/cluster/ca.pem"],
                         {"SMACKD_URL": "https://n2:5050", "KRB5_CONFIG": conf, "SMACKD_SESSION_FILE": f"{desk.work}/c.json"},
                         "a long pass phrase\n")
        assert carol.code == 0, carol
        cli(world, "machine", "add", "x1", "--role", "agent", via="n2")
        x1 = f"{world.work}/x1.keytab"
        cli(world, "machine", "keytab", "x1", "--out", x1, via="n2")
        joined = join_by_seed(world, "x1", x1, "--kdc", f"{n2.address}:88", seed="n2")  # besides n1's, which is silent
        assert joined.code == 0, joined
        renewed = a1.run([SMACKD, "renew", "--data-dir", a1.directory])
        assert renewed.code == 0 and "without" not in renewed.out, renewed

        # It comes back and knows what it missed; a server that is removed is asked no more.
        n1.plug(True)
        wait_until(lambda: kinit(desk, bob, "bob", only_kdc(desk, "n1:88")).code == 0, 30, "bob at the KDC of n1")
        cli(world, "machine", "remove", "n3", via="n2")
        for name in ("n1", "n2", "a1"):
            wait_until(lambda name=name: set(kdcs_of(world[name])) == {"n1:88", "n2:88"}, 20,
                       f"n3 out of the KDCs of {name}: {kdcs_of(world[name])}")
