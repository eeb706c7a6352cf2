"""Images and artifacts against a real docker-registry, images of umoci and skopeo, and hostile archives."""

import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading
import urllib.request
import zipfile

from harness import (Process, SMACKD, TOOLS, Skip, free_port, install, need_root, need_tool, run, temporary_directory,
                     wait_until)

PACKAGES = {"skopeo": "skopeo", "umoci": "umoci", "docker-registry": "docker-registry", "htpasswd": "apache2-utils",
            "zstd": "zstd", "busybox": "busybox-static"}
TOOL = os.path.join(TOOLS, "image_store")
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def need_tools():
    need_root()
    install(PACKAGES)
    for program in PACKAGES:
        need_tool(program)


def must(*words, **more):
    answer = run([str(word) for word in words], limit=300, **more)
    assert answer.code == 0, f"{words}: {answer}"
    return answer


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """Debian's docker-registry in a folder of its own."""

    def __init__(self, password_file=None, certificate=None):
        self.work = temporary_directory("smackd_registry")
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        lines = ["version: 0.1", "log: {level: warn}", f"storage: {{filesystem: {{rootdirectory: {self.work}/data}}}}"]
        tls = f", tls: {{certificate: {certificate[0]}, key: {certificate[1]}}}" if certificate else ""
        lines.append(f"http: {{addr: '{self.host}'{tls}}}")
        if password_file:
            lines.append(f"auth: {{htpasswd: {{realm: test, path: {password_file}}}}}")
        config = os.path.join(self.work, "registry.yml")
        with open(config, "w") as file:
            file.write("\n".join(lines) + "\n")
        self.process = Process(["docker-registry", "serve", config], self.work, "registry")
        wait_until(self.answers, what="the registry")

    def answers(self):
        import socket
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def push(self, source, name, *words):
        must("skopeo", "copy", "-q", "--dest-tls-verify=false", *words, source, f"docker://{self.host}/{name}")

    def stop(self):
        self.process.kill()


_made = {}


def image_layout():
    """An OCI layout with an image of two layers; the second removes, replaces and hides what the first has."""
    if "layout" in _made:
        return _made["layout"]
    need_tools()
    work = temporary_directory("smackd_layout")
    layout, bundle = os.path.join(work, "oci"), os.path.join(work, "bundle")
    must("umoci", "init", "--layout", layout)
    must("umoci", "new", "--image", f"{layout}:app")
    must("umoci", "unpack", "--image", f"{layout}:app", bundle)
    root = os.path.join(bundle, "rootfs")
    for folder in ("bin", "etc", "gone/deep", "replaced", "kept"):
        os.makedirs(os.path.join(root, folder))
    shutil.copy("/bin/busybox", os.path.join(root, "bin/busybox"))
    os.symlink("busybox", os.path.join(root, "bin/sh"))
    os.link(os.path.join(root, "bin/busybox"), os.path.join(root, "bin/hard"))
    for path, text in (("etc/one", "one"), ("etc/removed", "x"), ("gone/deep/file", "x"), ("replaced/old", "old"),
                       ("kept/file", "kept"), ("n" * 150, "long")):
        with open(os.path.join(root, path), "w") as file:
            file.write(text)
    os.chown(os.path.join(root, "kept/file"), 70000, 70001)
    os.chmod(os.path.join(root, "etc/one"), 0o4755)
    must("umoci", "repack", "--image", f"{layout}:app", bundle)
    shutil.rmtree(bundle)
    must("umoci", "unpack", "--image", f"{layout}:app", bundle)
    os.unlink(os.path.join(root, "etc/removed"))
    shutil.rmtree(os.path.join(root, "gone"))
    shutil.rmtree(os.path.join(root, "replaced"))
    os.makedirs(os.path.join(root, "replaced"))
    with open(os.path.join(root, "replaced/new"), "w") as file:
        file.write("new")
    must("umoci", "repack", "--image", f"{layout}:app", bundle)
    must("umoci", "config", "--image", f"{layout}:app", "--config.cmd", "/bin/sh", "--config.env", "PATH=/bin",
         "--config.user", "1000:1000", "--config.exposedports", "8080/tcp", "--config.workingdir", "/kept")
    shutil.rmtree(bundle)
    must("umoci", "unpack", "--image", f"{layout}:app", bundle)
    _made["layout"] = f"oci:{layout}:app", root, layout
    return _made["layout"]


