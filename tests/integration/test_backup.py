"""Backup and restore: a backup under load, a new cluster out of it, and what a backup file gives away."""

import os
import re
import subprocess
import threading
import time
import zlib

from harness import Demo, Process, SMACKD, run, shared_demo, temporary_directory, wait_until

PASSWORD = "correct horse battery staple"


def recovery_key(demo):
    """As the demo printed it, once."""
    lines = [line.strip() for line in demo.process.output().splitlines()]
    return next(line for line in lines if line.count("-") == 13)


def key_file(work, text):
    path = os.path.join(work, "recovery.key")
    with open(path, "w") as file:
        file.write(text + "\n")
    os.chmod(path, 0o600)
    return path


def restore(backup, directory, key, demo, *words):
    """`smackd restore` for a demo's addresses."""
    return run([SMACKD, "restore", backup, "--data-dir", directory, "--recovery-key-file", key, "--node-name",
                "localhost", "--advertise", f"127.0.0.1:{demo.ports['cluster']}", *words])


class Writer:
    """Adds groups one after the other; `acknowledged` holds those that were."""

    def __init__(self, demo):
        self.demo = demo
        self.headers = {**demo.bearer(), "Content-Type": "application/json"}
        self.acknowledged = []
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping:
            name = f"load-{number}"
            status, _, body = self.demo.request("POST", "/smack/v1/groups", f'{{"name": "{name}"}}', self.headers)
            assert status == 201, (status, body)
            self.acknowledged.append(name)
            number += 1

    def stop(self):
        self.stopping = True
        self.thread.join(30)


def test_backup_under_load_and_restore():
    demo = Demo().start()
    key = key_file(demo.work, recovery_key(demo))
    demo.must("user", "add", "wilhelmina", "--full-name", "Wilhelmina Tell", "--password-stdin", stdin=PASSWORD + "\n")
    demo.must("user", "add", "robot")
    keytab = os.path.join(demo.work, "robot.keytab")
    demo.must("user", "keytab", "robot", "--out", keytab)
    demo.must("group", "add", "crossbow-makers", "wilhelmina")
    old_token = demo.token()
    writer = Writer(demo)
    wait_until(lambda: len(writer.acknowledged) >= 20, what="20 writes")
    before = list(writer.acknowledged)
    backup = os.path.join(demo.work, "one.backup")
    made = demo.must_json("backup", backup)
    during = len(writer.acknowledged)
    writer.stop()
    assert os.stat(backup).st_mode & 0o777 == 0o600 and made["bytes"] == os.path.getsize(backup), made
    old_revision = demo.must_json("status")["cluster"]["revision"]

    # What the file gives away: which cluster, when, by which version. No name, no key.
    with open(backup, "rb") as file:
        content = file.read()
    for word in ("wilhelmina", "Tell", "robot", "admin", "crossbow", "load-", "LOCALHOST", "krbtgt", "HTTP/", "BEGIN",
                 "SQLite", "demo"):
        assert word.encode() not in content, word
    assert recovery_key(demo).encode() not in content

    shown = run([SMACKD, "backup", "verify", backup, "--recovery-key-file", key])
    assert shown.code == 0 and "whole" in shown.out and made["revision"] in shown.out, shown
    without = run(["setsid", SMACKD, "backup", "verify", backup])
    assert without.code == 0 and "not checked" in without.out and "without the recovery key" in without.out, without

    # All servers are gone; another machine takes over.
    assert demo.stop() == 0
    again = Demo()
    answer = restore(backup, again.directory, key, again)
    assert answer.code == 0 and "Restored cluster demo" in answer.out and made["revision"] in answer.out, answer
    again.start()
    status = again.must_json("status")
    epoch, number = (int(part) for part in status["cluster"]["revision"].split("."))
    assert epoch == 2 and number > int(made["revision"].split(".")[1]), status
    groups = {group["name"] for group in again.must_json("group", "list")["groups"]}
    assert "crossbow-makers" in groups and not [name for name in before if name not in groups]
    print(f"        {len(before)} writes acknowledged before the backup, {during - len(before)} while it was made, "
          f"{len([n for n in groups if n.startswith('load-')])} restored, {made['bytes']} bytes")
    # Same realm, same people, their own passwords and keytabs.
    again.kinit("wilhelmina@" + again.environment["SMACKD_PRINCIPAL"].split("@")[1], password=PASSWORD,
                cache=os.path.join(again.work, "w.ccache"))
    again.kinit("robot@" + again.environment["SMACKD_PRINCIPAL"].split("@")[1], keytab=keytab,
                cache=os.path.join(again.work, "r.ccache"))
    # Tokens of before: of sign-in, and of revisions.
    status_code, _, _ = again.request("GET", "/smack/v1/whoami", headers={"Authorization": f"Bearer {old_token}"})
    assert status_code == 401, status_code
    bearer = again.bearer()
    status_code, _, body = again.request("GET", f"/smack/v1/groups?min_revision={old_revision}", headers=bearer)
    assert status_code == 409 and "restored" in body, (status_code, body)
    status_code, _, body = again.request("GET", "/smack/v1/events?follow=false",
                                         headers={**bearer, "Last-Event-ID": old_revision})
    assert status_code == 200 and "event: reset" in body, (status_code, body)
    # It goes on, over restarts.
    again.must("group", "add", "after-restore", "wilhelmina")
    assert again.stop() == 0
    again.start()
    assert again.must_json("group", "show", "after-restore")["name"] == "after-restore"
    assert again.must_json("status")["cluster"]["revision"].startswith("2.")
    second = os.path.join(again.work, "two.backup")
    again.must("backup", second)
    assert run([SMACKD, "backup", "verify", second, "--recovery-key-file", key]).code == 0
    assert again.stop() == 0


