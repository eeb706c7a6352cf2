"""Programs in tasks of any node by way of any server, and what of it is in the audit."""

import fcntl
import hashlib
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from harness import SMACKD, wait_until
from test_apps import eventually
from test_cluster_apps import add, tasks_of, three_servers, wait_for_room
from test_join import admin, cli, cli_json, join_by_bundle, start
from world import World

ENDS_WITHIN_S = 30  # a session whose node is gone: kRemoteSilenceMax, and the limits of connections


def place(world, name):
    """An app with one task on that node; the task's id."""
    add(world, {"id": f"/{name}", "cmd": "exec sleep 3600", "cpus": 0.1, "mem": 64, "constraints": [["hostname", "CLUSTER", name]]}, "--timeout", "120")
    return tasks_of(world, f"/{name}")[0]["id"]


def execute(world, via, task, *words, environment=None, **more):
    return world[via].run([SMACKD, "task", "exec", *more.pop("options", ()), task, "--", *words], environment or admin(world, via), **more)


class Session:
    """`smackd task exec` on a host, left open; in a terminal when told so."""

    def __init__(self, world, via, task, *words, terminal=False, environment=None):
        command = world[via].words([SMACKD, "task", "exec", *(["-t"] if terminal else []), "-i", task, "--", *words])
        surroundings = {**world[via].base, **(environment or admin(world, via)), "TERM": "xterm"}
        self.text = b""
        if terminal:
            self.fd, slave = pty.openpty()
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))

            def own_terminal():
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            self.child = subprocess.Popen(command, env=surroundings, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
            os.close(slave)
            self.input = self.fd
        else:
            self.child = subprocess.Popen(command, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.fd, self.input = self.child.stdout.fileno(), self.child.stdin.fileno()

    def type(self, text):
        os.write(self.input, text.encode())

    def until(self, words, limit_s=30):
        end = time.monotonic() + limit_s
        while words.encode() not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"'{words}' did not come: {self.text!r}"
            if select.select([self.fd], [], [], left)[0]:
                piece = os.read(self.fd, 65536)
                assert piece, f"it ended before '{words}': {self.text!r}"
                self.text += piece
        _, _, self.text = self.text.partition(words.encode())

    def end(self, limit_s=ENDS_WITHIN_S):
        """(exit code, all it still said)."""
        code = self.child.wait(limit_s)
        try:
            while piece := os.read(self.fd, 65536):
                self.text += piece
        except OSError:
            pass  # a terminal's end
        return code, self.text.decode(errors="replace")


def server_of_agent(world, agent):
    """The server to which the agent is connected."""
    tables = world[agent].python("print(open('/proc/net/tcp').read())").out
    for line in tables.strip().splitlines()[1:]:
        _, _, remote, state = line.split()[:4]
        if state == "01" and int(remote.split(":")[1], 16) == 5055:
            address = ".".join(str(byte) for byte in reversed(bytes.fromhex(remote.split(":")[0])))
            return next(name for name, host in world.hosts.items() if host.address == address)
    raise AssertionError(f"{agent} is connected to no server: {tables}")


def summaries(world, via="n1"):
    return [row["summary"] for row in cli_json(world, "audit", via=via)["audit"]]


def audited(world, tasks):
    """Who ran what and where, and no argument of it."""
    rows = [row for row in cli_json(world, "audit")["audit"] if row["summary"].startswith("exec ")]
    assert rows and all(row["actor"].startswith("admin@") for row in rows), rows
    for name, task in tasks.items():
        assert any(row["summary"].startswith(f"exec {task}: sh on {name} from ") for row in rows), (name, rows)
    assert not any("secret" in row["summary"] for row in rows), rows


def test_any_node_by_any_server():
    with World("n1", "n2", "n3", "a1", tasks=True) as world:
        three_servers(world)
        join_by_bundle(world, "a1", "agent")
        start(world["a1"])
        wait_for_room(world, 4)
        tasks = {name: place(world, name) for name in ("n1", "n2", "a1")}
        for name, task in tasks.items():
            for via in ("n1", "n3"):
                answer = execute(world, via, task, "sh", "-c", "echo $HOST secret; echo err >&2; exit 7")
                assert (answer.code, answer.out, answer.err) == (7, f"{name} secret\n", "err\n"), (name, via, answer)
        audited(world, tasks)

        text = "".join(f"{number}\n" for number in range(150_000))
        for name in ("n2", "a1"):
            answer = execute(world, "n1", tasks[name], "sha256sum", stdin=text, options=("-i",))
            assert answer.out.split()[0] == hashlib.sha256(text.encode()).hexdigest(), answer
            answer = execute(world, "n1", tasks[name], "sh", "-c", "head -c 4000000 /dev/zero | tr '\\0' x; echo end >&2; kill -9 $$")
            assert len(answer.out) == 4_000_000 and answer.err == "end\n" and answer.code == 137, (answer.code, len(answer.out), answer.err)
            # A program that does not read: input waits, output and the end still come.
            answer = execute(world, "n1", tasks[name], "sh", "-c", "sleep 4; echo late; exit 5", stdin=text, options=("-i",))
            assert (answer.code, answer.out) == (5, "late\n"), answer
            assert execute(world, "n1", tasks[name], "no-such-program").code == 127
            shell = Session(world, "n1", tasks[name], "sh", terminal=True)
            shell.type("stty size; tty; echo $HOST-$((40+2))\n")
            shell.until("40 100")
            shell.until("/dev/pts/")
            shell.until(f"{name}-42")
            fcntl.ioctl(shell.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
            shell.child.send_signal(signal.SIGWINCH)
            time.sleep(0.5)
            shell.type("stty size\n")
            shell.until("50 132")
            shell.type("sleep 4242\n")
            time.sleep(1)
            shell.type("\x03")
            shell.type("echo still $((40+2))\n")
            shell.until("still 42")
            shell.type("exit 9\n")
            assert shell.end()[0] == 9

        # A flood on its way does not keep the nodes from hearing of each other.
        floods = [Session(world, "n1", tasks[name], "sh", "-c", "cat /dev/zero") for name in ("n2", "a1") for _ in range(4)]
        drains = [subprocess.Popen(["cat"], stdin=flood.child.stdout, stdout=subprocess.DEVNULL) for flood in floods]
        term = cli_json(world, "status")["term"]
        for _ in range(10):
            time.sleep(1)
            nodes = cli_json(world, "node", "list", via="n3")["nodes"]
            assert {node["liveness"] for node in nodes} == {"alive"}, nodes
        assert cli_json(world, "status")["term"] == term, "no election"
        for flood, drain in zip(floods, drains):
            flood.child.kill()
            flood.child.wait()
            drain.wait(30)

        rights_end_it(world, tasks["a1"])
        nodes_die(world, tasks)


def rights_end_it(world, task):
    cli(world, "user", "add", "ned")
    cli(world, "policy", "add", "ned-a1", "user:ned", "--allow", "exec", "--path", "/a1")
    keytab = f"{world.work}/ned.keytab"
    cli(world, "user", "keytab", "ned", "--out", keytab)
    ned = {**admin(world), "SMACKD_KEYTAB": keytab, "SMACKD_SESSION_FILE": f"{world.work}/ned.json"}
    session = Session(world, "n1", task, "sh", "-c", "echo on; exec sleep 4250", environment=ned)
    session.until("on\n")
    assert running("4250")
    cli(world, "policy", "remove", "ned-a1", via="n2")
    code, said = session.end(15)
    assert code == 1 and "exec" in said, (code, said)
    wait_until(lambda: not running("4250"), 10, "the program's end")
    refused = execute(world, "n1", task, "true", environment=ned)
    assert refused.code == 1 and "exec" in refused.err, refused
    # One whose client goes away ends, too.
    session = Session(world, "n1", task, "sh", "-c", "echo on; exec sleep 4251")
    session.until("on\n")
    session.child.kill()
    session.child.wait()
    wait_until(lambda: not running("4251"), 30, "the end of a program whose client is gone")


def running(word):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if word.encode() in file.read().split(b"\0"):
                    return True
        except OSError:
            continue
    return False


def nodes_die(world, tasks):
    # The server over which the agent is asked dies: the agent finds another one, and the session goes on.
    between = server_of_agent(world, "a1")
    via = next(name for name in ("n1", "n2", "n3") if name != between)
    shell = Session(world, via, tasks["a1"], "sh")
    shell.type("echo on\n")
    shell.until("on\n")
    world[between].process.kill()
    shell.type("echo still $((40+2))\n")
    shell.until("still 42", 30)
    shell.type("exit 3\n")
    assert shell.end()[0] == 3
    start(world[between])
    wait_until(lambda: len(cli_json(world, "status", via=via)["servers"]) == 3 and server_of_agent(world, "a1"), 60, "all to be back")
    # The node itself dies: who is connected is told.
    for name in ("a1", "n2"):
        via = "n1" if server_of_agent_or_none(world) != "n1" else "n3"
        session = Session(world, via, tasks[name], "sh", "-c", "echo on; exec sleep 3600")
        session.until("on\n")
        world[name].power_off()
        code, said = session.end()
        assert code == 1 and f"node {name} is not heard any more" in said, (name, code, said)


def server_of_agent_or_none(world):
    try:
        return server_of_agent(world, "a1")
    except AssertionError:
        return None


def test_without_a_leader_administrators_alone():
    with World("n1", "n2", "n3", tasks=True) as world:
        three_servers(world)
        wait_for_room(world, 3)
        task = place(world, "n1")
        cli(world, "user", "add", "ned")
        cli(world, "policy", "add", "ned-n1", "user:ned", "--allow", "exec", "--path", "/n1")
        keytab = f"{world.work}/ned.keytab"
        cli(world, "user", "keytab", "ned", "--out", keytab)
        ned = {**admin(world), "SMACKD_KEYTAB": keytab, "SMACKD_SESSION_FILE": f"{world.work}/ned.json"}
        assert execute(world, "n1", task, "true", environment=ned).code == 0
        before = len([one for one in summaries(world) if one.startswith("exec ")])
        for name in ("n2", "n3"):
            world[name].process.kill()
        eventually(lambda: cli_json(world, "status")["leader"] is None, 30, "no leader")
        refused = execute(world, "n1", task, "true", environment=ned)
        assert refused.code == 1 and "the audit cannot record it" in refused.err and "administrator" in refused.err, refused
        session = Session(world, "n1", task, "sh")
        session.type("echo in $((40+2))\n")
        session.until("in 42")
        noted = [row for row in cli_json(world, "refusals")["refusals"] if row["reason"] == "unrecorded"]
        assert noted and noted[0]["principal"].startswith("admin@") and "sh" in noted[0]["message"], noted
        for name in ("n2", "n3"):
            start(world[name])
        late = lambda: [one for one in summaries(world) if one.startswith(f"exec {task}: sh on n1") and "recorded late" in one]
        eventually(lambda: len(late()) == 1, 60, "the row that was owed")
        session.type("exit 4\n")
        assert session.end()[0] == 4
        assert len([one for one in summaries(world) if one.startswith("exec ")]) == before + 1
        assert execute(world, "n1", task, "true", environment=ned).code == 0


def test_ssh_to_a_node():
    """The words of the site's own ssh client; a stand-in shows what it is given, and that it takes our place."""
    with World("n1", "a1") as world:
        from test_join import start_first
        start_first(world["n1"])
        join_by_bundle(world, "a1", "agent")
        start(world["a1"])
        tools = os.path.join(world.work, "bin")
        os.makedirs(tools)
        with open(f"{tools}/ssh", "w") as file:
            file.write('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\nexit 23\n')
        os.chmod(f"{tools}/ssh", 0o755)
        environment = {**admin(world), "PATH": f"{tools}:{os.environ['PATH']}"}
        answer = world["n1"].run([SMACKD, "node", "ssh", "--leader", "--user", "core", "--", "echo", "a b", "$(id)"], environment)
        assert answer.code == 23 and answer.out.split("\n")[:-1] == [
            "<-o>", "<HostKeyAlias=n1>", "<-l>", "<core>", "<-->", "<n1>", "<'echo'>", "<'a b'>", "<'$(id)'>"], answer
        said = cli_json(world, "node", "ssh", "a1", "--master-proxy")["command"]
        assert said[:3] == ["ssh", "-o", "HostKeyAlias=a1"] and said[3:5] == ["-J", "n1"] and said[-2] == "--", said
        answer = world["n1"].run([SMACKD, "node", "ssh", "n9"], environment)
        assert answer.code == 1 and "no node 'n9'" in answer.err and "smackd node list" in answer.err, answer
        answer = world["n1"].run(["env", "PATH=/nonexistent", SMACKD, "node", "ssh", "a1"], environment)
        assert answer.code == 1 and "install an ssh client" in answer.err, answer
        answer = world["n1"].run([SMACKD, "node", "ssh", "--user=-oProxyCommand=id", "a1"], environment)
        assert answer.code == 2 and "--user" in answer.err, answer
