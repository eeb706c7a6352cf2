"""`smackd recover`: one server goes on alone with what is on its disk, and says before what that costs."""

import json
import os
import time

from cluster import Cluster, Load
from harness import SMACKD, need_tool, run, temporary_directory, wait_until

BASELINE_WRITES = 300
WRITING_AGAIN_S = 5


def recover(server, *words):
    return run([SMACKD, "recover", "--data-dir", server.directory, *words])


def session_token(cluster, server):
    assert cluster.cli(server, "login").code == 0
    with open(os.path.join(cluster.work, "session.json")) as file:
        return next(iter(json.load(file).values()))["token"]


def events_since(server, token, place):
    """The event stream as it is on the wire, up to its end."""
    answer = run(["curl", "-sS", "--cacert", os.path.join(server.directory, "cluster/ca.pem"), "-H", f"Last-Event-ID: {place}",
                  "-H", f"Authorization: Bearer {token}", f"{server.url()}/smack/v1/events?follow=false"])
    assert answer.code == 0, answer
    return answer.out


def loaded_cluster(size, writes=BASELINE_WRITES):
    """A cluster with acknowledged writes that every server holds."""
    cluster = Cluster(size).start()
    token = session_token(cluster, cluster.servers[0])
    ca = os.path.join(cluster.servers[0].directory, "cluster/ca.pem")
    load = Load([server.url() for server in cluster.servers], token, cluster.work, ca=ca).start(600)
    load.wait_for_more(writes, 300)
    load.stop()
    wait_until(lambda: same_place(cluster), 30, "the same revision everywhere")
    return cluster, load, token


def revision_of(cluster, server):
    return cluster.status(server)["cluster"]["revision"]


def same_place(cluster):
    found = {revision_of(cluster, server) for server in cluster.servers}
    return len(found) == 1


def test_recover_on_a_directory_without_a_node():
    answer = run([SMACKD, "recover", "--data-dir", temporary_directory(), "--yes"])
    assert answer.code == 1 and "holds no node" in answer.err, answer


def test_one_of_three_goes_on_alone():
    need_tool("curl")
    cluster, load, token = loaded_cluster(3)
    survivor = cluster.servers[0]
    before = revision_of(cluster, survivor)
    refused = recover(survivor, "--yes")
    assert refused.code == 1 and "stopped node" in refused.err, f"it runs: {refused}"
    for server in cluster.servers:
        server.process.kill()

    asked = recover(survivor)  # no terminal here
    assert asked.code == 2, asked
    assert "Lost for good" in asked.out and "--yes" in asked.err, asked
    for other in cluster.servers[1:]:
        assert f"127.0.0.1:{other.ports['cluster']}" in asked.out, asked

    done = recover(survivor, "--yes", "--json")
    assert done.code == 0, done
    report = done.json()
    epoch, number = report["revision"].split(".")
    assert int(epoch) == int(before.split(".")[0]) + 1 and int(number) > int(before.split(".")[1]), (before, report)
    assert report["lost"] == [], report

    began = time.monotonic()
    survivor.start()
    survivor.wait_ready(WRITING_AGAIN_S)
    load.common = load.common[:load.common.index("--url")] + ["--url", survivor.url()]
    load.verify()
    added = cluster.cli(survivor, "group", "add", "after", "--description", "written after recover")
    assert added.code == 0, added
    took = time.monotonic() - began
    assert took < WRITING_AGAIN_S, f"{took:.1f} s until the first write"
    now = revision_of(cluster, survivor)
    assert now.startswith(f"{epoch}."), now

    # A watcher that stands in the old epoch is told to begin anew.
    seen = events_since(survivor, token, before)
    assert "event: reset" in seen and f"id: {epoch}." in seen, seen[:2000]

    # The old majority comes back: it is refused and changes nothing here.
    for server in cluster.servers[1:]:
        server.start()
    wait_until(lambda: "older epoch" in survivor.process.log(), 10, "the refusal of the old servers")
    assert cluster.cli(survivor, "group", "add", "later").code == 0
    status = cluster.status(survivor)
    assert status["leader"]["machine"] == survivor.name and len(status["servers"]) == 1, status
    assert status["cluster"]["revision"].startswith(f"{epoch}."), status
    print(f"        {load.acknowledged()} acknowledged writes are there, the first new one {took:.1f} s after the start")
    for server in cluster.servers:
        server.process.kill()


def damage_log(server):
    """Turns over bits in the middle of the used part of the only log segment."""
    folder = os.path.join(server.directory, "raft/log")
    path = os.path.join(folder, sorted(os.listdir(folder))[0])
    with open(path, "r+b") as file:
        data = file.read()
        used = len(data.rstrip(b"\0"))
        place = used // 2 // 512 * 512 + 100
        file.seek(place)
        file.write(bytes(b ^ 0x55 for b in data[place:place + 8]))


def test_alone_with_a_damaged_log():
    cluster, load, _ = loaded_cluster(1)
    server = cluster.servers[0]
    server.process.kill()
    damage_log(server)
    server.start()
    wait_until(lambda: not server.process.running(), 20, "the refusal of a damaged log")
    assert "smackd recover" in server.process.log(), server.process.log()
    asked = recover(server)
    assert asked.code == 2 and "entries" in asked.out.split("Lost for good")[1], asked
    done = recover(server, "--yes")
    assert done.code == 0 and "Recovered" in done.out, done
    server.start()
    server.wait_ready(WRITING_AGAIN_S)
    added = cluster.cli(server, "group", "add", "after")
    assert added.code == 0, added
    # kill -9 keeps the page cache: the state had applied what the log lost.
    load.verify()
    cluster.stop()
