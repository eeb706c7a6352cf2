"""What an agent knows of the state: a copy in agent.db, kept by the stream to any server, there without servers."""

import re
import sqlite3
import time

from harness import SMACKD, wait_until
from test_join import admin, cli, join_by_bundle, roles_of, start, start_first, wait_ready
from world import World

SEEN = {"cluster", "level", "machine", "node"}


def copy_of(host):
    """(place, {(kind, key): row}) of an agent."""
    database = sqlite3.connect(f"file:{host.directory}/agent.db?mode=ro", uri=True, timeout=5)
    try:
        place = database.execute("SELECT epoch, revision FROM place").fetchone()
        rows = {(kind, key): row for kind, key, row in database.execute("SELECT kind, key, row FROM rows")}
        return place, rows
    finally:
        database.close()


def knows(host, kind, key):
    return (kind, key) in copy_of(host)[1]


def server_of(agent):
    found = re.findall(r'connected.*?server=(\S+)', agent.process.log())
    return found[-1] if found else None


def connections(agent):
    return len(re.findall(r'connected.*?server=', agent.process.log()))


def test_agent_feed_survives_servers_and_restarts():
    with World("n1", "n2", "n3", "a1") as world:
        start_first(world["n1"])
        for name in ("n2", "n3"):
            join_by_bundle(world, name, "server")
            start(world[name])
        voters = {"n1": "voter", "n2": "voter", "n3": "voter"}
        wait_until(lambda: roles_of(world) == voters, 60, "three voters")
        cli(world, "user", "add", "someuser")
        join_by_bundle(world, "a1", "agent")
        a1 = world["a1"]
        start(a1)
        wait_until(lambda: knows(a1, "node", "4"), 20, "a1's own row in its copy")
        (_, _), rows = copy_of(a1)
        assert {kind for kind, _ in rows} == SEEN, rows.keys()
        assert {key for kind, key in rows if kind == "machine"} == {"n1", "n2", "n3", "a1"}, rows.keys()
        for secret in (b"someuser", b"admin", b"smack/", b"-----BEGIN PRIVATE"):
            assert not any(secret in row for row in rows.values()), f"{secret} in an agent's copy"
        cli(world, "machine", "add", "m1", "--role", "agent")
        wait_until(lambda: knows(a1, "machine", "m1"), 20, "a change in the copy")

        # Its server dies: another one goes on from the same place.
        at, count = server_of(a1), connections(a1)
        via = next(name for name in ("n1", "n2", "n3") if name != at)
        world[at].process.kill()
        began = time.monotonic()
        wait_until(lambda: connections(a1) > count, 30, f"another server: {a1.process.log()[-3000:]}")
        took = time.monotonic() - began
        assert server_of(a1) != at
        wait_until(lambda: world[via].run([SMACKD, "machine", "add", "m2", "--role", "agent"], admin(world, via)).code == 0,
                   60, "a change without the dead server")
        wait_until(lambda: knows(a1, "machine", "m2"), 30, "a change from another server")
        assert a1.process.log().count("state revision=") == 2, "one line at the start, one for the only snapshot"
        print(f"at another server {took:.2f} s after kill -9 of the first")

        # All servers are away: the agent starts and still knows.
        for name in ("n1", "n2", "n3"):
            if name != at:
                world[name].process.kill()
        before = copy_of(a1)
        a1.process.stop()
        start(a1)
        assert "no server answers" in a1.process.log()
        assert copy_of(a1) == before

        # They come back, and it goes on from its place, without a snapshot.
        for name in ("n1", "n2", "n3"):
            world[name].start([SMACKD, "start", "--data-dir", world[name].directory])
        wait_ready(world["n1"], 120)
        wait_until(lambda: world["n1"].run([SMACKD, "machine", "add", "m3", "--role", "agent"], admin(world)).code == 0,
                   60, "a change with the servers back")
        wait_until(lambda: knows(a1, "machine", "m3"), 60, f"a change after all: {a1.process.log()[-3000:]}")
        assert a1.process.log().count("state revision=") == 1, a1.process.log()[-3000:]