def tree(root):
    """path -> what it is, for comparing."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(about.st_mode) else ""
            if stat.S_ISREG(about.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            mode = 0 if stat.S_ISLNK(about.st_mode) else about.st_mode
            found[os.path.relpath(path, root)] = (mode, about.st_uid, about.st_gid, content)
    return found


def merged_tree(layers):
    """What a task would see: the layers under an overlay."""
    if len(layers) == 1:
        return tree(layers[0])
    point = temporary_directory("smackd_overlay")
    must("mount", "-t", "overlay", "overlay", "-o", "lowerdir=" + ":".join(reversed(layers)), point)
    try:
        return tree(point)
    finally:
        must("umount", point)


def tool(directory, *words):
    if not os.path.exists(TOOL):
        raise Skip("make tools")
    answer = run([TOOL, directory, *words], limit=120)
    return json.loads(answer.out) if answer.out else {"error": "died", "message": str(answer)}


def refused(answer, code, *words):
    assert answer.get("error") == code and all(word in answer["message"] for word in words), (code, words, answer)


def pull(directory, *words, stdin=None):
    return run([SMACKD, "image", "pull", *words, "--data-dir", directory, "--json"], stdin=stdin, limit=120)


def store_is_clean(directory):
    for folder in ("tmp", "blobs/partial"):
        assert os.listdir(os.path.join(directory, folder)) == [], folder
    assert not [name for name in os.listdir(os.path.join(directory, "layers")) if "." in name.replace(".json", "")]


def test_images_of_every_form_from_a_real_registry():
    source, expected, _ = image_layout()
    registry = Registry()
    registry.push(source, "team/app:oci")
    registry.push(source, "team/app:docker", "--format", "v2s2")
    registry.push(source, "zstd/app:1", "--dest-compress-format", "zstd", "--format", "oci")
    with urllib.request.urlopen(urllib.request.Request(f"http://{registry.host}/v2/team/app/manifests/oci",
                                                       headers={"Accept": MANIFEST_TYPE})) as answer:
        manifest = answer.read()
    other = {"mediaType": MANIFEST_TYPE, "digest": digest(manifest), "size": len(manifest)}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [
        {**other, "platform": {"os": "unknown", "architecture": "unknown"}},
        {**other, "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
    urllib.request.urlopen(urllib.request.Request(f"http://{registry.host}/v2/team/app/manifests/index", data=index,
                                                  headers={"Content-Type": INDEX_TYPE}, method="PUT")).close()
    want = tree(expected)
    for name in ("team/app:oci", "team/app:docker", "zstd/app:1", "team/app:index", f"team/app@{digest(manifest)}"):
        data = temporary_directory()
        answer = pull(data, f"{registry.host}/{name}", "--insecure", registry.host)
        assert answer.code == 0, (name, str(answer))
        image = answer.json()
        assert len(image["layers"]) == 2 and image["user"] == "1000:1000" and image["cmd"] == ["/bin/sh"], image
        assert image["working_directory"] == "/kept" and image["exposed_ports"] == ["8080/tcp"], image
        assert merged_tree(image["layers"]) == want, name
        store_is_clean(data + "/images")
    # Once here it needs no registry, unless it is asked for.
    registry.stop()
    assert pull(data, f"{registry.host}/{name}", "--insecure", registry.host).code == 0
    assert pull(data, f"{registry.host}/{name}", "--insecure", registry.host, "--force").code == 1
    listed = run([SMACKD, "image", "list", "--data-dir", data, "--json"]).json()["images"]
    assert [row["id"] for row in listed] == [digest(manifest)], listed
    assert run([SMACKD, "image", "remove", f"{registry.host}/{name}", "--data-dir", data]).code == 0
    assert os.listdir(data + "/images/layers") == [] and os.listdir(data + "/images/names") == []


def test_archives_hold_the_same_image():
    source, expected, layout = image_layout()
    work = temporary_directory()
    must("skopeo", "copy", "-q", source, f"oci-archive:{work}/oci.tar:team/app:1")
    must("skopeo", "copy", "-q", source, f"docker-archive:{work}/docker.tar:team/app:2")
    must("gzip", "-k", f"{work}/docker.tar")
    data = temporary_directory()
    for path in (f"{work}/oci.tar", f"{work}/docker.tar", f"{work}/docker.tar.gz", layout):
        answer = run([SMACKD, "image", "import", path, "--name", "x:1", "--data-dir", data, "--json"], limit=120)
        assert answer.code == 0, (path, str(answer))
        assert merged_tree(answer.json()["layers"]) == tree(expected), path
    named = run([SMACKD, "image", "import", f"{work}/docker.tar", "--data-dir", data, "--json"]).json()
    assert named["name"] == "docker.io/team/app:2", named
    with open(f"{work}/docker.tar", "rb") as file:
        content = file.read()
    for name, cut in (("short", content[:len(content) // 2]), ("text", b"no archive"), ("empty", b"")):
        with open(f"{work}/{name}", "wb") as file:
            file.write(cut)
        answer = run([SMACKD, "image", "import", f"{work}/{name}", "--name", "y", "--data-dir", data])
        assert answer.code == 1, (name, str(answer))
    store_is_clean(data + "/images")


def test_basic_sign_in_over_tls_of_an_own_ca():
    source, expected, _ = image_layout()
    work = temporary_directory()
    key, certificate = f"{work}/key.pem", f"{work}/cert.pem"
    must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
         "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    with open(f"{work}/htpasswd", "w") as file:
        file.write(must("htpasswd", "-nbB", "puller", "s3cret").out)
    registry = Registry(f"{work}/htpasswd", (certificate, key))
    registry.push(source, "private/app:1", "--dest-creds", "puller:s3cret")
    name = f"localhost:{registry.port}/private/app:1"
    data = temporary_directory()
    unknown = pull(data, name)
    assert unknown.code == 1 and "certificate" in unknown.err.lower(), unknown
    anonymous = pull(data, name, "--ca-file", certificate)
    assert anonymous.code == 1 and "401" in anonymous.err and "no credentials" in anonymous.err, anonymous
    wrong = pull(data, name, "--ca-file", certificate, "--user", "puller", "--password-stdin", stdin="wrong\n")
    assert wrong.code == 1 and "401" in wrong.err and "wrong" not in wrong.err, wrong
    right = pull(data, name, "--ca-file", certificate, "--user", "puller", "--password-stdin", stdin="s3cret\n")
    assert right.code == 0, right
    assert merged_tree(right.json()["layers"]) == tree(expected)
    # It is here now, and still only for who may have it.
    assert pull(data, name, "--ca-file", certificate).code == 1
    assert pull(data, name, "--ca-file", certificate, "--user", "puller", "--password-stdin",
                stdin="s3cret\n").code == 0
    stored = run(["grep", "-rl", "s3cret", data + "/images"])
    assert stored.code == 1, stored


class Front:
    """A registry in front of a real one: sells tokens, redirects blobs to another host, breaks connections."""

    def __init__(self, behind, broken_every=None, spoil=None):
        self.seen = []
        self.broken = 0
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, headers, body, cut=None):
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body if cut is None else body[:cut])
                self.close_connection = True

            def do_GET(self):
                authorization = self.headers.get("Authorization", "")
                front.seen.append((self.server.server_port, self.path, authorization, self.headers.get("Range")))
                if self.path.startswith("/token"):
                    known = authorization == "Basic " + base64.b64encode(b"user:pw").decode()
                    body = json.dumps({"token": "right-token", "expires_in": 300}) if known else "{}"
                    return self.answer(200 if known else 401, {}, body.encode())
                at_blobs = self.server.server_port == front.blob_port
                if not at_blobs and authorization != "Bearer right-token":
                    challenge = f'Bearer realm="http://127.0.0.1:{front.port}/token",service="test"'
                    return self.answer(401, {"WWW-Authenticate": challenge}, b'{"errors":[{"message":"sign in"}]}')
                if "/blobs/" in self.path and not at_blobs:
                    return self.answer(307, {"Location": f"http://127.0.0.1:{front.blob_port}{self.path}"}, b"")
                headers = {key: self.headers[key] for key in ("Accept", "Range") if self.headers[key]}
                with urllib.request.urlopen(urllib.request.Request(f"http://{behind}{self.path}",
                                                                   headers=headers)) as reply:
                    body = reply.read()
                    kept = {key: reply.headers[key] for key in ("Content-Type", "Content-Range",
                                                                "Docker-Content-Digest") if reply.headers[key]}
                    status = reply.status
                if spoil and "/blobs/" in self.path and len(body) > 10000:
                    body = spoil(body)
                cut = None
                if broken_every and len(body) > broken_every:
                    front.broken += 1
                    cut = broken_every
                self.answer(status, kept, body, cut)

        self.servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self.port, self.blob_port = (server.server_port for server in self.servers)
        self.host = f"127.0.0.1:{self.port}"
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def test_tokens_redirections_and_broken_connections():
    source, expected, _ = image_layout()
    registry = Registry()
    registry.push(source, "team/app:1")
    front = Front(registry.host, broken_every=300_000)
    data = temporary_directory()
    name = f"{front.host}/team/app:1"
    anonymous = tool(data, "image", name, "insecure=" + front.host, "allow=127.0.0.0/8")
    refused(anonymous, "denied", "signing in", "401")
    image = tool(data, "image", name, "insecure=" + front.host, "allow=127.0.0.0/8", "user=user:pw")
    assert "error" not in image, image
    assert merged_tree(image["layers"]) == tree(expected)
    blobs = [entry for entry in front.seen if entry[0] == front.blob_port]
    assert blobs and not any(entry[2] for entry in blobs), "credentials were sent to another host"
    assert front.broken >= 2 and any(entry[3] for entry in blobs), "nothing was gone on with"
    begins = [int(entry[3].removeprefix("bytes=").rstrip("-")) for entry in blobs if entry[3]]
    assert begins[0] > 0 and sorted(set(begins)) == sorted(begins), begins
    # The redirection leads to a host that only the rules for this test allow.
    other = temporary_directory()
    refused(tool(other, "image", name, "insecure=" + front.host, "user=user:pw"), "denied", "loopback")
    front.stop()
    print(f"        {front.broken} broken connections, {len(begins)} continued")


def test_spoiled_blobs_are_refused():
    source, _, _ = image_layout()
    registry = Registry()
    registry.push(source, "team/app:1")
    spoilers = {"a flipped byte": lambda body: body[:5000] + bytes([body[5000] ^ 1]) + body[5001:],
                "more than announced": lambda body: body + b"x"}
    for what, spoil in spoilers.items():
        front = Front(registry.host, spoil=spoil)
        data = temporary_directory()
        answer = tool(data, "image", f"{front.host}/team/app:1", "insecure=" + front.host, "allow=127.0.0.0/8",
                      "user=user:pw")
        assert answer.get("error") in ("corrupt", "invalid"), (what, answer)
        assert not [name for name in os.listdir(data + "/names")], what
        front.stop()


class Layout:
    """An OCI layout of our own making: one image with the given layer tars."""

    def __init__(self, *layers, claimed=None):
        self.path = temporary_directory("smackd_evil")
        os.makedirs(self.path + "/blobs/sha256")
        config = {"os": "linux", "architecture": "amd64", "config": {},
                  "rootfs": {"type": "layers", "diff_ids": claimed or [digest(layer) for layer in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE,
                    "config": self.blob(json.dumps(config).encode(), CONFIG_TYPE),
                    "layers": [self.blob(layer, LAYER_TYPE) for layer in layers]}
        index = {"schemaVersion": 2, "manifests": [self.blob(json.dumps(manifest).encode(), MANIFEST_TYPE)]}
        for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            with open(f"{self.path}/{name}", "w") as file:
                json.dump(value, file)

    def blob(self, data, kind):
        with open(f"{self.path}/blobs/sha256/{hashlib.sha256(data).hexdigest()}", "wb") as file:
            file.write(data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def bring(self, data):
        return run([SMACKD, "image", "import", self.path, "--name", "evil", "--data-dir", data, "--json"], limit=120)


def make_tar(*members, format=tarfile.PAX_FORMAT):
    """(name, type, content or target) each."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text))
            else:
                info.linkname = text
                archive.addfile(info)
    return out.getvalue()


