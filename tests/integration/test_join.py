"""Machines join a cluster: servers and agents from empty directories, and everybody who must be refused."""

import json
import os
import shutil

import time

from harness import SMACKD, wait_until
from world import World

REALM = "JOIN.SMACKD"
REMOVED = 3  # exit code


def start_first(host, realm=REALM):
    host.start([SMACKD, "start", "--bootstrap", "--embedded-realm", realm, "--data-dir", host.directory,
                "--node-name", host.name])
    wait_ready(host)


def start(host, *words):
    host.start([SMACKD, "start", "--data-dir", host.directory, *words])
    wait_ready(host)


def wait_ready(host, limit=60):
    def ready():
        assert host.process.running(), f"{host.name} ended: {host.process.log()[-3000:]}"
        return any(line.startswith("ready") for line in host.process.output().splitlines())
    wait_until(ready, limit, f"readiness of {host.name}")


def admin(world, via="n1"):
    first = world["n1"]
    return {"SMACKD_URL": f"https://{via}:5050", "SMACKD_SESSION_FILE": f"{world.work}/session.json",
            "SMACKD_KEYTAB": f"{first.directory}/keytabs/admin.keytab", "KRB5_CONFIG": f"{world[via].directory}/krb5.conf",
            "KRB5CCNAME": f"FILE:{world.work}/none.ccache"}


def cli(world, *words, via="n1"):
    answer = world[via].run([SMACKD, *words], admin(world, via))
    assert answer.code == 0, f"{words}: {answer}"
    return answer


def cli_json(world, *words, via="n1"):
    return cli(world, *words, "--json", via=via).json()


def join_by_bundle(world, name, *roles):
    bundle = cli(world, "machine", "add", name, *[word for role in roles for word in ("--role", role)], "--bundle", "-").out
    host = world[name]
    joined = host.run([SMACKD, "join", "-", "--data-dir", host.directory], stdin=bundle)
    assert joined.code == 0 and f"{name} joined" in joined.out, joined
    return bundle


def join_by_seed(world, name, keytab, *more, seed="n1", directory=None, environment=None):
    host = world[name]
    return host.run([SMACKD, "join", "--seed", seed, "--keytab", keytab, "--kdc", f"{world['n1'].address}:88", "--data-dir",
                     directory or host.directory, *more], environment)


def keytab_of(world, kind, name):
    path = f"{world.work}/{name}.keytab"
    if os.path.exists(path):
        os.unlink(path)
    cli(world, kind, "keytab", name, "--out", path)
    return path


def refusals(world, via="n1"):
    return cli_json(world, "refusals", via=via)["refusals"]


def logged(world, reason, *texts):
    """The refusal is in what the cluster shows and in the hash-chained file."""
    def found():
        rows = [row for row in refusals(world) if row["reason"] == reason]
        return any(all(text in json.dumps(row) for text in texts) for row in rows)
    wait_until(found, 10, f"a refusal {reason} with {texts}; there are {refusals(world)}")
    audit = world["n1"].directory + "/audit"
    text = "".join(open(os.path.join(audit, name)).read() for name in os.listdir(audit))
    assert f'"{reason}"' in text, text[-2000:]


def roles_of(world, via="n1"):
    return {server["machine"]: server["role"] for server in cli_json(world, "status", via=via)["servers"]}


