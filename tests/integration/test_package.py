"""The packages: what is in them, that they are reproducible, and that the generated parts are understood by what reads them.

What happens when one is installed, upgraded and removed is in tests/show/issue6/1_deb.sh, which needs a Debian root.
"""

import functools
import os
import re
import shutil
import tarfile

from harness import ROOT, SMACKD, Skip, need_tool, run, temporary_directory

NODE_LESS = 1
WRONG_SETTINGS = 255
BYTES_MAX = 10 << 20
EXECUTABLE = {"./usr/bin/smackd"}
FILES = {
    "./etc/smackd/smackd.toml", "./usr/bin/smackd", "./usr/lib/systemd/system/smackd.service", "./usr/lib/sysusers.d/smackd.conf",
    "./usr/share/bash-completion/completions/smackd", "./usr/share/zsh/vendor-completions/_smackd",
    "./usr/share/fish/vendor_completions.d/smackd.fish", "./usr/share/man/man8/smackd.8.gz", "./usr/share/man/man5/smackd.toml.5.gz",
    "./usr/share/smackd/monitoring/alerts.yml", "./usr/share/smackd/monitoring/dashboard.json",
    "./usr/share/doc/smackd/copyright", "./usr/share/doc/smackd/changelog.Debian.gz", "./usr/share/lintian/overrides/smackd",
}


def build(kind="deb", **settings):
    environment = {**os.environ, **settings}
    answer = run([os.path.join(ROOT, f"packaging/{kind}/build"), SMACKD, temporary_directory()], environment, limit=300)
    assert answer.code == 0, answer
    return answer.out.strip()


@functools.cache
def package():
    """Built once."""
    need_tool("dpkg-deb")
    return build()


def contents(path):
    tar = os.path.join(temporary_directory(), "contents.tar")
    answer = run(["sh", "-c", f"dpkg-deb --fsys-tarfile {path} >{tar}"])
    assert answer.code == 0, answer
    with tarfile.open(tar) as opened:
        return opened.getmembers()


def said(*words):
    answer = run([SMACKD, *words])
    assert answer.code == 0, answer
    return answer.out


def test_contents():
    members = contents(package())
    files = {member.name: member for member in members if member.isfile()}
    missing = FILES - set(files)
    assert not missing, missing
    strange = [name for name in files if name not in FILES and not re.fullmatch(r"\./usr/share/doc/smackd/\w+\.md", name)]
    assert not strange, strange
    for member in members:
        expected = 0o755 if member.isdir() or member.name in EXECUTABLE else 0o644
        assert member.mode == expected and member.uid == member.gid == 0, (member.name, oct(member.mode), member.uid)
    size = os.path.getsize(package())
    assert size < BYTES_MAX, size
    print(f"        {size / 1e6:.1f} MB, {len(files)} files")


def test_says_what_it_is():
    fields = dict(line.split(": ", 1) for line in run(["dpkg-deb", "--field", package()]).out.splitlines() if not line.startswith(" "))
    version = said("--version").split()[1]
    assert fields["Version"] == f"{version}-1", fields
    assert not {"Depends", "Pre-Depends", "Recommends"} & set(fields), fields
    control = temporary_directory()
    assert run(["dpkg-deb", "--control", package(), control]).code == 0
    with open(os.path.join(control, "conffiles")) as file:
        assert file.read() == "/etc/smackd/smackd.toml\n"
    for script in ("postinst", "prerm", "postrm"):
        path = os.path.join(control, script)
        assert os.access(path, os.X_OK) and run(["sh", "-n", path]).code == 0, script
        if shutil.which("shellcheck"):
            answer = run(["shellcheck", path])
            assert answer.code == 0, answer


def test_reproducible():
    again = build()
    with open(package(), "rb") as one, open(again, "rb") as two:
        assert one.read() == two.read(), (package(), again)
    later = build(SOURCE_DATE_EPOCH="1700000000")
    assert {member.mtime for member in contents(later)} == {1700000000}


def test_revision():
    assert os.path.basename(build(REVISION="7")).split("_")[1].endswith("-7")


def test_lintian():
    need_tool("lintian")
    answer = run(["lintian", "--fail-on", "error,warning", "--allow-root", "--info", package()], limit=300)
    assert answer.code == 0, answer