def test_hostile_layers_reach_nothing():
    need_root()
    outside = temporary_directory("smackd_outside")
    secret = os.path.join(outside, "secret")
    with open(secret, "w") as file:
        file.write("untouched")
    link, hard, regular, folder = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.REGTYPE, tarfile.DIRTYPE
    layers = {
        "dot dot": make_tar(("../../../.." + secret, regular, b"evil")),
        "absolute": make_tar((secret, regular, b"evil")),
        "through a link": make_tar(("out", link, outside), ("out/secret", regular, b"evil")),
        "through a relative link": make_tar(("out", link, "../" * 20 + outside), ("out/secret", regular, b"evil")),
        "over a link": make_tar(("file", link, secret), ("file", regular, b"evil")),
        "hard link out": make_tar(("h", hard, "../" * 20 + secret), ("h", regular, b"evil")),
        "hard link to a link": make_tar(("l", link, secret), ("h", hard, "l"), ("h", regular, b"evil")),
        "folder over a link": make_tar(("out", link, outside), ("out", folder, ""), ("out/secret", regular, b"evil")),
        "proc": make_tar(("proc", link, "/proc/1/root"), ("proc" + secret, regular, b"evil")),
        "whiteout": make_tar(("out", link, outside), ("out/.wh.secret", regular, b"")),
    }
    accepted = 0
    for what, layer in layers.items():
        data = temporary_directory()
        answer = Layout(layer).bring(data)
        accepted += answer.code == 0
        assert answer.code in (0, 1), (what, str(answer))
        with open(secret) as file:
            assert file.read() == "untouched", what
        assert os.stat(secret).st_nlink == 1 and os.listdir(outside) == ["secret"], what
        if answer.code == 1:
            assert os.listdir(data + "/images/layers") == [], what
    assert 0 < accepted < len(layers), accepted  # some are harmless where they are unpacked, some are refused
    device = make_tar(("null", tarfile.CHRTYPE, ""), ("ok", regular, b"x"))
    data = temporary_directory()
    image = Layout(device).bring(data).json()
    assert os.listdir(image["layers"][0]) == ["ok"]


