"""Must show 1 of issue 6, the package's half: installed, used, upgraded, removed and purged in a Debian root of its own.

What docs/install.md says for n1 is typed as it stands there. A newer build is the same program as another file: the daemon, the edge and
new tasks are of it, tasks that run are not touched.
"""

import json
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import debian_root  # noqa: E402
import harness  # noqa: E402
import typed  # noqa: E402

INSTALL = os.path.join(harness.ROOT, "docs/install.md")
TASKS = 10
START_LIMIT_S = 60
BYTES_MAX = 10 << 20
APP = {"id": "/count", "cmd": "trap 'echo ended; exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done", "cpus": 0.01, "mem": 16,
       "instances": TASKS}


def build(work, revision):
    """A package; each revision's program is a file of its own content."""
    program = os.path.join(work, f"smackd{revision}")
    shutil.copy2(harness.SMACKD, program)
    with open(program, "ab") as file:
        file.write(b"\0" * revision)
    folder = os.path.join(work, "packages")
    answer = harness.run([os.path.join(harness.ROOT, "packaging/deb/build"), program, folder], {**os.environ, "REVISION": str(revision)}, limit=300)
    assert answer.code == 0, answer
    return answer.out.strip()


class Show:
    def __init__(self):
        self.work = harness.temporary_directory()
        self.machine = debian_root.Machine(self.work, "n1")
        self.typed = []

    def type(self, heading, only=""):
        """The lines of n1 below that heading."""
        out = []
        for host, command in typed.commands_of(INSTALL, heading):
            if host == "n1" and command.startswith(only):
                out.append(self.machine.must(command))
                typed.note(command, out[-1])
                self.typed.append(command)
        return out

    def tasks(self):
        """Those that run."""
        listed = json.loads(self.machine.must("smackd task list --json"))["tasks"]
        return sorted(task["id"] for task in listed if task["state"] in ("running", "TASK_RUNNING"))

    def processes(self, pattern):
        """{pid: start} of what runs in the machine with these words."""
        out = self.machine.run(f"ps -ww -eo pid=,lstart=,args= | grep -E '{pattern}' | grep -v grep").out
        return {line.split()[0]: " ".join(line.split()[1:6]) for line in out.splitlines()}

    def commands(self):
        """{pid: start} of what lasts in the groups of tasks."""
        groups = "/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup"
        out = self.machine.run(f"for pid in $(cat {groups}/smackd-*/*/cgroup.procs); do "
                               "echo $pid $(cut -d ' ' -f 22 /proc/$pid/stat) $(cat /proc/$pid/comm); done 2>/dev/null").out
        rows = [line.split() for line in out.splitlines()]
        return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] != "sleep"}

    def daemon(self):
        return self.machine.must("systemctl show smackd --property MainPID --value").strip()


def figure(text):
    print(f"  {text}", flush=True)


def install(show, package):
    size = os.path.getsize(package)
    show.machine.give(package)
    began = time.monotonic()
    said = show.type("Debian and Ubuntu")[0]
    took = time.monotonic() - began
    assert "Nothing runs yet" in said, said
    figure(f"package {size / 1e6:.2f} MB (aim under 10), installed in {took:.1f} s")
    assert size < BYTES_MAX, size
    machine = show.machine
    assert machine.run("systemctl is-enabled smackd").out.strip() == "enabled"
    machine.must("systemctl start smackd")  # nothing has failed, and nothing runs
    assert machine.run("systemctl is-active smackd").out.strip() == "inactive"
    assert machine.run("systemctl is-failed smackd").out.strip() == "inactive"
    answer = machine.run("smackd status")
    assert answer.code == 1 and "smackd realm init" in answer.err, answer
    assert "64089" in machine.must("getent passwd smackd-edge")


def first_node(show):
    machine = show.machine
    began = time.monotonic()
    said = show.type("The first node")
    assert "Recovery key" in said[0] or "recovery key" in said[0], said[0]
    assert machine.must("systemctl is-active smackd").strip() == "active"
    figure(f"first node and its first application in {time.monotonic() - began:.1f} s")
    with open(os.path.join(machine.root, "root/count.json"), "w") as file:
        json.dump(APP, file)
    machine.must("smackd app add count.json")
    harness.wait_until(lambda: len(show.tasks()) == TASKS + 1, START_LIMIT_S, f"{TASKS + 1} tasks: {show.tasks()}")
    assert not machine.run("systemctl status smackd | grep -c 'unsafe'").out.strip().strip("0")
    show.type("Settings")
    harness.wait_until(lambda: len(show.tasks()) == TASKS + 1, START_LIMIT_S, "the tasks after a restart")


