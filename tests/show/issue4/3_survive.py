"""Must show 3 of issue 4: what dies, and what nobody notices of it.

20 tasks: 10 answer 500 requests a second by the ingress, 6 count into their logs, 4 end by themselves with exit codes of their own
while the daemon is away. `kill -9` of the daemon, of the launcher, of the edge, of all three at once; then the daemon is replaced by
another build (the same program as another file). After each: the pids are the same, no number is missing in a log, the exit codes
are in the state. A request that does not get its right answer at the first try has failed; where the edge itself dies, what was in
hand is lost, and what counts is that no connection is refused and how long nobody was answered.
"""

import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
import rolling  # noqa: E402
import survive  # noqa: E402
from traffic import Traffic  # noqa: E402

RATE = int(os.environ.get("RATE", "500"))
WEB, COUNTERS = 10, 6


class Show:
    def __init__(self):
        self.demo = harness.Demo()
        self.demo.start()
        rolling.add(self.demo, rolling.web(1, WEB))
        survive.add_counters(self.demo, COUNTERS)
        self.good = True

    def phase(self, name, act, edge_dies=False):
        """`act` is done while requests run; then everything is looked at."""
        before = survive.Tasks(self.demo)
        ending = survive.add_ending(self.demo, name.replace(" ", "-"), (0, 3, 7, 42))
        with Traffic(self.demo.ports["http"], rolling.NAME, self.demo.work, RATE) as traffic:
            time.sleep(2)
            act()
            survive.wait_for_ends(self.demo, ending)
            time.sleep(3)
        problems = before.changes() + survive.missing_numbers(self.demo) + survive.wrong_ends(self.demo, ending)
        result = traffic.result
        refused = sum("refused" in failure["problem"].lower() for failure in result["failures"])
        bad = refused if edge_dies else result["failed"] + result["closed_idle"]
        self.good &= not problems and bad == 0
        print(f"  {name}: {traffic.figures()}" + (f"; {refused} refused" if edge_dies else ""), flush=True)
        for problem in problems + ([] if edge_dies and not refused else result["failures"][:3]):
            print(f"    {problem}")


def replace_binary(demo):
    other = os.path.join(demo.work, "smackd-other")
    shutil.copy2(harness.SMACKD, other)
    survive.kill(survive.daemon(demo))
    demo.process.wait()
    survive.start(demo, other)


def main():
    show = Show()
    demo = show.demo

    def daemon():
        demo.process.kill()
        time.sleep(2)
        survive.start(demo)

    def all_three():
        pids = [survive.daemon(demo), survive.launcher(demo), survive.edge(demo)]
        for pid in pids:
            survive.kill(pid)
        demo.process.wait()
        survive.start(demo)
    show.phase("kill -9 of the daemon", daemon)
    show.phase("kill -9 of the launcher", lambda: survive.kill(survive.launcher(demo)))
    show.phase("kill -9 of the edge", lambda: survive.kill(survive.edge(demo)), edge_dies=True)
    show.phase("another binary", lambda: replace_binary(demo))
    # Nobody is left who could keep the listeners: refused connections are told, not judged.
    good = show.good
    show.phase("all three at once", all_three, edge_dies=True)
    print(f"{'PASS' if good else 'FAIL'} survive: 20 tasks, {RATE} requests/s")
    demo.stop()
    return 0 if good else 1


if __name__ == "__main__":
    try:
        code = main()
    finally:
        harness.clean_up()
    sys.exit(code)
