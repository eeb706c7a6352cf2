"""A walk through every command, right and wrong."""

import json
import os
import time

from harness import SMACKD, Demo, Process, run, shared_demo, wait_until


def test_status_and_doctor():
    demo = shared_demo()
    status = demo.must_json("status")
    assert status["node"]["role"] == "leader" and status["servers"], status
    assert "leader" in demo.must("status").out
    doctor = demo.cli("doctor", "--data-dir", demo.directory, "--json",
                      environment={"SMACKD_URL": ""})
    findings = doctor.json()["findings"]
    checks = {finding["check"] for finding in findings}
    assert {"clock", "time service", "disk", "keytab", "permissions", "ticket", "server"} <= checks, checks
    failed = [finding for finding in findings if finding["result"] == "fail" and finding["check"] != "disk"]
    assert not failed, failed


def test_doctor_says_what_is_wrong():
    answer = run([SMACKD, "doctor", "--data-dir", "/nonexistent", "--json"], {"PATH": os.environ["PATH"]})
    assert answer.code == 1
    failed = [finding for finding in answer.json()["findings"] if finding["result"] == "fail"]
    assert failed and all(finding["message"] for finding in failed), failed


def test_users():
    demo = shared_demo()
    assert "Added user walk" in demo.must("user", "add", "walk", "--full-name", "Walk Er").out
    again = demo.cli("user", "add", "walk")
    assert again.code == 1 and "walk" in again.err, again
    assert "Walk Er" in demo.must("user", "list").out
    shown = demo.must_json("user", "show", "walk")
    assert shown["name"] == "walk" and shown["full_name"] == "Walk Er", shown
    demo.must("user", "passwd", "walk", "--password-stdin", stdin="long enough to pass 1\n")
    short = demo.cli("user", "passwd", "walk", "--password-stdin", stdin="short\n")
    assert short.code == 1 and "12" in short.err, short
    demo.must("user", "disable", "walk")
    assert demo.must_json("user", "show", "walk")["disabled"] is True
    demo.must("user", "enable", "walk")
    demo.must("user", "remove", "walk")
    missing = demo.cli("user", "show", "walk")
    assert missing.code == 1 and "walk" in missing.err, missing
    bad = demo.cli("user", "add", "Bad Name!")
    assert bad.code == 1 and "Bad Name!" in bad.err, bad


