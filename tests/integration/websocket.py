"""A WebSocket client of our own (RFC 6455): what it sends is written here byte by byte, so that tests can send what is wrong."""

import base64
import hashlib
import json
import os
import socket
import struct

LIMIT_S = 30
SALT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """An HTTP answer instead of a WebSocket."""

    def __init__(self, status, headers, body):
        super().__init__(f"{status} {body}")
        self.status, self.headers, self.body = status, headers, body

    def message(self):
        return json.loads(self.body)["error"]["message"]


class WebSocket:
    def __init__(self, port, path, headers=None, host=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": host or f"localhost:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": key, **(headers or {})}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head = self.until(b"\r\n\r\n").decode()
        status = int(head.split()[1])
        answered = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head.strip().split("\r\n")[1:])}
        if status != 101:
            body = self.exactly(int(answered.get("content-length", 0))).decode()
            self.socket.close()
            raise Refused(status, answered, body)
        assert answered["upgrade"] == "websocket" and answered["connection"].lower() == "upgrade", answered
        assert answered["sec-websocket-accept"] == base64.b64encode(hashlib.sha1((key + SALT).encode()).digest()).decode()

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the connection has ended")
        self.buffer += piece

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def send(self, opcode, payload, masked=True):
        head = bytes([0x80 | opcode])
        bit = 0x80 if masked else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 1 << 16:
            head += bytes([bit | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
        mask = os.urandom(4)
        if masked:
            whole = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
            payload = mask + whole.to_bytes(len(payload), "big")
        self.socket.sendall(head + payload)

    def say(self, value):
        self.send(TEXT, json.dumps(value).encode())

    def input(self, data):
        self.send(BINARY, b"\0" + data)

    def receive(self):
        """(opcode, payload) of the next frame but pings; the server does not fragment."""
        while True:
            first, second = self.exactly(2)
            assert first & 0x70 == 0 and second & 0x80 == 0, (first, second)
            length = second & 0x7f
            if length == 126:
                length = struct.unpack(">H", self.exactly(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.exactly(8))[0]
            payload = self.exactly(length)
            if first & 15 == PING:
                self.send(PONG, payload)
                continue
            return first & 15, payload

    def close(self):
        self.socket.close()


class Exec(WebSocket):
    """A program in a task of a demo. `headers` say who asks."""

    def __init__(self, demo, task, words, headers=None, **start):
        super().__init__(demo.ports["api"], f"/smack/v1/tasks/{task}/exec", headers)
        self.out = b""
        self.err = b""
        self.news = None
        if words is not None:
            self.say({"words": words, **start})

    def step(self):
        """Takes one message; the code of the Close, None for others."""
        opcode, payload = self.receive()
        if opcode == CLOSE:
            return struct.unpack(">H", payload[:2])[0] if payload else 1005
        if opcode == TEXT:
            self.news = json.loads(payload)
        elif payload[0] == 1:
            self.out += payload[1:]
        else:
            assert payload[0] == 2, payload[:20]
            self.err += payload[1:]
        return None

    def until_output(self, words):
        while words not in self.out:
            assert self.step() is None, (self.out, self.err, self.news)

    def end(self):
        """Until the Close: (its code, the last news)."""
        while (code := self.step()) is None:
            pass
        self.close()
        return code, self.news
