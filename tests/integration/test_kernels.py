"""Tasks on kernels that this machine does not run: Debian's own in QEMU, with pure cgroup v2."""

import os
import subprocess
import sys
import tempfile

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests/qemu"))

import guest  # noqa: E402
import task_guest  # noqa: E402

# Each of them boots in seconds and runs under software emulation: few minutes in all.
TASKS = ["tasks.exit", "tasks.isolation", "tasks.forbidden", "tasks.limits", "tasks.kill", "tasks.images", "tasks.lost", "tasks.exec",
         "tasks.bridge", "isolation.no_file", "isolation.a_volume", "isolation.calls", "isolation.metadata", "isolation.node_ports"]


def in_guest(suite, names):
    """(kernel, (passed, failed, skipped), console) of a guest that runs these tests."""
    harness.need_root()
    harness.need_tool("nft")
    if (missing := guest.install_missing_packages()) is not None:
        raise harness.Skip(missing)
    with tempfile.TemporaryDirectory(prefix="smackd_it_") as work:
        try:
            return task_guest.run(work, names, suite)
        except subprocess.CalledProcessError as problem:
            raise harness.Skip(f"the kernel package cannot be had: {problem}") from problem


def test_tasks_on_debian_12():
    kernel, counts, console = in_guest(None, TASKS)
    assert kernel and kernel.startswith("6.1."), kernel
    assert counts == (len(TASKS), 0, 0), (counts, console[-6000:])


def test_encryption_between_nodes():
    kernel, counts, console = in_guest(None, ["overlay.wireguard", "overlay.what_is_allowed"])
    assert kernel and kernel.startswith("6.1."), kernel
    assert counts == (2, 0, 0), (counts, console[-6000:])


def test_a_kernel_that_is_too_old_is_named():
    kernel, counts, console = in_guest("bullseye", ["tasks.exit"])
    assert kernel and kernel.startswith("5.10."), kernel
    assert counts == (0, 1, 0), (counts, console[-3000:])
    assert f"the kernel of this machine is {kernel} and has no id-mapped mounts; tasks need Linux 5.14" in console, console[-3000:]
