"""Every command that the documents show was typed by the tests of this run, or there is a remark that says why not; every file that
they show can be read. Runs after the others, whose names come before."""

import os
import json
import tempfile

from documents import COMMANDS, LANGUAGES, TYPED, all_documents, fences_of
from harness import ROOT, SMACKD, Skip, run
from typed import typed_places


def test_every_fence_has_a_tag():
    for document in all_documents():
        for fence in fences_of(document):
            where = f"{document} line {fence.line}"
            assert fence.language in LANGUAGES, f"{where}: the fence has no tag, or one that is not known: '{fence.language}'"
            if fence.language in COMMANDS:
                assert document in TYPED or fence.remark, f"{where}: nobody types commands of {document}: say why in a remark above the fence"
                assert fence.commands(), f"{where}: no command; lines of a console begin with a prompt"


def test_every_file_can_be_read():
    for document in all_documents():
        for fence in fences_of(document):
            where = f"{document} line {fence.line}"
            if fence.language == "json":
                json.loads(fence.text())
            if fence.language == "toml":
                with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                    file.write(fence.text())
                    file.flush()
                    answer = run([SMACKD, "config", "check", file.name])
                    assert answer.code == 0, f"{where}: {answer}"


def typed_by_another(fence):
    """A remark names a program that types this fence: it must be there and name the heading."""
    path = os.path.join(ROOT, fence.remark[1])
    with open(path) as file:
        text = file.read()
    if path.endswith(".sh"):
        with open(path[:-3] + ".py") as file:
            text += file.read()
    return f'"{fence.heading}"' in text


def test_every_command_was_typed():
    ran = {document for document, _ in typed_places}
    if not ran:
        raise Skip("no document was typed in this run")
    typed, elsewhere, left, forgotten = 0, 0, 0, []
    for document in TYPED:
        if document not in ran:
            continue
        for fence in fences_of(document):
            if fence.language not in COMMANDS:
                continue
            kind = fence.remark[0] if fence.remark else None
            for command in fence.commands():
                if command.place in typed_places:
                    typed += 1
                elif kind == "typed by" and typed_by_another(fence):
                    elsewhere += 1
                elif kind == "not typed":
                    left += 1
                else:
                    forgotten.append(f"{document} line {command.place[1]}: {command}")
    assert not forgotten, "typed by nobody, and no remark says why:\n" + "\n".join(forgotten)
    print(f"docs: {typed + elsewhere + left} commands of {len(ran)} documents, {typed} typed, {elsewhere} typed by the package's show, "
          f"{left} not typed, each with its reason")
