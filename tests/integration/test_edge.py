"""The edge alone (`smackd edge --table`): names and routes over real sockets, faults of clients and backends, changes of the
table under load."""

import base64
import contextlib
import json
import os
import socket
import ssl
import struct
import threading
import time

import harness
from edge_world import Backend, Edge, NameServer, RawBackend, parse_reply, question, read_exactly, read_head

HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.contextmanager
def edge_with(*backends, start=True, **app):
    """An edge with the app /web (virtual host p1.dcos and a service port) on these backends."""
    edge = Edge()
    edge.app("/web", hosts=["p1.dcos"], service_port=edge.service, **app)
    for number, backend in enumerate(backends):
        edge.task(f"web.{number}", "/web", backend.port)
    try:
        yield edge.start() if start else edge
    finally:
        edge.stop()
        for backend in backends:
            backend.stop()


# ---- DNS

def test_names():
    with edge_with(Backend()) as edge:
        edge.names["p1.dcos"] = {"name": "p1.dcos", "addresses": ["127.0.0.1", "fd00::1"]}
        edge.apply()
        for name in ("web.marathon.mesos", "WEB.Marathon.MESOS", "web.marathon.slave.mesos", "leader.mesos", "p1.dcos", "web.smack",
                     "marathon-lb.marathon.mesos", "web.marathon.containerip.dcos.thisdcos.directory"):
            for tcp in (False, True):
                reply = edge.query(name, "A", tcp=tcp)
                assert reply["question"] == name, "the spelling is kept"
                assert [(name, "A", "127.0.0.1")] == [record[:3] for record in reply["answers"]], (name, reply)
        reply = edge.query("_web._tcp.marathon.mesos", "SRV")
        canonical, port = reply["answers"][0][2].split(":")
        assert int(port) == edge.tasks["web.0"]["ports"][0]["host_port"], reply
        assert reply["additional"][0][:3] == (canonical, "A", "127.0.0.1"), reply
        reply = edge.query("nobody.marathon.mesos", "A")
        assert reply["rcode"] == 3 and reply["authority"][0][1] == "SOA", reply
        reply = edge.query("leader.mesos", "AAAA")
        assert reply["rcode"] == 0 and not reply["answers"] and reply["authority"][0][1] == "SOA", reply
        assert edge.query("example.org", "A")["rcode"] == 5, "there is no forwarder"
        assert edge.query("mesos", 252)["rcode"] == 5, "no zone walk"


def test_truncation_and_tcp():
    edge = Edge()
    for number in range(300):
        edge.task(f"many.{number}", "/many", 31000, addresses=[f"172.16.{number // 200}.{number % 200 + 1}"])
    with contextlib.closing(ClosingEdge(edge)):
        edge.start()
        plain = edge.query("many.marathon.mesos", "A")
        assert plain["truncated"] and plain["size"] <= 512, plain["size"]
        larger = edge.query("many.marathon.mesos", "A", edns=4096)
        assert larger["truncated"] and 512 < larger["size"] <= 1232, larger["size"]
        whole = edge.query("many.marathon.mesos", "A", tcp=True)
        assert not whole["truncated"] and len(whole["answers"]) == 300


class ClosingEdge:
    def __init__(self, edge):
        self.close = edge.stop


def test_many_queries_on_one_tcp_connection():
    with edge_with(Backend()) as edge, edge.connect(edge.dns) as client:
        packets = [question("web.marathon.mesos", "A", number=number) for number in range(200)]
        stream = b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)
        for at in range(0, len(stream), 1000):  # cut anywhere
            client.sendall(stream[at:at + 1000])
        seen = [parse_reply(read_exactly(client, struct.unpack(">H", read_exactly(client, 2))[0])) for _ in packets]
        assert sorted(reply["id"] for reply in seen) == list(range(200))
        assert all(len(reply["answers"]) == 1 for reply in seen)


