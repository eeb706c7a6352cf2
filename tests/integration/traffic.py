"""Requests at a fixed rate over new and kept connections while a test does something (tests/tools/traffic.cc), and a server for them.

`with Traffic(port, name, work) as traffic: ...`, then `traffic.result`: counts of requests, `failed`, `closed_idle` (kept connections
that the server closed), latency, `longest_gap_s` without a success, answers by version, the first failures.
"""

import json
import os
import signal
import subprocess
import time

import harness

SERVER = r"""
import asyncio, os, zlib
ME = (os.environ.get("VERSION", "0") + " " + os.environ.get("MESOS_TASK_ID", "-")).encode()
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line[15:])
        if len(rest) < size:
            return
        self.data = rest[size:]
        body = ME + b" " + str(zlib.crc32(rest[:size])).encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        if b"/slow" in head.split(b"\r\n")[0]:
            asyncio.get_running_loop().call_later(0.3, self.transport.write, answer)
        else:
            self.transport.write(answer)
async def main():
    await asyncio.sleep(float(os.environ.get("START_S", "0")))
    server = await asyncio.get_running_loop().create_server(Server, "0.0.0.0", int(os.environ["PORT"]), backlog=1000)
    await server.serve_forever()
asyncio.run(main())
"""
SERVER_COMMAND = f"cat > server.py <<'END'\n{SERVER}\nEND\nexec python3 -u server.py"


class Traffic:
    """Runs while the block does; `result` afterwards."""

    def __init__(self, port, name, work, rate=500, seconds=600, host="127.0.0.1", enter=()):
        self.out = os.path.join(work, f"traffic{time.monotonic_ns()}.json")
        self.words = [*enter, os.path.join(harness.TOOLS, "traffic"), f"{host}:{port}", name, str(rate), str(seconds)]
        self.result = None

    def __enter__(self):
        with open(self.out, "w") as out:
            self.process = subprocess.Popen(self.words, stdout=out)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        with open(self.out) as file:
            self.result = json.load(file)

    def figures(self):
        r = self.result
        return (f"{r['requests']} requests at {r['rate']}/s ({r['get']} GET, {r['post']} POST; {r['new']} on new connections, {r['kept']} on "
                f"kept ones), {r['failed']} failed; p50 {r['p50_ms']} ms, p99 {r['p99_ms']} ms, longest time without an answer {r['longest_gap_s']} s")

