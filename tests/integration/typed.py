"""Types the commands of a document into real hosts, in their order: what the document promises is what happens.

A document marks them by the host's prompt, in a fence (documents.py):

    ```console
    n1# smackd start &
    desk$ kinit alice
    ```

Each host of the World gets its name, and its own /etc, /var/lib, /var/log, /run and home for it, laid over the machine's
(overlayfs in a mount namespace), so that paths are typed as people type them and nothing is left behind. A command that
ends in ` &` is left running once it has said that it is ready. `ssh HOST COMMAND`, `scp FILE HOST:PATH` and `systemctl` (start,
stop, restart, enable --now UNIT) do what they say among these hosts, without the daemons they need elsewhere. "S-1-5-21-..." stands for the last SID that a command
has printed, and where a password is asked for, `password` is typed.
"""

import os
import re
import signal
import stat

from documents import fences_of, misses
from harness import NO_TASKS, ROOT, Process, SMACKD, need_tool, run, wait_until

PRIVATE = ("/etc", "/var/lib", "/var/log", "/run")
READY_LIMIT_S = 120
COMMAND_LIMIT_S = 300
SERVICE_STOP_LIMIT_S = 60
# Where the commands stand that were typed in this run: (document, line).
typed_places = set()
SID = re.compile(r"S-1-5-21(?:-\d+)+")
SID_PLACEHOLDER = "S-1-5-21-..."

# The file of a host has the process that holds its namespaces, and its home.
ENTER = """#!/bin/bash
# Another host's shell, for the commands of a document.
enter() {
    { read -r holder; read -r HOME; } <"$TYPED_HOSTS/$1"
    export HOME KRB5CCNAME=FILE:$HOME/krb5cc
    exec nsenter -t "$holder" -m -n -u -- bash -c "cd; $2"
}
"""
SSH = ENTER + """host=$1; shift
enter "$host" "$*"
"""
SCP = ENTER + """exec <"$1"
enter "${2%%:*}" "install -D -m 600 /dev/stdin ${2#*:}"
"""


def commands_of(path, heading):
    """(host, command) of each line with a prompt below `## heading`, up to the next heading of that level. What is not typed (a remark
    says why) is left out."""
    document = os.path.relpath(path, ROOT)
    fences = [fence for fence in fences_of(document) if fence.heading == heading]
    assert fences, f"{path} has no commands below '{heading}'"
    return [(command.host, command) for fence in fences if fence.language == "console" and not (fence.remark and fence.remark[0] == "not typed")
            for command in fence.commands()]


def note(command, printed):
    """That a command of a document was typed; what it printed is what the document says."""
    if not hasattr(command, "place"):
        return
    typed_places.add(command.place)
    missing = misses(printed, command.expected)
    assert missing is None, f"{command.place}: '{missing}' is not printed by: {command}\n{printed}"