def test_forwarding():
    answers = {"a.example.org": "192.0.2.1", "big.example.org": "truncate"}
    server = NameServer(lambda name, tcp: "192.0.2.9" if tcp else answers.get(name, "192.0.2.2"))
    edge = Edge()
    edge.settings["forwarders"] = [f"127.0.0.1:{harness.free_port()}", f"127.0.0.1:{server.port}"]
    with contextlib.closing(ClosingEdge(edge)):
        edge.start()
        reply = edge.query("a.Example.org", "A")  # the first forwarder does not answer
        assert reply["question"] == "a.Example.org" and reply["answers"][0][2] == "192.0.2.1", reply
        assert len(server.seen) == 1
        assert edge.query("a.example.org", "A")["answers"][0][2] == "192.0.2.1"
        assert len(server.seen) == 1, "the second time from memory"
        assert edge.query("big.example.org", "A")["truncated"]
        assert edge.query("big.example.org", "A", tcp=True)["answers"][0][2] == "192.0.2.9"
        for number in range(60):
            assert edge.query(f"n{number}.example.org", "A")["answers"], number
        assert len(server.sources) > 5, "ports are random"
        assert any(name != name.lower() for name in server.seen), "and so is the case"
        count = len(server.seen)
        assert edge.query("nobody.mesos", "A")["rcode"] == 3 and len(server.seen) == count, "our names never leave"
    server.stop()


def test_forged_replies_are_not_believed():
    def forge(packet):
        wrong = bytearray(packet)
        wrong[13] ^= 0x20  # another spelling of the question
        return bytes(wrong)
    server = NameServer(lambda *_: "192.0.2.66", forge)
    edge = Edge()
    edge.settings["forwarders"] = [f"127.0.0.1:{server.port}"]
    with contextlib.closing(ClosingEdge(edge)):
        edge.start()
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(15)
        client.sendto(question("bank.example.org", "A"), ("127.0.0.1", edge.dns))
        reply = parse_reply(client.recv(65535))
        assert reply["rcode"] == 2 and not reply["answers"], reply
    server.stop()


def test_tenants_do_not_see_each_other():
    edge = Edge()
    edge.task("a1", "/a/web", 31000, name="web.a", tenant="/a", addresses=["127.0.0.21"])
    edge.task("b1", "/b/web", 31001, name="web.b", tenant="/b", addresses=["127.0.0.22"])
    with contextlib.closing(ClosingEdge(edge)):
        edge.start()
        assert edge.query("web.a.marathon.mesos", "A")["answers"]
        assert edge.query("web.a.marathon.mesos", "A", source="127.0.0.21")["answers"]
        assert edge.query("web.a.marathon.mesos", "A", source="127.0.0.22")["rcode"] == 3
        assert edge.query("_web-a._tcp.marathon.mesos", "SRV", source="127.0.0.22")["rcode"] == 3
        assert edge.query("leader.mesos", "A", source="127.0.0.22")["answers"]


def test_garbage_to_dns():
    with edge_with(Backend()) as edge, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        good = question("web.marathon.mesos", "A", edns=1232)
        for size in range(len(good)):
            client.sendto(good[:size], ("127.0.0.1", edge.dns))
        for at in range(len(good)):
            for byte in (0, 0x3F, 0xC0, 0xFF):
                client.sendto(good[:at] + bytes([byte]) + good[at + 1:], ("127.0.0.1", edge.dns))
        assert edge.query("web.marathon.mesos", "A")["answers"] and edge.process.running()


# ---- routing

def test_routes():
    api, web, other = Backend(), Backend(), Backend()
    with edge_with(web) as edge:
        edge.app("/api", hosts=[("p1.dcos", "/api")])
        edge.task("api.0", "/api", api.port)
        edge.app("/other", hosts=["*.example.org"])
        edge.task("other.0", "/other", other.port)
        edge.apply()
        assert edge.get("p1.dcos", "/x")[2] == b"GET /x 0"
        assert edge.get("P1.DCOS:80", "/api/users?q=1")[2] == b"GET /api/users?q=1 0"
        assert edge.get("a.example.org")[0] == 200
        assert [len(backend.requests) for backend in (web, api, other)] == [1, 1, 1]
        assert edge.get("anything", "/s", port=edge.service)[2] == b"GET /s 0", "a service port needs no name"
        status, fields, body = edge.get("nobody.org")
        assert status == 503 and b"nobody.org" in body and fields["Content-Type"].startswith("text/plain"), body
        headers = web.requests[0][2]
        assert headers["X-Forwarded-For"] == "127.0.0.1" and headers["X-Forwarded-Proto"] == "http", headers
        assert headers["X-Forwarded-Port"] == str(edge.http) and headers["Host"] == "p1.dcos", headers
        del edge.tasks["web.0"]
        edge.apply()
        status, _, body = edge.get("p1.dcos")
        assert status == 503 and b"No instance of the application '/web' is ready" in body, body
        del edge.apps["/web"]
        edge.apply()
        assert edge.get("p1.dcos", "/")[0] == 503
        try:
            edge.connect(edge.service).close()
            raise AssertionError("the service port of an app that is gone still listens")
        except ConnectionRefusedError:
            pass
    api.stop()
    other.stop()


