"""The daemon's end of the edge's socket: frames of core/wire/edge.proto with descriptors."""

import os
import re
import select
import socket
import struct
import time

import harness
from harness import ROOT, SMACKD, Process
from varint import read_varint, varint

VARINTS = {"uint32", "uint64", "int32", "bool"}


def load_messages():
    """Message -> field name -> (number, type, repeated), read from the .proto itself."""
    with open(os.path.join(ROOT, "core/wire/edge.proto")) as file:
        text = re.sub(r"//[^\n]*", "", file.read())
    messages, stack = {}, []
    for token in re.finditer(r"(message|enum|oneof)\s+(\w+)\s*\{|(repeated\s+)?([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*;|(\w+)\s*=\s*(\d+)\s*;|\}", text):
        kind, name, repeated, type_name, field, number = token.group(1, 2, 3, 4, 5, 6)
        if kind:
            stack.append((kind, name))
            if kind in ("message", "enum"):
                messages[name] = {} if kind == "message" else None
        elif token.group(0) == "}":
            stack.pop()
        elif field:
            owner = next(name for kind, name in reversed(stack) if kind == "message")
            messages[owner][field] = (int(number), type_name, bool(repeated))
    return messages


MESSAGES = load_messages()


def encode(message, value):
    out = b""
    for name, content in value.items():
        number, kind, repeated = MESSAGES[message][name]
        for one in content if repeated else [content]:
            if kind in VARINTS or (kind in MESSAGES and MESSAGES[kind] is None):
                out += varint(number << 3) + varint(int(one))
            else:
                data = encode(kind, one) if kind in MESSAGES else one.encode() if isinstance(one, str) else one
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(message, data):
    fields = {number: (name, kind, repeated) for name, (number, kind, repeated) in MESSAGES[message].items()}
    value, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        name, kind, repeated = fields[key >> 3]
        if key & 7 == 0:
            content, at = read_varint(data, at)
        else:
            size, at = read_varint(data, at)
            content = data[at:at + size]
            at += size
            content = decode(kind, content) if kind in MESSAGES else content.decode()
        if repeated:
            value.setdefault(name, []).append(content)
        else:
            value[name] = content
    return value


class Daemon:
    """Starts an edge with a socket and gives it what it asks for."""

    def __init__(self, sockets=None, control=None):
        self.work = harness.temporary_directory("edge")
        self.root = os.path.join(self.work, "empty")
        os.makedirs(self.root)
        self.sockets = sockets if sockets is not None else {}
        self.control, self.process, self.buffer, self.reports = control, None, b"", []
        self.listens = 0
        self.given_back = []  # descriptors

    def start(self, listening=None):
        theirs = listening
        if listening is None:
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        words = [SMACKD, "edge", "--socket-fd", str(theirs.fileno()), "--listeners", "parent", "--uid", "65534", "--gid", "65534",
                 "--root", self.root]
        self.process = Process(words, self.work, "edge", descriptors=(theirs.fileno(),))
        if listening is None:
            theirs.close()
        return self

    def send(self, order, descriptors=()):
        frame = encode("EdgeOrder", order)
        data = struct.pack("<I", len(frame)) + frame
        if descriptors:
            sent = socket.send_fds(self.control, [data], descriptors)
            data = data[sent:]
        self.control.sendall(data)

    def read(self, limit=10):
        """The next report of any kind."""
        end = time.monotonic() + limit
        while True:
            if len(self.buffer) >= 4:
                size = struct.unpack_from("<I", self.buffer)[0]
                if len(self.buffer) >= 4 + size:
                    report = decode("EdgeReport", self.buffer[4:4 + size])
                    self.buffer = self.buffer[4 + size:]
                    self.handle(report)
                    return report
            if not select.select([self.control], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("no report came")
            more, descriptors, _, _ = socket.recv_fds(self.control, 1 << 20, 253)
            self.given_back += descriptors
            if not more:
                raise AssertionError(f"the edge has gone\n{self.process.log()}")
            self.buffer += more

    def handle(self, report):
        self.reports.append(report)
        if "listen" not in report:
            return
        self.listens += 1
        given, descriptors = [], []
        for listener in report["listen"]["wanted"]:
            kind, address = listener.get("kind", 0), listener["address"]
            key = (kind, address)
            if key not in self.sockets:
                host, port = address.rsplit(":", 1)
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind else socket.SOCK_STREAM)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0 if kind else 1)
                made.bind((host, int(port)))
                if not kind:
                    made.listen(1000)
                made.setblocking(False)
                self.sockets[key] = made
            given.append({"listener": {"kind": kind, "address": address}})
            descriptors.append(self.sockets[key].fileno())
        self.send({"listeners": {"given": given}}, descriptors)

    def until(self, name, limit=15):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            report = self.read(limit)
            if name in report:
                return report[name]
        raise AssertionError(f"no {name} came")

    def close_sockets(self):
        for one in self.sockets.values():
            one.close()
