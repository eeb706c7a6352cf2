"""Programs in tasks: `smackd task exec` and the WebSocket below it, against a real daemon and real tasks."""

import fcntl
import hashlib
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from harness import SMACKD, Demo, wait_until
from test_apps import add, eventually, running
from websocket import BINARY, CLOSE, TEXT, Exec, Refused

SECRET = "correct horse battery 7"
SESSIONS_MAX = 64  # kExecSessionsMax
ENDS_WITHIN_S = 10  # after a right was withdrawn

_worlds = []


class World:
    """A demo with one application, and a user `eve` who may do everything with it but exec."""

    def __init__(self):
        self.demo = Demo()
        words = self.demo.words()
        self.demo.words = lambda: [*words, "--verbose"]  # the log has who ran what
        self.demo.start()
        add(self.demo, {"id": "/web", "cmd": "echo started; exec sleep 3600", "cpus": 0.1, "mem": 64})
        self.task = running(self.demo, "/web")[0]["id"]
        self.admin = {"Authorization": "Bearer " + self.demo.token()}
        self.add_user("eve", "view", "launch", "change", "kill")

    def add_user(self, name, *actions):
        self.demo.must("user", "add", name, "--password-stdin", stdin=SECRET + "\n")
        self.demo.must("policy", "add", f"{name}-web", f"user:{name}", *(word for action in actions for word in ("--allow", action)), "--path", "/web")

    def login(self, name, cookie=False):
        """The headers of that user, by a token or as a browser's session."""
        status, headers, body = self.demo.request("POST", "/smack/v1/login", json.dumps({"user": name, "password": SECRET, "cookie": cookie}),
                                                  {"Content-Type": "application/json"})
        assert status == 200, body
        return {"Cookie": headers["set-cookie"].split(";")[0]} if cookie else {"Authorization": "Bearer " + json.loads(body)["token"]}

    def environment(self, name):
        cache = os.path.join(self.demo.work, f"{name}.ccache")
        self.demo.kinit(name, password=SECRET, cache=cache)
        return {"KRB5CCNAME": f"FILE:{cache}", "SMACKD_KEYTAB": "", "SMACKD_SESSION_FILE": os.path.join(self.demo.work, f"{name}.session")}

    def run(self, *words, **more):
        return self.demo.cli("task", "exec", self.task, "--", *words, **more)

    def exec(self, words, headers=None, **start):
        return Exec(self.demo, self.task, words, headers or self.admin, **start)

    def refused(self, headers, task=None):
        """The answer to a request that must open nothing."""
        try:
            Exec(self.demo, task or self.task, None, headers).close()
        except Refused as refused:
            return refused
        raise AssertionError(f"{headers} opened a WebSocket")

    def processes(self, word):
        """Ids of processes of this machine with that word among theirs."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if word.encode() in file.read().split(b"\0"):
                        found.append(int(pid))
            except OSError:
                pass
        return found


def world():
    if not _worlds:
        _worlds.append(World())
    return _worlds[0]


def test_output_and_exit_code():
    one = world()
    answer = one.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (answer.code, answer.out, answer.err) == (7, "out\n", "err\n"), answer
    assert one.run("sh", "-c", "kill -9 $$").code == 137
    assert one.run("true").code == 0
    # Arguments arrive as they were typed, those that look like ours too.
    answer = one.run("printf", "%s|", "--help", "-t", "[a-z]", "a b", "", "--", "$HOME", "ü")
    assert answer.out == "--help|-t|[a-z]|a b||--|$HOME|ü|", answer
    answer = one.demo.cli("task", "exec", "/web", "--", "sh", "-c", "echo $MESOS_TASK_ID $MARATHON_APP_ID")
    assert answer.out == f"{one.task} /web\n", answer  # the task's own variables
    many = one.run("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2")
    assert len(many.out) == 3000000 and many.err == "end\n" and many.code == 0
    log = one.demo.process.log()
    assert f"exec principal=admin@" in log and "program=printf" in log and "how=\"exit code 7\"" in log, log[-3000:]
    assert "MESOS_TASK_ID" not in log, "arguments are not logged"


def test_what_cannot_be_run():
    one = world()
    answer = one.run("no-such-program")
    assert answer.code == 127 and "no-such-program" in answer.err and "No such file" in answer.err, answer
    answer = one.run("/etc/passwd")
    assert answer.code == 126 and "Permission denied" in answer.err, answer
    answer = one.demo.cli("task", "exec", one.task, "--user", "nobody-here", "--", "id")
    assert answer.code == 126 and "nobody-here" in answer.err, answer
    answer = one.demo.cli("task", "exec", one.task, "--workdir", "/tmp/not-there", "--", "pwd")
    assert answer.code == 126 and "/tmp/not-there" in answer.err, answer
    assert one.run("test", "-e", "/tmp/not-there").code == 1, "a mistyped folder is not made"
    answer = one.demo.cli("task", "exec", one.task, "--workdir", "tmp", "--", "pwd")
    assert answer.code == 1 and "cwd 'tmp': must be an absolute path" in answer.err, answer
    answer = one.demo.cli("task", "exec", one.task, "--env", "A", "--", "true")
    assert answer.code == 2 and "--env 'A': must be KEY=VALUE" in answer.err, answer
    answer = one.demo.cli("task", "exec", one.task)
    assert answer.code == 2 and "CMD is missing" in answer.err, answer
    answer = one.run("sh", *["x" * 1000] * 200)
    assert answer.code == 1 and "longer than" in answer.err, answer
    answer = one.run(*["x"] * 1025)
    assert answer.code == 1 and "words: 1025, the limit is 1024" in answer.err, answer
    assert "Example" in one.demo.must("task", "exec", "--help").out


def test_user_folder_and_variables():
    one = world()
    answer = one.demo.cli("task", "exec", one.task, "--user", "1234:4321", "--workdir", "/tmp", "--env", "A=b=c", "--env", "MARATHON_APP_ID=/mine",
                          "--", "sh", "-c", "id -u; id -g; pwd; echo $A; echo $MARATHON_APP_ID")
    assert answer.out.split() == ["1234", "4321", "/tmp", "b=c", "/mine"], answer


def test_input_through_a_pipe():
    one = world()
    text = "".join(f"{number}\n" for number in range(100000))
    answer = one.demo.cli("task", "exec", "-i", one.task, "--", "sha256sum", stdin=text)
    assert answer.out.split()[0] == hashlib.sha256(text.encode()).hexdigest(), answer
    answer = one.demo.cli("task", "exec", "-i", one.task, "--", "sh", "-c", "read a; exec 0<&-; echo got $a; exit 3", stdin=text)
    assert (answer.out, answer.code) == ("got 0\n", 3), answer
    answer = one.run("sh", "-c", "cat; echo end", stdin="not passed on")
    assert answer.out == "end\n", answer


class Terminal:
    """The command line in a terminal of its own, as a person has it."""

    def __init__(self, one, *words, rows=40, columns=100, environment=None):
        self.master, slave = pty.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(self.master)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.child = subprocess.Popen([SMACKD, "task", "exec", *words], env={**one.demo.environment, "TERM": "xterm", **(environment or {})}, stdin=slave,
                                      stdout=slave, stderr=slave, preexec_fn=own_terminal)
        os.close(slave)
        self.text = ""

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, words, limit_s=20):
        end = time.monotonic() + limit_s
        while words not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"'{words}' did not come: {self.text!r}"
            if select.select([self.master], [], [], left)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        seen, _, self.text = self.text.partition(words)
        return seen

    def ended(self):
        code = self.child.wait(20)
        assert termios.tcgetattr(self.master) == self.before, "the terminal has its mode back"
        os.close(self.master)
        return code


def test_a_terminal():
    one = world()
    shell = Terminal(one, one.task, "--", "sh")
    shell.type("stty size; tty; echo $TERM-$((1+1))\n")
    shell.until("40 100")
    shell.until("/dev/pts/")
    shell.until("xterm-2")
    shell.size(50, 132)
    time.sleep(0.3)
    shell.type("stty size\n")
    shell.until("50 132")
    shell.type("sleep 4242\n")
    wait_until(lambda: one.processes("4242"), 10, "the program")
    shell.type("\x03")
    wait_until(lambda: not one.processes("4242"), 10, "its end by ^C")
    shell.type("echo still $((40+2))\n")
    shell.until("still 42")
    shell.type("exit 9\n")
    assert shell.ended() == 9

    # Ended from elsewhere, the terminal is as it was, and so is the task.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        left = Terminal(one, "-t", one.task, "--", "sh", "-c", "echo on $((40+2)); sleep 4243")
        left.until("on 42")
        assert one.processes("4243") or wait_until(lambda: one.processes("4243"), 10, "the program")
        left.child.send_signal(number)
        assert left.ended() == 128 + number
        wait_until(lambda: not one.processes("4243"), 10, "the program's end")
    # ^D ends the input.
    end = Terminal(one, one.task, "--", "cat")
    end.type("once\n")
    end.until("once\r\nonce")
    end.type("\x04")
    assert end.ended() == 0
    assert Terminal(one, "--no-tty", one.task, "--", "sh", "-c", "test ! -t 1").ended() == 0


def test_without_a_terminal_a_signal_ends_the_program():
    one = world()
    child = subprocess.Popen([SMACKD, "task", "exec", one.task, "--", "sh", "-c", "echo on; exec sleep 4244"], env=one.demo.environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "on\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    wait_until(lambda: not one.processes("4244"), 10, "the program's end")


def test_only_with_the_right_to():
    one = world()
    before = one.demo.must_json("refusals")["refusals"]
    refused = one.refused(one.login("eve"))
    assert refused.status == 403 and "exec" in refused.message() and "smackd policy add" in refused.message(), refused
    answer = one.run("id", environment=one.environment("eve"))
    assert answer.code == 1 and "exec" in answer.err, answer
    news = [row for row in one.demo.must_json("refusals")["refusals"] if row not in before]
    assert [row["reason"] for row in news if "eve" in row["principal"]] == ["policy", "policy"], news
    # Who may exec and nothing else runs programs in that app's tasks alone.
    one.add_user("ned", "exec")
    session = one.exec(["id", "-u"], one.login("ned"))
    assert session.end() == (1000, {"exit": {"code": 0}}), session.news
    refused = one.refused(one.login("ned"), "other.instance-5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b43._app.1")
    assert refused.status == 403, refused


def test_no_way_in_but_by_a_proof():
    one = world()
    refused = one.refused({})
    assert refused.status == 401 and "kinit" in refused.message(), refused
    assert one.refused({"Authorization": "Bearer none"}).status == 401
    one.add_user("ann", "exec")
    cookie = one.login("ann", cookie=True)
    here = f"http://localhost:{one.demo.ports['api']}"
    session = one.exec(["echo", "hi"], {**cookie, "Origin": here, "Sec-Fetch-Site": "same-origin"})
    session.end()
    assert session.out == b"hi\n"
    # A page of another site has the browser send the cookie.
    for more in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": here.replace("http", "https")}, {"Origin": here, "Sec-Fetch-Site": "cross-site"},
                 {"Origin": "http://localhost:1"}, {"Sec-Fetch-Site": "same-site"}):
        refused = one.refused({**cookie, **more})
        assert refused.status == 403 and "another web site" in refused.message(), (more, refused)
    assert any(row["reason"] == "cross_site" or row["reason"] == "cross-site" for row in one.demo.must_json("refusals")["refusals"])
    # Another name for this server is another site's, too.
    try:
        Exec(one.demo, one.task, None, {**cookie, "Host": "evil.example"})
        raise AssertionError("a foreign Host opened it")
    except Refused as foreign:
        assert foreign.status in (400, 403), foreign
    # A token is sent by nobody but who has it.
    session = one.exec(["true"], {**one.login("ann"), "Origin": "http://evil.example"})
    assert session.end()[0] == 1000


def test_the_handshake_and_the_task_are_checked():
    one = world()
    for headers, status, name in (({"Upgrade": None, "Connection": None}, 426, "Upgrade: "), ({"Upgrade": "h2c"}, 426, "Upgrade: "), ({"Connection": "close"}, 400, "Connection: "),
                                  ({"Sec-WebSocket-Version": "8"}, 426, "Sec-WebSocket-Version: "), ({"Sec-WebSocket-Key": "short"}, 400, "Sec-WebSocket-Key: "),
                                  ({"Sec-WebSocket-Key": None}, 400, "Sec-WebSocket-Key: ")):
        refused = one.refused({**one.admin, **headers})
        assert refused.status == status and refused.message().startswith(name), (headers, refused)
        assert (status == 426) == (refused.headers.get("sec-websocket-version") == "13"), refused.headers
    unknown = one.refused(one.admin, "web.instance-5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b43._app.1")
    assert unknown.status == 404 and "no task" in unknown.message(), unknown
    assert one.refused(one.admin, "what").status == 422
    add(one.demo, {"id": "/short", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 32})
    short = running(one.demo, "/short")[0]["id"]
    open_one = Exec(one.demo, short, ["sleep", "4245"], one.admin)
    wait_until(lambda: one.processes("4245"), 10, "the program")
    one.demo.must("app", "remove", "/short")
    code, news = open_one.end()  # what runs in a task ends with it
    assert news.get("exit", {}).get("signal") in (9, 15), (code, news)
    assert not one.processes("4245")
    gone = one.refused(one.admin, short)
    assert gone.status in (404, 409), gone
    answer = one.demo.cli("task", "exec", "/short", "--", "true")
    assert answer.code == 1 and answer.err, answer


def test_what_a_client_says_is_checked():
    one = world()
    for first, error in (({}, "words: must name a program"), ({"words": []}, "words: must name a program"), ({"words": ["a\0b"]}, "words: must not contain a zero byte"),
                         ({"words": ["true"], "rows": 0}, "rows: must be a whole number"), ({"words": ["true"], "tyt": True}, "field 'tyt': not known here"), ([1], "must be a JSON object")):
        session = one.exec(None)
        session.say(first)
        code, news = session.end()
        assert code == 1008 and error in news["error"]["message"], (first, code, news)
    for opcode, payload, masked, code in ((TEXT, b"\xff", True, 1007), (TEXT, b"{}", False, 1002), (11, b"", True, 1002), (BINARY, b"x" * 200000, True, 1009)):
        session = one.exec(None)
        session.send(opcode, payload, masked)
        assert session.end()[0] == code, (opcode, code, session.news)
    # In the middle of one, the program ends with it.
    session = one.exec(["sleep", "4246"])
    wait_until(lambda: one.processes("4246"), 10, "the program")
    session.send(BINARY, b"\x01output")
    assert session.end()[0] == 1008, session.news
    wait_until(lambda: not one.processes("4246"), 10, "the program's end")
    # One that closes, and one that is gone.
    for leave in (lambda session: session.send(CLOSE, b"\x03\xe8"), lambda session: session.close()):
        session = one.exec(["sleep", "4247"])
        wait_until(lambda: one.processes("4247"), 10, "the program")
        leave(session)
        wait_until(lambda: not one.processes("4247"), 10, "the program's end")


def test_what_is_open_ends_with_the_right():
    one = world()

    def withdrawn(name, headers, withdraw, *codes):
        session = one.exec(["sh", "-c", "echo on; exec sleep 4248"], headers)
        session.until_output(b"on\n")
        withdraw()
        began = time.monotonic()
        closed, news = session.end()
        assert time.monotonic() - began < ENDS_WITHIN_S
        assert closed == 1008 and news["error"]["code"] in codes, (name, closed, news)
        wait_until(lambda: not one.processes("4248"), 10, "the program's end")

    for name in ("rita", "dora", "tina", "lars"):
        one.add_user(name, "exec")
    withdrawn("the right", one.login("rita"), lambda: one.demo.must("policy", "remove", "rita-web"), "denied")
    withdrawn("the user", one.login("dora"), lambda: one.demo.must("user", "disable", "dora"), "denied", "unauthenticated")  # their tokens, too
    withdrawn("the account", one.login("lars"), lambda: one.demo.must("user", "remove", "lars"), "denied", "unauthenticated")
    headers = one.login("tina", cookie=True)

    def sign_out():
        status, _, body = one.demo.request("POST", "/smack/v1/logout", "{}", {**headers, "Content-Type": "application/json"})
        assert status < 300, body
    withdrawn("the session", headers, sign_out, "unauthenticated")


def test_the_limit_of_sessions():
    one = world()
    sessions = [one.exec(["sh", "-c", "echo on; read line"]) for _ in range(SESSIONS_MAX)]
    for session in sessions:
        session.until_output(b"on\n")
    surplus = one.exec(["true"])
    code, news = surplus.end()
    assert code == 1013 and news["error"]["code"] == "busy" and str(SESSIONS_MAX) in news["error"]["message"], (code, news)
    answer = one.run("true")
    assert answer.code == 1 and str(SESSIONS_MAX) in answer.err, answer
    for session in sessions[:2]:
        session.close()
    eventually(lambda: one.run("true").code == 0, 20, "room for another")
    for session in sessions[2:]:
        session.input(b"\n")
        assert session.end() == (1000, {"exit": {"code": 0}})


def test_a_node_that_stops_ends_them():
    demo = Demo().start()
    add(demo, {"id": "/web", "cmd": "exec sleep 3600", "cpus": 0.1, "mem": 32})
    child = subprocess.Popen([SMACKD, "task", "exec", "/web", "--", "sh", "-c", "echo on; exec sleep 3600"], env=demo.environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "on\n"
    assert demo.stop() == 0
    assert child.wait(20) == 1
    assert "ended" in child.stderr.read()