def test_an_app_is_answered_as_soon_as_the_table_has_it():
    with edge_with(Backend()) as edge:
        assert edge.get("new.dcos")[0] == 503
        backend = Backend()
        edge.app("/new", hosts=["new.dcos"], service_port=harness.free_port())
        edge.task("new.0", "/new", backend.port)
        edge.apply()
        assert edge.get("new.dcos")[0] == 200
        backend.stop()


def test_bodies_both_ways():
    def mirror(request):
        if request.headers.get("Transfer-Encoding") == "chunked":
            request.body = b""
            while True:
                size = int(request.rfile.readline(), 16)
                request.body += request.rfile.read(size)
                request.rfile.readline()
                if not size:
                    break
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for at in range(0, len(request.body), 70000):
            piece = request.body[at:at + 70000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        request.wfile.write(b"0\r\n\r\n")
    with edge_with(Backend(mirror)) as edge:
        for size in (0, 1, 70000, 3_000_000):
            body = os.urandom(size)
            assert edge.get("p1.dcos", method="POST", body=body)[2] == body, size
            chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(body[at:at + 9999]), body[at:at + 9999]) for at in range(0, size, 9999))
            answer = edge.exchange(b"POST / HTTP/1.1\r\nHost: p1.dcos\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
                                   chunks + b"0\r\nTrailer: x\r\n\r\n")
            head, rest = answer.split(b"\r\n\r\n", 1)
            assert b"200 OK" in head and dechunk(rest) == body, (size, head)
        old = edge.exchange(b"POST / HTTP/1.0\r\nHost: p1.dcos\r\nContent-Length: 5\r\n\r\nhello")
        assert old.split(b"\r\n\r\n", 1)[1] == b"hello", "HTTP/1.0 knows no chunks"


def dechunk(data):
    out = b""
    while True:
        size, data = data.split(b"\r\n", 1)
        size = int(size, 16)
        if not size:
            assert data == b"\r\n", data
            return out
        out, data = out + data[:size], data[size + 2:]


def test_keep_alive_and_pipelining():
    backend = Backend()
    with edge_with(backend) as edge:
        with edge.connect() as client:
            for number in range(50):
                client.sendall(f"GET /{number} HTTP/1.1\r\nHost: p1.dcos\r\n\r\n".encode())
                head, rest = read_head(client)
                assert b"200" in head and (rest or client.recv(100)) == f"GET /{number} 0".encode()
        assert backend.connections == 1, backend.connections
        requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: p1.dcos\r\n\r\n" % number for number in range(300))
        answer = edge.exchange(requests + b"GET /last HTTP/1.1\r\nHost: p1.dcos\r\nConnection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200") == 301 and answer.endswith(b"GET /last 0")
        answer = edge.exchange(b"GET / HTTP/1.1\r\nHost: no.body\r\n\r\n" * 3000 + b"GET / HTTP/1.0\r\n\r\n")
        assert answer.count(b"HTTP/1.1 503") == 3001, answer.count(b"HTTP/1.1 503")


