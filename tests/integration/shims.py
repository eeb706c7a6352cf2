"""A client of a shim's socket, byte by byte: what the daemon says to shims, and what it never would."""

import os
import shutil
import socket
import struct

import harness
from varint import read_varint, varint

LIMIT_S = 30
KILL, SIGNAL, LEASE, USAGE, EXEC, INPUT, REPLACE = range(1, 8)
HELLO, EVENT, _, OUTPUT, EXIT, REFUSAL = range(1, 7)


def field(key, value):
    """A field of a protobuf message: a number, or bytes."""
    if isinstance(value, int):
        return varint(key << 3) + varint(value)
    return varint(key << 3 | 2) + varint(len(value)) + value


def fields(message):
    """{field: last value} of a message of numbers and bytes."""
    found, at = {}, 0
    while at < len(message):
        key, at = read_varint(message, at)
        value, at = read_varint(message, at)
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        found[key >> 3] = value
    return found


class ShimClient:
    def __init__(self, directory, task):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT_S)
        at = os.open(f"{directory}/tasks/{task}", os.O_PATH)
        self.socket.connect(f"/proc/self/fd/{at}/socket")  # the path may be longer than an address
        os.close(at)
        self.buffer = b""
        self.out = b""
        self.until(HELLO)

    def close(self):
        self.socket.close()

    def send(self, kind, body):
        message = field(kind, body)
        self.socket.sendall(struct.pack("<I", len(message)) + message)

    def receive(self):
        """(kind, body) of the next answer; None at the end."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack("<I", self.buffer[:4])[0]:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self.buffer += piece
        length = struct.unpack("<I", self.buffer[:4])[0]
        message, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
        (kind, body), = fields(message).items()
        return kind, body

    def until(self, *kinds):
        while True:
            answer = self.receive()
            assert answer is not None, f"the shim has closed the connection before {kinds}"
            if answer[0] == OUTPUT:
                self.out += fields(answer[1]).get(1, b"")
            if answer[0] in kinds:
                return answer

    def replace(self, binary):
        """Asks the shim to become that file: "" when it has, else why not."""
        fd = os.open(binary, os.O_PATH)
        self.send(REPLACE, field(1, fd))
        kind, body = self.until(HELLO, REFUSAL)
        os.close(fd)
        return "" if kind == HELLO else fields(body)[2].decode()

    def exec(self, *words, tty=False):
        self.send(EXEC, b"".join(field(1, word.encode()) for word in words) + field(5, int(tty)) + field(6, 24) + field(7, 80))

    def input(self, text, end=False):
        self.send(INPUT, field(1, text) + field(2, int(end)))

    def until_output(self, words):
        while words not in self.out:
            self.until(OUTPUT)

    def exit(self):
        """(code, signal) of the program, after all it wrote."""
        found = fields(self.until(EXIT)[1])
        return found.get(1, 0), found.get(2, 0)


def other_build():
    """The same program with another version and more bytes: another build, to everybody who looks."""
    path = os.path.join(harness.temporary_directory("build"), "smackd")
    with open(harness.SMACKD, "rb") as file:
        program = file.read()
    version = harness.run([harness.SMACKD, "--version"]).out.split()[-1].encode()
    changed = bytes([version[0] + 1]) + version[1:]
    assert version in program
    with open(path, "wb") as file:
        file.write(program.replace(version, changed) + b"other")
    os.chmod(path, 0o755)
    assert changed.decode() in harness.run([path, "--version"]).out
    return path


def runs(pid, binary):
    there, wanted = os.stat(f"/proc/{pid}/exe"), os.stat(binary)
    return (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino)


def copy_of(binary):
    path = os.path.join(harness.temporary_directory("copy"), "smackd")
    shutil.copy2(binary, path)
    return path