def test_backup_alone_gives_nothing_away():
    """No text of the replicated state is in the file, and what is sealed does not look like anything."""
    demo = Demo().start()
    for number in range(20):
        demo.must("user", "add", f"person{number}", "--full-name", f"Full Name Of {number}")
    backup = os.path.join(demo.work, "one.backup")
    demo.must("backup", backup)
    cluster = demo.must_json("status")["cluster"]["id"]
    assert demo.stop() == 0
    with open(backup, "rb") as file:
        content = file.read()
    texts = set()
    for folder, _, names in os.walk(demo.directory):
        for name in names:
            if not name.endswith((".db", ".db-wal")):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                texts |= set(re.findall(rb"[\x20-\x7e]{8,}", file.read()))
    texts = {text[start:start + 16] for text in texts for start in range(0, len(text), 16) if len(text) - start >= 8}
    texts = {text for text in texts if text not in cluster.encode() and cluster[:8].encode() not in text}
    assert len(texts) > 500, len(texts)
    found = [text for text in texts if text in content]
    assert not found, f"{len(found)} of {len(texts)} pieces of the state are in the backup: {found[:10]}"
    for stored in (demo.work, demo.directory):
        assert stored.encode() not in content
    sealed = content[len(content) // 10:]
    squeezed = zlib.compress(sealed, 9)
    assert len(squeezed) > 0.999 * len(sealed), f"{len(sealed)} sealed bytes become {len(squeezed)}"
    print(f"        {len(texts)} pieces of text of the state looked for in {len(content)} bytes")


def test_bad_inputs_of_restore():
    demo = shared_demo()
    work = temporary_directory()
    key = key_file(work, recovery_key(demo))
    backup = os.path.join(work, "good.backup")
    demo.must("backup", backup)
    with open(backup, "rb") as file:
        content = file.read()

    def variant(name, data):
        path = os.path.join(work, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    other_format = bytearray(content)
    other_format[8] = 0
    other = Demo()
    target = os.path.join(work, "data")
    wrong = os.path.join(work, "wrong.key")
    made = run([SMACKD, "realm", "init", "OTHER.TEST", "--data-dir", os.path.join(work, "other"), "--node-name",
                "localhost"])
    assert made.code == 0, made
    with open(wrong, "w") as file:
        file.write(next(line.strip() for line in made.out.splitlines() if line.strip().count("-") == 13))
    typing_error = key_file(work, recovery_key(demo)[:-1] + "?")
    key = os.path.join(work, "right.key")
    with open(key, "w") as file:
        file.write(recovery_key(demo))
    cases = [
        (backup, wrong, "not the one of the cluster"),
        (backup, typing_error, "recovery key: character"),
        (variant("cut.backup", content[:-100]), key, "does not open"),
        (variant("short.backup", content[:40]), key, "cut short"),
        (variant("flipped.backup", bytes(flipped)), key, "does not open"),
        (variant("format.backup", bytes(other_format)), key, "backup format 0"),
        (variant("text.backup", b"no backup at all, just text"), key, "no backup of smackd"),
        (os.path.join(work, "absent"), key, "absent"),
    ]
    for path, key_path, words in cases:
        answer = restore(path, target, key_path, other)
        assert answer.code == 1 and words in answer.err, (path, words, str(answer))
        assert not os.path.exists(target), path
    answer = run(["setsid", SMACKD, "restore", backup, "--data-dir", target])
    assert answer.code == 2 and "--recovery-key-file" in answer.err, answer
    # Never onto anything.
    answer = restore(backup, demo.directory, key, other)
    assert answer.code == 1 and "is not empty" in answer.err, answer
    os.mkdir(target)
    answer = restore(backup, target, key, other)
    assert answer.code == 0, answer
    assert restore(backup, target, key, other).code == 1
    # Nor over a file.
    answer = demo.cli("backup", backup)
    assert answer.code == 1 and "exists" in answer.err, answer


def test_backup_is_for_admins_and_pipes():
    demo = Demo().start()  # young: the schedule's first backup comes after five minutes
    demo.must("user", "add", "curious", "--password-stdin", stdin=PASSWORD + "\n")
    demo.must("policy", "add", "curious", "user:curious", "--allow", "view")
    cache = os.path.join(demo.work, "curious.ccache")
    environment = demo.kinit("curious@" + demo.environment["SMACKD_PRINCIPAL"].split("@")[1], password=PASSWORD,
                             cache=cache)
    path = os.path.join(demo.work, "curious.backup")
    answer = demo.cli("backup", path, environment={**environment, "SMACKD_KEYTAB": ""})
    assert answer.code == 1 and "admin" in answer.err and not os.path.exists(path), answer
    assert not os.path.exists(path + ".new")
    piped = subprocess.run([SMACKD, "backup", "-"], env=demo.environment, capture_output=True, check=True)
    assert piped.stdout.startswith(b"SMACKBAK") and len(piped.stdout) > 1000
    answer = demo.cli("backup", "list")
    assert answer.code == 0 and "None here" in answer.out, answer
    assert "none yet" in demo.must("status").out
    demo.stop()


def test_schedule_keeps_the_newest_and_raises_an_alarm():
    """The service with a backup each second; then a folder that cannot be written."""
    work = temporary_directory()
    folder = os.path.join(work, "kept")
    config = os.path.join(work, "smackd.toml")
    with open(config, "w") as file:
        file.write(f'[backup]\nevery = "1s"\nkeep = 3\ndirectory = "{folder}"\n[api]\nhost_names = ["localhost"]\n')
    demo = Demo(os.path.join(work, "data"))
    words = [SMACKD, "start", "--config", config, "--data-dir", demo.directory, "--bootstrap", "--embedded-realm",
             "BACKUP.TEST", "--node-name", "localhost"]
    for name in ("api", "cluster", "kdc"):
        words += [f"--{name}-addr", f"127.0.0.1:{demo.ports[name]}"]
    process = Process(words, work, "start")
    demo.process = process
    wait_until(lambda: "ready" in process.output(), 30, "readiness")
    key = key_file(work, recovery_key(demo))
    environment = {"PATH": os.environ["PATH"], "HOME": work, "SMACKD_SESSION_FILE": os.path.join(work, "session")}

    def cli(*more):
        return run([SMACKD, *more, "--data-dir", demo.directory], environment)

    def status():
        return cli("status", "--json").json()

    wait_until(lambda: len(os.listdir(folder)) == 3 if os.path.isdir(folder) else False, 30, "three backups")
    first = sorted(os.listdir(folder))[0]
    wait_until(lambda: first not in os.listdir(folder), 30, "an old one to go")
    assert len([name for name in os.listdir(folder) if name.endswith(".backup")]) <= 3
    newest = os.path.join(folder, sorted(name for name in os.listdir(folder) if name.endswith(".backup"))[-1])
    stored = status()["backup"]
    assert stored["every_s"] == 1 and stored["last_file"].startswith(folder), stored
    listed = cli("backup", "list", "--json").json()
    assert listed["directory"] == folder and listed["backups"], listed
    copy = os.path.join(work, "copy.backup")
    subprocess.run(["cp", newest, copy], check=False)
    if os.path.exists(copy):
        checked = run([SMACKD, "backup", "verify", copy, "--recovery-key-file", key])
        assert checked.code == 0, checked
    # A file where the folder was.
    def put_in_the_way():
        subprocess.run(["rm", "-rf", folder], stderr=subprocess.DEVNULL, check=False)
        try:
            with open(folder, "x"):
                return True
        except FileExistsError:  # the next backup was faster
            return False
    wait_until(put_in_the_way, 30, "a file in the folder's place")
    wait_until(lambda: [a for a in status()["alarms"] if a["name"] == "backup_failed"], 30, "the alarm")
    assert "ALARM backup_failed" in cli("status").out
    os.remove(folder)
    wait_until(lambda: not status()["alarms"], 30, "the end of the alarm")
    began = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - began < 8
