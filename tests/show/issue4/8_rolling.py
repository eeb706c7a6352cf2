"""Must show 8 of issue 4: rolling updates of INSTANCES (10) instances under RATE (500) requests a second.

GET and POST, over new and kept connections, every tenth for a page that takes 300 ms. A server dies at SIGTERM at once. In turn: an
update with 50 % over capacity, one that may not go over and keeps half, a restart, scaling down to 4 and up again. A request that
does not get its right answer at the first try has failed, whatever the reason; nothing is sent twice.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402
import rolling  # noqa: E402
from traffic import Traffic  # noqa: E402

INSTANCES = int(os.environ.get("INSTANCES", "10"))
RATE = int(os.environ.get("RATE", "500"))


def steps(demo):
    web = rolling.web
    return [
        ("update, 50 % over capacity", lambda: rolling.update(demo, web(2, INSTANCES))),
        ("update, none over and half kept", lambda: rolling.update(demo, web(3, INSTANCES, {"minimumHealthCapacity": 0.5,
                                                                                            "maximumOverCapacity": 0}))),
        ("restart", lambda: rolling.cli(demo, "app", "restart", "/web")),
        ("scaled to 4", lambda: rolling.cli(demo, "app", "scale", "/web", "4")),
        ("scaled up again", lambda: rolling.cli(demo, "app", "scale", "/web", str(INSTANCES))),
    ]


def main():
    demo = harness.Demo()
    demo.start()
    rolling.add(demo, rolling.web(1, INSTANCES))
    failed, total, all_versions = 0, 0, set()
    for name, step in steps(demo):
        with Traffic(demo.ports["http"], rolling.NAME, demo.work, RATE) as traffic:
            step()
        result = traffic.result
        failed += result["failed"] + result["closed_idle"]
        total += result["requests"]
        all_versions |= set(result["versions"])
        print(f"  {name} ({result['seconds']} s): {traffic.figures()}", flush=True)
        for failure in result["failures"]:
            print(f"    {failure['kind']}: {failure['problem']}")
    demo.stop()
    good = failed == 0 and total >= 5 * RATE and all_versions == {"1", "2", "3"}
    print(f"{'PASS' if good else 'FAIL'} rolling: {total} requests while {INSTANCES} instances were replaced three times and scaled, "
          f"{failed} failed")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        code = main()
    finally:
        harness.clean_up()
    sys.exit(code)
