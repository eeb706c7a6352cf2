"""The edge as the daemon runs it: confined, with sockets from outside, tables and deltas over its socket, drained and replaced
while requests run."""

import os
import signal
import socket
import threading

import harness
from edge_daemon import Daemon
from edge_world import Backend, Edge, read_exactly, read_head


def table(edge, revision=1):
    """The table of an Edge as the wire wants it."""
    tasks = [{**task, "running": True} for task in edge.tasks.values()]
    return {"epoch": 1, "revision": revision, "settings": edge.settings, "apps": list(edge.apps.values()), "tasks": tasks}


def world():
    backend, edge = Backend(), Edge()
    edge.app("/web", hosts=["p1.dcos"], service_port=edge.service)
    edge.task("web.0", "/web", backend.port)
    return backend, edge


def started(edge):
    daemon = Daemon().start()
    assert daemon.read()["hello"]["pid"] == daemon.process.child.pid
    daemon.send({"table": table(edge)})
    assert daemon.until("applied") == {"epoch": 1, "revision": 1}
    daemon.until("statistics")  # the listeners were asked for and given before
    harness.wait_until(edge.serves, 10, "the listeners")
    return daemon


def test_confined_with_sockets_of_the_daemon():
    harness.need_root()
    backend, edge = world()
    daemon = started(edge)
    with open(f"/proc/{daemon.process.child.pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4, status
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
    assert all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh")), status
    for thread in os.listdir(f"/proc/{daemon.process.child.pid}/task"):
        with open(f"/proc/{daemon.process.child.pid}/task/{thread}/status") as file:
            assert "Seccomp:\t2\n" in file.read(), "every thread"
    assert os.readlink(f"/proc/{daemon.process.child.pid}/root") == daemon.root
    for name in os.listdir(f"/proc/{daemon.process.child.pid}/fd"):
        target = os.readlink(f"/proc/{daemon.process.child.pid}/fd/{name}")
        assert target.startswith(("socket:", "anon_inode:", "pipe:", "/dev/null", daemon.work)), target
    assert edge.query("web.marathon.mesos", "A")["answers"]
    assert edge.get("p1.dcos")[0] == 200 and edge.get("x", port=edge.service)[0] == 200
    end(daemon, edge, backend)


def end(daemon, edge, *backends):
    daemon.send({"drain": {}})
    daemon.until("drained")
    assert daemon.process.wait() == 0
    daemon.close_sockets()
    edge.stop()
    for backend in backends:
        backend.stop()


def test_deltas():
    harness.need_root()
    backend, edge = world()
    daemon = started(edge)
    other = Backend()
    edge.app("/new", hosts=["new.dcos"], service_port=harness.free_port())
    edge.task("new.0", "/new", other.port)
    daemon.send({"delta": {"epoch": 1, "revision": 2, "apps": [edge.apps["/new"]], "tasks": [{**edge.tasks["new.0"], "running": True}],
                           "names": [{"name": "p1.dcos", "addresses": ["127.0.0.1"]}]}})
    assert daemon.until("applied")["revision"] == 2
    daemon.until("statistics")
    assert edge.get("new.dcos")[0] == 200 and edge.query("p1.dcos", "A")["answers"] and edge.query("new.marathon.mesos", "A")["answers"]
    port = edge.apps["/new"]["ports"][0]["service_port"]
    harness.wait_until(lambda: edge.get("x", port=port)[0] == 200, 5, "the new service port")

    daemon.send({"delta": {"epoch": 1, "revision": 2, "removed_tasks": ["new.0"]}})
    assert "not newer" in daemon.until("refused")["reason"]
    daemon.send({"delta": {"epoch": 9, "revision": 3, "removed_tasks": ["new.0"]}})
    assert "epoch" in daemon.until("refused")["reason"]
    daemon.send({"delta": {"epoch": 1, "revision": 3, "apps": [{"id": ""}]}})
    assert "without id" in daemon.until("refused")["reason"]
    assert edge.get("new.dcos")[0] == 200, "nothing has changed"

    daemon.send({"delta": {"epoch": 1, "revision": 3, "names": [{"name": "bad..name", "addresses": ["127.0.0.1"]}],
                           "removed_tasks": ["new.0"], "removed_names": ["p1.dcos"]}})
    applied = daemon.until("applied")
    assert applied["revision"] == 3 and "bad..name" in applied["problems"][0], applied
    assert edge.get("new.dcos")[0] == 503 and edge.query("new.marathon.mesos", "A")["rcode"] == 3
    assert edge.query("p1.dcos", "A")["rcode"] == 5
    statistics = daemon.until("statistics")
    assert statistics["dns_queries"] > 0 and statistics["requests"] > 0, statistics
    pools = {pool["app"]: pool for pool in daemon.until("statistics")["pools"]}
    assert pools["/new"]["responses_2xx"] >= 2, pools
    end(daemon, edge, backend, other)


def test_it_serves_on_without_its_daemon_and_obeys_the_next():
    harness.need_root()
    backend, edge = world()
    daemon = Daemon()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = os.path.join(daemon.work, "edge.sock")
    listening.bind(path)
    listening.listen(5)
    daemon.start(listening)

    def connect():
        daemon.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        daemon.control.connect(path)
        daemon.buffer = b""
        assert "hello" in daemon.read()
    connect()
    daemon.send({"table": table(edge)})
    daemon.until("applied")
    daemon.until("statistics")
    assert edge.get("p1.dcos")[0] == 200
    daemon.control.close()
    for _ in range(20):
        assert edge.get("p1.dcos")[0] == 200 and edge.query("leader.mesos", "A")["answers"]
    connect()
    daemon.send({"table": table(edge, 7)})
    assert daemon.until("applied")["revision"] == 7
    assert edge.get("p1.dcos")[0] == 200
    end(daemon, edge, backend)
    listening.close()


def test_malformed_orders():
    harness.need_root()
    backend, edge = world()
    daemon = started(edge)
    for frame in (b"\xff\xff\xff", b"", b"\x0a\x05abc"):
        daemon.control.sendall(len(frame).to_bytes(4, "little") + frame)
        assert daemon.until("refused")["reason"]
    assert edge.get("p1.dcos")[0] == 200
    daemon.control.sendall((1 << 31).to_bytes(4, "little"))  # a frame longer than any: the connection ends, the edge does not
    harness.wait_until(lambda: daemon.control.recv(1 << 20) == b"", 5, "the end of the connection")
    assert edge.get("p1.dcos")[0] == 200
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait() == 0
    daemon.close_sockets()
    edge.stop()
    backend.stop()


def test_hand_over_without_a_failed_request():
    """Two times a newer edge takes the listeners over while eight clients work on kept connections, which they open anew only when
    they are told so."""
    harness.need_root()
    backend, edge = world()
    first = started(edge)
    stop, failures, done, told = threading.Event(), [], [0], [0]

    def client(method):
        body = b"x" * 500 if method == "POST" else b""
        request = f"{method} / HTTP/1.1\r\nHost: p1.dcos\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        connection = edge.connect()
        while not stop.is_set():
            try:
                connection.sendall(request)
                head, rest = read_head(connection)
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                read_exactly(connection, size - len(rest))
                if not head.startswith(b"HTTP/1.1 200"):
                    failures.append(head)
                    return
                done[0] += 1
                if b"connection: close" in head.lower():
                    told[0] += 1
                    connection.close()
                    connection = edge.connect()
            except OSError as problem:
                failures.append(problem)
                return

    def resolver():
        while not stop.is_set():
            try:
                if not edge.query("web.marathon.mesos", "A")["answers"]:
                    failures.append("no answer")
            except OSError as problem:
                failures.append(problem)
    threads = [threading.Thread(target=client, args=(method,), daemon=True) for method in ("GET", "POST") * 4]
    threads.append(threading.Thread(target=resolver, daemon=True))
    for thread in threads:
        thread.start()
    current = first
    for _ in range(2):
        newer = Daemon(sockets=current.sockets).start()
        assert "hello" in newer.read()
        newer.send({"table": table(edge)})
        newer.until("applied")
        newer.until("statistics")
        current.send({"drain": {}})
        current.until("drained")
        assert current.process.wait() == 0
        current = newer
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures[:5]
    assert done[0] > 100 and told[0] >= 16, (done, told)
    end(current, edge, backend)


def test_release_waits_for_what_is_in_hand():
    """A task that drains: its request in hand and its tunnel end first, others do not go there any more."""
    harness.need_root()
    begun, go_on = threading.Event(), threading.Event()

    def slow(request):
        if request.path == "/slow":
            begun.set()
            assert go_on.wait(20)
        Backend.reply(request, body=b"old")
    old, new, edge = Backend(slow), Backend(lambda request: Backend.reply(request, body=b"new")), Edge()
    edge.app("/web", hosts=["p1.dcos"])
    edge.task("web.0", "/web", old.port)
    daemon = started(edge)
    kept = edge.connect()
    kept.sendall(b"GET / HTTP/1.1\r\nHost: p1.dcos\r\n\r\n")
    assert kept.recv(65536).endswith(b"old")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(edge.get("p1.dcos", "/slow")), daemon=True)
    asking.start()
    assert begun.wait(10)
    edge.task("web.1", "/web", new.port)
    tasks = [{**edge.tasks["web.0"], "running": True, "draining": True}, {**edge.tasks["web.1"], "running": True}]
    daemon.send({"delta": {"epoch": 1, "revision": 2, "tasks": tasks}})
    daemon.send({"release": {"task": "web.0"}})
    daemon.until("applied")
    daemon.until("statistics")
    kept.sendall(b"POST / HTTP/1.1\r\nHost: p1.dcos\r\nContent-Length: 1\r\n\r\nx")  # the client's connection stays
    assert kept.recv(65536).endswith(b"new")
    for _ in range(10):
        assert edge.get("p1.dcos")[2] == b"new"
    daemon.until("statistics")
    assert not any("released" in report for report in daemon.reports), "one request is in hand"
    go_on.set()
    assert daemon.until("released") == {"task": "web.0"}
    asking.join(10)
    assert answers and answers[0][0] == 200 and answers[0][2] == b"old", answers
    daemon.send({"release": {"task": "nobody"}})
    assert daemon.until("released") == {"task": "nobody"}
    end(daemon, edge, old, new)