def test_damaged_and_lying_layers_are_refused():
    need_root()
    good = make_tar(("file", tarfile.REGTYPE, b"x" * 5000))
    sparse = bytearray(make_tar(("file", tarfile.REGTYPE, b"")))
    sparse[156] = ord("S")
    total = sum(sparse[:148]) + 8 * 32 + sum(sparse[156:512])
    sparse[148:156] = b"%06o\0 " % total
    cases = [(Layout(good, claimed=[digest(b"other")]), "digest"), (Layout(good[:1000]), "cut short"),
             (Layout(bytes(sparse)), "sparse"), (Layout(b"no tar, but text " * 100), "checksum"),
             (Layout(make_tar(("a", tarfile.REGTYPE, b""), ("a/b", tarfile.REGTYPE, b""))), "folder"),
             (Layout(make_tar(("h", tarfile.LNKTYPE, "nowhere"))), "not in the archive"),
             (Layout(make_tar(*[("d/" * 300 + "f", tarfile.REGTYPE, b"")])), "deeper")]
    for layout, word in cases:
        data = temporary_directory()
        answer = layout.bring(data)
        assert answer.code == 1 and word in answer.err, (word, str(answer))
        assert os.listdir(data + "/images/layers") == [] and os.listdir(data + "/images/names") == []
    # A bomb: 64 MiB of zeros in 64 KiB.
    data = temporary_directory()
    bomb = Layout(make_tar(("zeros", tarfile.REGTYPE, bytes(64 << 20))))
    archive = os.path.join(temporary_directory(), "bomb.tar")
    assert bomb.bring(data).code == 0
    with tarfile.open(archive, "w") as out:
        out.add(bomb.path, arcname=".")
    assert os.path.getsize(archive) > 64 << 20


