"""What README.md and docs/ show in fences: commands to be typed, what they print, and files.

The tag of a fence says what is in it:

    ```console        commands after a host's prompt (`n1#` is root on n1, `desk$` a person on desk); lines without a prompt are what the
                      command before prints, where "..." stands for anything
    ```sh             commands of one shell
    ```toml, json     a file; it is parsed
    ```text, powershell   to be read

A fence that nobody types says why, in a comment of its own right above it: `<!-- not typed: WHY -->`. One that is typed by another program
than the integration tests names it: `<!-- typed by: tests/show/... -->`.
"""

import os
import re

from harness import ROOT

TYPED = ("README.md", "docs/install.md", "docs/operate.md", "docs/recovery.md", "docs/kerberos.md", "docs/monitoring.md")
COMMANDS = ("console", "sh")
LANGUAGES = (*COMMANDS, "toml", "json", "ini", "text", "powershell")
PROMPT = re.compile(r"^(?P<host>[a-z][a-z0-9]*)[#$] (?P<command>.+)$")
REMARK = re.compile(r"^<!-- (?P<kind>not typed|typed by): (?P<text>.+) -->$")


def all_documents():
    return ["README.md", *sorted(f"docs/{name}" for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md"))]


class Command(str):
    """What is typed; it knows where it stands and what it shall print."""

    def __new__(cls, text, place, host):
        self = super().__new__(cls, text)
        self.place = place  # (document, line)
        self.host = host
        self.expected = []
        return self


class Fence:
    def __init__(self, document, line, language, remark):
        self.document = document
        self.line = line
        self.language = language
        self.remark = remark  # (kind, text) or None
        self.lines = []
        self.heading = ""

    def text(self):
        return "\n".join(self.lines) + "\n"

    def commands(self):
        found = []
        for number, line in enumerate(self.lines, self.line + 1):
            prompt = PROMPT.match(line)
            if self.language == "sh" and line and not line.startswith("#"):
                found.append(Command(line, (self.document, number), ""))
            elif self.language == "console" and prompt:
                found.append(Command(prompt["command"], (self.document, number), prompt["host"]))
            elif self.language == "console" and found:
                found[-1].expected.append(line)
        return found


def fences_of(document):
    """Every fence of a document, in order. A block that is indented instead is a mistake: nobody would see that it is not typed."""
    found, inside, heading, before = [], None, "", ""
    with open(os.path.join(ROOT, document)) as file:
        for number, line in enumerate(file.read().splitlines(), 1):
            if inside and line == "```":
                found.append(inside)
                inside = None
            elif inside:
                inside.lines.append(line)
            elif line.startswith("```"):
                remark = REMARK.match(before)
                inside = Fence(document, number, line[3:].strip(), (remark["kind"], remark["text"]) if remark else None)
                inside.heading = heading
            elif line.startswith("## "):
                heading = line[3:]
            elif line.startswith("    ") and not before:
                raise AssertionError(f"{document} line {number}: an indented block; use a fence with a tag")
            if line:
                before = line
            elif not inside:
                before = before if REMARK.match(before) else ""
    assert inside is None, f"{document} line {inside.line}: the fence has no end"
    return found


def fits(line, pattern):
    """Loosely: blanks, numbers, dates and ids may differ, "..." is anything."""
    parts = [re.sub(r"\\?\s+", r"\\s+", re.sub(r"\d+", "[0-9a-f.:-]+", re.escape(part.strip()))) for part in pattern.split("...")]
    return re.search(r".*".join(parts), line) is not None


def misses(printed, expected):
    """The first line of `expected` that is not printed, in order."""
    lines = iter(printed.splitlines())
    for pattern in filter(str.strip, expected):
        if not any(fits(line, pattern) for line in lines):
            return pattern
    return None
