"""Set-ups that are broken, each as it breaks in a cellar: what `smackd doctor`, `start` or `join` says must name the cause and the fix.

A row is a function: it breaks something for real and gives what was said. `SAYS` of its decorator are texts that must be in it;
after a `doctor` each must be in a finding that is not ok, and that finding must have a fix to type. Machines are boxes (box.py) and, where
several are needed, one World for all rows.
"""

import functools
import hashlib
import json
import os
import re
import shutil
import sys

import harness
from box import Box, close_all
from harness import SMACKD, TOOLS, run, temporary_directory
from test_join import cli, join_by_bundle, keytab_of, start_first, wait_ready
from world import World

REALM = "EXAMPLE.ORG"
CLOCK = os.path.join(TOOLS, "shifted_clock")
SITE = ["--bootstrap", "--realm", REALM, "--node-name", "n1"]

TABLE = []


def row(name, *says, code=1, check=None):
    """A test of one broken set-up. `check`: the finding's name, of a doctor."""
    def make(function):
        def test():
            harness.need_root()
            try:
                said = function()
            finally:
                close_all()
            judge(name, said, says, code, check)
        test.__name__ = f"test_{name}"
        TABLE.append(name)
        globals()[test.__name__] = test
        return function
    return make


def judge(name, said, says, code, check):
    if code is not None:
        assert said.code == code, f"{name}: exit code {said.code}: {said}"
    text = said.out + said.err
    if not text.lstrip().startswith("{"):
        for one in says:
            assert one in text, f"{name}: '{one}' is not said: {text}"
        return
    findings = [finding for finding in json.loads(said.out)["findings"] if finding["result"] != "ok"]
    for one in findings:
        assert one["message"] and one["advice"] and one["fix"], f"{name}: a finding without cause or fix: {one}"
    meant = [finding for finding in findings if check is None or finding["check"].startswith(check)]
    for one in says:
        assert any(one in " ".join(finding.values()) for finding in meant), f"{name}: '{one}' is not said of {check}: {findings}"


# ---- what the rows begin with

@functools.cache
def made():
    """A data directory that was made and never started."""
    directory = os.path.join(temporary_directory(), "made")
    answer = run([SMACKD, "realm", "init", REALM, "--data-dir", directory, "--node-name", "n1"])
    assert answer.code == 0, answer
    return directory


@functools.cache
def another():
    directory = os.path.join(temporary_directory(), "another")
    answer = run([SMACKD, "realm", "init", "OTHER.ORG", "--data-dir", directory, "--node-name", "n1"])
    assert answer.code == 0, answer
    return directory


@functools.cache
def used():
    """One that was started, changed and stopped."""
    box = Box().copy(made())
    server = box.leave([SMACKD, "start", "--data-dir", box.directory], ready="ready")
    for number in range(3):
        assert box.smackd("user", "add", f"u{number}", "--data-dir", box.directory).code == 0
    assert server.stop() == 0, server.log()
    box.close()
    return box.directory


class Node(Box):
    """A box with a stopped node in it."""

    def __init__(self, source, **more):
        super().__init__(**more)
        self.copy(source)

    def doctor(self, *words, **more):
        return self.smackd("doctor", "--data-dir", self.directory, "--json", *words, **more)

    def start(self, *words, **more):
        return self.smackd("start", "--data-dir", self.directory, *words, **more)

    def path(self, name):
        return os.path.join(self.directory, name)


def with_config(text):
    box = Node(made())
    path = os.path.join(box.work, "smackd.toml")
    with open(path, "w") as file:
        file.write(text)
    return box.start("--config", path)


def said(text):
    """What a process wrote, as an Answer."""
    class Said:
        code, out, err = 0, "", text
    return Said


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


# ---- the configuration

@row("config_unknown_key", "line 2: unknown key 'listen.apii'", "did you mean 'listen.api'")
def _():
    return with_config('[listen]\napii = "0.0.0.0:5050"\n')


@row("config_wrong_type", "line 2: backup.keep: must be a whole number without quotes")
def _():
    return with_config('[backup]\nkeep = "seven"\n')


