"""The three definitions of examples/iot, unchanged, with small images of the names they want."""

import hashlib
import io
import json
import os
import shutil
import tarfile

import harness
from browser import Browser
from harness import Demo
from test_apps import add, dns, eventually, http, running, show

EXAMPLES = os.path.join(harness.ROOT, "examples/iot")


def file_info(name, size=0, mode=0o755, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.linkname = size, mode, kind, link
    return info


def web_image(path, name, text):
    """A docker-archive of one layer: a static busybox that serves `text` on 8080."""
    harness.install({"busybox": "busybox-static"})
    harness.need_tool("busybox")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "www"):
            tar.addfile(file_info(folder, kind=tarfile.DIRTYPE))
        program = shutil.which("busybox")
        with open(program, "rb") as file:
            tar.addfile(file_info("bin/busybox", os.path.getsize(program)), file)
        tar.addfile(file_info("bin/sh", kind=tarfile.SYMTYPE, link="busybox"))
        page = f"{text}\n".encode()
        tar.addfile(file_info("www/index.html", len(page), 0o644), io.BytesIO(page))
    layer = layer.getvalue()
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "config": {"Cmd": ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"], "Env": ["PATH=/bin"]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for entry, data in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            tar.addfile(file_info(entry, len(data), 0o644), io.BytesIO(data))


def test_the_iot_definitions_run_unchanged():
    demo = Demo()
    harness.need_root()
    for service in ("meter", "simulator", "web"):
        archive = os.path.join(demo.work, f"{service}.tar")
        web_image(archive, f"cakesolutions/iot-demo-{service}", f"this is {service}")
        imported = harness.run([harness.SMACKD, "image", "import", archive, "--data-dir", demo.directory])
        assert imported.code == 0, imported
    demo.start()
    for service in ("meter", "simulator", "web"):
        answer = demo.cli("app", "add", os.path.join(EXAMPLES, f"{service}.json"))
        assert answer.code == 0, answer
    assert running(demo, "/meter", 2)
    for name, port, text in (("marathon-lb.marathon.mesos", 19002, "meter"), ("marathon-lb-internal.marathon.mesos", 19002, "meter"),
                             ("marathon-lb.marathon.mesos", 19001, "simulator")):
        code, addresses = dns(demo.ports["dns"], name)
        assert code == 0 and addresses, (name, code)
        status, body = eventually(lambda: http(port, host=addresses[0]), what=name)
        assert status == 200 and body == f"this is {text}\n", (name, status, body)
    status, body = eventually(lambda: ok(http(demo.ports["http"], name="p1.dcos")), what="the virtual host")
    assert body == "this is web\n", body
    answer = demo.cli("dns", "add", "p1.dcos", addresses[0])
    assert answer.code == 0, answer
    eventually(lambda: dns(demo.ports["dns"], "p1.dcos") == (0, [addresses[0]]), what="p1.dcos")
    # In a real browser; port 80 is where the demo's ingress is.
    browser = Browser(names=f"MAP p1.dcos:80 127.0.0.1:{demo.ports['http']}")
    browser.open("http://p1.dcos/")
    browser.see("this is web")
    assert browser.script("location.href") == "http://p1.dcos/", browser.script("location.href")
    browser.close()
    # A task resolves the same names and reaches the same ports.
    add(demo, {
        "id": "/client", "cpus": 0.1, "mem": 64, "networks": [{"mode": "container/bridge"}], "container": {"type": "MESOS"},
        "cmd": "python3 -c \"import urllib.request as r; print(r.urlopen('http://marathon-lb-internal.marathon.mesos:19002/').read(), "
               "r.urlopen('http://p1.dcos:19001/').read())\" && sleep 600"})
    task = running(demo, "/client")[0]
    log = eventually(lambda: demo.cli("task", "log", task["id"]).out, what="what the client got")
    assert "this is meter" in log and "this is simulator" in log, (log, demo.cli("task", "log", "--stderr", task["id"]).out)
    assert show(demo, "/web")["env"]["METER_HOST"] == "p1.dcos"
    demo.stop()


def ok(answer):
    return answer if answer[0] == 200 else None
