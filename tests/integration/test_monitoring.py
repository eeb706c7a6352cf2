"""docs/monitoring.md: its commands are typed; every metric that a server tells is in its table and the other way round; alerts and dashboard
use metrics that exist; the bundle holds what it says and no secret; lines go to a journal with their fields."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

import harness
from box import Box
from harness import ROOT, SMACKD, Demo, need_tool, run, temporary_directory, wait_until
from typed import Typist
from world import World

DOCUMENT = os.path.join(ROOT, "docs/monitoring.md")
FOLDER = os.path.join(ROOT, "packaging/monitoring")
UNITS = {"smackd": ("smackd start", lambda process: re.search("^ready", process.output(), re.MULTILINE))}
SECRETS = ["sEcReT-of-the-environment", "sEcReT-of-a-label", "sEcReT-of-a-command", "sEcReT-password-1", "sEcReT-in-the-log"]


def documented():
    """{name: kind} of the document's table."""
    with open(DOCUMENT) as file:
        return dict(re.findall(r"^\| `(smackd_\w+)` \| (counter|gauge|histogram) \|", file.read(), re.MULTILINE))


def told(text):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def names_in(expression):
    """Metrics of a PromQL expression, without what a histogram appends."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bsmackd_\w+", expression)}


def test_typed_as_it_stands():
    """The commands of the document, and what /metrics says by them."""
    need_tool("nsenter")
    with World("n1") as world:
        typist = Typist(world, "", UNITS)
        try:
            typist.type("n1", "smackd realm init EXAMPLE.ORG")
            typist.type("n1", "systemctl start smackd")
            typist.type_section(DOCUMENT, "Prometheus")
            metrics = told(typist.type("n1", "cat metrics.txt"))
            # An alarm's name is told only while there is one.
            metrics.setdefault("smackd_alarm", "gauge")
            assert metrics == documented(), {"not documented": set(metrics) - set(documented()), "not told": set(documented()) - set(metrics)}
            typist.type_section(DOCUMENT, "The audit")
            assert "put_user prometheus" in typist.type("n1", "cat audit.json"), "the audit"
            typed = typist.type_section(DOCUMENT, "An archive for whoever helps")
            assert "about.json" in typed[1][2] and "server/metrics.txt" in typed[1][2], typed
        finally:
            typist.close()


def test_alerts_and_dashboard():
    known = set(documented())
    with open(os.path.join(FOLDER, "alerts.yml")) as file:
        rules = file.read()
    expressions = re.findall(r"^ +expr: (.+)$", rules, re.MULTILINE)
    alerts = re.findall(r"^ +- alert: (\w+)$", rules, re.MULTILINE)
    assert len(expressions) == len(alerts) == len(re.findall(r"^ +action: ", rules, re.MULTILINE)) >= 15, (len(expressions), len(alerts))
    for expression in expressions:
        assert names_in(expression) <= known, expression
    with open(os.path.join(FOLDER, "dashboard.json")) as file:
        dashboard = json.load(file)
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(shown) >= 15 and len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for expression in shown:
        assert names_in(expression) <= known, expression
        assert expression.count("(") == expression.count(")"), expression
    print(f"monitoring: {len(known)} metrics, {len(alerts)} alerts, {len(dashboard['panels'])} panels")


def promtool():
    """Prometheus' own checker, out of Debian's package, which is not installed: it would start a service."""
    found = shutil.which("promtool")
    if found:
        return found
    folder = temporary_directory()
    got = subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "prometheus"], cwd=folder, capture_output=True, check=False)
    packages = [name for name in os.listdir(folder) if name.endswith(".deb")]
    if got.returncode != 0 or not packages:
        raise harness.Skip("promtool cannot be had here")
    subprocess.run(["dpkg", "-x", os.path.join(folder, packages[0]), folder], check=True)
    return os.path.join(folder, "usr/bin/promtool")


def test_promtool_accepts_the_rules():
    tool = promtool()
    rules = run([tool, "check", "rules", os.path.join(FOLDER, "alerts.yml")])
    assert rules.code == 0 and "SUCCESS" in rules.out, rules
    # Each expression of the dashboard, as a rule that is recorded.
    with open(os.path.join(FOLDER, "dashboard.json")) as file:
        shown = [target["expr"] for panel in json.load(file)["panels"] for target in panel["targets"]]
    path = os.path.join(temporary_directory(), "rules.yml")
    with open(path, "w") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": [{"record": f"panel:{number}", "expr": expression.replace("$job", "smackd")}
                                                              for number, expression in enumerate(shown)]}]}, file)
    dashboard = run([tool, "check", "rules", path])
    assert dashboard.code == 0 and f"{len(shown)} rules found" in dashboard.out, dashboard


def files_of(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name.split("/", 1)[1]: tar.extractfile(member).read().decode(errors="replace") for member in tar}


def key_bytes(directory):
    """What no bundle may hold: the contents of every file with a key in it, as they are, in hexadecimal and in base64."""
    found = []
    for folder in ("cluster", "keytabs"):
        for name in os.listdir(os.path.join(directory, folder)):
            if name.endswith((".key", ".keytab")):
                with open(os.path.join(directory, folder, name), "rb") as file:
                    data = file.read()
                found += [data[-24:], data[-24:].hex().encode(), base64.b64encode(data[-24:])]
    return found


def planted():
    """A demo with secrets wherever people put them: {where it runs}, and the log it has."""
    os.environ.pop("SMACKD_TASKS_RUN", None)
    try:
        demo = Demo().start()
    finally:
        os.environ.update(harness.NO_TASKS)
    app = {"id": "/planted", "cmd": f"echo {SECRETS[2]} >/dev/null; sleep 1000", "cpus": 0.01, "mem": 32, "env": {"PASSWORD": SECRETS[0]},
           "labels": {"api-key": SECRETS[1]}}
    path = os.path.join(demo.work, "app.json")
    with open(path, "w") as file:
        json.dump(app, file)
    demo.must("app", "add", path)
    demo.must("user", "add", "planted", "--password-stdin", stdin=f"{SECRETS[3]}\n")
    return demo


def test_bundle_has_no_secret():
    demo = planted()
    token = demo.token()
    log = os.path.join(demo.work, "daemon.log")
    shutil.copy(demo.process.log_path, log)
    with open(log, "a") as file:
        file.write(f"x info api: somebody logs password={SECRETS[4]} and Authorization: Bearer {token}\n")
        file.write(f"x info api: {{\"secret\": \"{SECRETS[4]}\"}} https://me:{SECRETS[4]}@registry.example/v2 token={token}\n")
        file.write(f"-----BEGIN EC PRIVATE KEY-----\n{SECRETS[4]}\n-----END EC PRIVATE KEY-----\nx error node: alarm planted what=kept\n")
    with open(os.path.join(demo.directory, "keytabs/admin.keytab"), "rb") as file:
        assert file.read()
    words = ["bundle", "-", "--data-dir", demo.directory]
    environment = {**demo.environment, "SMACKD_LOG_FILE": log, "SMACKD_URL": "", "MY_SECRET": SECRETS[0]}
    config = os.path.join(demo.work, "bundle.toml")
    with open(config, "w") as file:
        file.write(f'[log]\nfile = "{log}"\n')

    def bundle():
        done = subprocess.run([SMACKD, *words, "--config", config], env=environment, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        files = files_of(done.stdout)
        everything = "\n".join(files.values()).encode()
        for secret in [*(one.encode() for one in SECRETS), token.encode(), *key_bytes(demo.directory)]:
            assert secret not in everything, f"{secret} in {[name for name, text in files.items() if secret.decode(errors='replace') in text]}"
        return files
    alive = bundle()
    for name in ("about.json", "doctor.json", "settings.toml", "node.json", "data_directory.txt", "machine/kernel.txt", "server/status.json",
                 "server/metrics.txt", "state/counts.json", "state/tasks.json", "state/audit.json", "state/position.json"):
        assert name in alive, (name, sorted(alive), alive["about.json"])
    assert "/planted" in alive["state/tasks.json"] and json.loads(alive["state/counts.json"])["apps"] == 1, alive["state/counts.json"]
    assert demo.stop() == 0
    dead = bundle()
    assert "log.txt" in dead and "somebody logs password=[redacted]" in dead["log.txt"], sorted(dead)
    assert "alarm planted" in dead["alarms.txt"], dead["alarms.txt"]
    assert "/planted" in dead["state/tasks.json"], dead["about.json"]
    assert "server" in json.loads(dead["about.json"])["missing"], dead["about.json"]
    print(f"bundle: {len(alive)} files with the daemon, {len(dead)} without, {len(SECRETS)} planted secrets and all keys not among them")


JOURNAL = """
import os, socket, sys
os.makedirs("/run/systemd/journal", exist_ok=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
print("ready", flush=True)
while True:
    print(s.recv(1 << 20).decode(errors="replace"), "--", sep="", flush=True)
"""


def test_lines_in_a_journal():
    box = Box()
    try:
        box.must("mount -t tmpfs tmpfs /run")
        journal = box.leave(["python3", "-c", JOURNAL], "journal", "ready")
        made = box.smackd("realm", "init", "EXAMPLE.ORG", "--data-dir", box.directory, "--node-name", "n1")
        assert made.code == 0, made
        log = os.path.join(box.work, "smackd.log")
        open(log, "w").close()
        status = os.stat(log)
        server = box.leave([SMACKD, "start", "--data-dir", box.directory], "smackd", "ready",
                           JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
        wait_until(lambda: "MESSAGE=node: ready" in journal.output(), 10, f"entries: {journal.output()[-2000:]}")
        entries = journal.output().split("--")
        ready = next(entry for entry in entries if "MESSAGE=node: ready" in entry)
        for line in ("PRIORITY=6", "SYSLOG_IDENTIFIER=smackd", "SMACKD_COMPONENT=node", "SMACKD_NODE=n1"):
            assert line in ready.splitlines(), ready
        assert "ready" not in server.log(), "twice"
        assert server.stop() == 0
        plain = box.leave([SMACKD, "start", "--data-dir", box.directory], "smackd", "ready", JOURNAL_STREAM="1:2")
        assert "info    node: ready" in plain.log(), plain.log()
    finally:
        box.close()
