#!/usr/bin/env python3
"""Requests at a fixed rate over new and kept connections, GET and POST mixed, each with a checked answer. A process of its own:

    traffic.py HOST:PORT NAME RATE SECONDS OUT

A request that is due is sent, however long the ones before it take (an open loop). Whatever is not the whole right answer is a
failure: a refused or reset connection, an end before the answer, another status, another body, more than LIMIT_S. Nothing is
sent twice. Every tenth request asks for a page that takes the task 300 ms. When it ends, by time or by SIGTERM, OUT is JSON:
counts, failures (the first FAILURES_MAX with their time), latency, the longest time without a success, answers by version.

In a test: `with Traffic(port, name) as traffic: ...`, then `traffic.result`. SERVER is what answers.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import zlib

LIMIT_S = 10
KEPT = 16  # kept connections; more when all are busy
FAILURES_MAX = 20
GAP_S = 0.2  # seconds without a success that are listed

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


class Client:
    def __init__(self, host, port, name, rate, seconds):
        self.at, self.name, self.rate, self.seconds = (host, port), name, rate, seconds
        self.idle, self.tasks = [], set()
        self.counts = {"requests": 0, "ok": 0, "failed": 0, "get": 0, "post": 0, "new": 0, "kept": 0, "opened": 0, "closed_idle": 0}
        self.versions, self.failures, self.latencies, self.gaps = {}, [], [], []
        self.longest_gap_s, self.last_ok = 0.0, None
        self.ended = asyncio.Event()

    def request(self, number):
        post = number % 2 == 1
        path = "/slow" if number % 21 >= 19 else "/"
        body = os.urandom(100 + number * 37 % 4000) if post else b""
        fields = f"Content-Length: {len(body)}\r\n" if post else ""
        head = f"{'POST' if post else 'GET'} {path} HTTP/1.1\r\nHost: {self.name}\r\n{fields}"
        return head, body

    async def connection(self, kept):
        while kept and self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof():
                return reader, writer
            self.counts["closed_idle"] += 1
            writer.close()
        self.counts["opened"] += 1
        return await asyncio.open_connection(*self.at)

    async def exchange(self, number):
        kept = number % 4 >= 2
        head, body = self.request(number)
        reader, writer = await self.connection(kept)
        goes_on = False
        try:
            writer.write((head + ("" if kept else "Connection: close\r\n") + "\r\n").encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            fields = answer.decode().lower().split("\r\n")
            size = int(next(field for field in fields if field.startswith("content-length:"))[15:])
            text = (await reader.readexactly(size)).decode()
            if not answer.startswith(b"HTTP/1.1 200"):
                raise OSError(f"{fields[0]}: {text[:200]}")
            version, _, checksum = text.split(" ")
            if int(checksum) != zlib.crc32(body):
                raise OSError(f"wrong body: {text}")
            self.versions[version] = self.versions.get(version, 0) + 1
            goes_on = kept and "connection: close" not in fields
        finally:
            if goes_on:
                self.idle.append((reader, writer))
            else:
                writer.close()

    async def one(self, number):
        began = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT_S):
                await self.exchange(number)
        except Exception as problem:  # whatever it is, the request has failed
            self.counts["failed"] += 1
            if len(self.failures) < FAILURES_MAX:
                kind = ("GET", "POST")[number % 2] + (" kept" if number % 4 >= 2 else " new")
                self.failures.append({"at": time.time(), "kind": kind, "problem": f"{type(problem).__name__}: {problem}"[:300]})
            return
        now = time.monotonic()
        self.counts["ok"] += 1
        self.latencies.append(now - began)
        if self.last_ok is not None and now - self.last_ok > GAP_S:
            self.gaps.append({"at": time.time(), "seconds": round(now - self.last_ok, 3)})
        self.longest_gap_s = max(self.longest_gap_s, now - (self.last_ok or now))
        self.last_ok = now

    async def run(self):
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.ended.set)
        began, number = time.monotonic(), 0
        while not self.ended.is_set() and time.monotonic() - began < self.seconds:
            due = int((time.monotonic() - began) * self.rate)
            for number in range(number, due):
                task = loop.create_task(self.one(number))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
                self.counts["requests"] += 1
                self.counts[("get", "post")[number % 2]] += 1
                self.counts["kept" if number % 4 >= 2 else "new"] += 1
            number = max(number, due)
            await asyncio.sleep(0.002)
        took = time.monotonic() - began
        if self.tasks:
            await asyncio.wait(self.tasks)
        return self.result(took)

    def result(self, took):
        times = sorted(self.latencies) or [0.0]
        part = lambda share: round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 2)  # noqa: E731
        return {**self.counts, "seconds": round(took, 2), "rate": round(self.counts["requests"] / max(took, 0.001)),
                "p50_ms": part(0.5), "p99_ms": part(0.99), "max_ms": part(1), "longest_gap_s": round(self.longest_gap_s, 3),
                "gaps": self.gaps[:FAILURES_MAX], "versions": self.versions, "failures": self.failures}


class Traffic:
    """Runs while the block does; `result` afterwards."""

    def __init__(self, port, name, work, rate=500, seconds=600, host="127.0.0.1"):
        self.out = os.path.join(work, f"traffic{time.monotonic_ns()}.json")
        self.words = [sys.executable, os.path.abspath(__file__), f"{host}:{port}", name, str(rate), str(seconds), self.out]
        self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(self.words)
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


def main():
    at, name, rate, seconds, out = sys.argv[1:]
    host, port = at.rsplit(":", 1)

    async def work():
        return await Client(host, int(port), name, int(rate), float(seconds)).run()
    result = asyncio.run(work())
    with open(out, "w") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
