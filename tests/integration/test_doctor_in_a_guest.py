"""What `smackd doctor` says on a kernel that this machine does not run: Debian's 5.10 in QEMU, without the modules that tasks need, and
with little memory. Each row as in test_broken.py; one boot for all."""

import json
import os
import sys
import tempfile

import harness
from harness import ROOT, SMACKD
from test_broken import judge

sys.path.insert(0, os.path.join(ROOT, "tests/qemu"))

import guest  # noqa: E402

BOOT_LIMIT_S = 240

GUEST = """
mount -t tmpfs tmp /tmp
hostname n1
echo '127.0.0.1 n1' >/etc/hosts
/smackd realm init EXAMPLE.ORG --data-dir /tmp/node --node-name n1
echo "guest: kernel $(uname -r)"
/smackd doctor --data-dir /tmp/node --json
"""


def guest_says():
    if (missing := guest.install_missing_packages()) is not None:
        raise harness.Skip(missing)
    with tempfile.TemporaryDirectory(prefix="smackd_it_") as work:
        kernel = guest.fetch_kernel("bullseye")
        initramfs, disk = os.path.join(work, "initramfs.gz"), os.path.join(work, "disk")
        guest.make_initramfs(kernel, {"/smackd": SMACKD}, GUEST, initramfs)
        guest.make_disk(disk, 16)
        machine = guest.Guest(kernel, initramfs, disk, os.path.join(work, "console"), os.path.join(work, "record"), memory_mb=224)
        assert machine.wait_for("guest: done", BOOT_LIMIT_S), machine.console()[-3000:]
        machine.power_cut()
        console = machine.console().replace("\r", "")
        assert "guest: kernel 5.10." in console, console[-3000:]
    start = console.index("{", console.index("guest: kernel"))
    document, _ = json.JSONDecoder().raw_decode(console[start:])

    class Said:
        code, out, err = 1, json.dumps(document), ""
    return Said


ROWS = {"kernel_too_old": ("kernel", "5.10.", "tasks need Linux 5.14", "reboot"),
        "kernel_without_overlay": ("overlay", "has no overlayfs", "modprobe overlay"),
        "kernel_without_nftables": ("nftables", "no nftables", "modprobe nf_tables"),
        "machine_too_small": ("memory", "a node wants 1.0 GiB or more", "swapon")}


def test_rows():
    harness.need_root()
    said = guest_says()
    for name, (check, *says) in ROWS.items():
        judge(name, said, says, 1, check)
    print(f"broken in a guest: {len(ROWS)} set-ups")
