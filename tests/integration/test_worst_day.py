"""Real daemons on the worst day: full disks, clocks that step, certificates that expire while nobody is reached."""

import json
import os
import signal

import faults
from faults import SERVERS, Clients, FaultWorld, SmackdStore
from harness import SMACKD, TOOLS, wait_until
from test_durability import fill
from test_join import REALM, admin, join_by_bundle, roles_of, wait_ready
from world import World

CLOCK = os.path.join(TOOLS, "shifted_clock")
WRITES = 200  # acknowledged, as a sign that work goes on
CLIENTS = 8
DISK_MIB = 128
PATIENCE_S = 180  # the machine may be busy
DAY_AND_HOUR_S = 25 * 3600


class Clock:
    """The wall clock of one host's programs, which can be set."""

    def __init__(self, host):
        self.host = host
        self.path = os.path.join(host.work, "clock")
        self.ahead_s = 0
        self.write()

    def write(self):
        with open(self.path, "w") as file:
            file.write(f"{self.ahead_s}\n")

    def words(self):
        return [CLOCK, f"@{self.path}"]

    def set(self, ahead_s):
        self.ahead_s = ahead_s
        self.write()
        if self.host.process is not None:
            self.host.process.send_signal(signal.SIGUSR1)  # of the tracer, which the host's process is


def status(store, name):
    answer = store.cli(name, "status", "--json")
    return answer.json() if answer.code == 0 else None


def alarms(store, name):
    found = status(store, name)
    return None if found is None else found["alarms"]


def rows_equal(store, query):
    """What every server answers, asked by itself, once all answer the same."""
    def same():
        answers = [store.cli(name, "sql", "--json", query) for name in SERVERS]
        texts = {answer.out for answer in answers if answer.code == 0}
        return texts.pop() if len(texts) == 1 and all(answer.code == 0 for answer in answers) else None
    return wait_until(same, PATIENCE_S, f"equal answers to {query}")


def test_worst_day_full_disk_of_follower_and_leader():
    faults.install_peers()
    with FaultWorld(disk_mib=DISK_MIB) as world:
        store = SmackdStore(world).start()
        clients = Clients(world, store, CLIENTS).start()
        clients.wait_for_more(WRITES, PATIENCE_S)
        for role in ("follower", "leader"):
            leader = store.leader()
            victim = leader if role == "leader" else next(name for name in SERVERS if name != leader)
            others = [name for name in SERVERS if name != victim]
            filler = os.path.join(world.disks[victim].path, "filler")
            fill(filler)
            # Space that was taken before is used up first. Meanwhile, and then without that server, work goes on.
            found = wait_until(lambda: alarms(store, victim), PATIENCE_S, f"an alarm of {victim}, the {role}")
            assert any("disk" in json.dumps(alarm) and "full" in json.dumps(alarm) for alarm in found), found
            clients.wait_for_more(WRITES, PATIENCE_S)
            wait_until(lambda: store.leader() in others, PATIENCE_S, "a leader with space on its disk")
            assert world[victim].process.running(), world[victim].process.log()[-2000:]
            os.unlink(filler)
            wait_until(lambda: alarms(store, victim) == [], PATIENCE_S, f"the end of the alarms of {victim}")
            clients.wait_for_more(WRITES, PATIENCE_S)
        clients.stop()
        linearizable, verdict = clients.judge()
        assert linearizable, verdict[-2000:]
        print(f"        {verdict.splitlines()[-1]}")
        rows_equal(store, "SELECT count(*) AS n, max(revision) AS last FROM audit")
        store.stop()


def test_worst_day_clock_steps():
    """Elections, leases and heartbeats go by the monotonic clock; stamps of changes never run backwards."""
    faults.install_peers()
    with FaultWorld() as world:
        clocks = {name: Clock(world[name]) for name in SERVERS}
        store = SmackdStore(world, under=lambda name: clocks[name].words()).start()
        clients = Clients(world, store, CLIENTS).start()
        clients.wait_for_more(WRITES, PATIENCE_S)
        leader = store.leader()
        follower = next(name for name in SERVERS if name != leader)
        for name, ahead_s in ((leader, 90), (leader, -90), (follower, 1800), (follower, -1800), (leader, 1800), (leader, 0),
                              (follower, 0)):
            clocks[name].set(ahead_s)
            clients.wait_for_more(WRITES, PATIENCE_S)
            assert world[name].process.running(), world[name].process.log()[-2000:]
        # The changes that were made ahead of time do not keep a server from starting, nor from leading.
        store.world[leader].process.kill()
        clients.wait_for_more(WRITES, PATIENCE_S)
        store.start_one(leader)
        store.wait_ready(leader, PATIENCE_S)
        clients.wait_for_more(WRITES, PATIENCE_S)
        clients.stop()
        linearizable, verdict = clients.judge()
        assert linearizable, verdict[-2000:]
        print(f"        {verdict.splitlines()[-1]}")
        stamps = json.loads(rows_equal(store, "SELECT time_ms FROM audit ORDER BY revision"))["rows"]
        times = [row[0] if isinstance(row, list) else row["time_ms"] for row in stamps]
        assert len(times) > WRITES and times == sorted(times), "the audit's time runs backwards"
        store.stop()


def test_worst_day_certificates_expire_during_a_partition():
    """A server and an agent are cut off while a day and an hour pass: with the cable back both are in again by themselves."""
    with World("n1", "n2", "n3", "a1") as world:
        clocks = {name: Clock(world[name]) for name in ("n1", "n2", "n3", "a1")}

        def start(name, *words):
            host = world[name]
            host.start([*clocks[name].words(), SMACKD, "start", "--data-dir", host.directory, *words])
            wait_ready(host, PATIENCE_S)
        start("n1", "--bootstrap", "--embedded-realm", REALM, "--node-name", "n1")
        for name, role in (("n2", "server"), ("n3", "server"), ("a1", "agent")):
            join_by_bundle(world, name, role)
            start(name)
        wait_until(lambda: list(roles_of(world).values()).count("voter") == 3, PATIENCE_S, "three voters")
        before = {name: world[name].process.log() for name in clocks}

        for name in ("n3", "a1"):
            world[name].plug(False)
        for clock in clocks.values():
            clock.set(DAY_AND_HOUR_S)
        for name in ("n1", "n2", "n3"):  # each holds the CA's key
            wait_until(lambda: "certificate renewed" in world[name].process.log()[len(before[name]):], PATIENCE_S,
                       f"a new certificate of {name}: {world[name].process.log()[-2000:]}")
        assert "certificate renewed" not in world["a1"].process.log(), "an agent cannot renew alone"
        now = {**admin(world), "SMACKD_SESSION_FILE": f"{world.work}/later.json"}

        def works(name, group):
            answer = world["n1"].run([CLOCK, str(DAY_AND_HOUR_S), SMACKD, "group", "add", group],
                                     {**now, "SMACKD_URL": f"https://{name}:5050"})
            return answer.code == 0
        wait_until(lambda: works("n1", "while-cut"), PATIENCE_S, "a change by the two that are left")

        for name in ("n3", "a1"):
            world[name].plug(True)
        wait_until(lambda: works("n3", "healed"), PATIENCE_S, f"a change by n3: {world['n3'].process.log()[-2000:]}")
        wait_until(lambda: "connected" in world["a1"].process.log()[len(before["a1"]):], PATIENCE_S,
                   f"a1 back: {world['a1'].process.log()[-2000:]}")
        assert "certificate renewed" in world["a1"].process.log(), world["a1"].process.log()[-2000:]
