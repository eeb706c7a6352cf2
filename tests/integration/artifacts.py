"""A machine with a web server for artifacts, and what examples/README.md puts there. Maven's downloads are kept in the library
cache."""

import os
import re
import shlex
import shutil
import time

import harness
from harness import Process, run
from typed import commands_of
from world import World, ip

README = os.path.join(harness.ROOT, "examples/README.md")
JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"  # what the definitions name
CACHE = os.path.join(os.environ.get("SMACKD_CACHE") or os.path.expanduser("~/.cache/smackd"), "maven")
LIMIT_S = 540  # of one command, also where the machine is busy with other things
# The registry is not there: nothing that smackd could do better. A wrong version or checksum is no such thing.
UNREACHABLE = re.compile(r"(Could not transfer|Unknown host|Connection refused|timed out|Network is unreachable).*")


def need_java():
    harness.install({JAVA: "openjdk-17-jre-headless", "javac": "openjdk-17-jdk-headless", "jar": "openjdk-17-jdk-headless"})
    for program in (JAVA, "javac", "jar"):
        harness.need_tool(program)


class Artifacts(World):
    """The machine `files` of examples/README.md, in a network of its own that this machine is in, too."""

    def __init__(self):
        super().__init__("files")
        self.folder = os.path.join(self.work, "artifacts")

    def make(self):
        super().make()
        ip("addr", "add", f"{self.prefix}.1/24", "dev", self.bridge)

    def here(self, command):
        """The document's paths and names as they are in this test."""
        return command.replace("/srv/artifacts", self.folder).replace("files:8080", f"{self['files'].address}:8080")

    def prepare(self, *words):
        """Types what the machine does, of which only commands with one of the words, and leaves its server running."""
        for host, command in commands_of(README, "What they fetch"):
            if host != "files":
                continue
            if command.endswith(" &"):
                self.serve(self.here(command[:-2]))
            elif any(word in command for word in words):
                self.type(self.here(command))

    def type(self, command):
        environment = {**os.environ, "MAVEN_OPTS": f"-Dmaven.repo.local={CACHE}"}
        answer = run(["sh", "-c", f"cd {shlex.quote(harness.ROOT)} && {command}"], environment, limit=LIMIT_S)
        problem = UNREACHABLE.search(answer.out + answer.err)
        if command.startswith("mvn") and answer.code != 0 and problem:
            raise harness.Skip(f"Maven's artifacts are not to be had: {problem[0][:200]}")
        assert answer.code == 0, f"{command}: {answer}"

    def fetched(self):
        """The paths that were asked for, in their order."""
        return re.findall(r'"GET (\S+) HTTP', self["files"].process.log())

    def serve(self, command):
        files = self["files"]
        files.start(shlex.split(command))
        look = f"import socket; socket.create_connection(('{files.address}', 8080), 1)"
        harness.wait_until(lambda: files.python(look).code == 0, 30, "the server of artifacts")


class Desk:
    """Types commands of the document with the demo's environment, and keeps what they printed and took."""

    def __init__(self, demo, artifacts):
        self.demo = demo
        self.artifacts = artifacts
        shutil.copytree(os.path.dirname(README), os.path.join(demo.work, "examples"))
        self.section("What they fetch")

    def section(self, heading):
        """{command: (what it printed, seconds)} of the section's commands of the desk, in their order."""
        return {command: self.type(command) for host, command in commands_of(README, heading) if host == "desk"}

    def type(self, command):
        began = time.monotonic()
        words = ["sh", "-c", f"cd {self.demo.work} && {self.artifacts.here(command)}"]
        if " --follow " in command:
            return self.follow(words), time.monotonic() - began
        answer = run(words, self.demo.environment, limit=LIMIT_S)
        assert answer.code == 0, f"{command}: {answer}\n{self.logs()}"
        return answer.out, time.monotonic() - began

    def follow(self, words, limit=240):
        """What a log says until it has said all: nothing more for a while."""
        process = Process([*words[:-1], words[-1].replace("&& smackd", "&& exec smackd")], self.demo.work, "follow", self.demo.environment)
        try:
            harness.wait_until(lambda: self.is_done(process.output()), limit, f"the end of {words}: {self.logs()}")
        finally:
            process.kill()
        return process.output()

    @staticmethod
    def is_done(text):
        return "the same\n" in text or "selected " in text

    def logs(self):
        """The end of every task's log, for a failure."""
        text = ""
        for task in self.demo.cli("task", "list", "--json").json()["tasks"]:
            for stream in ((), ("--stderr",)):
                text += f"--- {task['id']} {stream}\n{self.demo.cli('task', 'log', task['id'], *stream).out[-1500:]}\n"
        return text
