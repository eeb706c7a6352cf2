"""What a task that means harm sees, reaches and breaks: everything here is tried from inside real tasks, and what is refused
is first shown to work from the host."""

import contextlib
import os
import socket
import subprocess
import time

import harness
from harness import wait_until
from tasks import Tasks, busybox_layers
from test_tasks import HELLO, MIB, server

SECRET = "a secret of the host"
METADATA = {4: "169.254.169.254", 6: "fd00:ec2::254"}

FILES = r"""
import os, sys
secret, pid = sys.argv[1:3]
def tried(name, what):
    try:
        print(name, "REACHED", what())
    except OSError as error:
        print(name, "no", error.errno)
def read(path):
    with open(path, "rb") as file:
        return file.read(64)
tried("path", lambda: read(secret))
tried("dots", lambda: read("/" + "../" * 40 + secret.lstrip("/")))
tried("dots-of-sandbox", lambda: read("/mnt/mesos/sandbox/" + "../" * 40 + secret.lstrip("/")))
tried("root-of-init", lambda: read("/proc/1/root" + secret))
tried("cwd-of-init", lambda: read("/proc/1/cwd/" + "../" * 40 + secret.lstrip("/")))
tried("own-root", lambda: read("/proc/self/root" + "/.." * 40 + secret))
tried("link-in-volume", lambda: read("/data/absolute"))
tried("relative-link-in-volume", lambda: read("/data/relative"))
tried("link-of-ours-in-volume", lambda: (os.symlink(secret, "/data/made"), read("/data/made"))[1])
tried("directory-link-in-volume", lambda: os.listdir("/data/directory/" + "../" * 40 + os.path.dirname(secret).lstrip("/")))
tried("old-root", lambda: os.listdir("/.old_root"))
tried("host-process", lambda: os.listdir(f"/proc/{pid}"))
tried("signal-host-process", lambda: os.kill(int(pid), 0))
tried("memory-of-init", lambda: open("/proc/1/mem", "r+b").close())
tried("kernel-core", lambda: read("/proc/kcore"))
tried("kernel-keys", lambda: read("/proc/keys") or (_ for _ in ()).throw(OSError(2, "empty")))
tried("core-pattern", lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
tried("uevent-helper", lambda: os.open("/sys/kernel/uevent_helper", os.O_WRONLY))
tried("release-agent", lambda: [os.open(os.path.join(p, "release_agent"), os.O_WRONLY) for p, _, f in os.walk("/sys/fs/cgroup") if "release_agent" in f][0] if any("release_agent" in f for _, _, f in os.walk("/sys/fs/cgroup")) else (_ for _ in ()).throw(OSError(2, "none")))
tried("raw-memory", lambda: os.open("/dev/mem", os.O_RDONLY))
tried("disk", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)))
tried("handle-outside", lambda: os.open("/", os.O_PATH) and os.stat(f"/proc/self/fd/{os.open('/..', os.O_PATH)}" + secret))
tried("chroot-escape", lambda: (os.mkdir("/tmp/c"), os.open("/", os.O_RDONLY), os.chroot("/tmp/c"), [os.chdir("..") for _ in range(60)], os.chroot("."), read(secret))[-1])
kept = [n for n in os.listdir("/proc/self/fd")]
links = []
for n in kept:
    try:
        links.append(os.readlink(f"/proc/self/fd/{n}").split(":")[0])
    except OSError:
        pass
print("descriptors", *sorted(set(links)))
print("ids", os.getuid(), open("/proc/self/uid_map").read().split()[1])
"""