def test_join_servers_and_agent():
    with World("n1", "n2", "n3", "a1") as world:
        start_first(world["n1"])
        join_by_bundle(world, "n2", "server", "agent")
        start(world["n2"])
        wait_until(lambda: roles_of(world).get("n2") == "standby", 20, "n2 as standby")
        # The second way: register, carry the keytab, name a member.
        cli(world, "machine", "add", "n3", "--role", "server")
        joined = join_by_seed(world, "n3", keytab_of(world, "machine", "n3"))
        assert joined.code == 0, joined
        start(world["n3"])
        voters = {"n1": "voter", "n2": "voter", "n3": "voter"}
        wait_until(lambda: roles_of(world) == voters, 40, f"three voters: {roles_of(world)}")
        for name in ("n2", "n3"):
            assert oct(os.stat(f"{world[name].directory}/cluster/server.key").st_mode & 0o777) == "0o600"

        join_by_bundle(world, "a1", "agent")
        start(world["a1"])
        assert not os.path.exists(f"{world['a1'].directory}/cluster/ca.key"), "an agent must not get the CA key"
        nodes = {node["machine"]: node for node in cli_json(world, "node", "list")["nodes"]}
        assert nodes["a1"]["roles"] == ["agent"] and nodes["n2"]["roles"] == ["server"], nodes

        # The first server dies: the others go on, the agent finds another one, a change is still possible.
        world["n1"].process.kill()
        def goes_on():
            answer = world["n2"].run([SMACKD, "group", "add", f"g{time.monotonic_ns()}"], admin(world, "n2"))
            return answer.code == 0
        wait_until(goes_on, 30, "a change without n1")
        wait_until(lambda: world["a1"].process.log().count(" connected ") +
                   world["a1"].process.log().count("connected") >= 2, 30, f"a1 elsewhere: {world['a1'].process.log()[-2000:]}")


def test_join_suspension_and_removal():
    with World("n1", "a1", "x1") as world:
        start_first(world["n1"])
        join_by_bundle(world, "a1", "agent")
        start(world["a1"])
        stolen = f"{world['x1'].work}/stolen"
        shutil.copytree(world["a1"].directory, stolen, ignore=shutil.ignore_patterns("*.new"))

        def ended_within(seconds, word):
            began = time.monotonic()
            wait_until(lambda: word in world["n1"].process.log(), seconds, f"{word}: {world['n1'].process.log()[-2000:]}")
            return time.monotonic() - began
        cli(world, "machine", "suspend", "a1")
        took = ended_within(3, "connections of a node ended")
        wait_until(lambda: "is suspended" in world["a1"].process.log(), 10, world["a1"].process.log()[-2000:])
        count = world["a1"].process.log().count("connected")
        cli(world, "machine", "resume", "a1")
        wait_until(lambda: world["a1"].process.log().count("connected") > count, 20, "a1 is back")
        print(f"a suspended agent's connection ended within {took:.2f} s")

        cli(world, "machine", "remove", "a1")
        removed_stops(world["a1"])
        logged(world, "registry", "was removed")
        # The certificate is still good for a day by its dates: on another machine it is refused by name.
        thief = world["x1"].run([SMACKD, "start", "--data-dir", stolen], limit=60)
        assert thief.code == REMOVED and "was removed from the cluster" in thief.err, thief
        # With the keytab of the removed machine: its principal went with it.
        again = world["a1"].run([SMACKD, "renew", "--data-dir", world["a1"].directory])
        assert again.code == 1, again


def removed_stops(host):
    """The node hears that it was removed, says so and ends; started again it does the same."""
    wait_until(lambda: not host.process.running(), 30, f"the end of {host.name}: {host.process.log()[-2000:]}")
    log = host.process.log()
    assert host.process.wait() == REMOVED and "was removed from the cluster" in log and "join anew" in log, log[-2000:]
    again = host.run([SMACKD, "start", "--data-dir", host.directory], limit=60)
    assert again.code == REMOVED and "join anew" in again.err, again


