"""Must show 4, first part: a host dies (its cable is pulled and its process killed) RUNS times (10); measured is the time
until each of the four others knows, from the lines they log. Beside it Debian's serf (LAN profile) in the same namespaces
with the same victim.
"""

import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
from harness import wait_until  # noqa: E402
from test_gossip import wait_liveness  # noqa: E402
from test_join import join_by_bundle, start, start_first  # noqa: E402
from world import World  # noqa: E402

RUNS = int(os.environ.get("RUNS", "10"))
SERVERS, AGENTS, VICTIM = ("n1", "n2", "n3"), ("a1", "a2"), "a2"
WITNESSES = SERVERS + ("a1",)
LIMIT_S = 60


def said(process):
    return process.log() + process.output()


def seconds_until_known(world, processes, line):
    """Kills the victim; when the last witness has logged `line` once more than before."""
    before = {name: said(processes[name]).count(line) for name in WITNESSES}
    world[VICTIM].plug(False)
    processes[VICTIM].kill()
    began = time.monotonic()
    known = {}
    while len(known) < len(WITNESSES):
        late = [said(processes[name])[-1500:] for name in WITNESSES if name not in known]
        assert time.monotonic() - began < LIMIT_S, f"only {sorted(known)} know after {LIMIT_S} s: {late}"
        for name in WITNESSES:
            if name not in known and said(processes[name]).count(line) > before[name]:
                known[name] = time.monotonic() - began
        time.sleep(0.02)
    world[VICTIM].plug(True)
    return max(known.values())


def smackd_times(world):
    start_first(world["n1"])
    for name in SERVERS[1:] + AGENTS:
        join_by_bundle(world, name, "server" if name in SERVERS else "agent")
        start(world[name])
    times = []
    for _ in range(RUNS):
        wait_liveness(world, {name: "alive" for name in SERVERS + AGENTS}, limit=60)
        time.sleep(1)
        processes = {name: world[name].process for name in SERVERS + AGENTS}
        times.append(seconds_until_known(world, processes, f"what=unreachable node=5 name={VICTIM}"))
        start(world[VICTIM])
    for name in SERVERS + AGENTS:
        world[name].process.kill()
    return times


def serf_times(world):
    def start_serf(name):
        host = world[name]
        host.start(["serf", "agent", f"-node={name}", f"-bind={host.address}", "-rpc-addr=127.0.0.1:7373", "-profile=lan",
                    f"-retry-join={world['n1'].address}", "-log-level=info"])
        return host.process
    processes = {name: start_serf(name) for name in SERVERS + AGENTS}

    def alive():
        seen = world["n1"].run(["serf", "members", "-status=alive"]).out
        return all(f"{name} " in seen for name in SERVERS + AGENTS)
    times = []
    for _ in range(RUNS):
        wait_until(alive, LIMIT_S, "serf's members alive")
        time.sleep(1)
        times.append(seconds_until_known(world, {**processes}, f"EventMemberFailed: {VICTIM}"))
        processes[VICTIM] = start_serf(VICTIM)
    for process in processes.values():
        process.kill()
    return times


def main():
    with World(*SERVERS, *AGENTS) as world:
        ours = smackd_times(world)
        if not harness.shutil.which("serf"):
            harness.subprocess.run(["apt-get", "install", "-y", "-qq", "serf"], stdout=harness.subprocess.DEVNULL, check=False)
        theirs = serf_times(world) if harness.shutil.which("serf") else []
    harness.clean_up()
    text = f"{len(ours)} killed hosts, every other of 5 knows after median {statistics.median(ours):.1f} s, worst {max(ours):.1f} s"
    beside = f"serf: median {statistics.median(theirs):.1f} s, worst {max(theirs):.1f} s" if theirs else "serf cannot be installed"
    good = bool(theirs) and statistics.median(ours) < statistics.median(theirs)
    print(f"{'PASS' if good else 'FAIL'} detection: {text}; {beside}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
