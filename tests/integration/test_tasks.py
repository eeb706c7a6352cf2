"""Real tasks: isolation, limits, logs, and what happens to them when the daemon, the launcher or a shim is killed."""

import os
import signal
import socket
import subprocess
import time

import harness
from harness import wait_until
from tasks import Tasks, busybox_layers, cgroup_roots, children

MIB = 1 << 20


def test_exit_codes_and_failures():
    with Tasks() as tasks:
        event, out, err = tasks.run("ends", "echo out; echo err >&2; exit 7")
        assert (event["what"], event["reason"], event["code"]) == ("exited", "ENDED", 7), event
        assert (out, err) == ("out\n", "err\n")
        assert tasks.event("ends", "started")["sequence"] == 1 and event["sequence"] == 2
        event, _, _ = tasks.run("signalled", "kill -SEGV $$")
        assert event["signal"] == signal.SIGSEGV, event
        event, _, _ = tasks.run("missing", ["/bin/nope"])
        assert (event["what"], event["step"], event["errno"]) == ("failed", "execve", 2), event
        assert "/bin/nope" in event["message"] and "No such file" in event["message"], event
        event, _, _ = tasks.run("nobody", ["true"], user="not-there")
        assert event["step"] == "user" and "not-there" in event["message"], event
        event, _, _ = tasks.run("layer", ["true"], rootfs=["/nonexistent/layer"])
        assert event["what"] == "failed" and "/nonexistent/layer" in event["message"], event
        answer = tasks.ask("launch", spec={"task_id": "ends", "shell": "true"})
        assert "conflict" in answer["error"] and "task_id" in answer["error"], answer
        for bad in ({"task_id": "../x", "shell": "true"}, {"task_id": "x"}, {"task_id": "x", "words": [""]},
                    {"task_id": "x", "shell": "true", "memory": 4096},
                    {"task_id": "x", "shell": "true", "working_directory": "tmp"},
                    {"task_id": "x", "shell": "true", "volumes": [{"host": "/tmp", "task": "/proc/x"}]},
                    {"task_id": "x", "shell": "true", "volumes": [{"host": "/tmp/../etc", "task": "/x"}]},
                    {"task_id": "x", "shell": "true", "environment": {"A=B": "c"}},
                    {"task_id": "x", "shell": "true", "hostname": "a b\nnameserver 6.6.6.6"}):
            answer = tasks.ask("launch", spec=bad)
            assert answer.get("error", "").startswith("invalid: "), (bad, answer)
        for task in ("ends", "signalled", "missing", "nobody", "layer"):
            tasks.acknowledge(task)
        assert tasks.text("ends") == "out\n", "logs stay when the task is removed"
        tasks.nothing_left()
        wait_until(lambda: tasks.do("expire", age_s=0, bytes=0) and os.listdir(f"{tasks.directory}/logs") == [], 10,
                   "the logs to be removed")


INSIDE = r"""
echo pids $(ls -d /proc/[0-9]* | wc -l)
echo initfds $(ls /proc/1/fd 2>/dev/null | wc -l)
cat /proc/self/uid_map | tr -s ' '
grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd):' /proc/self/status | tr '\t' ' '
echo cgroup $(sort -u -t: -k3 /proc/self/cgroup | cut -d: -f3 | sort -u | tr '\n' ' ')
echo host $(hostname)
ls / | tr '\n' ' '; echo
ls /root /home /var /boot /etc/shadow 2>&1 | grep -v 'No such' ; echo homes checked
cat /proc/kcore >/dev/null 2>&1 && echo KCORE
cat /proc/sysrq-trigger 2>/dev/null; (echo b > /proc/sysrq-trigger) 2>/dev/null && echo SYSRQ
(echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo SYSCTL
(echo x > /usr/x) 2>/dev/null && echo USR
(echo x > /dev/x) 2>/dev/null && echo DEV
mknod /tmp/sda b 8 0 2>/dev/null && echo MKNOD
mount -t tmpfs none /tmp 2>/dev/null && echo MOUNT
unshare -U true 2>/dev/null && echo UNSHARE
chroot / true && echo chroot works
echo tmp > /tmp/x && cat /tmp/x
"""


