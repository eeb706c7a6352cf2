"""Starts and stops smackd for tests, and talks to it with its own command line, curl and kinit.

Everything lives in temporary directories and on free ports of 127.0.0.1; every process that a test starts is ended
by its id, at the latest by clean_up() or when the test run dies (PR_SET_PDEATHSIG).
"""

import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SMACKD = os.path.abspath(os.environ.get("SMACKD", os.path.join(ROOT, "build/smackd")))
TOOLS = os.environ.get("SMACKD_TOOLS", os.path.join(ROOT, "build/release/tools"))
READY_LIMIT_S = 30
STOP_LIMIT_S = 10
KILLED_LIMIT_S = 60  # a busy machine takes its time to let go of a process that was killed
PACKAGES = {"kinit": "krb5-user", "curl": "curl", "mkfs.ext4": "e2fsprogs", "readelf": "binutils", "krb5kdc": "krb5-kdc",
            "kadmin.local": "krb5-admin-server", "busybox": "busybox-static", "nft": "nftables"}
# Servers of tests run tasks only where that is what is tested: each would have a bridge and an edge of its own.
NO_TASKS = {"SMACKD_TASKS_RUN": "false"}
os.environ.update(NO_TASKS)
NO_SERVICES = "/usr/sbin/policy-rc.d"

_running = []
_directories = []


