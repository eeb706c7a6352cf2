"""A throw-away virtual machine (QEMU, software emulation) for tests that need to lose a page cache or another kernel.

The guest is Debian's own cloud kernel with a few modules and a busybox initramfs; nothing of it is installed on the
host. Killing the QEMU process is a power cut: what the guest's kernel had not flushed to the disk image is gone.
"""

import gzip
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

MODULES = ["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "virtio-rng"]
PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "busybox": "busybox-static", "mkfs.ext4": "e2fsprogs"}
KERNEL_PACKAGE = "linux-image-cloud-amd64"
DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"

INIT = """#!/bin/sh
export PATH=/bin:/sbin
mkdir -p /proc /sys /dev /data /tmp /run /etc
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for pass in 1 2 3 4 5; do for module in /modules/*.ko; do insmod $module 2>/dev/null; done; done
ip link set lo up
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/vda ] && break; sleep 0.1; done
mount -t ext4 /dev/vda /data || echo "guest: cannot mount the disk"
/bin/sh /main
echo "guest: done"
poweroff -f
"""


def cache_directory():
    base = os.environ.get("SMACKD_CACHE") or os.path.expanduser("~/.cache/smackd")
    path = os.path.join(base, "qemu")
    os.makedirs(path, exist_ok=True)
    return path


def install_missing_packages():
    """Installs what is missing as root; returns a sentence when it cannot."""
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if not missing:
        return None
    if os.geteuid() != 0:
        return "missing packages; run: apt-get install -y --no-install-recommends " + " ".join(missing)
    result = subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "seabios", *missing],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return None if result.returncode == 0 else "apt-get install failed: " + result.stderr[-300:]


def mirrors(suite):
    """(URI, suite) of another Debian on the mirrors that this machine's own comes from."""
    with open("/etc/os-release") as file:
        own = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.MULTILINE).group(1)
    policy = subprocess.run(["apt-cache", "policy"], capture_output=True, text=True, check=True).stdout
    found = re.findall(rf"\d+ (\S+) {own}((?:-security)?)/main ", policy)
    return sorted({(uri, suite + part) for uri, part in found})


def apt_options(suite):
    """For packages of another Debian: lists of its own, without touching the machine's."""
    folder = os.path.join(cache_directory(), f"apt-{suite}")
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    with open(os.path.join(folder, "list"), "w") as file:
        for uri, name in mirrors(suite):
            file.write(f"deb [signed-by={DEBIAN_KEYS}] {uri} {name} main\n")
    options = {"Dir::Etc::sourcelist": f"{folder}/list", "Dir::Etc::sourceparts": "/dev/null", "Dir::State::Lists": f"{folder}/lists",
               "Dir::Cache": f"{folder}/cache", "APT::Sandbox::User": "root", "Acquire::Check-Valid-Until": "false"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    if not [name for name in os.listdir(f"{folder}/lists") if name.endswith("_Packages") or "_Packages." in name]:
        subprocess.run(["apt-get", *words, "update"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return words


def fetch_kernel(suite=None):
    """Unpacks a current cloud kernel into the cache once: of this machine's Debian, or of another one ("bullseye": 5.10). Returns its
    folder. CalledProcessError where it cannot be had."""
    options = apt_options(suite) if suite else []
    depends = subprocess.run(["apt-cache", *options, "depends", KERNEL_PACKAGE], capture_output=True, text=True, check=True).stdout
    name = next(line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line)
    folder = os.path.join(cache_directory(), name)
    if os.path.isdir(folder):
        return folder
    with tempfile.TemporaryDirectory(dir=cache_directory()) as work:
        subprocess.run(["apt-get", *options, "-o", "APT::Sandbox::User=root", "download", name], cwd=work, check=True,
                       stdout=subprocess.DEVNULL)
        package = next(f for f in os.listdir(work) if f.endswith(".deb"))
        subprocess.run(["dpkg", "-x", os.path.join(work, package), os.path.join(work, "root")], check=True)
        os.rename(os.path.join(work, "root"), folder)
    return folder


def find_file(folder, name):
    for path, _, files in os.walk(folder):
        if name in files:
            return os.path.join(path, name)
    raise FileNotFoundError(f"{name} is not in the kernel package")


def make_initramfs(kernel_folder, files, main_script, out_path, modules=()):
    """`files` maps guest paths to host paths; `main_script` is the shell text that the guest runs after set-up."""
    with tempfile.TemporaryDirectory() as root:
        for folder in ("bin", "modules"):
            os.makedirs(os.path.join(root, folder))
        shutil.copy(shutil.which("busybox"), os.path.join(root, "bin/busybox"))
        applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                os.symlink("busybox", os.path.join(root, "bin", applet))
        for module in [*MODULES, *modules]:  # built in here, a module there
            try:
                shutil.copy(find_file(kernel_folder, module + ".ko"), os.path.join(root, "modules"))
            except FileNotFoundError:
                continue
        for guest_path, host_path in files.items():
            target = os.path.join(root, guest_path.lstrip("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(target):
                os.remove(target)
            shutil.copy(host_path, target)
        for name, text in (("init", INIT), ("main", main_script)):
            with open(os.path.join(root, name), "w") as script:
                script.write(text)
            os.chmod(os.path.join(root, name), 0o755)
        listing = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=listing, capture_output=True,
                                 check=True).stdout
    with gzip.open(out_path, "wb", compresslevel=1) as out:
        out.write(archive)


def make_disk(path, size_mb):
    with open(path, "wb") as image:
        image.truncate(size_mb * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)


class Guest:
    """One boot. The console goes to `console_path`; the second serial port (ttyS1) to `record_path`, outside the guest."""

    def __init__(self, kernel_folder, initramfs, disk, console_path, record_path, memory_mb=768):
        kernel = next(os.path.join(kernel_folder, "boot", f) for f in os.listdir(os.path.join(kernel_folder, "boot"))
                      if f.startswith("vmlinuz"))
        self.console_path = console_path
        open(console_path, "w").close()
        # cache=writeback: guest flushes reach the host file; what the guest has not flushed dies with the process.
        command = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", str(memory_mb), "-smp", "2", "-kernel",
                   kernel, "-initrd", initramfs, "-append", "console=ttyS0 panic=-1 quiet mitigations=off no_timer_check", "-display",
                   "none", "-no-reboot", "-nodefaults", "-serial", f"file:{console_path}", "-serial",
                   f"file:{record_path}", "-drive", f"file={disk},if=virtio,format=raw,cache=writeback", "-device",
                   "virtio-rng-pci"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True)

    def console(self):
        with open(self.console_path, errors="replace") as console:
            return console.read()

    def wait_for(self, text, timeout_s):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if text in self.console():
                return True
            if self.process.poll() is not None:
                return text in self.console()
            time.sleep(0.05)
        return False

    def power_cut(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