@row("config_wrong_value", "line 2: listen.api", "must be HOST:PORT with a port of 1 to 65535")
def _():
    return with_config('[listen]\napi = "0.0.0.0:99999"\n')


@row("config_no_toml", "smackd.toml line 1:")
def _():
    return with_config("listen.api: 0.0.0.0:5050\n")


@row("config_environment", "SMACKD_LISTEN_API", "must be HOST:PORT")
def _():
    return Node(made()).start(SMACKD_LISTEN_API="everywhere")


@row("config_missing", "/nonexistent.toml", "No such file")
def _():
    return Node(made()).start("--config", "/nonexistent.toml")


@row("config_seen_by_the_doctor", "unknown key 'tasks.runs'", "smackd config check", check="configuration")
def _():
    box = Node(made())
    path = os.path.join(box.work, "wrong.toml")
    with open(path, "w") as file:
        file.write("[tasks]\nruns = false\n")
    return box.doctor("--config", path)


@row("certificate_of_the_ingress_expired", "expired", "openssl x509", check="certificate /")
def _():
    harness.need_tool("openssl")
    box = Node(made())
    made_it = run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                   "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example", "-keyout", f"{box.work}/key", "-out", f"{box.work}/cert"])
    assert made_it.code == 0, made_it
    with open(f"{box.work}/both.pem", "w") as out:
        for part in ("cert", "key"):
            with open(f"{box.work}/{part}") as file:
                out.write(file.read())
    return box.doctor(before=[CLOCK, str(5 * 24 * 3600)], SMACKD_EDGE_CERTIFICATES=f"{box.work}/both.pem")


# ---- the data directory

@row("no_node", "holds no node", "smackd start --bootstrap")
def _():
    return Box().smackd("start", "--data-dir", "/var/lib/nothing")


@row("no_node_for_the_doctor", "holds no node", "smackd realm init", check="node")
def _():
    return Box().smackd("doctor", "--data-dir", "/var/lib/nothing", "--json")


@row("identity_damaged", "node.json", "join anew", check="node")
def _():
    box = Node(made())
    with open(box.path("node.json"), "r+") as file:
        file.truncate(40)
    return box.doctor()


@row("another_cluster", "cluster/ca.pem", "of two clusters", "join anew")
def _():
    box = Node(used())
    shutil.copy(os.path.join(another(), "cluster/ca.pem"), box.path("cluster/ca.pem"))
    return box.start()


@row("key_of_another_cluster", "cluster.key", "join anew", check="keys")
def _():
    box = Node(used())
    shutil.copy(os.path.join(another(), "cluster/cluster.key"), box.path("cluster/cluster.key"))
    return box.doctor()


@row("newer_version", "feature level 99", "install a newer smackd")
def _():
    box = Node(used())
    raised = run([os.path.join(TOOLS, "raise_level"), box.directory, "99"])
    assert raised.code == 0, raised
    return box.start()


@row("newer_version_for_the_doctor", "feature level 99", "install a newer smackd", check="state")
def _():
    box = Node(used())
    assert run([os.path.join(TOOLS, "raise_level"), box.directory, "99"]).code == 0
    return box.doctor()


@row("key_readable_by_others", "cluster/server.key has mode 0644", "chmod 0600", check="permissions")
def _():
    box = Node(made())
    os.chmod(box.path("cluster/server.key"), 0o644)
    return box.doctor()


@row("key_of_another_user", "cluster/ca.key belongs to user 65534", "chown root:", check="permissions")
def _():
    box = Node(made())
    os.chown(box.path("cluster/ca.key"), 65534, 65534)
    return box.doctor()


@row("folder_closed", "has mode 0700", "chmod o+x", check="permissions")
def _():
    box = Node(made())
    os.chmod(box.directory, 0o700)
    return box.doctor()


@row("server_key_missing", "cluster/server.key is missing", "join anew")
def _():
    box = Node(used())
    os.unlink(box.path("cluster/server.key"))
    return box.start()