def test_settings_file():
    example = said("config", "example")
    path = os.path.join(temporary_directory(), "smackd.toml")

    def check(text):
        with open(path, "w") as file:
            file.write(text)
        return run([SMACKD, "config", "check", path, "--json"])
    answer = check(example)
    assert answer.code == 0 and answer.json()["changed"] <= 1, answer  # tests run daemons with tasks.run = false
    answer = check(re.sub(r"^#(?=\w)", "", example, flags=re.MULTILINE))
    assert answer.code == 0, answer
    keys = re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)?)`(?:, `([a-z_.]+)`)? \|", open(os.path.join(ROOT, "docs/cli.md")).read(), re.MULTILINE)
    documented = {key for pair in keys for key in pair if key}
    shown = {row["key"] for row in run([SMACKD, "config", "show", "--effective", "--json"]).json()["settings"]}
    assert shown == documented & shown and len(shown) == len(re.findall(r"^#\w+ = ", example, re.MULTILINE)), shown ^ documented
    answer = check("\n[listen]\napo = \"a:1\"\n")
    assert answer.code == 1 and "line 3" in answer.err and "listen.api" in answer.err, answer


def test_service_condition():
    """What the unit asks before it starts: a machine that is no node yet, and settings that are wrong."""
    work = temporary_directory()
    path = os.path.join(work, "smackd.toml")
    with open(path, "w") as file:
        file.write(f'data_dir = "{work}/data"\n')
    answer = run([SMACKD, "config", "check", "--node", path])
    assert answer.code == NODE_LESS and "no node yet" in answer.err, answer
    assert run([SMACKD, "realm", "init", "EXAMPLE.ORG", "--data-dir", f"{work}/data", "--node-name", "localhost"]).code == 0
    assert run([SMACKD, "config", "check", "--node", path]).code == 0
    with open(path, "a") as file:
        file.write("nonsense = 1\n")
    assert run([SMACKD, "config", "check", "--node", path]).code == WRONG_SETTINGS


def test_status_says_the_next_step():
    work = temporary_directory()
    answer = run([SMACKD, "status", "--data-dir", work])
    assert answer.code == 1 and "no node yet" in answer.err, answer
    for step in ("smackd demo --data-dir", "smackd realm init", "smackd join", "SMACKD_URL"):
        assert step in answer.err, (step, answer.err)
    assert run([SMACKD, "realm", "init", "EXAMPLE.ORG", "--data-dir", f"{work}/data", "--node-name", "localhost"]).code == 0
    answer = run([SMACKD, "status", "--data-dir", f"{work}/data"])
    assert answer.code == 1 and "systemctl start smackd" in answer.err, answer


def test_bash_completion():
    need_tool("bash")
    script = os.path.join(temporary_directory(), "smackd")
    with open(script, "w") as file:
        file.write(said("completion", "bash"))
    assert run(["bash", "-n", script]).code == 0

    def complete(*words):
        typed = " ".join(f"'{word}'" for word in ("smackd", *words))
        answer = run(["bash", "-c", f". {script}; compopt() {{ echo compopt \"$@\"; }}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
                                    '_smackd; printf "%s\\n" "${COMPREPLY[@]}"'])
        assert answer.code == 0 and not answer.err, answer
        return answer.out.split()
    assert complete("sta") == ["start", "status"]
    assert complete("machine", "a") == ["add"]
    assert complete("machine", "add", "--bun") == ["--bundle"]
    assert "verify" in complete("backup", "v")
    assert complete("status", "--data-dir", "") == ["compopt", "-o", "dirnames"]
    assert "default" in complete("app", "add", "")
    assert complete("status", "--url", "") == []


def test_other_completions():
    work = temporary_directory()
    for shell in ("zsh", "fish"):
        text = said("completion", shell)
        if not shutil.which(shell):
            continue
        with open(os.path.join(work, shell), "w") as file:
            file.write(text)
        answer = run([shell, "-n", os.path.join(work, shell)])
        assert answer.code == 0 and not answer.err, answer
    if shutil.which("fish"):
        def complete(line):
            return run(["fish", "--no-config", "-c", f"source {work}/fish; complete -C '{line}'"]).out
        assert "machine" in complete("smackd mach")
        assert complete("smackd machine a").startswith("add\t"), complete("smackd machine a")
        assert "--bundle" in complete("smackd machine add --bu")
    answer = run([SMACKD, "completion", "tcsh"])
    assert answer.code == 2 and "bash, zsh, fish" in answer.err, answer


def test_manual():
    work = temporary_directory()
    for page, name in (("smackd", "smackd.8"), ("smackd.toml", "smackd.toml.5")):
        path = os.path.join(work, name)
        with open(path, "w") as file:
            file.write(said("man", page))
        if not shutil.which("groff"):
            raise Skip("groff is not installed")
        answer = run(["groff", "-man", "-Tutf8", "-ww", "-P-c", path])
        assert answer.code == 0 and not answer.err, answer
        shown = answer.out
        expect = ("EXIT STATUS", "smackd machine add NAME", "--bundle FILE") if page == "smackd" else ("listen.api", "SMACKD_LISTEN_DNS")
        for words in expect:
            assert words in re.sub(r"\s+", " ", re.sub(r".\x08|\x1b\[[0-9;]*m", "", shown)), words
        if shutil.which("man"):
            assert run(["man", "-l", path], {**os.environ, "MANWIDTH": "100"}).code == 0


def test_repository():
    need_tool("dpkg-scanpackages")
    need_tool("gpg")
    work = temporary_directory()
    home = os.path.join(work, "gnupg")
    os.makedirs(home, 0o700)
    environment = {**os.environ, "GNUPGHOME": home}
    made = run(["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "packages@example.org", "ed25519", "sign", "never"], environment)
    assert made.code == 0, made
    folder = os.path.join(work, "repo")
    try:
        answer = run([os.path.join(ROOT, "packaging/repo"), folder, package()], {**environment, "SIGN_KEY": "packages@example.org"}, limit=120)
        assert answer.code == 0 and "signed" in answer.out, answer
        for words in (["--verify", "InRelease"], ["--verify", "Release.gpg", "Release"]):
            paths = [words[0], *(os.path.join(folder, "apt/dists/stable", word) for word in words[1:])]
            assert run(["gpg", "--batch", *paths], environment).code == 0, words
    finally:
        run(["gpgconf", "--kill", "gpg-agent"], environment)

    # apt takes it, by the key and by nothing else.
    state = os.path.join(work, "apt")
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(state, name))
    source = os.path.join(state, "sources.list")
    with open(source, "w") as file:
        file.write(f"deb [signed-by={folder}/smackd.gpg] file:{folder}/apt stable main\n")
    with open(os.path.join(state, "status"), "w"):
        pass
    apt = [f"-oDir::Etc::sourcelist={source}", "-oDir::Etc::sourceparts=/dev/null", f"-oDir::State::Lists={state}/lists",
           f"-oDir::Cache={state}/cache", f"-oDir::State::status={state}/status", "-oAPT::Sandbox::User=root"]
    answer = run(["apt-get", *apt, "update"])
    assert answer.code == 0 and "W:" not in answer.err, answer
    assert "smackd" in run(["apt-cache", *apt, "policy", "smackd"]).out
    assert "Inst smackd" in run(["apt-get", *apt, "--simulate", "install", "smackd"]).out


def test_rpm():
    need_tool("rpmbuild")
    one, two = build("rpm"), build("rpm")
    with open(one, "rb") as left, open(two, "rb") as right:
        assert left.read() == right.read(), (one, two)
    listed = run(["rpm", "-qp", "--queryformat", "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME} %{FILEFLAGS:fflags}\n]", one])
    assert listed.code == 0, listed
    files = {line.split(" ")[0]: line.split(" ")[1:] for line in listed.out.splitlines()}
    for path in sorted(FILES):
        path = path[1:].replace("zsh/vendor-completions", "zsh/site-functions")
        if "lintian" in path or "changelog" in path:
            continue
        assert path in files and files[path][1] == "root", (path, files.get(path))
        assert files[path][0] == ("100755" if path == "/usr/bin/smackd" else "100644"), (path, files[path])
    assert "c" in files["/etc/smackd/smackd.toml"][2] and "n" in files["/etc/smackd/smackd.toml"][2], files
    requires = run(["rpm", "-qp", "--requires", one]).out.split("\n")
    needs = [line for line in requires if line and not line.startswith(("rpmlib(", "config(", "/bin/sh"))]
    assert not needs, needs