def test_isolation():
    with Tasks() as tasks:
        secret = os.path.join(harness.temporary_directory("secret"), "file")
        with open(secret, "w") as file:
            file.write("host secret")
        event, out, err = tasks.run("inside", INSIDE + f"cat {secret} 2>/dev/null && echo SECRET\n")
        assert event["code"] in (0, 1), (event, err)
        lines = out.splitlines()
        assert int(lines[0].split()[1]) <= 6, out  # init, the shell, ls, wc and the substitution
        assert lines[1] == "initfds 0", out
        base = int(lines[2].split()[1])
        assert base >= 0x70000000 and lines[2].split()[2] == "65536", out
        fields = dict(line.split(": ") for line in lines if line.split(":")[0] in ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd"))
        assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2", out
        for name in ("CapEff", "CapBnd"):
            assert int(fields[name], 16) & (1 << 21 | 1 << 12 | 1 << 27 | 1 << 19) == 0, out  # SYS_ADMIN NET_ADMIN MKNOD SYS_PTRACE
        assert "cgroup /" in lines and "host task" in lines, out
        root = next(line for line in lines if line.startswith("bin"))
        assert set(root.split()) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "tmp", "usr"}, root
        assert not [word for word in ("KCORE", "SYSRQ", "SYSCTL", "USR", "DEV", "MKNOD", "MOUNT", "UNSHARE", "SECRET")
                    if word in lines], out
        assert "chroot works" in lines and lines[-1] == "tmp", out
        descriptors = "import os; print(*[os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in os.listdir('/proc/self/fd') if n != '3'])"
        _, out, _ = tasks.run("descriptors", ["python3", "-c", descriptors])  # 3 is listdir's own
        assert out == "/dev/null pipe pipe\n", out
        # Seen from outside it is nobody: other uid, other namespaces.
        tasks.launch("outside", "sleep 100")
        pid = tasks.started("outside")["pid"]
        with open(f"/proc/{pid}/status") as file:
            uid = next(line.split()[1] for line in file if line.startswith("Uid:"))
        assert int(uid) >= 0x70000000
        for kind in ("user", "mnt", "pid", "uts", "ipc", "cgroup"):
            assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
        assert not [line for line in open("/proc/self/mountinfo") if tasks.directory in line]


SYSCALLS = r"""
import ctypes, errno, os, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(number, *arguments)
    return errno.errorcode.get(ctypes.get_errno(), "0")
print("clone3", call(435, 0, 0))
print("unshare", call(272, 0x10000000))
print("mount", call(165, b"none", b"/tmp", b"tmpfs", 0, 0))
print("bpf", call(321, 0, 0, 0))
print("io_uring", call(425, 1, 0))
print("keyctl", call(250, 0, 0))
print("unknown", call(999))
print("kexec", call(246, 0, 0, 0, 0))
print("setns", call(308, 0, 0))
print("vsock", end=" ")
try:
    socket.socket(40, socket.SOCK_STREAM); print("open")
except OSError as error:
    print(errno.errorcode[error.errno])
ran = []
thread = threading.Thread(target=lambda: ran.append(1)); thread.start(); thread.join()
print("thread", len(ran))
print("fork", os.waitpid(os.fork() or os._exit(5), 0)[1] >> 8)
"""


def test_forbidden_calls():
    with Tasks() as tasks:
        event, out, err = tasks.run("calls", ["python3", "-c", SYSCALLS])
        assert event["code"] == 0, err
        assert dict(line.split() for line in out.splitlines()) == {
            "clone3": "ENOSYS", "unshare": "EPERM", "mount": "EPERM", "bpf": "EPERM", "io_uring": "EPERM", "keyctl": "EPERM",
            "unknown": "ENOSYS", "kexec": "EPERM", "setns": "EPERM", "vsock": "EPERM", "thread": "1", "fork": "5"}, out


