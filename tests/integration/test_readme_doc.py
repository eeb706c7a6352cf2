"""README.md, typed as it stands: the tour on a machine of its own, then a first node and another one.

A fence of `sh` is one shell: it runs as a script that stops at the first line that fails.
"""

import os
import re
import stat

from documents import fences_of
from harness import ROOT, need_tool, run, wait_until
from typed import Typist, note
from world import World

README = "README.md"
TOUR = "/tmp/smackd-tour"
READY_LIMIT_S = 120
MARK = "@@typed "


def fences(heading):
    return [fence for fence in fences_of(README) if fence.heading == heading and fence.remark is None]


def with_sudo(typist):
    """sudo where root needs none."""
    for host in typist.hosts.values():
        path = os.path.join(host.environment["PATH"].split(":")[0], "sudo")
        with open(path, "w") as file:
            file.write("#!/bin/sh\nexec \"$@\"\n")
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return typist


def type_script(host, fence, before=""):
    """All lines of a fence in one shell."""
    script = [f"cd {ROOT}", before]
    for number, command in enumerate(fence.commands()):
        script += [f"echo '{MARK}{number}'", f"{command}", f"[ $? -eq 0 ] || {{ echo '{MARK}failed'; exit 1; }}"]
    answer = run(host.words("\n".join(script)), host.environment, "", limit=300)
    assert answer.code == 0 and f"{MARK}failed" not in answer.out, answer
    parts = re.split(rf"^{MARK}\d+\n", answer.out, flags=re.MULTILINE)[1:]
    for command, printed in zip(fence.commands(), parts, strict=True):
        note(command, printed)
    return dict(zip(map(str, fence.commands()), parts, strict=True))


def said(answers, words):
    return next(text for command, text in answers.items() if words in command)


def test_the_tour():
    for tool in ("nsenter", "kinit", "curl"):
        need_tool(tool)
    demo, tour = fences("A tour in 60 seconds")
    with World("n1", tasks=True) as world:
        typist = with_sudo(Typist(world, ""))
        try:
            host = typist["n1"]
            host.environment.pop("SMACKD_TASKS_RUN")
            # The libraries are where this tree was built with them, not in the home of a person who is new.
            host.environment.setdefault("SMACKD_CACHE", os.environ.get("SMACKD_CACHE", os.path.expanduser("~/.cache/smackd")))
            folder = os.path.join(world.work, "tour")
            os.makedirs(folder)
            made = host.type(f"mkdir -p {TOUR} && mount --bind {folder} {TOUR}", "")
            assert made.code == 0, made
            world["n1"].directory = TOUR  # what end_tasks() looks for
            command = demo.commands()[0]
            # What is built is there: make has nothing to do but to say so.
            process = host.leave_running(f"bash -c 'cd {ROOT} && {command}'", lambda one: re.search("^ready", one.output(), re.MULTILINE))
            note(command, process.output())
            answers = type_script(host, tour)
            assert "401" in said(answers, "curl -i"), answers
            assert "hello" in said(answers, "Host: hello.example").lower(), answers
            assert "alice" in said(answers, "SELECT name"), answers
            assert process.stop() == 0, process.log()[-2000:]
        finally:
            typist.close()


def test_a_real_cluster():
    need_tool("nsenter")
    (first,) = fences("A real first node")
    (more,) = fences("More machines")
    with World("n1", "n2") as world:
        typist = with_sudo(Typist(world, ""))
        try:
            host = typist["n1"]
            (command,) = first.commands()
            typed = re.sub(r" +#.*", "", command)
            process = host.leave_running(typed, lambda one: re.search("^ready", one.output(), re.MULTILINE))
            assert "Recovery key" in process.output(), process.output()
            note(command, process.output())
            type_script(host, more, before="cd")
            typist["n2"].leave_running("smackd start", lambda one: re.search("^ready", one.output(), re.MULTILINE))
            wait_until(lambda: typist.type("n1", "smackd node list").count("alive") == 2, 60, "two nodes")
        finally:
            typist.close()