def test_expect_continue():
    with edge_with(Backend()) as edge, edge.connect() as client:
        client.sendall(b"POST /e HTTP/1.1\r\nHost: p1.dcos\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        head, rest = read_head(client)
        assert b"100 Continue" in head and not rest, head
        client.sendall(b"hello")
        head, rest = read_head(client)
        assert b"200 OK" in head and (rest or client.recv(100)) == b"POST /e 5", head


def test_websocket():
    def serve(connection, _):
        head, rest = read_head(connection)
        assert b"Upgrade: websocket" in head and b"Connection: Upgrade" in head, head
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi")
        while True:
            data = connection.recv(65536)
            if not data:
                return
            connection.sendall(data.upper())
    backend = RawBackend(serve)
    with edge_with(backend) as edge, edge.connect() as client:
        client.sendall(b"GET /ws HTTP/1.1\r\nHost: p1.dcos\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        head, rest = read_head(client)
        assert b"101 Switching" in head and b"Upgrade: websocket" in head, head
        assert (rest or client.recv(2)) == b"hi"
        del edge.tasks["web.0"]
        edge.apply()  # the connection outlives its task's place in the table
        for word in (b"abc", b"x" * 100000):
            client.sendall(word)
            assert read_exactly(client, len(word)) == word.upper()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""


def test_tcp_mode():
    def serve(connection, _):
        while True:
            data = connection.recv(65536)
            if not data:
                connection.sendall(b"bye")
                return
            connection.sendall(data)
    backend = RawBackend(serve)
    with edge_with(backend, http=False) as edge:
        edge.apps["/web"]["ports"][0]["routes"] = []
        edge.apply()
        with edge.connect(edge.service) as client:
            for size in (1, 100, 1_000_000):
                data = os.urandom(size)
                threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
                assert read_exactly(client, size) == data
            client.shutdown(socket.SHUT_WR)
            assert read_exactly(client, 3) == b"bye" and client.recv(10) == b""
        backend.stop()
        try:  # the edge resets it, perhaps before connect() has returned here
            with edge.connect(edge.service) as client:
                assert client.recv(10) == b""
        except ConnectionResetError:
            pass


# ---- what must not pass

def test_smuggling():
    backend = Backend()
    with edge_with(backend) as edge:
        tail = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: p1.dcos\r\n\r\n"
        for fields in (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 5",
                       b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding : chunked",
                       b"Transfer-Encoding: xchunked", b"Transfer-Encoding:\x0bchunked", b"X: y\r\n Transfer-Encoding: chunked",
                       b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5,6", b"Content-Length: 0x5",
                       b"X: y\nTransfer-Encoding: chunked", b"Host: other.org", b"X\0: y"):
            answer = edge.exchange(b"POST / HTTP/1.1\r\nHost: p1.dcos\r\n" + fields + b"\r\n\r\n" + tail)
            assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")) and answer.count(b"HTTP/1.1") == 1, (fields, answer)
        assert not backend.requests, backend.requests
        assert edge.get("p1.dcos")[0] == 200


def test_credentials_of_our_api_stay_here():
    backend = Backend(lambda request: Backend.reply(request, headers=[("Set-Cookie", "smackd_session=evil"), ("Set-Cookie", "a=b")]))
    with edge_with(backend) as edge:
        edge.settings.update(api_cookies=["smackd_session"], api_hosts=["n1"], token_issuer="cluster-1")
        edge.app("/web", hosts=["p1.dcos", "n1"])
        edge.apply()
        payload = base64.urlsafe_b64encode(json.dumps({"iss": "cluster-1"}).encode()).rstrip(b"=").decode()
        for host, value in (("n1", "Negotiate YII"), ("p1.dcos", "token=abc"), ("p1.dcos", f"Bearer e30.{payload}.c2ln")):
            _, fields, _ = edge.get(host, headers=[("Authorization", value), ("Cookie", "x=1; smackd_session=secret")])
            seen = backend.requests[-1][2]
            assert "Authorization" not in seen and seen["Cookie"] == "x=1", seen
            assert fields.get_all("Set-Cookie") == ["a=b"], fields
        edge.get("p1.dcos", headers=[("Authorization", "Basic abc")])
        assert backend.requests[-1][2]["Authorization"] == "Basic abc"


def test_allowed_sources():
    with edge_with(Backend(), allowed_sources=["10.0.0.0/8"]) as edge:
        assert edge.get("p1.dcos")[0] == 403


# ---- faults

def test_a_backend_that_is_gone_is_passed_over():
    gone = socket.create_server(("127.0.0.1", 0))
    port = gone.getsockname()[1]
    gone.close()
    backend = Backend()
    with edge_with(backend) as edge:
        edge.task("web.9", "/web", port)
        edge.apply()
        for number in range(20):
            assert edge.get("p1.dcos", method="POST", body=b"x" * number)[0] == 200
        del edge.tasks["web.0"]
        edge.apply()
        # A table that is applied reaches the data loop a turn later.
        end = time.monotonic() + 5
        while True:
            status, _, body = edge.get("p1.dcos")
            if status == 503 or time.monotonic() > end:
                break
        assert status == 503 and b"could be reached" in body, (status, body)


def test_a_kept_connection_that_the_backend_closes():
    def serve(connection, number):
        read_head(connection)
        connection.sendall(HEAD.encode())
        if number == 1:
            connection.recv(1)  # the next request: closed instead of answered
    backend = RawBackend(serve)
    with edge_with(backend) as edge:
        assert edge.get("p1.dcos")[0] == 200
        assert edge.get("p1.dcos")[0] == 200, "asked again on another connection"
        assert backend.count == 2


def test_backends_that_break_off():
    replies = {
        b"/none": b"", b"/half-head": b"HTTP/1.1 200 OK\r\nContent-", b"/garbage": b"ICY 200\r\n\r\n",
        b"/both": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"/short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"/bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"/until-close": b"HTTP/1.1 200 OK\r\n\r\nall of it",
        b"/extra": HEAD.encode() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    }

    def serve(connection, _):
        while True:
            head, _ = read_head(connection)
            path = head.split(b" ")[1]
            connection.sendall(replies[path])
            if path != b"/extra":
                return
    with edge_with(RawBackend(serve)) as edge:
        def ask(path):
            return edge.exchange(b"POST " + path + b" HTTP/1.1\r\nHost: p1.dcos\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        for path in (b"/none", b"/half-head", b"/garbage", b"/both"):
            assert ask(path).startswith(b"HTTP/1.1 502"), (path, ask(path))
        answer = ask(b"/short")
        assert answer.startswith(b"HTTP/1.1 200") and len(answer.split(b"\r\n\r\n", 1)[1]) < 100
        for path in (b"/chunk", b"/bad-chunk"):
            assert not ask(path).endswith(b"0\r\n\r\n"), "what is cut must not look whole"
        assert dechunk(ask(b"/until-close").split(b"\r\n\r\n", 1)[1]) == b"all of it"
        for _ in range(5):
            assert b"evil" not in ask(b"/extra"), "nobody gets what was not asked for"


def test_half_a_request_takes_no_backend_down():
    backend = Backend()
    with edge_with(backend) as edge:
        for data in (b"GET / HTT", b"POST / HTTP/1.1\r\nHost: p1.dcos\r\nContent-Length: 10\r\n\r\nabc",
                     b"POST / HTTP/1.1\r\nHost: p1.dcos\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"):
            for _ in range(20):
                with edge.connect() as client:
                    client.sendall(data)
        assert edge.get("p1.dcos")[0] == 200 and edge.process.running()


def test_a_slow_reader_does_not_fill_memory():
    size = 50_000_000
    def big(request):
        request.send_response(200)
        request.send_header("Content-Length", str(size))
        request.end_headers()
        for _ in range(size // 100_000):
            request.wfile.write(b"x" * 100_000)
    with edge_with(Backend(big)) as edge, edge.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"GET / HTTP/1.1\r\nHost: p1.dcos\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        with open(f"/proc/{edge.process.child.pid}/status") as file:
            resident_kb = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        assert resident_kb < 60_000, resident_kb
        _, rest = read_head(client)
        left = size - len(rest)
        while left:
            left -= len(client.recv(min(left, 1 << 20)))


# ---- TLS and options

def test_tls_by_name():
    backend = Backend()
    with edge_with(backend, redirect_to_https=True, hsts=True) as edge:
        for name in ("default.org", "p1.dcos", "*.example.org"):
            edge.certificates[name] = certificate(edge.work, name, () if name == "default.org" else (name,))
        edge.app("/web", hosts=["p1.dcos", "a.example.org"], service_port=edge.service, redirect_to_https=True, hsts=True)
        edge.apply()
        for name, subject in (("p1.dcos", "p1.dcos"), ("a.example.org", "*.example.org"), ("else.net", "default.org")):
            answer = harness.run(["curl", "-sSkv", "--resolve", f"{name}:{edge.https}:127.0.0.1", f"https://{name}:{edge.https}/x"])
            assert f"CN={subject}" in answer.err, answer
            if name != "else.net":
                assert answer.out == "GET /x 0" and "max-age=15768000" in answer.err, answer
                assert backend.requests[-1][2]["X-Forwarded-Proto"] == "https"
        status, fields, _ = edge.get("p1.dcos", "/a?b")
        assert status == 301 and fields["Location"] == f"https://p1.dcos:{edge.https}/a?b", (status, fields)


def test_tls_without_a_certificate():
    with edge_with(Backend()) as edge:
        answer = harness.run(["curl", "-sSkv", "--resolve", f"p1.dcos:{edge.https}:127.0.0.1", f"https://p1.dcos:{edge.https}/x"])
        assert answer.out == "GET /x 0" and "CN=smackd ingress without a certificate" in answer.err, answer


def test_tls_sessions_are_resumed():
    backend = Backend()
    with edge_with(backend) as edge:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            first_reused, session = tls_request(edge, version, None)
            assert not first_reused, version
            edge.certificates["other.net"] = certificate(edge.work, "other.net", (f"{version.name.lower()}.net",))
            edge.apply()  # the door's configuration is another one now, the tickets' keys are not
            for _ in range(2):
                reused, session = tls_request(edge, version, session)
                assert reused, version
        assert len(backend.requests) == 6, backend.requests


def tls_request(edge, version, session):
    """One request over TLS: whether `session` was resumed, and the session for the next."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if session is not None:
        context = session[0]
    with socket.create_connection(("127.0.0.1", edge.https), timeout=10) as plain, \
            context.wrap_socket(plain, server_hostname="p1.dcos", session=session and session[1]) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: p1.dcos\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"GET /x 0"), answer
        assert client.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        return client.session_reused, (context, client.session)


def certificate(work, name, server_names):
    key, chain = os.path.join(work, "key.pem"), os.path.join(work, "chain.pem")
    made = harness.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", chain, "-days", "2", "-subj", f"/CN={name}"])
    assert made.code == 0, made
    with open(key) as key_file, open(chain) as chain_file:
        return {"id": name, "server_names": list(server_names), "chain_pem": chain_file.read(), "key_pem": key_file.read()}


def test_sticky():
    backends = [Backend(lambda request, number=number: Backend.reply(request, body=str(number).encode())) for number in range(3)]
    with edge_with(*backends, sticky=True) as edge:
        _, fields, first = edge.get("p1.dcos")
        cookie = fields["Set-Cookie"].split(";")[0]
        for _ in range(9):
            _, fields, body = edge.get("p1.dcos", headers=[("Cookie", f"a=b; {cookie}")])
            assert body == first and "Set-Cookie" not in fields
        assert backends[int(first)].requests[-1][2]["Cookie"] == "a=b"
        assert len({edge.get("p1.dcos")[2] for _ in range(9)}) == 3, "others go round"


# ---- changes under load

def test_no_request_fails_while_the_table_changes():
    """Backends come and go 40 times under load of GET and POST over kept connections; a task is killed after it has left."""
    backends = {number: Backend() for number in range(3)}
    edge = Edge()
    edge.app("/web", hosts=["p1.dcos"], service_port=edge.service)
    for number, backend in backends.items():
        edge.task(f"web.{number}", "/web", backend.port)
    with contextlib.closing(ClosingEdge(edge)):
        edge.start()
        stop, failures, done = threading.Event(), [], [0]

        def client(method):
            connection = socket.create_connection(("127.0.0.1", edge.http), 30)
            body = b"x" * 1000 if method == "POST" else b""
            request = f"{method} / HTTP/1.1\r\nHost: p1.dcos\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            while not stop.is_set():
                try:
                    connection.sendall(request)
                    head, rest = read_head(connection)
                    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    rest += read_exactly(connection, size - len(rest))
                    if not head.startswith(b"HTTP/1.1 200") or b"close" in head.lower():
                        failures.append(head + rest)
                        return
                    done[0] += 1
                except (OSError, IndexError) as problem:
                    failures.append(problem)
                    return
        threads = [threading.Thread(target=client, args=(method,), daemon=True) for method in ("GET", "POST") * 4]
        for thread in threads:
            thread.start()
        newest = 3
        for _ in range(40):
            oldest = min(backends)
            backends[newest] = Backend()
            edge.task(f"web.{newest}", "/web", backends[newest].port)
            newest += 1
            del edge.tasks[f"web.{oldest}"]
            edge.apply()
            time.sleep(0.05)  # what was under way has ended; then the task is stopped
            backends.pop(oldest).stop()
        stop.set()
        for thread in threads:
            thread.join(30)
        assert not failures, failures[:3]
        assert done[0] > 200, done
        assert all(backend.requests for backend in list(backends.values())[:-1])
        for backend in backends.values():
            backend.stop()