def test_limits():
    with Tasks() as tasks:
        bomb = "import sys; b = []\nwhile True: b.append(bytearray(1 << 20))"
        event, _, _ = tasks.run("memory", ["python3", "-c", bomb], memory=32 * MIB)
        assert event["reason"] == "OUT_OF_MEMORY" and event["usage"]["oom_kills"] >= 1, event
        assert event["usage"]["memory_peak"] <= 33 * MIB and "out of memory" in event["message"], event
        # A child of a shell that goes on: all of it is ended, with v1's groups as with v2's.
        event, _, _ = tasks.run("child", f"python3 -c '{bomb}'; sleep 100", memory=32 * MIB)
        assert event["reason"] == "OUT_OF_MEMORY", event
        # Killed by somebody else's SIGKILL is not out of memory.
        event, _, _ = tasks.run("killed", "kill -9 $$", memory=32 * MIB)
        assert (event["reason"], event["signal"]) == ("ENDED", 9), event
        forks = "import os, time\nn = 0\ntry:\n  while n < 500:\n    if os.fork() == 0: time.sleep(100)\n    n += 1\nexcept OSError as e: print('stopped at', n, e.errno)"
        event, out, _ = tasks.run("forks", ["python3", "-c", forks], pids=20)
        assert event["code"] == 0 and int(out.split()[2]) < 20 and out.endswith("11\n"), (event, out)
        event, _, err = tasks.run("shm", "dd if=/dev/zero of=/dev/shm/x bs=1M count=10; dd if=/dev/zero of=/tmp/x bs=1M count=10",
                                  tmp=2 * MIB)
        assert err.count("No space left") == 2, err
        sandbox = harness.temporary_directory("sandbox")
        event, _, _ = tasks.run("disk", "while :; do dd if=/dev/zero of=f bs=1M count=64 conv=notrunc; sleep 0.1; done", disk=8 * MIB,
                                sandbox=sandbox)
        assert event["reason"] == "DISK_LIMIT", event
        began = time.monotonic()
        event, _, _ = tasks.run("runtime", "sleep 100", max_runtime_ms=300)
        assert event["reason"] == "MAX_RUNTIME" and time.monotonic() - began < 30, event
        event, _, _ = tasks.run("quota", "timeout 2 sh -c 'while :; do :; done'", cpus_limit_milli=20)
        assert event["usage"]["throttled_us"] > 0 and event["usage"]["cpu_us"] < 1_500_000, event


