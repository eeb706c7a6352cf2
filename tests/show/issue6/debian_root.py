"""A Debian root that systemd-nspawn boots, and a shell in it.

The mirror is the one that this machine's own apt uses. The machine is reached through its init's namespaces: no daemon of the host
(machined, dbus) is needed. Tasks need control groups that may be written: where the host's are v1, they are bound in.
"""

import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration"))

import harness  # noqa: E402

SUITE = os.environ.get("SUITE", "bookworm")
# dbus: systemctl's way to systemd where there is no private socket for it.
PACKAGES = "systemd,systemd-sysv,dbus,procps,iproute2"
BOOT_LIMIT_S = 120
# systemd-nspawn wants each controller of the kernel mounted at its name where any is: those that are not lead to one that is, in a
# view of its own. What the host has mounted is not touched.
CGROUPS = r"""
if [ -d /sys/fs/cgroup/memory ]; then
    view=$(mktemp -d) && mount -t tmpfs -o mode=755 view "$view" || exit
    for path in /sys/fs/cgroup/*/; do
        name=$(basename "$path")
        mkdir "$view/$name" && mount --bind "$path" "$view/$name" || exit
    done
    for name in $(awk '$4 == 1 { print $1 }' /proc/cgroups); do
        [ -e "$view/$name" ] || ln -s memory "$view/$name"
    done
    mount --rbind "$view" /sys/fs/cgroup && umount -l "$view" && rmdir "$view"
fi
"""
# Groups of tasks are made beside that of systemd: a host's /sys/fs/cgroup may be written.
WRITABLE = r"""
for name in cpu cpuacct cpuset memory pids unified; do
    ! mountpoint -q /sys/fs/cgroup/$name || mount -o remount,bind,rw /sys/fs/cgroup/$name
done
"""
COMMAND_LIMIT_S = 300


def mirror():
    """Of the host's apt, for debootstrap."""
    policy = harness.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)", "Created-By: Packages"]).out
    debian = [line.split(" ")[0] for line in policy.splitlines() if re.search(r" Debian \w+$", line)]
    if not debian:
        raise harness.Skip("this machine's apt has no Debian mirror")
    return debian[0]


def make_root(folder):
    """A root of debootstrap at `folder`, or a copy of DEBIAN_ROOT."""
    given = os.environ.get("DEBIAN_ROOT")
    if given:
        subprocess.run(["cp", "-a", "--reflink=auto", given, folder], check=True)
        return
    harness.install({"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container"})
    harness.need_tool("debootstrap")
    done = harness.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, folder, mirror()], limit=1800)
    if done.code != 0:
        raise harness.Skip(f"debootstrap: {done.out[-500:]}{done.err[-500:]}")


class Machine:
    """One such root, booted."""

    def __init__(self, work, name):
        self.name = name
        self.root = os.path.join(work, name)
        make_root(self.root)
        for path, text in (("etc/hostname", f"{name}\n"), ("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")):
            with open(os.path.join(self.root, path), "w") as file:
                file.write(text)
        self.boot_s = None
        self.process = None

    def boot(self):
        harness.need_tool("systemd-nspawn")
        words = ["unshare", "--mount", "--propagation", "private", "bash", "-c", CGROUPS + 'exec "$@"', "boot", "systemd-nspawn", "--quiet", "--boot", "--directory", self.root, "--machine", f"smackd-{self.name}-{os.getpid()}",
                 "--register=no", "--keep-unit", "--private-network", "--capability=all", "--resolv-conf=off", "--timezone=off",
                 "--link-journal=no", "--console=pipe",
                 # What systemd-nspawn keeps from a container of its own, and what a host's systemd lets its services do.
                 "--system-call-filter=@known"]
        environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1", "SYSTEMD_NSPAWN_USE_CGNS": "0"}
        began = time.monotonic()
        self.process = harness.Process(words, os.path.dirname(self.root), self.name, environment)
        harness.wait_until(self.booted, BOOT_LIMIT_S, f"the boot of {self.name}: {self.process.output()[-2000:]}{self.process.log()[-2000:]}")
        self.boot_s = time.monotonic() - began
        self.must(WRITABLE)

    def init(self):
        """Host pid of the machine's init; None before it is there."""
        try:
            with open(f"/proc/{self.process.child.pid}/task/{self.process.child.pid}/children") as file:
                children = file.read().split()
        except OSError:
            return None
        for pid in children:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() in ("systemd", "init"):
                    return pid
        return None

    def booted(self):
        assert self.process.running(), f"{self.process.output()[-3000:]}{self.process.log()[-3000:]}"
        if self.init() is None:
            return False
        state = self.run("systemctl is-system-running").out.strip()
        return state in ("running", "degraded")

    def run(self, command, limit=COMMAND_LIMIT_S):
        """As root in the machine."""
        pid = self.init()
        assert pid, f"{self.name} does not run"
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
                       "DEBIAN_FRONTEND": "noninteractive"}
        return harness.run(["nsenter", "-t", pid, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "sh", "-c", f"cd; {command}"],
                           environment, limit=limit)

    def must(self, command, limit=COMMAND_LIMIT_S):
        answer = self.run(command, limit)
        assert answer.code == 0, f"{command}: {answer}"
        return answer.out

    def give(self, path):
        shutil.copy(path, os.path.join(self.root, "root"))

    def off(self):
        if self.process is None or not self.process.running():
            return
        self.run("systemctl poweroff --no-block")
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
