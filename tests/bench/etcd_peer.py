"""etcd as the peer of the durable-write and read figures: Debian's server, etcd's own benchmark tool.

The tool is built once from the public Go module (etcd does not package it); without Go the figures fall back to
`etcdctl check perf`, which paces itself and therefore only tells whether a given rate was reached.
"""

import os
import re
import shutil
import socket
import subprocess
import time

BENCHMARK_MODULE = "go.etcd.io/etcd/v3"
BENCHMARK_VERSION = "v3.5.17"
START_TIMEOUT_S = 15


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def build_benchmark(cache):
    """Path of etcd's benchmark tool, or None where Go is absent or the module cannot be had."""
    tool = os.path.join(cache, "etcd-benchmark-" + BENCHMARK_VERSION)
    if os.path.exists(tool):
        return tool
    if shutil.which("go") is None:
        return None
    work = tool + ".build"
    os.makedirs(work, exist_ok=True)
    with open(os.path.join(work, "go.mod"), "w") as module:
        module.write("module etcdbenchmark\ngo 1.21\n")
    steps = [["go", "get", f"{BENCHMARK_MODULE}@{BENCHMARK_VERSION}"],
             ["go", "build", "-mod=mod", "-o", tool, BENCHMARK_MODULE + "/tools/benchmark"]]
    for step in steps:
        if subprocess.run(step, cwd=work, env={**os.environ, "GOFLAGS": "-mod=mod"}, capture_output=True).returncode != 0:
            return None
    shutil.rmtree(work)
    return tool


def make_certificate(folder):
    """A self-signed certificate that is its own authority, for every member."""
    cert = os.path.join(folder, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                    os.path.join(folder, "key.pem"), "-out", cert], check=True, capture_output=True)
    return cert


class Etcd:
    """`count` etcd members on loopback with their data below `folder`; with `tls` they know each other by
    certificates and clients come over TLS, as with smackd's servers."""

    def __init__(self, folder, count, tls=False):
        scheme = "https" if tls else "http"
        peers = [f"{scheme}://127.0.0.1:{free_port()}" for _ in range(count)]
        self.clients = [f"{scheme}://127.0.0.1:{free_port()}" for _ in range(count)]
        self.ca = make_certificate(folder) if tls else None
        secure = []
        if tls:
            cert, key = self.ca, os.path.join(folder, "key.pem")
            secure = ["--cert-file", cert, "--key-file", key, "--peer-cert-file", cert, "--peer-key-file", key,
                      "--peer-trusted-ca-file", cert, "--peer-client-cert-auth"]
        initial = ",".join(f"m{i}={url}" for i, url in enumerate(peers))
        self.processes = []
        for i in range(count):
            data = os.path.join(folder, f"etcd{i}")
            self.processes.append(subprocess.Popen(
                ["etcd", "--name", f"m{i}", "--data-dir", data, "--listen-peer-urls", peers[i],
                 "--initial-advertise-peer-urls", peers[i], "--listen-client-urls", self.clients[i],
                 "--advertise-client-urls", self.clients[i], "--initial-cluster", initial, "--log-level", "error",
                 *secure],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.wait_healthy()

    def endpoints(self):
        return ",".join(self.clients)

    def environment(self):
        """For etcdctl."""
        return {**os.environ, "ETCDCTL_API": "3", **({"ETCDCTL_CACERT": self.ca} if self.ca else {})}

    def wait_healthy(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            probe = subprocess.run(["etcdctl", "--endpoints", self.endpoints(), "endpoint", "health"],
                                   env=self.environment(), capture_output=True)
            if probe.returncode == 0:
                return
            time.sleep(0.2)
        raise RuntimeError("etcd did not become healthy")

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def leader_first(etcd):
    """Puts the leader's endpoint alone in use, as a client that knows it would."""
    for url in etcd.clients:
        status = subprocess.run(["etcdctl", "--endpoints", url, "endpoint", "status"], env=etcd.environment(),
                                capture_output=True, text=True).stdout
        if ", true," in status:
            return url
    return etcd.endpoints()


def run_benchmark(tool, endpoints, clients, operation, total, value_bytes=200, ca=None):
    """One run of the tool; returns (operations per second, p50 ms, p99 ms)."""
    connections = min(clients, 64)
    command = [tool, "--endpoints", endpoints, "--conns", str(connections), "--clients", str(clients)]
    if ca:
        command += ["--cacert", ca]
    if operation == "put":
        command += ["put", "--key-size", "16", "--val-size", str(value_bytes), "--total", str(total),
                    "--sequential-keys", "--key-space-size", "10000"]
    else:
        command += ["range", "key", "--total", str(total), "--consistency", operation]
    output = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    quantiles = dict(re.findall(r"(\d+)% in ([\d.]+) secs", output))
    return rate, float(quantiles.get("50", 0)) * 1000, float(quantiles.get("99", 0)) * 1000