def test_kill():
    with Tasks() as tasks:
        tasks.launch("polite", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
        tasks.started("polite")
        wait_until(lambda: tasks.text("polite") == "up\n", 20, "the trap to be set")
        tasks.do("kill", task="polite", grace_ms=20000)
        event = tasks.ended("polite")
        assert (event["reason"], event["code"], tasks.text("polite")) == ("KILLED", 3, "up\nbye\n"), event
        tasks.launch("deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done")
        tasks.started("deaf")
        wait_until(lambda: tasks.text("deaf") == "up\n", 20, "the trap to be set")
        began = time.monotonic()
        tasks.do("kill", task="deaf", grace_ms=500)
        event = tasks.ended("deaf")
        assert (event["reason"], event["signal"]) == ("KILLED", 9) and time.monotonic() - began >= 0.5, event
        # What a shell has started hears of it too, and is waited for.
        child = "import signal, sys, time\nsignal.signal(15, lambda *_: (time.sleep(0.5), print('child done', flush=True), sys.exit()))\nprint('up', flush=True)\nwhile True: time.sleep(1)"
        tasks.launch("tree", f'python3 -c "{child}"; true')
        tasks.started("tree")
        wait_until(lambda: tasks.text("tree") == "up\n", 20, "the child to run")
        tasks.do("kill", task="tree", grace_ms=20000)
        tasks.ended("tree")
        assert tasks.text("tree") == "up\nchild done\n", tasks.text("tree")
        # A pid 1 of its own that ignores it is ended by the grace.
        tasks.launch("alone", ["sleep", "100"], no_init=True, grace_ms=200)
        tasks.started("alone")
        tasks.do("kill", task="alone")
        assert tasks.ended("alone")["reason"] == "KILLED"
        assert "not_found" in tasks.ask("kill", task="alone")["error"]
        tasks.launch("leased", "sleep 100", lease_ms=1500)
        tasks.started("leased")
        for _ in range(4):
            tasks.do("lease", task="leased", ms=1500)
            time.sleep(0.5)
        assert not [e for e in tasks.events if e["task_id"] == "leased" and e["what"] == "exited"]
        assert tasks.ended("leased")["reason"] == "LEASE_EXPIRED"


def test_logs():
    with Tasks() as tasks:
        event, _, _ = tasks.run("rotated", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", log_segment=8192,
                                log_total=32768)
        offset, data, end = tasks.read_log("rotated")
        whole = "".join(f"line {i}\n" for i in range(20000)).encode()
        assert end == len(whole) and 32768 - 8192 <= len(data) <= 32768 + 8192 and data == whole[offset:], (offset, len(data), end)
        assert tasks.read_log("rotated", offset=end - 5, length=3)[1] == b"9999"[:3]
        assert event["usage"]["log_bytes"] == end
        # A flood is slowed down, not lost, and the others' logs go on.
        tasks.launch("flood", "yes flood", log_rate=65536, log_total=1 * MIB, log_segment=262144)
        tasks.started("flood")
        time.sleep(2)
        _, out, _ = tasks.run("other", "echo still here")
        assert out == "still here\n"
        end = tasks.read_log("flood")[2]
        assert 0 < end <= 65536 * 40, end
        files = [os.stat(f"{tasks.directory}/logs/flood/{name}").st_size for name in os.listdir(f"{tasks.directory}/logs/flood")]
        assert sum(files) <= 1 * MIB + 262144, files
        _, out, _ = tasks.run("binary", ["head", "-c", "300000", "/dev/zero"])
        assert len(tasks.read_log("binary")[1]) == 300000


def test_images():
    layers = busybox_layers()
    with Tasks() as tasks:
        event, out, err = tasks.run("image", "cat /etc/below; id; echo x > /var/lib/x && cat /var/lib/x; cat /etc/hosts | head -n 1; "
                                    "cat /etc/hostname; ls -ld /bin | tr -s ' ' | cut -d' ' -f3", rootfs=layers, hostname="box")
        assert event["code"] == 0, err
        assert out.splitlines() == ["above", "uid=0(root) gid=0(root)", "x", "127.0.0.1 localhost", "box", "root"], out
        assert sorted(os.listdir(f"{layers[0]}/var/lib")) == [], "a layer is never written to"
        event, out, err = tasks.run("user", "id; touch /secret/x; pwd; echo $HOME; echo hi > $MESOS_SANDBOX/f; ls -n f | tr -s ' ' | cut -d' ' -f3",
                                    rootfs=layers, user="app", sandbox=harness.temporary_directory("sandbox"),
                                    environment={"MESOS_SANDBOX": "/mnt/mesos/sandbox"})
        assert out.splitlines() == ["uid=1234(app) gid=1235(app) groups=77(extra)", "/mnt/mesos/sandbox", "/var/lib", "1234"], (out, err)
        assert "Permission denied" in err, err
        _, _, err = tasks.run("readonly", "touch /x", rootfs=layers, read_only_root=True)
        assert "Read-only" in err, err
        volume = harness.temporary_directory("volume")
        with open(f"{volume}/seen", "w") as file:
            file.write("from the host\n")
        os.symlink("/etc", f"{volume}/link")
        event, out, err = tasks.run("volume", "cat /data/seen; echo w > /data/w; touch /ro/x; ls /data/link/passwd; readlink -f /data/link",
                                    rootfs=layers, volumes=[{"host": volume, "task": "/data"}, {"host": volume, "task": "/ro", "read_only": True}])
        assert out.splitlines()[0] == "from the host" and "Read-only" in err, (out, err)
        written = os.stat(f"{volume}/w")
        assert (written.st_uid, written.st_gid) == (0, 0), "a volume keeps the ids of the host"
        for task in ("image", "user", "readonly", "volume"):
            tasks.acknowledge(task)
        tasks.nothing_left()


def test_exec():
    with Tasks() as tasks:
        tasks.launch("host", ["sleep", "100"], environment={"COLOUR": "green"})
        tasks.started("host")
        answer, out, err = tasks.exec("host", ["sh", "-c", "cat; echo $COLOUR; echo e >&2; exit 4"], input="typed\n")
        assert (answer["code"], out, err) == (4, "typed\ngreen\n", "e\n"), (answer, out, err)
        answer, out, _ = tasks.exec("host", ["sh", "-c", "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'; ls -d /proc/[0-9]* | wc -l; cat /proc/self/uid_map | tr -s ' '"])
        lines = out.splitlines()
        assert lines[:2] == ["NoNewPrivs:1", "Seccomp:2"] and int(lines[2]) < 10 and int(lines[3].split()[1]) >= 0x70000000, out
        answer, out, _ = tasks.exec("host", ["sh", "-c", "tty; stty size; read x; echo got $x"], tty=True, rows=33, columns=77,
                                    input="hello\n")
        assert answer["code"] == 0 and "/dev/pts/0" in out and "33 77" in out and "got hello" in out, out
        answer, out, _ = tasks.exec("host", ["sh", "-c", "kill -9 $$"])
        assert answer["signal"] == 9, answer
        answer, _, _ = tasks.exec("host", ["/no/such"])
        assert "No such file" in answer["failed"], answer
        # A program that is not waited for ends with the task.
        pid = tasks.started("host")["pid"]
        before = tasks.do("usage", task="host")["usage"]["pids"]
        assert before == 2, before
        tasks.do("kill", task="host", grace_ms=0)
        tasks.ended("host")
        assert not os.path.exists(f"/proc/{pid}")
        assert "not_found" in tasks.ask("exec", task="host", words=["true"])["error"]


def test_survival():
    """kill -9 of the daemon and of the launcher: the same processes go on, no byte of log and no exit code is lost."""
    with Tasks() as tasks:
        for i in range(6):
            tasks.launch(f"t{i}", f"n=0; while [ $n -lt 60 ]; do echo $n; n=$((n+1)); sleep 0.05; done; exit {i}")
        pids = {f"t{i}": tasks.started(f"t{i}")["pid"] for i in range(6)}
        shims = tasks.shims()
        assert len(shims) == 6
        dead = tasks.launcher()
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: tasks.launcher() not in (None, dead), 20, "another launcher")
        tasks.launch("after", "exit 9")  # the new one works
        assert tasks.ended("after")["code"] == 9
        tasks.kill_daemon()
        time.sleep(0.5)
        assert {task: pid for task, pid in tasks.shims().items() if task in pids} == shims
        tasks.events.clear()
        tasks.start()
        assert {t["task_id"]: t["pid"] for t in tasks.do("list")["tasks"] if t["phase"] == "RUNNING"}.items() <= pids.items()
        os.kill(tasks.launcher(), signal.SIGKILL)
        tasks.kill_daemon()
        wait_until(lambda: not tasks.shims(), 60, "the tasks to end by themselves")
        tasks.events.clear()
        tasks.start()
        for i in range(6):
            event = tasks.ended(f"t{i}")
            assert (event["reason"], event["code"], event["sequence"]) == ("ENDED", i, 2), event
            assert tasks.text(f"t{i}") == "".join(f"{n}\n" for n in range(60))
        # Told again until acknowledged, always as the same event.
        uuids = {e["task_id"]: e["uuid"] for e in tasks.events if e["what"] == "exited"}
        tasks.kill_daemon()
        tasks.events.clear()
        tasks.start()
        for i in range(6):
            assert tasks.ended(f"t{i}")["uuid"] == uuids[f"t{i}"]
            tasks.acknowledge(f"t{i}")
        tasks.acknowledge("after")
        tasks.quit()
        tasks.events.clear()
        tasks.start()
        time.sleep(0.5)
        assert tasks.events == [] and tasks.do("list")["tasks"] == []
        tasks.nothing_left()


