"""What dies under a running app, and what its clients notice of it: the edge, the daemon replaced by another build."""

import os
import shutil
import time

import harness
import rolling
import survive
from harness import Demo
from traffic import Traffic

RATE = 50  # requests a second


def test_a_killed_edge_loses_what_it_had_in_hand_and_refuses_nobody():
    demo = Demo()
    demo.start()
    rolling.add(demo, rolling.web(1, 2))
    with Traffic(demo.ports["http"], rolling.NAME, demo.work, RATE) as traffic:
        for _ in range(3):
            time.sleep(1)
            before = survive.edge(demo)
            survive.kill(before)
            harness.wait_until(lambda: survive.edge_or_none(demo) not in (before, None), 30, "another edge")
        time.sleep(1)
    result = traffic.result
    assert not any("refused" in one["problem"].lower() for one in result["failures"]), result
    assert result["failed"] <= 3 * 40 and result["ok"] > RATE, result  # kept connections, and what takes 300 ms
    demo.stop()


def test_another_build_takes_over_without_a_failed_request():
    """The same program as another file: the tasks stay, and the edge is replaced by one of the new file."""
    demo = Demo()
    demo.start()
    rolling.add(demo, rolling.web(1, 2))
    tasks, old = survive.Tasks(demo), survive.edge(demo)
    other = os.path.join(demo.work, "smackd-other")
    shutil.copy2(harness.SMACKD, other)
    with Traffic(demo.ports["http"], rolling.NAME, demo.work, RATE) as traffic:
        time.sleep(1)
        demo.kill()
        survive.start(demo, other)
        harness.wait_until(lambda: survive.edge_or_none(demo) not in (old, None), 60, "the new edge")
        harness.wait_until(lambda: not os.path.exists(f"/proc/{old}"), 60, "the end of the old edge")
        time.sleep(1)
    result = traffic.result
    assert result["failed"] == 0 and result["ok"] > RATE, result
    assert os.path.realpath(f"/proc/{survive.edge(demo)}/exe") == os.path.realpath(other)
    assert tasks.changes() == []
    demo.stop()
