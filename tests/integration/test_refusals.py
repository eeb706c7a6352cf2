"""Who is refused at the cluster's address by what only several real machines can play: another realm, somebody in the
middle, a ticket sent twice, clocks, certificates that are over, nodes that a recovery has left behind."""

import os
import sys

from harness import ROOT, SMACKD, TOOLS, need_tool, run, wait_until
from test_join import (admin_of_first, cli, cli_json, join_by_bundle, join_by_seed, keytab_of, logged, roles_of, start,
                       start_first, wait_ready)
from world import World

RELAY = os.path.join(ROOT, "tests/integration/join_relay.py")
CLOCK = os.path.join(TOOLS, "shifted_clock")
DAY_AND_HOUR_S = 25 * 3600


def test_refused_of_another_realm():
    with World("n1", "k1", "x1") as world:
        start_first(world["n1"])
        other = world["k1"]
        start_first(other, realm="OTHER.SMACKD")
        their = {**admin_of_first(world, "k1"), "SMACKD_SESSION_FILE": f"{world.work}/other.json"}
        for name in ("n1", "x1"):
            made = other.run([SMACKD, "machine", "add", name], their)
            assert made.code == 0, made
        keytab = f"{world.work}/other.keytab"
        assert other.run([SMACKD, "machine", "keytab", "x1", "--out", keytab], their).code == 0
        x1 = world["x1"]
        answer = x1.run([SMACKD, "join", "--seed", "n1", "--keytab", keytab, "--kdc", f"{other.address}:88", "--data-dir",
                         x1.directory])
        assert answer.code == 1 and "wrong realm" in answer.err, answer
        assert "JOIN.SMACKD" not in answer.err, f"a stranger was told our realm: {answer}"
        logged(world, "wrong_realm", "smack/n1@OTHER.SMACKD", x1.address)


def test_refused_in_the_middle_and_replayed():
    need_tool("openssl")
    with World("n1", "m1", "x1") as world:
        n1, middle, x1 = world["n1"], world["m1"], world["x1"]
        start_first(n1)
        cli(world, "machine", "add", "x1", "--role", "agent")
        keytab = keytab_of(world, "machine", "x1")
        certificate, key, record = (f"{middle.work}/{name}" for name in ("cert.pem", "key.pem", "record"))
        made = run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=n1", "-keyout", key, "-out", certificate])
        assert made.code == 0, made
        middle.start([sys.executable, RELAY, "relay", middle.address, n1.address, certificate, key, record])
        wait_until(lambda: "ready" in middle.process.output(), 10, "the man in the middle")

        # The machine believes that n1 is there, and gets its ticket from the true KDC.
        x1.set_address_of("n1", middle.address)
        answer = join_by_seed(world, "x1", keytab)
        assert answer.code == 1 and "channel binding differs" in answer.err, answer
        logged(world, "bad_binding", middle.address)
        assert not os.path.exists(f"{x1.directory}/node.json"), "it must not have joined"

        replayed = middle.run([sys.executable, RELAY, "replay", n1.address, record])
        assert "bad_binding" in replayed.out and "channel binding differs" in replayed.out, replayed
        refused = [row for row in cli_json(world, "refusals")["refusals"] if row["reason"] == "bad_binding"]
        assert len(refused) == 2, refused

        # Nothing of it was used up: without somebody in between the same machine joins.
        x1.set_address_of("n1", n1.address)
        answer = join_by_seed(world, "x1", keytab)
        assert answer.code == 0, answer


def test_refused_for_its_clock():
    with World("n1", "x1") as world:
        start_first(world["n1"])
        x1 = world["x1"]
        cli(world, "machine", "add", "x1", "--role", "agent")
        keytab = keytab_of(world, "machine", "x1")
        words = [SMACKD, "join", "--seed", "n1", "--keytab", keytab, "--kdc", f"{world['n1'].address}:88", "--data-dir",
                 x1.directory]
        for shift in ("600", "-600"):
            answer = x1.run([CLOCK, shift, *words])
            assert answer.code == 1 and "clock skew: the machine's clock says" in answer.err, answer
            assert "the member's says" in answer.err, answer
        logged(world, "clock_skew", "smack/x1", "the machine's clock says")
        answer = x1.run([CLOCK, "60", *words])
        assert answer.code == 0, answer


def test_refused_with_an_expired_certificate():
    """The agent was off for a day and an hour; the world's clocks have gone on meanwhile."""
    need_tool("openssl")
    with World("n1", "a1", "x1") as world:
        n1, a1, x1 = world["n1"], world["a1"], world["x1"]
        start_first(n1)
        join_by_bundle(world, "a1", "agent")
        assert n1.process.stop() == 0
        later = [CLOCK, str(DAY_AND_HOUR_S), SMACKD]
        n1.start([*later, "start", "--data-dir", n1.directory])
        wait_ready(n1)

        # Whoever has copied it.
        cluster = f"{a1.directory}/cluster"
        thief = x1.run(["openssl", "s_client", "-connect", "n1:5055", "-alpn", "smack/1", "-cert", f"{cluster}/node.pem", "-key",
                        f"{cluster}/node.key", "-quiet"], stdin="hello\n")
        assert thief.code != 0, thief
        now = {**admin_of_first(world, "n1"), "SMACKD_SESSION_FILE": f"{world.work}/later.json"}

        def expired():
            shown = n1.run([*later, "refusals", "--json"], now)
            assert shown.code == 0, shown
            return [row for row in shown.json()["refusals"] if row["reason"] == "certificate" and "expired" in row["message"] and
                    row["source"].startswith(x1.address)]
        wait_until(expired, 10, "the refusal of an expired certificate")

        # The machine itself: without its keytab it says what is wrong, with it it is back by itself.
        keytab = f"{a1.directory}/keytabs/node.keytab"
        os.rename(keytab, keytab + ".away")
        ended = a1.run([*later, "start", "--data-dir", a1.directory], limit=60)
        assert ended.code == 1 and "the certificate has expired" in ended.err and "smackd join" in ended.err, ended
        os.rename(keytab + ".away", keytab)
        a1.start([*later, "start", "--data-dir", a1.directory])
        wait_ready(a1)
        assert "certificate renewed" in a1.process.log(), a1.process.log()[-2000:]


def test_refused_of_an_older_epoch():
    with World("n1", "n2", "n3") as world:
        n1, n2 = world["n1"], world["n2"]
        start_first(n1)
        bundles = {name: join_by_bundle(world, name, "server") for name in ("n2", "n3")}
        for name in ("n2", "n3"):
            start(world[name])
        wait_until(lambda: list(roles_of(world).values()).count("voter") == 3, 40, "three voters")
        for name in ("n1", "n2", "n3"):
            world[name].process.kill()
        recovered = n1.run([SMACKD, "recover", "--data-dir", n1.directory, "--yes"])
        assert recovered.code == 0, recovered
        start(n1)

        # With its data of the old epoch it is let in by nobody.
        n2.start([SMACKD, "start", "--data-dir", n2.directory])
        logged(world, "registry", "older epoch", n2.address)
        n2.process.kill()
        # Nor may it join with them.
        answer = n2.run([SMACKD, "join", "-", "--data-dir", n2.directory], stdin=bundles["n2"])
        assert answer.code == 1 and "this node is of epoch 1, the cluster is at epoch 2" in answer.err, answer
        logged(world, "older_epoch", "smack/n2")