def test_lost_shim():
    """A shim that is killed takes its task along, and that is told; what it leaves behind is removed."""
    with Tasks() as tasks:
        tasks.launch("lost", "sleep 1000 & sleep 1000", rootfs=busybox_layers())
        pid = tasks.started("lost")["pid"]
        os.kill(tasks.shims()["lost"], signal.SIGKILL)
        event = tasks.ended("lost")
        assert event["reason"] == "LOST", event
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the task to end with its shim")
        tasks.launch("orphan", "sleep 1000", rootfs=busybox_layers())
        pid = tasks.started("orphan")["pid"]
        tasks.kill_daemon()
        os.kill(tasks.shims()["orphan"], signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the task to end with its shim")
        tasks.start()
        assert tasks.ended("orphan")["reason"] == "LOST"
        assert "orphan removed" in open(tasks.log.name).read()
        for task in ("lost", "orphan"):
            tasks.acknowledge(task)
        tasks.nothing_left()


def test_root_of_an_image():
    """What smackd puts into a root is no file of the task's on the disk, and looks like any other to it."""
    with Tasks() as tasks:
        tasks.launch("root", "stat -c %d / /etc /etc/hosts /bin/busybox; cat /etc/hostname; "
                     "echo 10.0.0.9 nine >>/etc/hosts && rm /etc/hostname && mv /etc/resolv.conf /etc/moved && echo changed; "
                     "stat -c '%u %a' /etc /etc/hosts; touch /new; sleep 1000",
                     rootfs=busybox_layers(), hostname="seven", network={"mode": "none"})
        tasks.started("root")
        lines = wait_until(lambda: (tasks.text("root").split("\n") if tasks.text("root").count("\n") == 8 else None), 20,
                           "the task's lines")[:8]
        assert len(set(lines[:4])) == 1, f"a root on several devices: {lines}"
        assert lines[4:] == ["seven", "changed", "0 755", "0 644"], (lines, tasks.text("root", "stderr"))
        changed = []
        for folder, _, files in os.walk(f"{tasks.directory}/tasks/root/upper"):
            changed += [os.path.join(folder, file) for file in files]
        names = sorted(os.path.basename(path) for path in changed)
        assert "hosts" in names and "new" in names and "proc" not in names, names
        tasks.do("kill", task="root", grace_ms=0)
        tasks.acknowledge("root")
        tasks.nothing_left()


def test_groups_taken_away():
    """A node without tasks has empty groups, which others may tidy up: the next task makes them anew."""
    with Tasks() as tasks:
        for root in cgroup_roots():
            if os.path.isdir(f"{root}/smackd-{tasks.name}"):
                os.rmdir(f"{root}/smackd-{tasks.name}")
        event, _, err = tasks.run("after", "exit 7", memory=64 << 20)
        assert event.get("code") == 7, (event, err)
        tasks.acknowledge("after")
        tasks.nothing_left()


def ready_shims(tasks):
    found = []
    for pid in children(tasks.launcher()):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if file.read().split("\0")[1].startswith("ready-shim"):
                    found.append(pid)
        except (FileNotFoundError, ProcessLookupError, IndexError):
            continue  # it has just ended
    return found


def test_ready_shims():
    """Shims wait for tasks from the first one on; killed, they are replaced; they end with their launcher."""
    with Tasks() as tasks:
        assert ready_shims(tasks) == []
        tasks.launch("first", "exit 1", rootfs=busybox_layers(), network={"mode": "none"})
        assert tasks.ended("first")["code"] == 1
        ready = wait_until(lambda: len(ready_shims(tasks)) == 4 and ready_shims(tasks), 20, "shims to be ready")
        tasks.launch("second", "sleep 1000")  # of another kind than they expect
        tasks.started("second")
        assert tasks.shims()["second"] in ready, "a shim that was ready was not used"
        ready = ready_shims(tasks)
        for pid in ready:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in ready), 20, "killed shims to be gone")
        for i in range(6):
            tasks.launch(f"m{i}", f"exit {i}", rootfs=busybox_layers(), network={"mode": "none"})
        for i in range(6):
            assert tasks.ended(f"m{i}")["code"] == i
        ready = wait_until(lambda: len(ready_shims(tasks)) == 4 and ready_shims(tasks), 20, "shims to be ready again")
        os.kill(tasks.launcher(), signal.SIGKILL)
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in ready), 20, "ready shims to end with their launcher")
        assert "second" in tasks.shims(), "a task's shim ended with the launcher"
        tasks.do("kill", task="second", grace_ms=0)
        for task in ("first", "second", *(f"m{i}" for i in range(6))):
            tasks.acknowledge(task)
        tasks.nothing_left()


