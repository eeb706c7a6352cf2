"""runc and crun as peers of starts: bundles with the same root file system, system-call filter, user namespace and limits as our
tasks, and a process that starts them one after the other.

crun refuses a hybrid cgroup layout: it runs in a mount namespace of its own where the v1 controllers are bound over
/sys/fs/cgroup, entered once, outside the timing. Nothing of it is seen on the host.
"""

import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "../../services/agent/seccomp_profile.cc")
USERS = {"containerID": 0, "hostID": 0x60000000, "size": 65536}
MEMORY = 64 << 20
PIDS = 128
NAMESPACE_FLAGS = 0x7E020000

# Reads a line (the container's id), runs it, writes seconds or what went wrong.
WORKER = r"""
import os, subprocess, sys, time
if sys.argv[1] == "v1":
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 0x40000 | 0x4000, None) == 0
    parts = [line.split() for line in open("/proc/self/mountinfo") if " - cgroup " in line]
    os.makedirs("/tmp/.smackd-bench-cgroup", exist_ok=True)
    assert libc.mount(b"none", b"/tmp/.smackd-bench-cgroup", b"tmpfs", 0, None) == 0
    for part in parts:
        target = "/tmp/.smackd-bench-cgroup/" + os.path.basename(part[4])
        os.makedirs(target)
        assert libc.mount(part[4].encode(), target.encode(), None, 0x1000, None) == 0
    assert libc.mount(b"/tmp/.smackd-bench-cgroup", b"/sys/fs/cgroup", None, 0x1000 | 0x4000, None) == 0
for line in sys.stdin:
    began = time.monotonic()
    done = subprocess.run([*sys.argv[2:], line.strip()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    took = time.monotonic() - began
    print(took if done.returncode == 0 else "failed " + done.stdout.decode(errors="replace").replace("\n", " ")[-300:], flush=True)
"""


def seccomp():
    """Our profile as an OCI runtime takes it."""
    with open(SOURCE) as file:
        text = file.read()
    names = " ".join(re.findall(r'"([^"]*)"', text[text.index("kAllowed ="):text.index("write writev")] + 'write writev"')).split()
    one = lambda name, op, value, second=0: {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [  # noqa: E731
        {"index": 0, "value": value, "valueTwo": second, "op": op}]}
    conditional = [one("personality", "SCMP_CMP_EQ", value) for value in (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)]
    conditional += [one("clone", "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS), one("socket", "SCMP_CMP_NE", 40)]
    return {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}, *conditional,
                         {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}


def make_bundle(program, folder, layer):
    """A copy of `layer` is its root."""
    os.makedirs(folder)
    shutil.copytree(layer, f"{folder}/rootfs", symlinks=True)
    for name in ("proc", "sys", "dev"):
        os.makedirs(f"{folder}/rootfs/{name}", exist_ok=True)
    for path, folders, files in os.walk(f"{folder}/rootfs"):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(path, name), USERS["hostID"], USERS["hostID"], follow_symlinks=False)
    os.chmod(f"{folder}/rootfs", 0o755)
    subprocess.run([program, "spec"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with open(f"{folder}/config.json") as file:
        config = json.load(file)
    config["process"].update(args=["/bin/true"], terminal=False, noNewPrivileges=True)
    config["root"]["readonly"] = False
    linux = config["linux"]
    linux["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup", "user")]
    linux["uidMappings"] = linux["gidMappings"] = [USERS]
    linux["seccomp"] = seccomp()
    linux.setdefault("resources", {}).update(memory={"limit": MEMORY}, pids={"limit": PIDS})
    with open(f"{folder}/config.json", "w") as file:
        json.dump(config, file)


class Runtime:
    """`start()` takes seconds: `NAME run`, from before its process to after its end."""

    def __init__(self, name, work, layer):
        self.name, self.count = name, 0
        self.bundle = os.path.join(work, f"bundle-{name}")
        self.state = os.path.join(work, f"state-{name}")
        make_bundle(name, self.bundle, layer)
        # The container's root must be reached by its own ids.
        for path in (work, self.bundle):
            os.chmod(path, 0o755)
        words = [name, "--root", self.state, "run", "--bundle", self.bundle]
        self.worker = subprocess.Popen([sys.executable, "-c", WORKER, "v1" if name == "crun" else "-", *words], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def start(self):
        self.count += 1
        self.worker.stdin.write(f"{self.name}-bench-{os.getpid()}-{self.count}\n")
        self.worker.stdin.flush()
        answer = self.worker.stdout.readline().strip()
        if not answer or answer.startswith("failed"):
            raise RuntimeError(f"{self.name}: {answer or 'its worker has ended'}")
        return float(answer)

    def stop(self):
        self.worker.stdin.close()
        self.worker.wait(30)


def runtimes(work, layer):
    """Those that run here, and why others do not."""
    found, problems = [], []
    for name in ("crun", "runc"):
        if shutil.which(name) is None:
            problems.append(f"{name}: not installed")
            continue
        try:
            runtime = Runtime(name, work, layer)
            runtime.start()
            found.append(runtime)
        except (RuntimeError, OSError, subprocess.SubprocessError) as problem:
            problems.append(f"{name}: does not run here: {problem}")
    return found, problems