def test_what_is_not_used_leaves_the_disk():
    source, _, _ = image_layout()
    registry = Registry()
    for name in ("one", "two", "three"):
        registry.push(source, f"{name}/app:1")
    data = temporary_directory()
    options = ("insecure=" + registry.host,)
    first = tool(data, "image", f"{registry.host}/one/app:1", *options)
    assert "error" not in first, first
    # Too small for blobs and layers both: the blobs go first, the image still works.
    inodes = {}
    for folder, _, names in os.walk(data + "/layers"):
        for about in (os.lstat(os.path.join(folder, name)) for name in names):
            if stat.S_ISREG(about.st_mode):
                inodes[about.st_ino] = about.st_size  # hard links count once
    used = sum(inodes.values())
    freed = tool(data, "collect", f"size_limit={used + 4000}")
    assert freed.get("freed", 0) > 100_000, freed
    again = tool(data, "image", f"{registry.host}/one/app:1", *options)
    assert again == first, again
    assert tool(data, "collect", "size_limit=1000")["freed"] > 0
    assert os.listdir(data + "/layers") == [] and os.listdir(data + "/names") == []
    store_is_clean(data)


class Files:
    """A web server for artifacts."""

    def __init__(self, files):
        self.asked = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.asked.append(self.path)
                found = files.get(self.path)
                if isinstance(found, str):
                    self.send_response(302)
                    self.send_header("Location", found)
                    self.end_headers()
                    return
                self.send_response(404 if found is None else 200)
                body = found or b"no"
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def make_zip(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text)
    return out.getvalue()


