"""The binary itself: static, and what it says to people who mistype."""

import os
import subprocess

from harness import SMACKD, Skip, need_tool, run


def test_is_static():
    need_tool("readelf")
    headers = subprocess.run(["readelf", "-lW", SMACKD], capture_output=True, text=True, check=True).stdout
    dynamic = subprocess.run(["readelf", "-dW", SMACKD], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in headers, "the binary asks for a dynamic loader"
    assert "(NEEDED)" not in dynamic, dynamic
    assert "GNU_RELRO" in headers and "PIE" in dynamic, "not a hardened static-pie binary"


def test_is_small():
    sections = subprocess.run(["readelf", "-SW", SMACKD], capture_output=True, text=True, check=True).stdout
    if ".debug_info" in sections:
        raise Skip("this binary has its symbols; the shipped one is stripped")
    size = os.path.getsize(SMACKD)
    assert size <= 25 * 1024 * 1024, f"{size} bytes"


def test_help_of_every_command_has_an_example():
    listed = run([SMACKD, "--help"]).out.split("Commands:\n")[1].split("\n\n")[0]
    commands = [line.strip().split("  ")[0].strip() for line in listed.splitlines()]
    assert "machine add" in commands and "demo" in commands, commands
    for command in commands:
        answer = run([SMACKD, *command.split(), "--help"])
        example = answer.out.partition("Example:\n")[2]
        assert answer.code == 0 and f"smackd {command}" in example, f"{command}: {answer}"


def test_mistakes_are_answered_with_the_nearest_word():
    answer = run([SMACKD, "stauts"])
    assert answer.code == 2 and "did you mean 'status'?" in answer.err, answer
    answer = run([SMACKD, "machine", "lits"])
    assert answer.code == 2 and "did you mean 'list'?" in answer.err, answer
    answer = run([SMACKD, "status", "--ulr", "x"])
    assert answer.code == 2 and "did you mean '--url'?" in answer.err, answer
    answer = run([SMACKD, "user", "add"])
    assert answer.code == 2 and "NAME is missing" in answer.err, answer


def test_configuration_mistakes_name_key_and_line(tmp="/tmp"):
    path = os.path.join(tmp, f"smackd_it_{os.getpid()}.toml")
    with open(path, "w") as file:
        file.write('[listen]\napo = "127.0.0.1:1"\n')
    answer = run([SMACKD, "start", "--config", path])
    os.unlink(path)
    assert answer.code == 1 and "line 2: unknown key 'listen.apo' (did you mean 'listen.api'?)" in answer.err, answer


def test_no_server_says_what_to_do():
    answer = run([SMACKD, "status", "--data-dir", "/nonexistent"], {"PATH": os.environ["PATH"]})
    assert answer.code == 1 and "SMACKD_URL" in answer.err, answer
    answer = run([SMACKD, "status", "--url", "localhost:1"])
    assert answer.code == 1 and "must begin with https://" in answer.err, answer