def test_no_file_of_the_host():
    with Tasks() as tasks:
        folder = harness.temporary_directory("secret")
        secret = f"{folder}/file"
        with open(secret, "w") as file:
            file.write(SECRET)
        os.chmod(secret, 0o644)
        volume = harness.temporary_directory("volume")
        os.chmod(volume, 0o777)
        os.symlink(secret, f"{volume}/absolute")
        os.symlink("../" * 20 + secret.lstrip("/"), f"{volume}/relative")
        os.symlink("/", f"{volume}/directory")
        assert open(f"{volume}/absolute").read() == open(f"{volume}/relative").read() == SECRET
        for name in ("as-root", "as-nobody"):
            event, out, err = tasks.run(name, ["python3", "-c", FILES, secret, str(os.getpid())],
                                        user="" if name == "as-root" else "65534", sandbox=harness.temporary_directory("sandbox"),
                                        volumes=[{"host": volume, "task": "/data"}])
            assert event["code"] == 0, (event, out, err)
            found = dict(line.split(" ", 1) for line in out.splitlines())
            assert len(found) == 25, out
            descriptors, ids = found.pop("descriptors"), found.pop("ids").split()
            assert not [line for line in out.splitlines() if "REACHED" in line], out
            # Its own: standard ones, what the probe opened itself, and the listing's.
            assert set(descriptors.split()) <= {"/", "/dev/null", "pipe", "/proc", "/sys/fs/cgroup"} | {f"/proc/{n}/fd" for n in range(20)}, descriptors
            assert int(ids[1]) >= 0x70000000, ids
            if os.path.lexists(f"{volume}/made"):
                os.unlink(f"{volume}/made")


def test_a_volume_in_an_image_is_not_led_outside():
    """An image with a symbolic link where a volume goes: it is resolved inside the task's root."""
    layers = busybox_layers()
    outside = harness.temporary_directory("outside")
    layer = harness.temporary_directory("layer")
    os.symlink(outside, f"{layer}/data")
    os.symlink("../../../../../../.." + outside, f"{layer}/up")
    volume = harness.temporary_directory("volume")
    with open(f"{volume}/seen", "w") as file:
        file.write("in the volume\n")
    with Tasks() as tasks:
        for place in ("/data", "/up"):
            task = "link" + place.strip("/")
            event, out, err = tasks.run(task, f"cat {place}/seen; ls {outside} 2>/dev/null", rootfs=[*layers, layer],
                                        volumes=[{"host": volume, "task": place}])
            # Either it is refused or it is mounted inside; the host's directory is as it was.
            assert event["what"] == "failed" or "in the volume" in out, (place, event, out, err)
            assert os.listdir(outside) == [], place


