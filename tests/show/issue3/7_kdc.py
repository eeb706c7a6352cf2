"""Must show 7 of issue 3, first line: the KDC child, then the node it runs on, is lost; logins and joins go on.

Three servers with a KDC each. First the KDC children are killed (kill -9) in turn, KILLS times (9): time until that KDC alone gives
a ticket again (a child that dies again and again within 30 s waits longer each time, so each dies three times). Then the cable
of the server that krb5.conf names first is pulled: sign-ins by kinit and by
password and the join of a new machine, at the servers that are left, each with its time.
"""

import os
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
from harness import SMACKD, wait_until  # noqa: E402
from test_join import admin, cli, join_by_bundle, keytab_of, roles_of, start, start_first  # noqa: E402
from test_kdc import kdc_pid, kinit, only_kdc, write_conf  # noqa: E402
from world import World  # noqa: E402

KILLS = int(os.environ.get("KILLS", "9"))
LIMIT_S = 15
SERVERS = ("n1", "n2", "n3")
PASSWORD = "a long pass phrase"


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def child_killed(world, alice):
    desk = world["desk"]
    times = []
    for turn in range(KILLS):
        server = world[SERVERS[turn % len(SERVERS)]]
        conf = only_kdc(desk, f"{server.name}:88")
        os.kill(wait_until(lambda server=server: kdc_pid(server), LIMIT_S, "the KDC child"), signal.SIGKILL)
        times.append(seconds(lambda conf=conf: wait_until(
            lambda: kinit(desk, alice, "alice", conf).code == 0, LIMIT_S, "a ticket")))
    print(f"PASS KDC child killed: {KILLS} times, its next ticket after median {statistics.median(times) * 1000:.0f} ms, worst "
          f"{max(times) * 1000:.0f} ms", flush=True)


def node_lost(world, alice, conf):
    n1, n2, desk = world["n1"], world["n2"], world["desk"]

    def works(answer):
        assert answer.code == 0, answer
    before = seconds(lambda: works(kinit(desk, alice, "alice", conf)))
    n1.plug(False)
    by_ticket = seconds(lambda: works(kinit(desk, alice, "alice", conf)))
    session = {"SMACKD_URL": "https://n2:5050", "KRB5_CONFIG": conf, "SMACKD_SESSION_FILE": f"{desk.work}/session.json"}
    words = [SMACKD, "login", "--user", "bob", "--password-stdin", "--ca", f"{n1.directory}/cluster/ca.pem"]
    by_password = seconds(lambda: works(desk.run(words, session, f"{PASSWORD}\n")))
    leader = seconds(lambda: wait_until(
        lambda: n2.run([SMACKD, "machine", "add", "x1", "--role", "agent"], admin(world, "n2")).code == 0, 60, "a leader"))

    def join():
        bundle = n2.run([SMACKD, "machine", "add", "x1", "--bundle", "-"], admin(world, "n2"))
        works(bundle)
        works(world["x1"].run([SMACKD, "join", "-", "--data-dir", world["x1"].directory], stdin=bundle.out))
    joined = seconds(join)
    start(world["x1"])
    print(f"PASS node of the first KDC lost: kinit {by_ticket:.1f} s (before {before:.1f} s), password sign-in "
          f"{by_password:.1f} s, first change {leader:.1f} s, bundle and join of a new machine {joined:.1f} s", flush=True)


def main():
    try:
        with World("n1", "n2", "n3", "x1", "desk") as world:
            start_first(world["n1"])
            for name in ("n2", "n3"):
                join_by_bundle(world, name, "server")
                start(world[name])
            wait_until(lambda: list(roles_of(world).values()).count("voter") == 3, 40, "three voters")
            cli(world, "user", "add", "alice")
            alice = keytab_of(world, "user", "alice")
            added = world["n1"].run([SMACKD, "user", "add", "bob", "--password-stdin"], admin(world), f"{PASSWORD}\n")
            assert added.code == 0, added
            conf = cli(world, "realm", "krb5-conf").out
            child_killed(world, alice)
            node_lost(world, alice, write_conf(world["desk"], conf))
            for host in world.hosts.values():
                if host.process is not None:
                    host.process.kill()
    except AssertionError as problem:
        print(f"FAIL KDC lost: {problem}")
        return 1
    finally:
        harness.clean_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