def test_join_removed_servers_stop():
    with World("n1", "n2", "n3", "n4") as world:
        start_first(world["n1"])
        for name in ("n2", "n3", "n4"):
            join_by_bundle(world, name, "server")
            start(world[name])

        def voters(via="n1"):
            return sorted(name for name, role in roles_of(world, via).items() if role == "voter")
        wait_until(lambda: len(voters()) == 3, 60, "three voters")
        standby = next(name for name in ("n2", "n3", "n4") if name not in voters())
        # A server that is suspended goes on, and takes part again.
        cli(world, "machine", "suspend", standby)
        wait_until(lambda: standby not in roles_of(world), 20, "the standby out of Raft")
        assert world[standby].process.running()
        cli(world, "machine", "resume", standby)
        wait_until(lambda: roles_of(world).get(standby) == "standby", 30, "the standby back")
        # A standby says nothing by itself, so it asks; a leader is refused as soon as it writes to the others.
        cli(world, "machine", "remove", standby)
        removed_stops(world[standby])
        other = next(name for name in voters() if name != "n1")
        cli(world, "machine", "remove", "n1")
        removed_stops(world["n1"])

        def goes_on():
            return world[other].run([SMACKD, "group", "add", f"g{time.monotonic_ns()}"], admin(world, other)).code == 0
        wait_until(goes_on, 30, "a change by the servers that are left")
        wait_until(lambda: sorted(roles_of(world, via=other)) == voters(other) and len(voters(other)) == 2, 20, "two voters")


def test_join_refusals():
    with World("n1", "n2", "x1") as world:
        start_first(world["n1"])
        x1 = world["x1"]

        # No keytab: the machine says so itself; whoever connects all the same learns a protocol number and the time.
        answer = join_by_seed(world, "x1", "/nonexistent.keytab")
        assert answer.code == 1 and "/nonexistent.keytab" in answer.err, answer
        probe = x1.run(["openssl", "s_client", "-connect", "n1:5055", "-alpn", "smack-join/1", "-quiet"], stdin="hello\n")
        said = probe.out
        for secret in (REALM, "smackd 0", "n2", "10."):
            assert secret not in said, f"the unauthenticated were told {secret}: {said!r}"
        logged(world, "no_proof", "authentication needed")

        # A user's ticket.
        cli(world, "user", "add", "eve")
        user = keytab_of(world, "user", "eve")
        answer = join_by_seed(world, "x1", user)
        assert answer.code == 1 and "no key of a machine" in answer.err, answer

        # A keytab of a host that nobody registered: made, then taken from the registry with its keys in the realm.
        cli(world, "machine", "add", "x1", "--role", "agent")
        keytab = keytab_of(world, "machine", "x1")
        unregister(world, "x1")
        answer = join_by_seed(world, "x1", keytab)
        assert answer.code == 1, answer

        # An address as seed.
        answer = join_by_seed(world, "x1", keytab, seed=world["n1"].address)
        assert answer.code == 1 and "--seed-principal" in answer.err, answer

        # A machine that the registry allows as agent only wants to be a server.
        cli(world, "machine", "add", "n2", "--role", "agent")
        n2 = keytab_of(world, "machine", "n2")
        answer = join_by_seed(world, "n2", n2, "--role", "server")
        assert answer.code == 1 and "may not be server" in answer.err, answer
        logged(world, "role", "smack/n2")
        cli(world, "machine", "suspend", "n2")
        answer = join_by_seed(world, "n2", n2)
        assert answer.code == 1 and "suspended" in answer.err and "machine resume" in answer.err, answer
        logged(world, "suspended", "smack/n2")
        cli(world, "machine", "resume", "n2")

        # By address with the member's principal it works; a second machine with the same keytab does not take its place.
        answer = join_by_seed(world, "n2", n2, "--seed-principal", "n1", seed=world["n1"].address)
        assert answer.code == 0, answer
        answer = join_by_seed(world, "x1", n2)
        assert answer.code == 1 and "joined already as node" in answer.err and "node remove" in answer.err, answer
        logged(world, "joined_already", "smack/n2")
        # The machine itself may ask twice: the same key, the same node.
        answer = join_by_seed(world, "n2", n2)
        assert answer.code == 0, answer
        renewed = world["n2"].run([SMACKD, "renew", "--data-dir", world["n2"].directory])
        assert renewed.code == 0 and "without" not in renewed.out, renewed
        start(world["n2"])

        # A node whose state is of an older epoch (the cluster was recovered meanwhile).
        # The epoch of this cluster is 1, so the check is shown by the unit tests of join_decision.


