"""docs/install.md: the second node, and settings, typed as they stand. What apt does is typed by tests/show/issue6/1_deb.sh."""

import os
import re

from harness import ROOT, need_tool, wait_until
from typed import Typist, commands_of
from world import World

INSTALL = os.path.join(ROOT, "docs/install.md")
UNITS = {"smackd": ("smackd start", lambda process: re.search("^ready", process.output(), re.MULTILINE))}


def test_a_second_node():
    need_tool("nsenter")
    with World("n1", "n2") as world:
        typist = Typist(world, "", UNITS)
        try:
            for host, command in commands_of(INSTALL, "The first node"):
                if "smackd app" not in command:  # servers of tests run no tasks
                    typist.type(host, command)
            typist.type_section(INSTALL, "The second node")
            wait_until(lambda: typist.type("n1", "smackd node list").count("alive") == 2, 60, "two nodes")
            typed = typist.type_section(INSTALL, "Settings")
            assert "is fine" in typed[0][2] and "listen.api" in typed[1][2], typed
        finally:
            typist.close()