@row("state_damaged", "state.db", "sets the file aside", code=None, check="state")
def _():
    box = Node(used())
    for name, header in (("state.db", 0), ("state.db-wal", 32 + 24)):
        flip(box.path(f"state/{name}"), header + 200)
    return box.doctor()


def first_segment(box):
    folder = box.path("raft/log")
    return os.path.join(folder, sorted(os.listdir(folder))[0])


@row("log_cut", "log", "smackd recover", code=None, check="log")
def _():
    box = Node(used())
    segment = first_segment(box)
    with open(segment, "r+b") as file:
        data = file.read()
        end = len(data.rstrip(b"\0"))
        file.seek(end // 2)
        file.write(b"\0" * 512)
    return box.doctor()


@row("log_damaged", "of the log may be lost", "a record there fails its checksum", "smackd recover")
def _():
    box = Node(used())
    segment = first_segment(box)
    flip(segment, 700)
    return box.start()


@row("term_and_vote_damaged", "raft/meta", "smackd recover", check="log")
def _():
    box = Node(used())
    size = os.path.getsize(box.path("raft/meta"))
    with open(box.path("raft/meta"), "r+b") as file:
        file.write(b"\x55" * size)
    return box.doctor()


@row("read_only", "Read-only file system", "remount,rw", check="writing")
def _():
    box = Node(made())
    box.must(f"mount --bind {box.directory} {box.directory} && mount -o remount,bind,ro {box.directory}")
    return box.doctor()


@row("read_only_start", "Read-only file system")
def _():
    box = Node(used())
    box.must(f"mount --bind {box.directory} {box.directory} && mount -o remount,bind,ro {box.directory}")
    return box.start()


def full_disk():
    box = Box()
    os.makedirs(box.directory)
    box.must(f"mount -t tmpfs -o size=3m,mode=711 tmpfs {box.directory} && cp -a {made()}/. {box.directory} && "
             f"dd if=/dev/zero of={box.directory}/ballast bs=64k 2>/dev/null; true")
    return box


@row("disk_full", "free at", "make room", check="disk")
def _():
    return doctor_of(full_disk())


def doctor_of(box):
    return box.smackd("doctor", "--data-dir", box.directory, "--json")


@row("disk_full_start", "o space")
def _():
    box = full_disk()
    return box.smackd("start", "--data-dir", box.directory)


@row("two_daemons", "is in use by another smackd (process ", "--data-dir")
def _():
    box = Node(used())
    box.leave([SMACKD, "start", "--data-dir", box.directory], ready="ready")
    return box.start()


@row("stale_lock", code=None)
def _():
    """Not broken: whatever the file says, nobody has the lock."""
    box = Node(used())
    with open(box.path("lock"), "w") as file:
        file.write("1")
    box.leave([SMACKD, "start", "--data-dir", box.directory], ready="ready")
    return doctor_of(box)


@row("node_name_changed", "node.name is n7, and this node joined as n1", "a node keeps its name", code=None, check="configuration")
def _():
    return Node(made()).doctor(SMACKD_NODE_NAME="n7")


# ---- ports

TAKE = """
import socket, sys, time
kept = []
for what in sys.argv[1:]:
    kind, host, port = what.split(",")
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    one.bind((host, int(port)))
    if kind == "tcp":
        one.listen()
    kept.append(one)
print("ready", flush=True)
time.sleep(600)
"""


def take(box, *ports):
    return box.leave([sys.executable, "-c", TAKE, *ports], "taker", "ready")


@functools.cache
def doctor_with_all_ports_taken():
    box = Node(made())
    take(box, "tcp,0.0.0.0,5050", "tcp,0.0.0.0,5055", "udp,0.0.0.0,5055", "tcp,0.0.0.0,88", "udp,0.0.0.0,88", "udp,127.0.0.1,53",
         "tcp,0.0.0.0,80", "tcp,0.0.0.0,443")
    return box.doctor(SMACKD_TASKS_RUN="true")


for check, protocol, port, key in (("API", "TCP", 5050, "[listen] api"), ("cluster", "TCP", 5055, "[listen] cluster"),
                                   ("gossip", "UDP", 5055, "[listen] cluster"), ("KDC", "UDP", 88, "[listen] kdc"),
                                   ("DNS", "UDP", 53, "[listen] dns"), ("HTTP", "TCP", 80, "[listen] http"),
                                   ("HTTPS", "TCP", 443, "[listen] https")):
    row(f"port_of_{check.lower()}_taken", f"{protocol} ", f":{port} is taken by python3", "kill ", key,
        check=f"port {check}")(doctor_with_all_ports_taken)


@row("port_taken_start_api", "5050", "in use")
def _():
    box = Node(made())
    take(box, "tcp,0.0.0.0,5050")
    return box.start()


@row("port_taken_start_cluster", "5055", "in use")
def _():
    box = Node(made())
    take(box, "tcp,0.0.0.0,5055")
    return box.start()


@row("port_taken_start_gossip", "alarm gossip", "5055", "in use", code=None)
def _():
    """The node runs all the same: who answers is a hint."""
    box = Node(made())
    take(box, "udp,0.0.0.0,5055")
    server = box.leave([SMACKD, "start", "--data-dir", box.directory], ready="ready")
    harness.wait_until(lambda: "alarm gossip" in server.log(), 10, "the alarm")
    return said(server.log())


@row("port_taken_start_kdc", ":88 does not start", "--kdc-addr")
def _():
    box = Node(made())
    take(box, "udp,0.0.0.0,88")
    return box.start()


@row("address_of_another_machine", "10.77.77.77:5050", "address of this machine", check="port API")
def _():
    return Node(made()).doctor(SMACKD_LISTEN_API="10.77.77.77:5050")


# ---- names

@row("own_name_unknown", "n1 means nothing here", "/etc/hosts", check="own name")
def _():
    return Node(made(), hosts="127.0.0.1 localhost\n").doctor()


@row("own_name_is_loopback", "n1 means 127.0.1.1 here", "sed -i", code=None, check="own name")
def _():
    return Node(made(), hosts="127.0.0.1 localhost\n127.0.1.1 n1\n").doctor()


@row("own_name_is_elsewhere", "n1 means 10.9.9.77, which is no address of this machine", check="own name")
def _():
    return Node(made(), hosts="127.0.0.1 localhost\n10.9.9.77 n1\n").doctor()


@row("name_servers_silent", "10.9.9.53:53 of /etc/resolv.conf does not answer", "sed -i", check="name server")
def _():
    return Node(made(), resolver="nameserver 10.9.9.53\n").doctor()


# ---- the machine

@row("no_control_groups", "no control groups with the memory controller are mounted", "mount -t cgroup2", check="control groups")
def _():
    box = Node(made())
    box.must("umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup")
    return box.doctor(SMACKD_TASKS_RUN="true")


@row("control_groups_read_only", "is read-only", "remount,rw", check="control groups")
def _():
    box = Node(made())
    box.must("for at in /sys/fs/cgroup /sys/fs/cgroup/*/; do if mountpoint -q $at; then mount -o remount,bind,ro $at; fi; done")
    return box.doctor(SMACKD_TASKS_RUN="true")


@row("no_user_namespaces", "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces", check="user namespaces")
def _():
    # The number is of the user namespace: in one of its own it can be taken away without harm to the machine.
    box = Node(made())
    return run(box.words(["unshare", "--user", "--map-root-user", "sh", "-c", "echo 0 >/proc/sys/user/max_user_namespaces && "
                          f"exec {SMACKD} doctor --data-dir {box.directory} --json"]), {**box.environment, "SMACKD_TASKS_RUN": "true"})


@row("no_forwarding", "net.ipv4.ip_forward is 0 and cannot be written", "sysctl -w net.ipv4.ip_forward=1", check="forwarding")
def _():
    box = Node(made())
    box.must("sysctl -qw net.ipv4.ip_forward=0; mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys")
    return box.doctor(SMACKD_TASKS_RUN="true")


@row("forwarding_switched_off", "somebody switched it off", "sysctl -w net.ipv4.ip_forward=1", check="forwarding")
def _():
    box = Node(made())
    name = hashlib.sha256(f"{box.directory}/agent".encode()).hexdigest()[:8]
    box.must(f"ip link add smk{name} type bridge && sysctl -qw net.ipv4.ip_forward=0")
    return box.doctor(SMACKD_TASKS_RUN="true")


@row("subnet_taken", "every /24 of 10.64.0.0/10", "ip -4 route", check="subnet of tasks")
def _():
    box = Node(made())
    box.must("ip route add 10.64.0.0/10 dev lo")
    return box.doctor(SMACKD_TASKS_RUN="true")


@row("few_descriptors", "at most 256 open files", "LimitNOFILE", check="open files")
def _():
    box = Node(made())
    return box.sh(f"ulimit -n 256 && exec {SMACKD} doctor --data-dir {box.directory} --json")


@row("little_memory", "the control group may have 192.0 MiB", "MemoryMax=infinity", check="memory")
def _():
    top = next(path for path in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup") if os.path.isdir(path))
    group = os.path.join(top, f"smackd_it_{os.getpid()}")
    limit = "memory.limit_in_bytes" if top.endswith("memory") else "memory.max"
    os.makedirs(group)
    try:
        with open(os.path.join(group, limit), "w") as file:
            file.write(str(192 << 20))
        box = Node(made())
        return box.sh(f"echo $$ >{group}/cgroup.procs && exec {SMACKD} doctor --data-dir {box.directory} --json")
    finally:
        harness.wait_until(lambda: not open(os.path.join(group, "cgroup.procs")).read(), 10, "the end of the group")
        os.rmdir(group)


# ---- Kerberos of a site

def site(break_keytab):
    """A first node in a realm of the site, with a keytab as it should be until it is broken."""
    box = Box()
    keytab = os.path.join(box.work, "site.keytab")
    shutil.copy(os.path.join(made(), "keytabs/node.keytab"), keytab)
    answer = break_keytab(box, keytab)
    if answer is not None:
        return answer
    return box.smackd("start", *SITE, "--keytab", keytab, "--data-dir", box.directory)


def site_doctor(break_keytab):
    """The same, broken after it was made."""
    box = Node(made())
    with open(box.path("node.json")) as file:
        node = json.load(file)
    with open(box.path("node.json"), "w") as file:
        json.dump({**node, "embedded_realm": False}, file)
    keytab = os.path.join(box.work, "site.keytab")
    shutil.move(box.path("keytabs/node.keytab"), keytab)
    break_keytab(keytab)
    return box.doctor(SMACKD_KERBEROS_KEYTAB=keytab)


@row("keytab_missing", "site.keytab does not exist", "make one")
def _():
    return site(lambda box, keytab: os.unlink(keytab))


@row("keytab_missing_for_the_doctor", "site.keytab", "kadmin", check="keytab")
def _():
    return site_doctor(os.unlink)


@row("keytab_of_another_machine", "has no key of smack/n1@EXAMPLE.ORG; it has: HTTP/n5@EXAMPLE.ORG", "kadmin -q 'ktadd", check="keytab")
def _():
    def other(keytab):
        directory = os.path.join(temporary_directory(), "n5")
        assert run([SMACKD, "realm", "init", REALM, "--data-dir", directory, "--node-name", "n5"]).code == 0
        shutil.copy(os.path.join(directory, "keytabs/node.keytab"), keytab)
    return site_doctor(other)


@row("keytab_of_another_realm", "it is of another realm than EXAMPLE.ORG", "kadmin", check="keytab")
def _():
    return site_doctor(lambda keytab: shutil.copy(os.path.join(another(), "keytabs/node.keytab"), keytab))


@row("keytab_garbage", "site.keytab", "keytab")
def _():
    def garbage(_, keytab):
        with open(keytab, "w") as file:
            file.write("not a keytab at all\n")
    return site(garbage)


@row("keytab_readable_by_others", "has mode 0644", "chmod 0600", check="keytab")
def _():
    return site_doctor(lambda keytab: os.chmod(keytab, 0o644))


@row("keytab_not_ours_to_read", "sudo smackd doctor", check="keytab")
def _():
    box = Node(made())
    return box.sh(f"exec setpriv --reuid 65534 --regid 65534 --clear-groups {SMACKD} doctor --data-dir {box.directory} --json")


# ---- a cluster: n1 is well, the others are not

class Site:
    """n1 runs; a1 has joined and is stopped; x1 and y1 are registered, and nothing yet."""

    def __init__(self):
        self.world = World("n1", "a1", "x1", "y1")
        self.world.__enter__()
        start_first(self.world["n1"], REALM)
        self.bundle = join_by_bundle(self.world, "a1", "agent")
        self.x1 = cli(self.world, "machine", "add", "x1", "--role", "agent", "--bundle", "-").out
        a1 = self.world["a1"]
        a1.start([SMACKD, "start", "--data-dir", a1.directory])
        wait_ready(a1)
        assert a1.process.stop() == 0

    def agent(self):
        """A copy of a1's directory: what is broken in it is broken in it alone."""
        directory = os.path.join(temporary_directory(), "a1")
        shutil.copytree(self.world["a1"].directory, directory, symlinks=True)
        return directory

    def doctor(self, directory, before=(), host="a1"):
        return self.world[host].run([*before, SMACKD, "doctor", "--data-dir", directory, "--json"])

    def join(self, *words, before=(), stdin=None):
        directory = os.path.join(temporary_directory(), "x1")
        return self.world["x1"].run([*before, SMACKD, "join", *words, "--data-dir", directory], stdin=stdin)


_site = []


def cluster():
    if not _site:
        _site.append(Site())
    return _site[0]


def with_kdc(address):
    directory = cluster().agent()
    path = os.path.join(directory, "krb5.conf")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(re.sub(r"kdc = \S+", f"kdc = {address}", text))
    return directory


@row("kdc_down", "nobody listens at", "systemctl restart", check="KDC")
def _():
    return cluster().doctor(with_kdc("n1:8899"))


@row("kdc_unreachable", "KDC 10.255.254.253:88", "ssh", check="KDC")
def _():
    return cluster().doctor(with_kdc("10.255.254.253:88"))


@row("kdc_name_unknown", "kdc.nowhere: the name means nothing here", check="KDC")
def _():
    return cluster().doctor(with_kdc("kdc.nowhere:88"))


@row("no_kdc_there", "is no KDC", check="KDC")
def _():
    one = cluster()
    taker = one.world["y1"].start([sys.executable, "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                                   "s.bind(('0.0.0.0', 88))\nprint('ready', flush=True)\nwhile True:\n    data, at = s.recvfrom(4096)\n    s.sendto(b'hello', at)\n"])
    harness.wait_until(lambda: "ready" in taker.output(), 10, "who is there instead")
    try:
        return one.doctor(with_kdc("y1:88"))
    finally:
        taker.kill()


@row("wrong_realm", "does not know smack/a1@WRONG.ORG; is WRONG.ORG its realm?", check="KDC")
def _():
    directory = cluster().agent()
    for name in ("node.json", "krb5.conf"):
        path = os.path.join(directory, name)
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace(REALM, "WRONG.ORG"))
    return cluster().doctor(directory)


@row("wrong_time", "10 min behind that of KDC", "set-ntp", check="clock")
def _():
    return cluster().doctor(cluster().agent(), before=[CLOCK, "-600"])


@row("keytab_of_old_keys", "ticket", "smackd machine keytab a1", check="ticket of the node")
def _():
    directory = cluster().agent()
    path = keytab_of(cluster().world, "machine", "a1")  # new keys: the ones of the copy are worth nothing now
    shutil.copy(path, os.path.join(cluster().world["a1"].directory, "keytabs/node.keytab"))
    return cluster().doctor(directory)


@row("certificate_expired", "expired", "smackd join", check="certificate")
def _():
    directory = cluster().agent()
    os.unlink(os.path.join(directory, "keytabs/node.keytab"))
    return cluster().doctor(directory, before=[CLOCK, str(25 * 3600)])


@row("another_cluster_for_an_agent", "not signed by a CA we trust", "files of two clusters", check="certificate")
def _():
    directory = cluster().agent()
    shutil.copy(os.path.join(another(), "cluster/ca.pem"), os.path.join(directory, "cluster/ca.pem"))
    return cluster().doctor(directory)


@row("peer_of_another_cluster", "not of this cluster", check="peer n1")
def _():
    directory = cluster().agent()
    shutil.copy(os.path.join(another(), "cluster/ca.pem"), os.path.join(directory, "cluster/ca.pem"))
    return cluster().doctor(directory)


@row("machine_suspended", "refuses this node", "suspended", "smackd machine list", check="peer n1")
def _():
    one = cluster()
    cli(one.world, "machine", "suspend", "a1")
    try:
        return one.doctor(one.agent())
    finally:
        cli(one.world, "machine", "resume", "a1")


@row("name_of_a_peer_is_here", "n1 means 127.0.0.1, which is this machine itself", check="name")
def _():
    host = cluster().world["a1"]
    address = cluster().world["n1"].address
    host.set_address_of("n1", "127.0.0.1")
    try:
        return cluster().doctor(cluster().agent())
    finally:
        host.set_address_of("n1", address)


@row("peer_down", "is smackd running there", check="peer y1:5055")
def _():
    directory = cluster().agent()
    path = os.path.join(directory, "cluster/members.json")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("n1:5055", "y1:5055"))
    return cluster().doctor(directory)


@row("seed_name_unknown", "seed.nowhere", "/etc/hosts", check="seed")
def _():
    return cluster().world["x1"].run([SMACKD, "doctor", "--data-dir", "/nonexistent", "--seed", "seed.nowhere", "--json"])


@row("seed_unreachable", "is smackd running there", check="seed")
def _():
    return cluster().world["x1"].run([SMACKD, "doctor", "--data-dir", "/nonexistent", "--seed", "y1", "--json"])


def changed_bundle(change):
    bundle = cluster().x1
    changed = change(bundle)
    assert changed != bundle, bundle[:400]
    return cluster().join("-", stdin=changed)


@row("join_seed_name_unknown", "seed.nowhere")
def _():
    return changed_bundle(lambda text: text.replace("n1:5055", "seed.nowhere:5055"))


@row("join_seed_unreachable", "y1:5055", "refused")
def _():
    return changed_bundle(lambda text: text.replace("n1:5055", "y1:5055"))


@row("join_wrong_pin", "the member is of cluster", "take a new bundle, or the right seed")
def _():
    return changed_bundle(lambda text: re.sub(r"[0-9a-f]{64}", lambda found: found[0][::-1], text))


@row("join_unregistered", "smack/z1@EXAMPLE.ORG is unknown to realm EXAMPLE.ORG", "smackd machine add NAME --bundle")
def _():
    one = cluster()
    return one.join("--seed", "n1", "--keytab", unregistered(one), "--kdc", f"{one.world['n1'].address}:88")


def unregistered(one):
    """The keytab of a machine that was registered, with keys that still open something: its row is gone."""
    cli(one.world, "machine", "add", "z1", "--role", "agent")
    keytab = keytab_of(one.world, "machine", "z1")
    cli(one.world, "machine", "remove", "z1")
    return keytab


@row("join_suspended", "suspended", "smackd machine resume x1")
def _():
    one = cluster()
    cli(one.world, "machine", "suspend", "x1")
    try:
        return one.join("-", stdin=one.x1)
    finally:
        cli(one.world, "machine", "resume", "x1")


@row("join_wrong_time", "clock skew", "the member's says")
def _():
    return cluster().join("-", stdin=cluster().x1, before=[CLOCK, "600"])


def test_table():
    """After the others: the figures."""
    if _site:
        _site.pop().world.__exit__()
    assert len(set(TABLE)) == len(TABLE) and len(TABLE) >= 40, len(TABLE)
    print(f"broken: {len(TABLE)} set-ups")