CALLS = r"""
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    print(name, errno.errorcode.get(ctypes.get_errno(), "0") if result < 0 else "DONE")
call("reboot", 169, 0xfee1dead, 0x28121969, 0)
call("init_module", 175, 0, 0, b"")
call("finit_module", 313, 0, b"", 0)
call("delete_module", 176, b"loop", 0)
call("swapon", 167, b"/tmp/x", 0)
call("pivot_root", 155, b"/", b"/tmp")
call("umount", 166, b"/proc", 2)
call("open_tree", 428, -100, b"/", 1)
call("move_mount", 429, -100, b"/tmp", -100, b"/usr", 0)
call("fsopen", 430, b"tmpfs", 0)
call("mount_setattr", 442, -100, b"/", 0, 0, 0)
call("open_by_handle", 304, -100, 0, 0)
call("settimeofday", 164, 0, 0)
call("clock_settime", 227, 0, b"\0" * 16)
call("iopl", 172, 3)
call("perf_event_open", 298, 0, 0, -1, -1, 0)
call("userfaultfd", 323, 0)
call("add_key", 248, b"user", b"x", b"y", 1, -3)
call("syslog", 103, 3, 0, 0)
call("quotactl", 179, 0, 0, 0, 0)
call("acct", 163, 0)
call("clone-user", 56, 0x10000000 | 17, 0, 0, 0, 0)
call("clone-net", 56, 0x40000000 | 17, 0, 0, 0, 0)
call("ptrace-init", 101, 16, 1, 0, 0)
vector = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
call("process_vm_readv-init", 310, 1, vector, 1, vector, 1, 0)
call("setns-init", 308, os.open("/proc/1/ns/mnt", os.O_RDONLY) if os.access("/proc/1/ns/mnt", os.R_OK) else -1, 0)
for name, family, kind in (("raw", socket.AF_INET, socket.SOCK_RAW), ("packet", 17, socket.SOCK_RAW)):
    try:
        one = socket.socket(family, kind, {"raw": 1, "packet": 3}[name])
        print(name, "DONE")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""


def test_calls_that_reach_the_kernel():
    with Tasks("auto") as tasks:
        event, out, err = tasks.run("calls", ["python3", "-c", CALLS], network={"mode": "bridge"})
        assert event["code"] == 0, (event, err)
        results = dict(line.split() for line in out.splitlines())
        assert len(results) == 28, out
        assert not [name for name, result in results.items() if result not in ("EPERM", "ENOSYS", "EACCES", "EPROTONOSUPPORT")], out
        for name in ("reboot", "init_module", "pivot_root", "umount", "open_tree", "clone-user", "packet", "raw"):
            assert results[name] in ("EPERM", "ENOSYS"), out
        # Calls of the 32-bit kind have a table of their own, with other numbers: they are not let through by ours.
        code = ("import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\n"
                "m.write(bytes([0x53, 0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0x5b, 0xc3]))\n"
                "print('pid', ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))())")
        event, out, _ = tasks.run("old", ["python3", "-c", code])
        assert event["signal"] != 0 or "pid -" in out, (event, out)  # killed, or refused


TRY = r"""
import errno, socket, sys
for target in sys.argv[1:]:
    kind, address = target.split("=", 1)
    host, port = address.rsplit("/", 1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
            client.settimeout(1.5)
            client.connect((host, int(port)))
            if kind == "udp":
                client.send(b"?")
            print(target, client.recv(100).decode() or "closed")
    except OSError as error:
        print(target, "no", type(error).__name__, errno.errorcode.get(error.errno, "-"))
"""


def attempts(tasks, task, targets):
    """Target -> what came of it, tried from inside the task."""
    answer, out, err = tasks.exec(task, ["python3", "-c", TRY, *targets])
    assert answer.get("code") == 0, (answer, err)
    return dict(line.split(" ", 1) for line in out.splitlines())


def from_host(target):
    done = subprocess.run(["python3", "-c", TRY, target], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split(" ", 1)[1].strip()


@contextlib.contextmanager
def metadata_service():
    """A cloud's metadata service as the host sees it: in a network namespace of its own, at both kinds of addresses."""
    name = f"meta{os.getpid() % 100000}"
    run = lambda *words: subprocess.run(words, check=True, capture_output=True)  # noqa: E731
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", name, "up")
        run("ip", "addr", "add", "169.254.169.1/24", "dev", name)
        run("ip", "-6", "addr", "add", "fd00:ec2::1/64", "dev", name, "nodad")
        for words in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"], ["addr", "add", "169.254.169.254/24", "dev", "eth0"],
                      ["-6", "addr", "add", "fd00:ec2::254/64", "dev", "eth0", "nodad"],
                      # A cloud answers whoever asks: also addresses of tasks that come untranslated.
                      ["route", "add", "default", "via", "169.254.169.1"]):
            run("ip", "-n", name, *words)
        code = ("import socket\nl = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True)\nprint('up', flush=True)\n"
                "while True:\n  c, _ = l.accept(); c.sendall(b'credentials'); c.close()")
        service = subprocess.Popen(["ip", "netns", "exec", name, "python3", "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            assert service.stdout.readline() == "up\n"
            yield
        finally:
            service.kill()
            service.wait()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def test_metadata_service():
    with metadata_service(), Tasks("auto") as tasks:
        targets = [f"tcp={METADATA[4]}/80", f"tcp={METADATA[6]}/80"]
        for target in targets:
            assert from_host(target) == "credentials", target
        tasks.launch("guest", "sleep 1000", network={"mode": "bridge"})
        tasks.started("guest")
        found = attempts(tasks, "guest", targets)
        assert all(result.startswith("no ") for result in found.values()), found
        # Blocking nothing by configuration does not open it.
        tasks.do("blocked", prefixes=[], ports=[])
        found = attempts(tasks, "guest", targets)
        assert all(result.startswith("no ") for result in found.values()), found


def host_addresses():
    """Of its default route; others may come and go meanwhile."""
    text = subprocess.run(["ip", "-4", "route", "get", "192.0.2.1"], capture_output=True, text=True, check=False).stdout
    words = text.split()
    return [words[words.index("src") + 1]] if "src" in words else []


class Listeners:
    """TCP and UDP at every address of the host; both say "node"."""

    def __init__(self):
        self.port = harness.free_port()
        code = (f"import socket, threading\nt = socket.create_server(('0.0.0.0', {self.port}))\n"
                f"u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0', {self.port}))\n"
                "def answer():\n  while True:\n    _, a = u.recvfrom(10); u.sendto(b'node', a)\n"
                "threading.Thread(target=answer, daemon=True).start()\nprint('up', flush=True)\n"
                "while True:\n  c, _ = t.accept(); c.sendall(b'node'); c.close()")
        self.child = subprocess.Popen(["python3", "-c", code], stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "up\n"

    def stop(self):
        self.child.kill()
        self.child.wait()


def test_node_ports():
    with Tasks("auto") as tasks:
        tasks.launch("guest", "sleep 1000", network={"mode": "bridge"})
        tasks.started("guest")
        listeners = Listeners()
        try:
            targets = [f"{kind}={address}/{listeners.port}" for kind in ("tcp", "udp") for address in [*host_addresses(), tasks.ready["gateway"], "127.0.0.1"]]
            for target in targets:
                if target != f"udp={tasks.ready['gateway']}/{listeners.port}":
                    assert from_host(target) == "node", target
            found = attempts(tasks, "guest", targets)
            assert len(found) == len(targets) and not [t for t, result in found.items() if result == "node"], found
        finally:
            listeners.stop()


def test_tenants_on_the_bridge():
    """Tasks of different tenants do not reach each other, neither at their own addresses nor at their published ports; common
    ones and their own tenant's are reached. It changes while they run."""
    with Tasks("auto") as tasks:
        gateway = tasks.ready["gateway"]
        tenants = {"a1": "a", "a2": "a", "b1": "b", "common": ""}
        address, port = {}, {}
        for name, tenant in tenants.items():
            port[name] = harness.free_port()
            address[name] = server(tasks, name, tenant=tenant, ports=[{"host": port[name], "task": 80}])["address"]

        def reached():
            """Pairs (from, to), and whether at the address and at the published port."""
            found = {}
            for one in tenants:
                targets = {f"tcp={address[other]}/80": (one, other, "address") for other in tenants}
                targets |= {f"tcp={gateway}/{port[other]}": (one, other, "published") for other in tenants}
                for target, result in attempts(tasks, one, targets).items():
                    one_, other, how = targets[target]
                    if result.startswith(other + " "):
                        found.setdefault((one_, other), set()).add(how)
                    else:
                        assert result.startswith("no "), (target, result)
            return found

        def apart(x, y, of):
            return of[x] and of[y] and of[x] != of[y]

        def expected(of):
            return {(x, y): {"address", "published"} for x in of for y in of if not apart(x, y, of)}

        assert reached() == expected(tenants), reached()
        for name in tenants:  # the host itself reaches all
            assert from_host(f"tcp={address[name]}/80").startswith(name) and from_host(f"tcp={gateway}/{port[name]}").startswith(name)
        # A task is given to another tenant, and one becomes common.
        changed = {"a1": "a", "a2": "b", "b1": "", "common": "a"}
        tasks.do("tenants", tenants=changed)
        assert reached() == expected(changed), reached()
        # The next launcher goes by what was said last, one after a new daemon by what the tasks were started with.
        old = tasks.launcher()
        os.kill(old, 9)
        wait_until(lambda: tasks.launcher() not in (None, old), 20, "another launcher")
        assert reached() == expected(changed), reached()
        tasks.kill_daemon()
        tasks.start()
        assert reached() == expected(tenants), reached()
        # An address that a tenant had is not that tenant's when somebody else has it.
        tasks.do("kill", task="b1", grace_ms=0)
        tasks.ended("b1")
        tasks.acknowledge("b1")
        words = {"task_id": "a3", "words": ["python3", "-c", HELLO.replace("NAME", "a3")], "tenant": "a",
                 "network": {"mode": "bridge", "address": address["b1"]}}
        wait_until(lambda: "error" not in tasks.ask("launch", spec=words), 20, "the address to be free")
        wait_until(lambda: "up" in tasks.text("a3"), 20, "a3 to listen")
        assert attempts(tasks, "a1", [f"tcp={address['b1']}/80"])[f"tcp={address['b1']}/80"].startswith("a3 ")
        # Nor is there another way: no IPv6, and no segment that two tasks share.
        _, out, _ = tasks.exec("a1", ["sh", "-c", "cat /proc/net/if_inet6 | grep -v ' lo$'; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6"])
        assert out == "1\n", out
        links = [name for name in os.listdir("/sys/class/net") if name.startswith(f"v{tasks.name}x")]
        assert len(links) == len(tenants) and not [name for name in links if os.path.exists(f"/sys/class/net/{name}/master")], links


MEMORY_BOMBS = "while :; do python3 -c 'b = []\nwhile True: b.append(bytearray(1 << 20))'; done"
FORK_BOMB = "import os, time\nwhile True:\n  try:\n    os.fork()\n  except OSError:\n    time.sleep(0.01)"
DISK_FILLER = "i=0; while :; do dd if=/dev/zero of=/mnt/mesos/sandbox/f$i bs=1M count=8 2>/dev/null; i=$((i+1)); done"


def test_bombs_harm_nobody():
    """A memory bomb, a fork bomb, a disk filler and a log flood at once: a neighbour goes on answering, and each of them ends or
    is held as its limits say."""
    with Tasks("auto") as tasks:
        address = server(tasks, "neighbour")["address"]
        began = time.monotonic()
        sandbox = harness.temporary_directory("sandbox")
        tasks.launch("memory", MEMORY_BOMBS, memory=48 * MIB)
        tasks.launch("forks", ["python3", "-c", FORK_BOMB], pids=64, memory=256 * MIB, cpus_limit_milli=300)
        tasks.launch("filler", DISK_FILLER, disk=32 * MIB, sandbox=sandbox)
        tasks.launch("flood", "yes a flood of lines", log_rate=65536, log_total=1 * MIB, log_segment=262144, cpus_limit_milli=300)
        answers, slowest = 0, 0.0
        while time.monotonic() - began < 6:
            asked = time.monotonic()
            with socket.create_connection((address, 80), timeout=10) as connection:
                assert connection.makefile().read().startswith("neighbour")
            slowest = max(slowest, time.monotonic() - asked)
            answers += 1
            time.sleep(0.02)
        assert answers > 20 and slowest < 5, (answers, slowest)
        event = tasks.ended("memory")
        assert event["reason"] == "OUT_OF_MEMORY" and "out of memory" in event["message"], event
        event = tasks.ended("filler")
        assert event["reason"] == "DISK_LIMIT", event
        used = sum(os.stat(os.path.join(sandbox, name)).st_blocks * 512 for name in os.listdir(sandbox))
        assert used < 2048 * MIB, used
        usage = tasks.do("usage", task="forks")["usage"]
        assert usage["pids"] <= 64, usage
        logs = f"{tasks.directory}/logs/flood"
        assert sum(os.stat(f"{logs}/{name}").st_size for name in os.listdir(logs)) <= 1 * MIB + 262144
        for task in ("forks", "flood"):
            tasks.do("kill", task=task, grace_ms=0)
            assert tasks.ended(task)["reason"] == "KILLED"
        tasks.do("kill", task="neighbour", grace_ms=0)
        for task in ("memory", "filler", "forks", "flood", "neighbour"):
            tasks.acknowledge(task)
        tasks.nothing_left()
