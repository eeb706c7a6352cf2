"""One `smackd edge` alone with a table file, backends in Python, and raw DNS packets."""

import http.client
import http.server
import json
import os
import signal
import socket
import socketserver
import struct
import threading

import harness
from harness import SMACKD, Process, free_port

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "AAAA": 28, "SRV": 33, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}


class Backend:
    """A threading HTTP server whose answers a test decides: handler(request) gets the BaseHTTPRequestHandler."""

    def __init__(self, handler=None, port=0):
        owner = self
        self.requests = []
        self.connections = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one write: no waiting for acknowledgements

            def setup(self):
                owner.connections += 1
                super().setup()

            def handle_expect_100(self):
                self.send_response_only(100)
                self.end_headers()
                self.wfile.flush()
                return True

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length) if length else b""
                owner.requests.append((self.command, self.path, dict(self.headers.items()), self.body))
                (handler or Backend.echo)(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 200

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @staticmethod
    def reply(request, status=200, body=b"", headers=()):
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    @staticmethod
    def echo(request):
        Backend.reply(request, body=f"{request.command} {request.path} {len(request.body)}".encode())

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class RawBackend:
    """A TCP server that runs serve(socket, number) in a thread for each connection."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.count = 0
        threading.Thread(target=self.run, args=(serve,), daemon=True).start()

    def run(self, serve):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.one, args=(serve, connection, self.count), daemon=True).start()

    @staticmethod
    def one(serve, connection, number):
        with connection:
            try:
                serve(connection, number)
            except OSError:
                pass

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # the thread that accepts would keep it listening
        except OSError:
            return  # stopped already
        self.listener.close()


def read_head(connection):
    """Bytes up to the empty line, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise OSError("closed")
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    return head + b"\r\n\r\n", rest


class Edge:
    def __init__(self):
        self.work = harness.temporary_directory("edge")
        self.file = os.path.join(self.work, "table.json")
        self.dns, self.http, self.https, self.service = (free_port() for _ in range(4))
        self.revision = 0
        self.apps, self.tasks, self.names, self.certificates = {}, {}, {}, {}
        self.settings = {
            "dns_listeners": [f"127.0.0.1:{self.dns}"],
            "leader_addresses": ["127.0.0.1"],
            "name_server_addresses": ["127.0.0.1"],
            "groups": [{"name": "external", "dns_names": ["marathon-lb.marathon.mesos"], "dns_addresses": ["127.0.0.1"],
                        "bind_addresses": ["127.0.0.1"], "http_listeners": [f"127.0.0.1:{self.http}"],
                        "https_listeners": [f"127.0.0.1:{self.https}"]}],
        }
        self.process = None

    def app(self, app_id, hosts=(), service_port=0, http=True, **more):
        routes = [{"host": host} if isinstance(host, str) else {"host": host[0], "path": host[1], "weight": 1} for host in hosts]
        self.apps[app_id] = {"id": app_id, "ports": [{"index": 0, "service_port": service_port, "http": http,
                                                      "groups": ["external"], "routes": routes, **more}]}

    def task(self, task_id, app_id, port, **more):
        self.tasks[task_id] = {"id": task_id, "app": app_id, "framework": "marathon", "name": app_id.strip("/"), "agent": "c-S1",
                               "host_addresses": ["127.0.0.1"], "ports": [{"name": "http", "host_port": port}], **more}

    def write(self):
        self.revision += 1
        table = {"epoch": 1, "revision": self.revision, "settings": self.settings, "apps": list(self.apps.values()),
                 "tasks": list(self.tasks.values()), "names": list(self.names.values()),
                 "certificates": list(self.certificates.values())}
        with open(self.file + ".new", "w") as file:
            json.dump(table, file)
        os.rename(self.file + ".new", self.file)

    def start(self):
        self.write()
        self.process = Process([SMACKD, "edge", "--table", self.file], self.work, "edge")
        harness.wait_until(lambda: "ready edge" in self.process.output() or not self.process.running(), 20, "the edge")
        assert self.process.running(), self.process.log()
        harness.wait_until(self.serves, 20, "the listeners")
        return self

    def serves(self):
        try:
            socket.create_connection(("127.0.0.1", self.http), 1).close()
            return self.query("leader.mesos", "A")["answers"]
        except OSError:
            return False

    def apply(self):
        """Puts the table in force; returns when DNS shows its revision."""
        self.write()
        self.process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.serial() == self.revision, 20, "the new table")

    def serial(self):
        try:
            return self.query("mesos", "SOA")["answers"][0][2][2]
        except OSError:
            return -1

    def stop(self):
        if self.process is not None:
            self.process.stop()

    # ---- DNS
    def query(self, name, kind, tcp=False, edns=0, source=None):
        packet = question(name, kind, edns)
        if tcp:
            with socket.create_connection(("127.0.0.1", self.dns), 5) as connection:
                connection.sendall(struct.pack(">H", len(packet)) + packet)
                return parse_reply(read_exactly(connection, struct.unpack(">H", read_exactly(connection, 2))[0]))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            if source:
                client.bind((source, 0))
            client.sendto(packet, ("127.0.0.1", self.dns))
            return parse_reply(client.recv(65535))

    # ---- HTTP
    def connect(self, port=None):
        return socket.create_connection(("127.0.0.1", port or self.http), 10)

    def exchange(self, data, port=None):
        """What comes back for these bytes until the connection is closed."""
        with self.connect(port) as connection:
            connection.sendall(data)
            out = b""
            while True:
                try:
                    more = connection.recv(65536)
                except ConnectionResetError:
                    return out
                if not more:
                    return out
                out += more

    def get(self, host, path="/", method="GET", headers=(), body=b"", port=None):
        """(status, fields, body) over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.http, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host)
            for name, value in headers:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def question(name, kind, edns=0, number=7):
    packet = struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 1 if edns else 0)
    for label in name.split("."):
        packet += bytes([len(label)]) + label.encode()
    packet += b"\0" + struct.pack(">HH", TYPES.get(kind, kind), 1)
    return packet + (b"\0" + struct.pack(">HHIH", 41, edns, 0, 0) if edns else b"")


def parse_name(packet, at):
    labels, end = [], None
    while packet[at]:
        if packet[at] >= 192:
            end = end or at + 2
            at = struct.unpack_from(">H", packet, at)[0] & 0x3FFF
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), end or at + 1


def parse_data(packet, kind, at, size):
    if kind == 1:
        return ".".join(str(byte) for byte in packet[at:at + 4])
    if kind == 33:
        return f"{parse_name(packet, at + 6)[0]}:{struct.unpack_from('>H', packet, at + 4)[0]}"
    if kind in (2, 5):
        return parse_name(packet, at)[0]
    if kind == 6:
        server, at = parse_name(packet, at)
        mailbox, at = parse_name(packet, at)
        return server, mailbox, struct.unpack_from(">I", packet, at)[0]
    return packet[at:at + size]


def parse_reply(packet):
    number, flags, questions, *counts = struct.unpack_from(">HHHHHH", packet)
    at, reply = 12, {"id": number, "flags": flags, "rcode": flags & 15, "truncated": bool(flags & 0x200), "size": len(packet)}
    for _ in range(questions):
        reply["question"], at = parse_name(packet, at)
        at += 4
    for section, count in zip(("answers", "authority", "additional"), counts):
        reply[section] = []
        for _ in range(count):
            name, at = parse_name(packet, at)
            kind, _, ttl, size = struct.unpack_from(">HHIH", packet, at)
            at += 10
            if kind != 41:
                reply[section].append((name, NAMES.get(kind, kind), parse_data(packet, kind, at, size), ttl))
            at += size
    return reply


class NameServer:
    """Answers A queries about anything with answer(name) -> address, over UDP and TCP."""

    def __init__(self, answer, spell=lambda packet: packet):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.answer, self.spell, self.seen, self.sources = answer, spell, [], set()
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def reply(self, packet, tcp):
        name, end = parse_name(packet, 12)
        self.seen.append(name)
        address = self.answer(name.lower(), tcp)
        head = packet[:2] + struct.pack(">HHHHH", 0x8180, 1, 0 if address is None else 1, 0, 0) + packet[12:end + 4]
        if address == "truncate":
            return packet[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + packet[12:end + 4]
        record = b"" if address is None else b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
        return self.spell(head + record)

    def serve_udp(self):
        while True:
            try:
                packet, source = self.udp.recvfrom(65535)
            except OSError:
                return
            self.sources.add(source[1])
            reply = self.reply(packet, False)
            if reply:
                self.udp.sendto(reply, source)

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            with connection:
                packet = read_exactly(connection, struct.unpack(">H", read_exactly(connection, 2))[0])
                reply = self.reply(packet, True)
                connection.sendall(struct.pack(">H", len(reply)) + reply)

    def stop(self):
        self.udp.close()
        self.tcp.close()