def test_artifacts():
    need_root()
    import gzip
    plain = make_tar(("app/run.sh", tarfile.REGTYPE, b"#!/bin/sh\n"), ("app/link", tarfile.SYMTYPE, "run.sh"))
    more = make_tar(("app/more", tarfile.REGTYPE, b"more"))
    zipped = make_zip(("app/zip.txt", "zip " * 5000, 0o100640), ("app/tool", "x", 0o100755),
                      ("app/to", "zip.txt", 0o120777))
    zstd = subprocess.run(["zstd", "-c"], input=more, capture_output=True, check=True).stdout \
        if shutil.which("zstd") else more
    files = Files({"/app.tgz": gzip.compress(plain), "/more.tar.zst": zstd, "/app.zip": zipped, "/tool": b"\x7fELF",
                   "/moved": "/tool", "/lib.jar": zipped, "/away": "http://169.254.169.254/latest/meta-data"})
    data, sandbox = temporary_directory(), temporary_directory("smackd_sandbox")
    allow = "allow=127.0.0.1"

    def fetch(path, *words):
        return tool(data, "fetch", files.url + path, sandbox, allow, *words)

    for path in ("/app.tgz", "/more.tar.zst", "/app.zip"):
        answer = fetch(path, "uid=4321", "gid=4322")
        assert answer == {}, (path, answer)
    found = tree(sandbox)
    assert set(found) == {"app", "app/run.sh", "app/link", "app/more", "app/zip.txt", "app/tool", "app/to"}, found
    assert all(entry[1:3] == (4321, 4322) for entry in found.values()), found
    assert found["app/tool"][0] & 0o777 == 0o755 and found["app/to"][3] == "zip.txt"
    right, wrong = hashlib.sha256(b"\x7fELF").hexdigest(), "0" * 64
    assert fetch(f"/tool#sha256={right}", "executable=1", "dest=bin/t", "cache=1") == {}
    assert tree(sandbox)["bin/t"][0] & 0o777 == 0o755
    asked = len(files.asked)
    assert fetch(f"/tool#sha256={right}", "dest=cached") == {}
    assert len(files.asked) == asked, "what is in the store was asked for again"
    assert tool(data, "fetch", f"blob:sha256:{right}", sandbox, "dest=from_blob") == {}
    assert fetch("/lib.jar") == {} and fetch("/moved") == {} and fetch("/app.tgz", "extract=0") == {}
    assert {"lib.jar", "moved", "app.tgz", "cached", "from_blob"} <= set(tree(sandbox))
    before = tree(sandbox)
    refused(fetch(f"/app.tgz#sha256={wrong}"), "corrupt", "SHA-256")
    refused(fetch("/absent"), "not_found", "404")
    refused(fetch("/tool", "dest=../x"), "invalid", "fetch.destPath")
    refused(fetch("/away"), "denied", "link-local")
    refused(tool(data, "fetch", files.url + "/tool", sandbox), "denied", "loopback")
    refused(tool(data, "fetch", "http://localhost:1/x", sandbox), "denied", "loopback")
    refused(tool(data, "fetch", "http://[::ffff:127.0.0.1]:1/x", sandbox), "denied", "loopback")
    refused(tool(data, "fetch", "http://0/x", sandbox), "denied")
    refused(tool(data, "fetch", "https://127.0.0.1:1/x", sandbox, allow), "unavailable")
    refused(tool(data, "fetch", "file:///etc/hostname", sandbox), "denied", "file:")
    assert tool(data, "fetch", "file:///etc/hostname", sandbox, "file_uris=1") == {}
    os.unlink(os.path.join(sandbox, "hostname"))
    assert tree(sandbox) == before
    assert os.listdir(data + "/tmp") == []


