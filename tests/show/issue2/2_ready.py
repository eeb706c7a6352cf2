"""Must show 2: median of 10: ready within 1.5 s of start on an empty directory, 1 s on a restart."""

import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../integration"))

import harness  # noqa: E402

RUNS = 10
EMPTY_AIM_S = 1.5
RESTART_AIM_S = 1.0


def main():
    harness.install_tools()
    empty, restart = [], []
    try:
        for _ in range(RUNS):
            demo = harness.Demo().start()
            empty.append(demo.ready_s)
            demo.stop()
            restart.append(demo.start().ready_s)
            demo.stop()
    finally:
        harness.clean_up()
    first, second = statistics.median(empty), statistics.median(restart)
    verdict = "PASS" if first <= EMPTY_AIM_S and second <= RESTART_AIM_S else "FAIL"
    print(f"{verdict} ready: empty directory median {first:.2f} s (worst {max(empty):.2f}, aim {EMPTY_AIM_S}), "
          f"restart median {second:.2f} s (worst {max(restart):.2f}, aim {RESTART_AIM_S})")
    return 0 if verdict == "PASS" else 1


if __name__ == "__main__":
    sys.exit(main())
