"""A guest with Debian's kernel and pure cgroup v2 that runs tests of tasks (tests/integration) as this machine would.

Its root is a disk image made of this machine's own programs: Python, coreutils, iproute2, nftables, a static busybox, and the
smackd under test. Nothing is fetched but the kernel.
"""

import os
import re
import shutil
import subprocess
import sys

import guest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SMACKD = os.environ.get("SMACKD", os.path.join(ROOT, "build/smackd"))
TOOLS = os.environ.get("SMACKD_TOOLS", os.path.join(ROOT, "build/release/tools"))
DISK_MB = 1024
PACKAGES = ["python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "coreutils", "util-linux", "dash", "grep", "sed",
            "iproute2", "nftables", "hostname", "mount"]
# Of the kernel, with what they need; the order is found by trying.
MODULES = ["overlay", "llc", "stp", "bridge", "br_netfilter", "veth", "dummy", "nfnetlink", "nf_defrag_ipv4", "nf_defrag_ipv6", "nf_conntrack",
           "nf_nat", "nf_tables", "nft_ct", "nft_counter", "nft_nat", "nft_masq", "nft_chain_nat", "nft_fib", "nft_fib_ipv4", "nft_fib_ipv6",
           "nft_fib_inet", "udp_tunnel", "ip6_udp_tunnel", "vxlan", "libcurve25519-generic", "libcurve25519",
           "curve25519-x86_64", "libchacha", "chacha-x86_64", "libpoly1305", "poly1305-x86_64", "libchacha20poly1305", "wireguard",
           "nf_reject_ipv4", "nf_reject_ipv6", "nft_reject", "nft_reject_inet", "crc32c_generic", "libcrc32c"]

MAIN = """
mkdir -p /data/proc /data/sys /data/dev /data/tmp /data/run
mount -t proc proc /data/proc
mount -t sysfs sys /data/sys
mount -t devtmpfs dev /data/dev
mkdir -p /data/dev/pts /data/dev/shm /data/dev/mqueue
mount -t devpts devpts /data/dev/pts
mount -t tmpfs run /data/run
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /data/sys/fs/cgroup
mkdir /data/sys/fs/cgroup/init
for pid in $(cat /data/sys/fs/cgroup/cgroup.procs); do echo $pid >/data/sys/fs/cgroup/init/cgroup.procs 2>/dev/null; done
for one in $(cat /data/sys/fs/cgroup/cgroup.controllers); do echo +$one >/data/sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up
# A way out that leads nowhere, as a firewall makes it.
ip link add out type dummy
ip address add 192.0.2.2/24 dev out
ip link set out up
ip route add default via 192.0.2.1
# As switch_root does: in a plain chroot nobody may make user namespaces.
cd /data && mount --move . / && exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin PYTHONDONTWRITEBYTECODE=1 HOME=/tmp SMACKD=/smackd/build/smackd \
    SMACKD_TOOLS=/smackd/build/release/tools /usr/bin/python3 /smackd/run_tests.py 2>&1
"""

# In the guest: the tests whose names were chosen, one after the other.
RUN = """
import importlib, os, sys, time
sys.path.insert(0, "/smackd/tests/integration")
import importlib.machinery, importlib.util
loader = importlib.machinery.SourceFileLoader("run", "/smackd/tests/integration/run")
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
loader.exec_module(run)
with open("/smackd/names") as file:
    names = file.read().split()
print("guest: kernel", os.uname().release, flush=True)
counts = {"passed": 0, "failed": 0, "skipped": 0}
for module in sorted({name.split(".")[0] for name in names}):
    for name, function in list(vars(importlib.import_module("test_" + module)).items()):
        full = f"{module}.{name[5:]}"
        if name.startswith("test_") and callable(function) and any(word in full for word in names):
            counts[run.run_one(full, function)] += 1
run.harness.clean_up()
print("guest:", *(f"{count} {what}" for what, count in counts.items()), flush=True)
"""