def test_many():
    """Forty starts and ends at once; nothing of them is left."""
    with Tasks() as tasks:
        for i in range(40):
            tasks.launch(f"m{i}", f"exit {i}")
        for i in range(40):
            assert tasks.ended(f"m{i}")["code"] == i
            tasks.do("ack", task=f"m{i}", sequence=2)
        tasks.nothing_left()


def fetch(address, port, source=None):
    """What a server at this port says, or the error's name."""
    try:
        with socket.create_connection((address, port), timeout=3, source_address=source) as connection:
            return connection.makefile().read()
    except OSError as error:
        return type(error).__name__


HELLO = "import socket\ns = socket.create_server(('0.0.0.0', 80), reuse_port=False)\nprint('up', flush=True)\nwhile True:\n  c, a = s.accept(); c.sendall(f'NAME {a[0]}'.encode()); c.close()"


def server(tasks, name, tenant="", **network):
    tasks.launch(name, ["python3", "-c", HELLO.replace("NAME", name)], tenant=tenant, network={"mode": "bridge", **network})
    event = tasks.started(name)
    wait_until(lambda: "up" in tasks.text(name), 20, f"{name} to listen")
    return event


CONNECT = "import socket, sys\nfor a in sys.argv[1:]:\n  h, p = a.split(':')\n  try:\n    c = socket.create_connection((h, int(p)), timeout=2); print(a, c.makefile().read() or 'open')\n  except OSError as e: print(a, type(e).__name__)"