class TypedHost:
    """A Host that a person works at."""

    def __init__(self, host, hosts_folder, tools, domain):
        self.host = host
        self.running = []
        self.services = {}  # of systemctl, by unit
        self.home = os.path.join(host.work, "home")
        os.makedirs(self.home)
        begin = " && ".join([*self.own_name(domain), *self.own_folders(), "rm -f /etc/krb5.conf /etc/samba/smb.conf", "echo ready",
                             "exec sleep infinity"])
        self.holder = Process(host.words(["unshare", "--uts", "bash", "-c", begin]), host.work, "holder")
        wait_until(lambda: "ready" in self.holder.output(), 20, f"the folders of {host.name}: {self.holder.log()}")
        with open(os.path.join(hosts_folder, host.name), "w") as file:
            file.write(f"{self.holder.child.pid}\n{self.home}\n")
        self.environment = {**NO_TASKS, "HOME": self.home, "KRB5CCNAME": f"FILE:{self.home}/krb5cc", "TYPED_HOSTS": hosts_folder,
                            "LANG": "C.UTF-8", "PATH": f"{tools}:{os.path.dirname(SMACKD)}:{os.environ['PATH']}"}

    def own_name(self, domain):
        """Shell commands: the host's name, and the table of all names in $hosts."""
        if not domain:
            return [f"hostname {self.host.name}", "hosts=$(cat /etc/hosts)"]
        longer = rf"s/^([0-9.]+) ([a-z0-9]+)$/\1 \2.{domain} \2/"
        return [f"hostname {self.host.name}.{domain}", f"hosts=$(sed -E '{longer}' /etc/hosts)"]

    def own_folders(self):
        commands = []
        for number, path in enumerate(PRIVATE):
            upper, work = (os.path.join(self.host.work, f"{kind}{number}") for kind in ("upper", "work"))
            os.makedirs(upper)
            os.makedirs(work)
            commands.append(f"mount -t overlay overlay -o lowerdir={path},upperdir={upper},workdir={work} {path}")
        # The table that `ip netns exec` has put over /etc/hosts is below the overlay now.
        return [*commands, 'echo "$hosts" >/etc/hosts', "mkdir -p /etc/smackd"]

    def words(self, command):
        return ["nsenter", "-t", str(self.holder.child.pid), "-m", "-n", "-u", "--", "bash", "-c", f"cd; {command}"]

    def type(self, command, password):
        return run(self.words(command), self.environment, f"{password}\n" * 4, limit=COMMAND_LIMIT_S)

    def leave_running(self, command, ready):
        name = f"{re.sub(r'[^a-z0-9]+', '_', command)[:40]}{len(self.running)}"
        process = Process(self.words(f"exec {command}"), self.host.work, name, self.environment)
        self.running.append(process)

        def is_ready():
            assert process.running(), f"{command} ended: {process.output()}{process.log()[-3000:]}"
            return ready(process)
        wait_until(is_ready, READY_LIMIT_S, f"readiness of {command} on {self.host.name}")
        return process


class Typist:
    """`units` are what systemctl starts: name -> (command, condition on its Process). `export` keeps, as in a shell. With a
    `domain` the hosts have long names beside their short ones."""

    def __init__(self, world, password, units=None, domain=""):
        for tool in ("nsenter", "unshare", "bash"):
            need_tool(tool)
        self.password = password
        self.units = units or {}
        self.sid = None
        self.folder = os.path.join(world.work, "typed")
        tools = os.path.join(world.work, "tools")
        os.makedirs(self.folder)
        os.makedirs(tools)
        for name, text in (("ssh", SSH), ("scp", SCP)):
            path = os.path.join(tools, name)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        self.hosts = {name: TypedHost(host, self.folder, tools, domain) for name, host in world.hosts.items()}

    def __getitem__(self, name):
        return self.hosts[name]

    def type(self, name, command):
        """One command; fails unless it ends well. Gives what it printed."""
        printed = self.type_text(name, str(command))
        note(command, printed)
        return printed

    def type_text(self, name, command):
        host = self.hosts[name]
        if SID_PLACEHOLDER in command:
            assert self.sid, f"no SID was printed before: {command}"
            command = command.replace(SID_PLACEHOLDER, self.sid)
        export = re.fullmatch(r"export ([A-Z0-9_]+)=(\S+)", command)
        if export:
            host.environment[export[1]] = export[2]
            return ""
        unit = re.fullmatch(r"systemctl (start|stop|restart|enable --now) ([\w-]+)", command)
        if unit:
            self.systemctl(host, unit[1], unit[2])
            return ""
        if command.endswith(" &"):
            return host.leave_running(command[:-2], lambda process: re.search("^ready", process.output(), re.MULTILINE)).output()
        answer = host.type(command, self.password)
        assert answer.code == 0, f"{name}# {command}\n{answer}"
        for found in SID.findall(answer.out):
            self.sid = found
        return answer.out

    def systemctl(self, host, verb, unit):
        service = host.services.pop(unit, None)
        if service is not None and verb in ("stop", "restart"):
            code = service.stop(limit=SERVICE_STOP_LIMIT_S)
            assert code == 0, f"{unit} on {host.host.name} ended with {code}: {service.log()[-2000:]}"
        if verb != "stop":
            host.services[unit] = host.leave_running(*self.units[unit])

    def type_section(self, path, heading, but=()):
        """All commands of a section but those at some hosts: [(host, command, output)]."""
        commands = [(host, command) for host, command in commands_of(path, heading) if host not in but]
        assert commands, f"{path}: section '{heading}' has no commands"
        return [(host, command, self.type(host, command)) for host, command in commands]

    def close(self):
        for host in self.hosts.values():
            for process in [*host.running, host.holder]:
                if process.running():
                    process.stop(signal.SIGKILL)