def test_hostile_artifacts_reach_nothing():
    need_root()
    outside = temporary_directory("smackd_outside")
    evil = {
        "/slip.zip": make_zip(("../" * 20 + outside + "/evil", "x", 0o100644)),
        "/link.zip": make_zip(("out", outside, 0o120777), ("out/evil", "x", 0o100644)),
        "/slip.tar": make_tar(("../evil", tarfile.REGTYPE, b"x")),
        "/link.tar": make_tar(("out", tarfile.SYMTYPE, outside), ("out/evil", tarfile.REGTYPE, b"x")),
        "/text.zip": b"no zip at all", "/text.tgz": b"no tar at all",
        "/bomb.zip": make_zip(("zeros", bytes(64 << 20), 0o100644)),
        "/plant.tar": make_tar(("out", tarfile.SYMTYPE, outside)), "/file": b"x",
        "/then.tar": make_tar(("out/evil", tarfile.REGTYPE, b"x")),
    }
    files = Files(evil)
    for path in ("/slip.zip", "/link.zip", "/slip.tar", "/link.tar", "/text.zip", "/text.tgz", "/bomb.zip"):
        data, sandbox = temporary_directory(), temporary_directory("smackd_sandbox")
        answer = tool(data, "fetch", files.url + path, sandbox, "allow=127.0.0.1", "unpacked_max=1000000")
        assert "error" in answer, (path, answer)
        assert tree(sandbox) == {} and os.listdir(outside) == [] and os.listdir(data + "/tmp") == [], path
    # One artifact plants a link, the next would go through it.
    data, sandbox = temporary_directory(), temporary_directory("smackd_sandbox")
    assert tool(data, "fetch", files.url + "/plant.tar", sandbox, "allow=127.0.0.1") == {}
    refused(tool(data, "fetch", files.url + "/then.tar", sandbox, "allow=127.0.0.1"), "conflict", "out")
    refused(tool(data, "fetch", files.url + "/file", sandbox, "allow=127.0.0.1", "dest=out/evil"), "conflict", "out")
    assert os.listdir(outside) == []