def test_bridge():
    with Tasks("auto") as tasks:
        gateway = tasks.ready["gateway"]
        first = server(tasks, "first", ports=[{"host": harness.free_port(), "task": 80}])
        port = harness.free_port()
        second = server(tasks, "second", ports=[{"host": port, "task": 80}])
        assert first["address"] != second["address"] and first["address"].startswith(gateway.rsplit(".", 1)[0])
        # The host reaches it at its address, at any of its own addresses and at loopback.
        for address, at in ((second["address"], 80), (gateway, port), ("127.0.0.1", port)):
            assert fetch(address, at).startswith("second "), (address, at, fetch(address, at))
        # From another task, and from itself through the published port.
        for task in ("first", "second"):
            answer, out, err = tasks.exec(task, ["python3", "-c", CONNECT, f"{second['address']}:80", f"{gateway}:{port}"])
            assert out.count(" second ") == 2, (task, out, err)
        # The node: its other ports, its loopback, metadata and blocked addresses are out of reach; named ports are not.
        with socket.create_server(("0.0.0.0", 0)) as listener, socket.create_server((gateway, 0)) as named:
            closed, opened = listener.getsockname()[1], named.getsockname()[1]
            tasks.do("blocked", prefixes=[f"{second['address']}/32"], ports=[opened])
            addresses = [f"{gateway}:{closed}", f"127.0.0.1:{closed}", "169.254.169.254:80", f"{second['address']}:80"]
            _, out, _ = tasks.exec("first", ["python3", "-c", CONNECT, *addresses])
            assert [line.split()[1] for line in out.splitlines()] == ["TimeoutError", "ConnectionRefusedError", "TimeoutError", "TimeoutError"], out
            _, out, _ = tasks.exec("first", ["python3", "-c", "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3); print('open')", gateway, str(opened)])
            assert out == "open\n", out
            tasks.do("blocked", prefixes=[], ports=[])
        answer = tasks.ask("blocked", prefixes=["nonsense"], ports=[])
        assert answer["error"].startswith("invalid"), answer
        # A port that is taken is refused by name, whoever has it.
        event, _, _ = tasks.run("taken", "true", network={"mode": "bridge", "ports": [{"host": port, "task": 80}]})
        assert (event["step"], event["errno"]) == ("publish port", 98), event
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port))
                raise AssertionError("the port of a task was given to somebody else")
            except OSError:
                pass
        event, out, _ = tasks.run("resolver", "cat /etc/resolv.conf; cat /sys/class/net/eth0/address; ls /sys/class/net | tr '\n' ' '", network={"mode": "bridge"})
        assert out.splitlines()[0] == f"nameserver {gateway}" and out.splitlines()[2].split() == ["eth0", "lo"], out
        _, out, _ = tasks.run("none", "ls /sys/class/net; cat /proc/net/route | wc -l", network={"mode": "none"})
        assert out.splitlines() == ["lo", "1"], out
        # Ports and the daemon: connections go on without it, and it does not disturb them when it comes back.
        tasks.kill_daemon()
        assert fetch("127.0.0.1", port).startswith("second ")
        tasks.start()
        assert fetch("127.0.0.1", port).startswith("second ") and fetch(gateway, port).startswith("second ")
        tasks.do("kill", task="second", grace_ms=0)
        tasks.ended("second")
        wait_until(lambda: fetch("127.0.0.1", port) == "ConnectionRefusedError", 10, "the port to be closed")
        server(tasks, "third", ports=[{"host": port, "task": 80}])
        assert fetch("127.0.0.1", port).startswith("third ")
        # What a shim that is killed leaves is removed by the next launcher.
        os.kill(tasks.shims()["third"], signal.SIGKILL)
        tasks.ended("third")
        tasks.do("kill", task="first", grace_ms=0)
        tasks.ended("first")
        tasks.kill_daemon()
        tasks.start()
        for task in ("first", "second", "third", "taken", "resolver", "none"):
            tasks.acknowledge(task)
        tasks.nothing_left()
        assert os.path.exists(f"/sys/class/net/smk{tasks.name}")
        tasks.quit()
        wait_until(lambda: not tasks.of_agent(), 20, f"bridge, table and groups to go with the last task: {tasks.of_agent()}")


def test_an_id_runs_again_once_its_task_is_removed():
    with Tasks() as tasks:
        tasks.run("again", "echo first")
        tasks.acknowledge("again")
        tasks.events.clear()
        wait_until(lambda: "error" not in tasks.ask("launch", spec={"task_id": "again", "shell": "echo second"}), 10, "the launch")
        tasks.ended("again")
        assert tasks.text("again") == "first\nsecond\n", "its logs go on"
        tasks.acknowledge("again")