def test_keytab_is_not_written_over_a_file():
    demo = shared_demo()
    demo.must("user", "add", "kt")
    path = os.path.join(demo.work, "kt.keytab")
    demo.must("user", "keytab", "kt", "--out", path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    again = demo.cli("user", "keytab", "kt", "--out", path)
    assert again.code == 1 and "exists" in again.err, again


def test_groups():
    demo = shared_demo()
    demo.must("user", "add", "ann")
    demo.must("group", "add", "ops", "ann", "admin", "--description", "operators")
    assert demo.must_json("group", "show", "ops")["members"] == ["admin", "ann"]
    demo.must("group", "remove", "ops", "ann")
    assert demo.must_json("group", "show", "ops")["members"] == ["admin"]
    assert "operators" in demo.must("group", "list").out
    demo.must("group", "remove", "ops")
    assert demo.cli("group", "show", "ops").code == 1


def test_machines():
    demo = shared_demo()
    demo.must("machine", "add", "n2.example.org", "--role", "agent,public", "--attribute", "rack=r1")
    shown = demo.must_json("machine", "show", "n2.example.org")
    assert shown["roles"] == ["agent", "public"] and shown["attributes"] == {"rack": "r1"}, shown
    path = os.path.join(demo.work, "n2.keytab")
    demo.must("machine", "keytab", "n2.example.org", "--out", path)
    listing = run(["klist", "-kt", path])
    assert "smack/n2.example.org@" in listing.out, listing
    demo.must("machine", "suspend", "n2.example.org")
    assert demo.must_json("machine", "show", "n2.example.org")["state"] == "suspended"
    demo.must("machine", "resume", "n2.example.org")
    assert "n2.example.org" in demo.must("machine", "list").out
    demo.must("machine", "remove", "n2.example.org")
    wrong = demo.cli("machine", "add", "n3.example.org", "--role", "king")
    assert wrong.code == 1 and "king" in wrong.err, wrong
    usage = demo.cli("machine", "add", "n3.example.org", "--attribute", "rack")
    assert usage.code == 2, usage


def test_policy():
    demo = shared_demo()
    demo.must("user", "add", "viewer")
    refused = demo.cli("policy", "check", "viewer", "view", "--path", "/web")
    assert refused.code == 1, refused
    demo.must("policy", "add", "viewers", "user:viewer", "--allow", "view", "--path", "/web")
    assert "viewers" in demo.must("policy", "check", "viewer", "view", "--path", "/web/api").out
    assert demo.cli("policy", "check", "viewer", "view", "--path", "/webx").code == 1
    assert "viewers" in demo.must("policy", "list").out
    demo.must("policy", "remove", "viewers")
    wrong = demo.cli("policy", "add", "w", "user:viewer", "--allow", "fly")
    assert wrong.code == 2 and "fly" in wrong.err, wrong


def test_sql():
    demo = shared_demo()
    answer = demo.must_json("sql", "SELECT name FROM users WHERE name = 'admin'")
    assert answer["rows"] == [["admin"]], answer
    assert "admin" in demo.must("sql", "SELECT", "name", "FROM", "users").out
    for query in ("DELETE FROM users", "PRAGMA journal_mode=DELETE", "ATTACH '/etc/passwd' AS x", "SELECT 1; SELECT 2"):
        answer = demo.cli("sql", query)
        assert answer.code == 1, (query, str(answer))
    endless = demo.cli("sql", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c")
    assert endless.code == 1, endless


def test_events_since_and_follow():
    demo = shared_demo()
    before = demo.must_json("group", "add", "ev1")["revision"]
    demo.must("group", "add", "ev2")
    lines = demo.must("events", "--since", before, "--json").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["key"] for event in events if event["kind"] == "group"] == ["ev2"], events
    follower = Process([SMACKD, "events", "--since", before, "--follow"], demo.work, "follow", demo.environment)
    wait_until(lambda: "ev2" in follower.output(), 10, "the old event")
    demo.must("group", "add", "ev3")
    wait_until(lambda: "ev3" in follower.output(), 10, "the new event")
    follower.stop()
    wrong = demo.cli("events", "--since", "yesterday")
    assert wrong.code == 2, wrong


def test_audit_names_the_actor():
    demo = shared_demo()
    demo.must("group", "add", "audited")
    rows = demo.must_json("audit", "--limit", "5")["audit"]
    assert any("audited" in json.dumps(row) and "admin@" in json.dumps(row) for row in rows), rows


def test_realm_info():
    demo = shared_demo()
    info = demo.must_json("realm", "info")
    assert info["realm"] == demo.environment["SMACKD_PRINCIPAL"].split("@")[1], info


def test_local_socket_is_no_identity():
    demo = shared_demo()
    bare = {"PATH": os.environ["PATH"], "HOME": demo.work, "KRB5CCNAME": f"FILE:{demo.work}/no.ccache"}
    answer = run([SMACKD, "whoami", "--json", "--data-dir", demo.directory], bare)
    assert answer.code == 0 and answer.json()["user"] == "admin", f"root reads the admin's keytab: {answer}"
    assert os.stat(os.path.join(demo.directory, "run/api.sock")).st_mode & 0o777 == 0o660
    raw = run(["curl", "-sS", "--unix-socket", os.path.join(demo.directory, "run/api.sock"), "-o", "/dev/null", "-w",
               "%{http_code}", "http://localhost/smack/v1/users"], bare)
    assert raw.out == "401", raw


def test_realm_init_then_start():
    demo = Demo()
    answer = run([SMACKD, "realm", "init", "INIT.SMACKD", "--data-dir", demo.directory, "--node-name", "localhost"])
    assert answer.code == 0 and "Recovery key" in answer.out, answer
    again = run([SMACKD, "realm", "init", "INIT.SMACKD", "--data-dir", demo.directory, "--node-name", "localhost"])
    assert again.code == 1 and "holds a node already" in again.err, again
    node = Process([SMACKD, "start", "--data-dir", demo.directory, "--api-addr", f"127.0.0.1:{demo.ports['api']}",
                    "--cluster-addr", f"127.0.0.1:{demo.ports['cluster']}", "--kdc-addr",
                    f"127.0.0.1:{demo.ports['kdc']}"], demo.work, "start")
    environment = {"PATH": os.environ["PATH"], "HOME": demo.work, "KRB5CCNAME": f"FILE:{demo.work}/none.ccache"}
    words = [SMACKD, "whoami", "--json", "--data-dir", demo.directory]
    wait_until(lambda: run(words, environment).code == 0, 15, "the started node")
    assert run(words, environment).json()["user"] == "admin"
    plain = run(["curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{demo.ports['api']}/ping"])
    assert plain.code != 0, "a service must not speak plain HTTP"
    assert node.stop() == 0


def test_json_errors():
    demo = shared_demo()
    answer = demo.cli("user", "show", "nobody-here", "--json")
    error = json.loads(answer.err)
    assert answer.code == 1 and error["error"] == "not_found" and "nobody-here" in error["message"], answer


def test_commands_are_quick():
    demo = shared_demo()
    demo.must("whoami")
    began = time.monotonic()
    for _ in range(5):
        demo.must("whoami")
    assert (time.monotonic() - began) / 5 < 1