def test_a_killed_edge_refuses_no_connection():
    """The sockets are the daemon's: what connects while there is no edge waits for the next one."""
    harness.need_root()
    backend, edge = world()
    first = started(edge)
    first.process.kill()
    waiting = [edge.connect() for _ in range(20)]
    for connection in waiting:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: p1.dcos\r\n\r\n")
    second = Daemon(sockets=first.sockets).start()
    assert "hello" in second.read()
    second.send({"table": table(edge)})
    second.until("applied")
    second.until("statistics")
    for connection in waiting:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200"), "it was only late"
    end(second, edge, backend)


def test_the_next_daemon_gets_the_listeners_back():
    """Copies of all of them; a leaving edge drains when its daemon goes, and takes no further one."""
    harness.need_root()
    backend, edge = world()
    daemon = started(edge)
    daemon.send({"hand_back": {"leaving": True}})
    given = daemon.until("listeners")["given"]
    assert len(given) == len(daemon.sockets) == len(daemon.given_back), (given, daemon.sockets, daemon.given_back)
    back = {(one["listener"].get("kind", 0), one["listener"]["address"]): socket.socket(fileno=descriptor)
            for one, descriptor in zip(given, daemon.given_back)}
    for key, one in back.items():
        assert one.getsockname() == daemon.sockets[key].getsockname()
    daemon.close_sockets()
    assert edge.get("p1.dcos")[0] == 200, "it serves until it is told to drain"
    daemon.control.close()
    assert daemon.process.wait(20) == 0
    connection = edge.connect()  # nobody serves, nobody is refused
    connection.sendall(b"GET / HTTP/1.1\r\nHost: p1.dcos\r\n\r\n")
    second = Daemon(sockets=back).start()
    assert "hello" in second.read()
    second.send({"table": table(edge)})
    second.until("applied")
    second.until("statistics")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    end(second, edge, backend)