def test_join_realm_of_the_site():
    """The realm is somebody else's (here: another cluster's KDC); the registry alone says who may join."""
    with World("k1", "n1", "n2", "x1") as world:
        k1, n1 = world["k1"], world["n1"]
        start_first(k1)
        site = {**admin_of_first(world, "k1"), "SMACKD_SESSION_FILE": f"{world.work}/site.json"}

        def keytab(kind, name):
            path = f"{world.work}/{name}.keytab"
            answer = k1.run([SMACKD, kind, "keytab", name, "--out", path], site)
            assert answer.code == 0, answer
            return path
        for machine in ("n1", "n2", "x1"):
            assert k1.run([SMACKD, "machine", "add", machine], site).code == 0
        assert k1.run([SMACKD, "user", "add", "boss"], site).code == 0
        krb5 = {"KRB5_CONFIG": f"{k1.directory}/krb5.conf"}
        n1.start([SMACKD, "start", "--bootstrap", "--realm", REALM, "--keytab", keytab("machine", "n1"), "--admin", "boss",
                  "--data-dir", n1.directory, "--node-name", "n1"], krb5)
        wait_ready(n1)
        boss = {**krb5, "SMACKD_URL": "https://n1:5050", "SMACKD_SESSION_FILE": f"{world.work}/boss.json",
                "SMACKD_KEYTAB": keytab("user", "boss"), "KRB5CCNAME": f"FILE:{world.work}/none.ccache"}

        def by_boss(*words):
            answer = n1.run([SMACKD, *words], boss)
            assert answer.code == 0, answer
            return answer

        def join(name, *more):
            host = world[name]
            return host.run([SMACKD, "join", "--seed", "n1", "--keytab", f"{world.work}/{name}.keytab", "--data-dir",
                             host.directory, *more], krb5)
        keytab("machine", "x1")
        answer = join("x1")
        assert answer.code == 1 and f"smack/x1@{REALM} is not a registered machine" in answer.err, answer
        pending = json.loads(by_boss("machine", "list", "--pending", "--json").out)["machines"]
        assert [row["name"] for row in pending] == ["x1"] and pending[0]["source"].startswith(world["x1"].address), pending
        shown = json.loads(by_boss("refusals", "--json").out)["refusals"]
        assert any(row["reason"] == "not_registered" and "smack/x1" in row["principal"] for row in shown), shown

        by_boss("machine", "add", "n2", "--role", "server")
        keytab("machine", "n2")
        answer = join("n2")
        assert answer.code == 0, answer
        world["n2"].start([SMACKD, "start", "--data-dir", world["n2"].directory], krb5)
        wait_ready(world["n2"])

        # No KDC: whoever is in stays in and renews by its certificate; nobody new comes in.
        by_boss("machine", "add", "x1", "--role", "agent")
        assert join("x1").code == 0
        k1.process.kill()
        renewed = world["x1"].run([SMACKD, "renew", "--data-dir", world["x1"].directory], krb5)
        assert renewed.code == 0 and "without a Kerberos proof" in renewed.out, renewed
        again = join("x1")
        assert again.code == 1 and "KDC" in again.err, again


def admin_of_first(world, name):
    first = world[name]
    return {"SMACKD_URL": f"https://{name}:5050", "SMACKD_KEYTAB": f"{first.directory}/keytabs/admin.keytab",
            "KRB5_CONFIG": f"{first.directory}/krb5.conf", "KRB5CCNAME": f"FILE:{world.work}/none.ccache"}


def unregister(world, name):
    """Takes a machine from the registry; its principals go with it (embedded realm)."""
    cli(world, "machine", "remove", name)