def upgrade(show, package):
    machine = show.machine
    before = (show.tasks(), show.commands(), show.daemon())
    edges = show.processes("smackd edge --socket-fd")
    assert len(before[1]) >= TASKS, before
    for old in os.listdir(os.path.join(machine.root, "root")):
        if old.endswith(".deb"):
            os.unlink(os.path.join(machine.root, "root", old))
    machine.give(package)
    machine.must("echo '# edited' >>/etc/smackd/smackd.toml")
    began = time.monotonic()
    show.type("Upgrading")
    took = time.monotonic() - began
    harness.wait_until(lambda: show.tasks() == before[0], START_LIMIT_S, "the same tasks after the upgrade")
    after = (show.tasks(), show.commands(), show.daemon())
    assert after[2] != before[2], "the daemon is the old one"
    assert set(before[1].items()) <= set(after[1].items()), (before[1], after[1])
    assert "edited" in machine.must("cat /etc/smackd/smackd.toml")
    assert machine.must("stat -c %s /usr/bin/smackd").strip() == machine.must(f"stat -L -c %s /proc/{after[2]}/exe").strip()
    harness.wait_until(lambda: not set(edges) & set(show.processes("smackd edge --socket-fd")), 30, "the new build's edge")
    figure(f"upgraded in {took:.1f} s, daemon {before[2]} -> {after[2]}, {len(before[1])} commands of tasks with the same pids and starts")


def remove(show):
    machine = show.machine
    began = time.monotonic()
    show.type("Removing", "apt-get remove")
    took = time.monotonic() - began
    left = {**show.processes("smackd"), **show.commands()}
    assert not left, left
    assert machine.run("test -e /var/lib/smackd/node.json && test -e /etc/smackd/smackd.toml").code == 0, "the data has gone"
    assert machine.run("test -e /usr/bin/smackd").code != 0
    links = machine.must("ip -br link; ls /run; ls -d /sys/fs/cgroup/*/smackd-* 2>/dev/null || true")
    assert not re.search(r"smackd?[-0-9a-f]{4,}", links), links
    figure(f"removed in {took:.1f} s: no process, network or control group is left, the data is")


def install_again(show):
    machine = show.machine
    show.type("Debian and Ubuntu")
    machine.must("systemctl start smackd")
    harness.wait_until(lambda: len(show.tasks()) == TASKS + 1, START_LIMIT_S, "the tasks anew")
    figure(f"installed again: {TASKS + 1} tasks run again")


def purge(show):
    machine = show.machine
    show.type("Removing", "apt-get purge")
    for path in ("/var/lib/smackd", "/etc/smackd", "/usr/bin/smackd", "/etc/systemd/system/multi-user.target.wants/smackd.service"):
        assert machine.run(f"test -e {path} || test -L {path}").code != 0, path
    left = {**show.processes("smackd"), **show.commands()}
    assert not left, left
    left = [line for line in machine.must("dpkg -l 'smackd*' 2>/dev/null || true").splitlines() if re.match("(ii|rc)", line)]
    assert not left, left
    figure("purged: nothing is left")


def main():
    show = Show()
    first, second = build(show.work, 1), build(show.work, 2)
    try:
        show.machine.boot()
        figure(f"Debian {debian_root.SUITE} booted by systemd-nspawn in {show.machine.boot_s:.1f} s")
        install(show, first)
        first_node(show)
        upgrade(show, second)
        remove(show)
        install_again(show)
        purge(show)
    except BaseException:
        if show.machine.process is not None and show.machine.process.running():
            print(show.machine.run("journalctl -u smackd --no-pager -n 60; systemctl status smackd --no-pager").out)
        raise
    finally:
        show.machine.off()
    print(f"PASS deb: {len(show.typed)} commands of docs/install.md typed")
    return 0


if __name__ == "__main__":
    harness.need_root()
    try:
        code = main()
    except harness.Skip as skip:
        print(f"FAIL deb: {skip}")
        code = 1
    except AssertionError as problem:
        print(f"FAIL deb: {problem}")
        code = 1
    finally:
        harness.clean_up()
    sys.exit(code)
