#!/usr/bin/env python3
"""Power cuts in mid-load: a QEMU guest runs `smackd demo` on its own disk and is killed; the record of acknowledged
writes is kept outside of it. After each boot every acknowledged write must be there.

    tests/qemu/powerloss.py [CUTS]      (default 20; about 20 s each)

Ends with one line: PASS or FAIL and the figures.
"""

import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import guest  # noqa: E402

SMACKD = os.environ.get("SMACKD", os.path.join(ROOT, "build/smackd"))
LOAD = os.path.join(os.environ.get("SMACKD_TOOLS", os.path.join(ROOT, "build/release/tools")), "load")
DISK_MB = 768
BOOT_LIMIT_S = 180
ACKS_BEFORE_CUT = (40, 400)

MAIN = """
hostname guest
echo "127.0.0.1 localhost guest" >/etc/hosts
echo "root:x:0:0:root:/:/bin/sh" >/etc/passwd
stty -F /dev/ttyS1 raw -echo
smackd demo --data-dir /data/demo >/tmp/demo.out 2>/tmp/demo.log &
for i in $(seq 1 600); do grep -q ^ready /tmp/demo.out && break; sleep 0.1; done
grep -q ^ready /tmp/demo.out || { echo "guest: NOT READY"; tail -n 40 /tmp/demo.log; exit; }
. /data/demo/demo.env
export SMACKD_SESSION_FILE=/tmp/session.json
smackd login >/dev/null || { echo "guest: NO LOGIN"; exit; }
sed -n 's/.*"token": *"\\([^"]*\\)".*/\\1/p' /tmp/session.json | head -n 1 >/tmp/token
if [ -s /acks ]; then
    if load verify --url $SMACKD_URL --token-file /tmp/token --ack /acks; then echo "guest: VERIFIED"
    else echo "guest: LOST"; exit; fi
fi
[ -e /last ] && exit
echo "guest: LOADING"
load write --url $SMACKD_URL --token-file /tmp/token --ack /dev/ttyS1 --clients 16 --seconds 3000
"""


class PowerLoss:
    def __init__(self, work, cuts):
        self.work = work
        self.cuts = cuts
        self.kernel = guest.fetch_kernel()
        self.disk = os.path.join(work, "disk.img")
        self.acks = os.path.join(work, "acks")
        open(self.acks, "w").close()
        guest.make_disk(self.disk, DISK_MB)

    def boot(self, name, last):
        files = {"/bin/smackd": SMACKD, "/bin/load": LOAD, "/acks": self.acks}
        if last:
            files["/last"] = self.acks
        initramfs = os.path.join(self.work, "initramfs.gz")
        guest.make_initramfs(self.kernel, files, MAIN, initramfs)
        self.record = os.path.join(self.work, f"record.{name}")
        return guest.Guest(self.kernel, initramfs, self.disk, os.path.join(self.work, f"console.{name}"), self.record)

    def keep_acknowledgements(self):
        """Appends the guest's whole lines; one cut off by the kill was not received."""
        with open(self.record, "rb") as record, open(self.acks, "ab") as acks:
            text = record.read().replace(b"\r", b"")
            acks.write(text[:text.rfind(b"\n") + 1])

    def acknowledged(self):
        with open(self.record, "rb") as record:
            return record.read().count(b"\n")

    def check_boot(self, machine, name, mark):
        if machine.wait_for(mark, BOOT_LIMIT_S):
            return
        machine.power_cut()
        raise AssertionError(f"boot {name}: no '{mark}'; the console ends with:\n{machine.console()[-2500:]}")

    def run(self):
        for cut in range(self.cuts):
            machine = self.boot(str(cut), last=False)
            self.check_boot(machine, str(cut), "guest: LOADING")
            goal = random.randint(*ACKS_BEFORE_CUT)
            deadline = time.monotonic() + BOOT_LIMIT_S
            while self.acknowledged() < goal and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(random.uniform(0, 0.2))
            machine.power_cut()
            self.keep_acknowledgements()
            print(f"cut {cut + 1}: {self.acknowledged()} acknowledged in this boot", flush=True)
        machine = self.boot("last", last=True)
        self.check_boot(machine, "last", "guest: VERIFIED")
        machine.power_cut()
        with open(self.acks, "rb") as acks:
            return acks.read().count(b"\n")


def main():
    cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    reason = guest.install_missing_packages()
    if reason:
        print(f"FAIL power cuts: {reason}")
        return 1
    work = tempfile.mkdtemp(prefix="smackd_powerloss_")
    try:
        total = PowerLoss(work, cuts).run()
    except AssertionError as problem:
        print(f"FAIL power cuts: {problem}")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"PASS {cuts} power cuts under load: {total} acknowledged writes, 0 lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