class Skip(Exception):
    """The machine lacks what a test needs."""


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def install(packages):
    """Debian's packages for programs (program -> package) that are missing, where we may install them. Services that come
    with them are not started on this machine."""
    missing = [package for program, package in packages.items() if shutil.which(program) is None]
    if not missing or os.geteuid() != 0:
        return
    forbid = not os.path.exists(NO_SERVICES)
    if forbid:
        with open(NO_SERVICES, "w") as file:
            file.write("#!/bin/sh\nexit 101\n")  # invoke-rc.d: action forbidden by policy
        os.chmod(NO_SERVICES, 0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    finally:
        if forbid:
            os.unlink(NO_SERVICES)


def install_tools():
    """Kerberos clients and servers, curl: what most tests want."""
    install(PACKAGES)


def need_tool(program):
    if shutil.which(program) is None:
        raise Skip(f"{program} is not installed")


def temporary_directory(name="smackd"):
    path = tempfile.mkdtemp(prefix=f"{name}_it_")
    os.chmod(path, 0o755)  # the KDC's own user passes through
    _directories.append(path)
    return path


_ports = set()


def free_port():
    """A port that nobody listens on, TCP and UDP, and that this run has not given out yet."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _ports:
            _ports.add(port)
            return port


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """A child with its output in files of `directory`."""

    def __init__(self, words, directory, name, environment=None, descriptors=()):
        self.log_path = os.path.join(directory, f"{name}.log")
        self.out_path = os.path.join(directory, f"{name}.out")
        self.log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.out_start = os.path.getsize(self.out_path) if os.path.exists(self.out_path) else 0
        with open(self.out_path, "ab") as out, open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=environment,
                                          pass_fds=descriptors, preexec_fn=_die_with_parent)
        _running.append(self)

    def output(self):
        with open(self.out_path, errors="replace") as file:
            file.seek(self.out_start)
            return file.read()

    def log(self):
        with open(self.log_path, errors="replace") as file:
            file.seek(self.log_start)
            return file.read()

    def running(self):
        return self.child.poll() is None

    def send_signal(self, number):
        if self.running():
            self.child.send_signal(number)

    def wait(self, limit=STOP_LIMIT_S):
        code = self.child.wait(limit)
        if self in _running:
            _running.remove(self)
        return code

    def stop(self, number=signal.SIGTERM, limit=STOP_LIMIT_S):
        """The exit code after a polite signal; a process that does not listen is killed and fails the test."""
        self.send_signal(number)
        try:
            return self.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the process did not end within {limit} s of signal {number}\n{self.log()[-3000:]}")

    def kill(self):
        self.send_signal(signal.SIGKILL)
        return self.wait(KILLED_LIMIT_S)


class Answer:
    """What a program printed and how it ended."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit code {self.code}\nstdout: {self.out}\nstderr: {self.err}"


def run(words, environment=None, stdin=None, limit=60):
    done = subprocess.run(words, env=environment, input=stdin, capture_output=True, text=True, timeout=limit,
                          errors="replace")
    return Answer(done)


class Demo:
    """One `smackd demo` with its own data directory and ports."""

    def __init__(self, directory=None):
        self.work = temporary_directory()
        self.directory = directory or os.path.join(self.work, "data")
        self.ports = {name: free_port() for name in ("api", "cluster", "dns", "http", "https", "kdc")}
        self.process = None
        self.environment = None
        self.ready_s = None

    def words(self):
        words = [SMACKD, "demo", "--data-dir", self.directory]
        for name, port in self.ports.items():
            words += [f"--{name}-addr", f"127.0.0.1:{port}"]
        return words

    def start(self):
        need_root()
        began = time.monotonic()
        self.process = Process(self.words(), self.work, "demo")
        while True:
            line = next((line for line in self.process.output().splitlines() if line.startswith("ready")), None)
            if line:
                break
            if not self.process.running():
                raise AssertionError(f"demo ended with {self.process.child.returncode}\n{self.process.log()[-4000:]}")
            if time.monotonic() - began > READY_LIMIT_S:
                raise AssertionError(f"demo was not ready in {READY_LIMIT_S} s\n{self.process.log()[-4000:]}")
            time.sleep(0.005)
        self.ready_s = time.monotonic() - began
        self.ready_line = line
        self.load_environment()
        return self

    def load_environment(self):
        """What a person gets by `. DIR/demo.env`: only what the file exports is ours."""
        shell = subprocess.run(["sh", "-c", f". '{self.directory}/demo.env' && env -0"], capture_output=True, check=False,
                               env={"PATH": os.environ["PATH"], "HOME": self.work})
        assert shell.returncode == 0, (shell.returncode, shell.stderr, os.listdir(self.directory))
        pairs = (pair.split("=", 1) for pair in shell.stdout.decode().split("\0") if "=" in pair)
        self.environment = dict(pairs)

    def stop(self):
        return self.process.stop(signal.SIGINT)

    def kill(self):
        self.process.kill()

    def cli(self, *words, stdin=None, environment=None):
        return run([SMACKD, *words], {**self.environment, **(environment or {})}, stdin)

    def must(self, *words, stdin=None, environment=None):
        """Runs a command that has to work."""
        answer = self.cli(*words, stdin=stdin, environment=environment)
        assert answer.code == 0, f"smackd {' '.join(words)}: {answer}"
        return answer

    def must_json(self, *words, **more):
        return self.must(*words, "--json", **more).json()

    def kinit(self, principal=None, keytab=None, password=None, cache=None):
        """A ticket in a cache of its own; returns the environment that uses it."""
        need_tool("kinit")
        environment = dict(self.environment)
        if cache:
            environment["KRB5CCNAME"] = f"FILE:{cache}"
        principal = principal or self.environment["SMACKD_PRINCIPAL"]
        words = ["kinit", "-kt", keytab or self.environment["SMACKD_KEYTAB"], principal]
        if password is not None:
            words = ["kinit", principal]
        answer = run(words, environment, stdin=None if password is None else password + "\n")
        assert answer.code == 0, f"kinit: {answer}"
        return environment

    def curl(self, path, *words, environment=None, negotiate=True):
        """(status, headers, body) of Debian's curl."""
        need_tool("curl")
        command = ["curl", "-sS", "-D", "-", "-o", os.path.join(self.work, "body")]
        if negotiate:
            command += ["--negotiate", "-u", ":"]
        answer = run([*command, *words, self.environment["SMACKD_URL"] + path], environment or self.environment)
        assert answer.code == 0, f"curl: {answer}"
        head = answer.out.replace("\r", "").strip().split("\n\n")[-1].splitlines()
        headers = {}
        for line in head[1:]:
            name, value = line.split(":", 1)
            headers.setdefault(name.strip().lower(), []).append(value.strip())
        with open(os.path.join(self.work, "body"), errors="replace") as file:
            body = file.read()
        return int(head[0].split()[1]), headers, body

    def request(self, method, path, body=None, headers=None, port=None):
        """(status, headers, body) by a plain HTTP client that adds nothing of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.ports["api"], timeout=10)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": f"localhost:{self.ports['api']}", **(headers or {})}.items():
            connection.putheader(name, value)
        data = None if body is None else body.encode()
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        fields = {}
        for name, value in response.getheaders():
            name = name.lower()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        answer = response.status, fields, response.read().decode()
        connection.close()
        return answer

    def token(self):
        """A bearer token for the admin."""
        session = os.path.join(self.work, "token_session.json")
        self.must("login", environment={"SMACKD_SESSION_FILE": session})
        with open(session) as file:
            return next(iter(json.load(file).values()))["token"]

    def bearer(self):
        return {"Authorization": f"Bearer {self.token()}"}


_shared = []


def shared_demo():
    """A demo that tests use which change little; started once."""
    if not _shared:
        _shared.append(Demo().start())
    assert _shared[0].process.running(), "the shared demo has ended"
    return _shared[0]


def recent_logs():
    text = ""
    for process in _running:
        text += f"--- end of {process.log_path}\n{process.log()[-2000:]}\n"
    return text


def _uses(pid, folder):
    """Whether a process was started with a path below the folder or has a file of it open."""
    try:
        with open(f"/proc/{pid}/cmdline", errors="replace") as file:
            if folder in file.read():
                return True
        return any(os.readlink(f"/proc/{pid}/fd/{name}").startswith(folder) for name in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def end_survivors(*folders):
    """What outlives a killed daemon on purpose (edges, tasks) ends with the test that made its folder."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) != os.getpid() and any(_uses(pid, folder + "/") for folder in folders or _directories):
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass


def clean_up():
    for process in list(_running):
        process.send_signal(signal.SIGTERM)
    for process in list(_running):
        try:
            process.wait()
        except subprocess.TimeoutExpired:
            process.kill()
    end_survivors()
    for path in _directories:
        subprocess.run(["umount", "-l", os.path.join(path, "mount")], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(path, ignore_errors=True)


def wait_until(condition, limit=10, what="the condition"):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {limit} s")
