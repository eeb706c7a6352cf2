"""What examples/README.md says, typed: every definition of examples/ runs on a demo, with what a web server on another machine
gives, and answers."""

import contextlib
import glob
import os
import re

import harness
from artifacts import JAVA, README, Artifacts, Desk, need_java
from harness import Demo
from test_apps import running, show
from typed import commands_of

EXAMPLES = os.path.dirname(README)


@contextlib.contextmanager
def desk_with(*words):
    """A desk at a new demo, and the server of artifacts with what the document's commands with those words put there."""
    with Artifacts() as artifacts:
        artifacts.prepare("mkdir", *words)
        demo = Demo().start()
        yield Desk(demo, artifacts)
        demo.stop()


def only(typed, word):
    """(what it printed, seconds) of the one command with that word."""
    found = [result for command, result in typed.items() if word in command]
    assert len(found) == 1, (word, list(typed))
    return found[0]


def figures(what, **found):
    print(f"        {what}: " + ", ".join(f"{name} {value}" for name, value in found.items()), flush=True)


def test_every_definition_is_typed():
    """Nothing in the folder that the document does not deploy (examples/iot has a test of its own)."""
    with open(README) as file:
        typed = set(re.findall(r"app add my/(\S+\.json)", file.read()))
    there = {os.path.relpath(path, EXAMPLES) for path in glob.glob(os.path.join(EXAMPLES, "*/*.json"))}
    assert typed == {name for name in there if not name.startswith("iot/")}, (typed, there)


def test_script_site_and_pair():
    with desk_with("tar -C") as desk:
        typed = desk.section("Python")
        assert "hello number 1 from greeter." in only(typed, "curl")[0], typed
        assert running(desk.demo, "/greeter", 2)
        site = desk.section("Static site")
        assert "font-family" in only(site, "curl")[0], site
        assert running(desk.demo, "/site", 2)
        shop_before_and_after_a_restart(desk)
        figures("seconds to healthy", script=f"{only(typed, 'app add')[1]:.1f}", site=f"{only(site, 'app add')[1]:.1f}")


def shop_before_and_after_a_restart(desk):
    typed = {}
    for host, command in commands_of(README, "Two services with a dependency"):
        out, _ = desk.type(command)
        typed.setdefault(command, []).append(out)
        if "restart" in command:
            assert running(desk.demo, "/pair/stock")
    answers = next(outs for command, outs in typed.items() if command.startswith("curl"))
    assert answers == ["apples: yes\npears: sold out\n"] * 2, answers
    log = next(outs for command, outs in typed.items() if "task log" in command)[0]
    assert log == "at the start: {'apples': 3, 'pears': 0}\n", log
    assert show(desk.demo, "/pair/shop")["dependencies"] == ["/pair/stock"]


def test_jar():
    need_java()
    with desk_with("javac", "jar cfe") as desk:
        typed = desk.section("JAR")
        told = only(typed, "curl")[0]
        heap = int(re.search(r"heap of at most (\d+) MiB", told)[1])
        assert "Java 17" in told and heap < show(desk.demo, "/clock")["mem"], told
        figures("JAR", healthy=f"{only(typed, 'app add')[1]:.1f} s", heap=f"{heap} MiB")


def maven_desk(folder):
    need_java()
    harness.install({"mvn": "maven"})
    harness.need_tool("mvn")
    return desk_with(f"mvn -q -B -f examples/{folder}/pom.xml")


def check_isolation(word):
    """The JVM with that word in its command is confined as every task is."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path) as command:
            words = command.read().split("\0")
            if not (words[0] == JAVA and word in words):
                continue
            with open(path.replace("cmdline", "status")) as file:
                status = dict(line.split(":\t", 1) for line in file.read().splitlines())
            assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", status
            assert int(status["Uid"].split()[0]) >= 0x70000000 and len(status["NSpid"].split()) > 1, status
            return
    raise AssertionError(f"no JVM runs {word}")


def check_list(artifacts, definition):
    """It names what Maven brings for the pom.xml beside it, all of it and nothing else."""
    brought = {os.path.relpath(path, artifacts.folder) for path in glob.glob(f"{artifacts.folder}/maven/**/*.jar", recursive=True)}
    with open(os.path.join(EXAMPLES, definition)) as file:
        named = set(re.findall(r"http://artifacts.example/(maven/[^#\"]+)", file.read()))
    assert brought == named, brought ^ named


def check_cache(artifacts):
    """What two definitions have in common was fetched once."""
    jars = [path for path in artifacts.fetched() if path.endswith(".jar")]
    assert jars and len(jars) == len(set(jars)), sorted(jars)


def test_kafka():
    with maven_desk("kafka") as desk:
        typed = desk.section("Kafka")
        log = only(typed, "task log")[0]
        assert "produced 10000\n" in log and "consumed 10000\n" in log and "the same\n" in log, log
        check_isolation("kafka.Kafka")
        check_cache(desk.artifacts)
        check_list(desk.artifacts, "kafka/kafka.json")
        figures("Kafka", healthy=f"{only(typed, 'kafka.json')[1]:.1f} s", produced=10000, consumed=10000,
                client=f"{only(typed, 'client.json')[1] + only(typed, 'task log')[1]:.1f} s")


def test_cassandra():
    with maven_desk("cassandra") as desk:
        typed = desk.section("Cassandra")
        log = only(typed, "task log")[0]
        assert "inserted 100\n" in log and "selected 100\n" in log, log
        check_isolation("org.apache.cassandra.service.CassandraDaemon")
        check_list(desk.artifacts, "cassandra/cassandra.json")
        figures("Cassandra", healthy=f"{only(typed, 'cassandra.json')[1]:.1f} s", inserted=100, selected=100,
                client=f"{only(typed, 'client.json')[1] + only(typed, 'task log')[1]:.1f} s")