def files_of(package):
    text = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=True).stdout
    wanted = re.compile(r"^(/usr)?/(bin|sbin|lib)/")
    unwanted = re.compile(r"/(test|tests|idlelib|lib2to3|ensurepip|distutils|turtledemo|__pycache__|locale|doc)/|/pydoc_data/")
    return [path for path in text.splitlines() if wanted.search(path) and not unwanted.search(path + "/") and
            os.path.lexists(path) and (os.path.islink(path) or os.path.isfile(path))]


def libraries_of(paths):
    found = set()
    text = subprocess.run(["ldd", *paths], capture_output=True, text=True, check=False).stdout
    for path in re.findall(r"(/\S+) \(0x", text):
        found.add(path)
    return found


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def place(root, path, source=None):
    """At its place in the guest; /bin and the like are links into /usr there as here."""
    path = re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)
    target = os.path.join(root, path.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.lexists(target):
        shutil.copy2(source or path, target, follow_symlinks=source is not None)


def make_root(root, names):
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(f"{root}/usr/{name}")
        os.symlink(f"usr/{name}", f"{root}/{name}")
    for name in ("etc", "proc", "sys", "dev", "tmp", "run", "var/tmp", "root"):
        os.makedirs(f"{root}/{name}")
    files = [path for package in PACKAGES for path in files_of(package)]
    elves = [path for path in files if not os.path.islink(path) and is_elf(path)]
    for path in [*files, *libraries_of(elves)]:
        place(root, path)
        if os.path.islink(path):
            place(root, os.path.realpath(path))
    for path in libraries_of(elves):
        place(root, path, os.path.realpath(path))
    place(root, "/usr/bin/busybox", shutil.which("busybox"))
    for link, target in (("python3", "python3.11"), ("sh", "dash")):
        if not os.path.lexists(f"{root}/usr/bin/{link}"):
            os.symlink(target, f"{root}/usr/bin/{link}")
    for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
                       ("etc/group", "root:x:0:\nnogroup:x:65534:\n"), ("etc/hosts", "127.0.0.1 localhost\n"),
                       ("etc/resolv.conf", "nameserver 127.0.0.1\n"), ("etc/shadow", "root:*:1::::::\n")):
        with open(f"{root}/{name}", "w") as file:
            file.write(text)
    shutil.copytree(f"{ROOT}/tests/integration", f"{root}/smackd/tests/integration", ignore=shutil.ignore_patterns("__pycache__"))
    os.makedirs(f"{root}/smackd/build/release/tools")
    shutil.copy(SMACKD, f"{root}/smackd/build/smackd")
    subprocess.run(["strip", "-o", f"{root}/smackd/build/release/tools/tasks", f"{TOOLS}/tasks"], check=True)
    for name, text in (("run_tests.py", RUN), ("names", " ".join(names))):
        with open(f"{root}/smackd/{name}", "w") as file:
            file.write(text)


def make_disk(work, names):
    root, path = os.path.join(work, "root"), os.path.join(work, "disk.img")
    make_root(root, names)
    with open(path, "wb") as image:
        image.truncate(DISK_MB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", root, path], check=True)
    shutil.rmtree(root)
    return path


def run(work, names, suite=None, limit_s=900):
    """Boots, runs the tests with one of these words in their names; returns (kernel, summary, console)."""
    kernel = guest.fetch_kernel(suite)
    disk = make_disk(work, names)
    initramfs = os.path.join(work, "initramfs.gz")
    guest.make_initramfs(kernel, {}, MAIN, initramfs, MODULES)
    machine = guest.Guest(kernel, initramfs, disk, os.path.join(work, "console"), os.path.join(work, "record"), memory_mb=1536)
    machine.wait_for("guest: done", limit_s)
    machine.power_cut()
    console = machine.console().replace("\r", "")
    found = re.search(r"guest: (\d+) passed (\d+) failed (\d+) skipped", console)
    release = re.search(r"guest: kernel (\S+)", console)
    return release.group(1) if release else None, tuple(map(int, found.groups())) if found else None, console


def main():
    """task_guest.py SUITE|- WORD..."""
    import tempfile
    with tempfile.TemporaryDirectory(prefix="smackd_guest_") as work:
        _, summary, console = run(work, sys.argv[2:], None if sys.argv[1] == "-" else sys.argv[1])
        print(console)
        return 0 if summary and summary[0] > 0 and summary[1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
