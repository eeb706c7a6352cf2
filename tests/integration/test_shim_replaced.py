"""A running shim becomes another build of smackd, and its task does not notice."""

import os
import signal
import struct
import subprocess
import threading
import time

import harness
import tasks as tasks_module
from harness import SMACKD, wait_until
from shims import EXEC, LEASE, USAGE, ShimClient, copy_of, field, other_build, runs
from tasks import Tasks

COUNT = 20


def numbers(text):
    """That a log says 0, 1, 2 ... to its end: how many."""
    lines = text.split()
    assert lines == [str(n) for n in range(len(lines))], f"wrong from line {next(n for n, line in enumerate(lines) if line != str(n))} of {len(lines)}"
    return len(lines)


def environment_of(pid, name):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return name.encode() in file.read()


def all_run(tasks, binary, among=None):
    shims = tasks.shims()
    return shims and all(runs(pid, binary) for task, pid in shims.items() if among is None or task in among)


def start_with(tasks, binary):
    tasks_module.SMACKD = binary
    try:
        tasks.start()
    finally:
        tasks_module.SMACKD = SMACKD


def test_twenty_tasks_go_on_in_another_build():
    """All shims are replaced while logs flow; the daemon that asks is killed in the middle and another one goes on."""
    other = other_build()
    with Tasks() as tasks:
        loop = "n=0; while [ $n -lt {} ]; do echo $n; n=$((n+1)); sleep 0.01; done; exit {}"
        for i in range(COUNT):
            tasks.launch(f"t{i}", loop.format(1500 if i % 2 else 700, i))
        tasks.launch("flood", "n=0; while [ $n -lt 200000 ]; do echo $n; n=$((n+1)); done; exit 42", log_rate=200_000, log_segment=65536, log_total=1 << 30)
        tasks.launch("stops", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
        tasks.launch("lease", "sleep 1000", lease_ms=20_000)
        tasks.launch("runtime", "sleep 1000", max_runtime_ms=20_000)
        tasks.launch("memory", "while [ ! -e /mnt/mesos/sandbox/go ]; do sleep 0.1; done; python3 -c \"b = []\nwhile True: b.append(bytearray(1 << 20))\"",
                     memory=32 << 20, sandbox=(sandbox := harness.temporary_directory("sandbox")))
        tasks.launch("killed", "sleep 1000", no_init=True)
        began = time.monotonic()
        pids = {task: tasks.started(task)["pid"] for task in [*(f"t{i}" for i in range(COUNT)), "flood", "stops", "lease", "runtime", "memory", "killed"]}
        wait_until(lambda: tasks.text("stops") == "up\n", 20, "the trap to be set")
        shims = tasks.shims()
        assert len(shims) == len(pids) and all_run(tasks, SMACKD)

        tasks.kill_daemon()
        start_with(tasks, other)
        wait_until(lambda: any(runs(pid, other) for pid in shims.values()), 30, "the first shim to be replaced")
        tasks.kill_daemon()
        assert not all(runs(pid, other) for pid in tasks.shims().values()), "it was killed in the middle"
        start_with(tasks, other)
        wait_until(lambda: all_run(tasks, other), 60, "all shims to be replaced")
        assert shims.items() >= tasks.shims().items(), "the same processes"
        wait_until(lambda: "shims replaced" in open(tasks.log.name).read(), 20, "the daemon to say so")
        assert runs(tasks.launcher(), other), "the launcher is of the daemon's build"
        assert all(not environment_of(pid, "SMACKD_SHIM_STATE") for pid in pids.values() if os.path.exists(f"/proc/{pid}"))
        assert {task["task_id"]: task["pid"] for task in tasks.do("list")["tasks"] if task["phase"] == "RUNNING"}.items() <= pids.items()

        # And back, as after a downgrade, twice more.
        for binary in (SMACKD, other):
            tasks.kill_daemon()
            start_with(tasks, binary)
            wait_until(lambda: all_run(tasks, binary), 60, "all shims to be replaced again")

        tasks.do("kill", task="stops", grace_ms=20_000)
        event = tasks.ended("stops")
        assert (event["reason"], event["code"], tasks.text("stops")) == ("KILLED", 3, "up\nbye\n"), event
        os.kill(pids["killed"], signal.SIGKILL)
        event = tasks.ended("killed")
        assert (event["reason"], event["signal"]) == ("ENDED", 9), event
        open(f"{sandbox}/go", "w").close()
        event = tasks.ended("memory")
        assert event["reason"] == "OUT_OF_MEMORY", event
        for task, reason in (("lease", "LEASE_EXPIRED"), ("runtime", "MAX_RUNTIME")):
            event = tasks.ended(task)
            assert event["reason"] == reason and 18 < time.monotonic() - began < 40, (event, time.monotonic() - began)
        for i in range(COUNT):
            event = tasks.ended(f"t{i}")
            assert (event["reason"], event["code"], event["sequence"]) == ("ENDED", i, 2), event
            assert numbers(tasks.text(f"t{i}")) == (1500 if i % 2 else 700)
        assert tasks.ended("flood", 120)["code"] == 42
        text, offset = b"", 0
        while (piece := tasks.read_log("flood", offset=offset))[1]:
            assert piece[0] == offset
            text, offset = text + piece[1], offset + len(piece[1])
        assert numbers(text.decode()) == 200_000
        for task in pids:
            tasks.acknowledge(task)
        tasks.quit()
        tasks.nothing_left()


def test_what_is_open_stays_open():
    """Programs beside the task, a half sent message, answers that wait, signals and the end of the task itself."""
    other = other_build()
    with Tasks() as tasks:
        tasks.launch("one", "trap 'echo term; exit 7' TERM; echo up; while :; do sleep 0.02; done", tty=False)
        tasks.started("one")
        shim = tasks.shims()["one"]
        shell = ShimClient(tasks.directory, "one")
        shell.exec("sh", tty=True)
        shell.input(b"echo a$((40+2))\n")
        shell.until_output(b"a42")
        cat = ShimClient(tasks.directory, "one")
        cat.exec("sh", "-c", "cat; echo end >&2; exit 9")
        cat.input(b"before ")
        cat.until_output(b"before ")
        slow = ShimClient(tasks.directory, "one")  # reads nothing: output waits in the shim
        slow.exec("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")
        short = ShimClient(tasks.directory, "one")
        short.exec("sh", "-c", "sleep 1.5; exit 5")
        half = ShimClient(tasks.directory, "one")
        whole = struct.pack("<I", 2) + field(USAGE, b"")
        half.socket.sendall(whole[:3])
        time.sleep(0.5)

        for binary in (other, SMACKD, other):
            control = ShimClient(tasks.directory, "one")
            assert control.replace(binary) == ""
            assert tasks.shims()["one"] == shim and runs(shim, binary)
            control.close()
            shell.out = b""
            shell.input(b"echo b$((40+3)); stty size\n")
            shell.until_output(b"b43\r\n24 80")
        half.socket.sendall(whole[3:])
        assert half.until(USAGE - 1)[0] == 3
        cat.input(b"after", end=True)
        assert cat.exit() == (9, 0) and cat.out == b"before afterend\n", cat.out
        assert slow.exit() == (0, 0) and slow.out == b"x" * 3_000_000, len(slow.out)
        assert short.exit() == (5, 0)
        shell.input(b"exit 6\n")
        assert shell.exit() == (6, 0)

        # A signal to the shim that comes just as it changes.
        control = ShimClient(tasks.directory, "one")
        threading.Timer(0.02, lambda: os.kill(shim, signal.SIGTERM)).start()
        control.replace(SMACKD)
        event = tasks.ended("one")
        assert (event["reason"], event["code"]) == ("KILLED", 7), event
        assert tasks.text("one") == "up\nterm\n"


def test_an_end_while_it_changes_is_not_missed():
    other = copy_of(SMACKD)
    with Tasks() as tasks:
        for i in range(30):
            tasks.launch(f"end{i}", f"sleep {1 + i * 0.003:.3f}; echo last; exit {i + 1}")
        clients = {f"end{i}": ShimClient(tasks.directory, f"end{i}") for i in range(30)}

        def change(client):
            try:
                for binary in (other, SMACKD) * 40:
                    client.replace(binary)
            except (AssertionError, OSError):
                pass  # the task, and with it the shim, has ended
        threads = [threading.Thread(target=change, args=(client,)) for client in clients.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(30):
            event = tasks.ended(f"end{i}")
            assert (event["reason"], event["code"]) == ("ENDED", i + 1), event
            assert tasks.text(f"end{i}") == "last\n"


def test_what_does_not_take_over_changes_nothing():
    with Tasks() as tasks:
        tasks.launch("one", "n=0; while :; do echo $n; n=$((n+1)); sleep 0.01; done")
        tasks.started("one")
        shim = tasks.shims()["one"]
        work = harness.temporary_directory("broken")

        def file(name, content, mode=0o755):
            path = os.path.join(work, name)
            with open(path, "wb") as out:
                out.write(content)
            os.chmod(path, mode)
            return path

        with open(SMACKD, "rb") as whole:
            program = whole.read()
        broken = ((file("empty", b""), "does not start"), (file("garbage", os.urandom(5000)), "does not start"),
                  (file("cut", program[:1 << 20]), ""), (file("unreadable", program, 0o600), "does not start"),
                  ("/bin/true", "it said nothing"), ("/bin/false", "exit code 1"), ("/bin/echo", "shim-check"),
                  (file("hangs", b"#!/bin/sh\nsleep 100\n"), ""), (file("liar", b"#!/bin/sh\necho takes over another\n"), ""))
        control = ShimClient(tasks.directory, "one")
        for path, words in broken:
            why = control.replace(path)
            assert why and words in why, (path, why)
            assert tasks.shims()["one"] == shim and runs(shim, SMACKD)
        fd = os.open(work, os.O_PATH)
        control.send(7, field(1, fd))
        assert b"is no file" in control.until(6)[1]
        control.send(7, field(1, 9999))
        assert b"No such file" in control.until(6)[1]
        assert control.replace(SMACKD) == "", "nothing is left in the way of a good one"
        # A state of a version to come.
        state = os.memfd_create("state")
        os.write(state, field(1, 99))
        answer = subprocess.run([SMACKD, "shim-check"], capture_output=True, text=True, preexec_fn=lambda: os.dup2(state, 3), pass_fds=(3,), check=False)
        assert answer.returncode == 1 and "version 99" in answer.stdout and "knows 1" in answer.stdout, answer
        log = open(f"{tasks.directory}/shim.log").read()
        assert "shim of one is not replaced" in log, log
        before = numbers(tasks.text("one"))
        wait_until(lambda: numbers(tasks.text("one")) > before, 10, "the log to go on")
        # A daemon of a build that does not take over says so, and goes on with the shims as they are.
        tasks.kill_daemon()
        start_with(tasks, SMACKD)
        tasks.do("kill", task="one", grace_ms=0)
        assert tasks.ended("one")["reason"] == "KILLED"


def test_a_removed_binary_is_still_the_daemons():
    """The package is upgraded under a running daemon: launchers and shims stay of the build that runs."""
    first, second = copy_of(SMACKD), other_build()
    with Tasks() as tasks:
        tasks.quit()
        start_with(tasks, first)
        build = os.stat(first).st_ino
        os.rename(second, first)  # as dpkg does
        dead = tasks.launcher()
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: tasks.launcher() not in (None, dead), 20, "another launcher")
        tasks.launch("one", "sleep 1000", network={"mode": "none"})
        tasks.started("one")
        assert os.stat(f"/proc/{tasks.launcher()}/exe").st_ino == build == os.stat(f"/proc/{tasks.shims()['one']}/exe").st_ino
        tasks.kill_daemon()
        start_with(tasks, first)
        wait_until(lambda: all_run(tasks, first), 30, "the shim to follow the upgrade")
        os.unlink(first)
        tasks.kill_daemon()
        start_with(tasks, SMACKD)
        wait_until(lambda: all_run(tasks, SMACKD), 30, "the shim of a removed file to follow")


def test_published_ports_and_the_bridge_stay():
    other = other_build()
    with Tasks("auto") as tasks:
        port = harness.free_port()
        tasks.launch("web", ["python3", "-m", "http.server", "8000"], network={"mode": "bridge", "ports": [{"host": port, "task": 8000}]})
        tasks.started("web")
        answers = lambda: subprocess.run(["curl", "-sf", f"http://127.0.0.1:{port}/"], capture_output=True, check=False).returncode == 0
        wait_until(answers, 20, "an answer")
        control = ShimClient(tasks.directory, "web")
        for binary in (other, SMACKD):
            assert control.replace(binary) == ""
            assert answers()
            listener = subprocess.run(["python3", "-c", f"import socket; socket.create_server(('0.0.0.0', {port}))"], capture_output=True, check=False)
            assert b"Address already in use" in listener.stderr, "the port is still reserved"
        tasks.do("kill", task="web", grace_ms=0)
        tasks.ended("web")
        assert subprocess.run(["python3", "-c", f"import socket; socket.create_server(('0.0.0.0', {port}))"], check=False).returncode == 0
        tasks.acknowledge("web")
        tasks.nothing_left()
