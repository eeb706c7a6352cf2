"""docs/kerberos.md, typed as it stands: each section on machines of its own. Left out, as the document says: what Windows and
FreeIPA's tools do."""

import os
import re
import time

from harness import ROOT, need_tool, wait_until
from site_realms import MitKdc, SambaDc, krb5_conf
from typed import Typist
from world import World

DOCUMENT = os.path.join(ROOT, "docs/kerberos.md")
PASSWORD = "Correct-horse-battery-staple-1"


def put(typist, name, path, text):
    """A file as the site's administrators have made it before."""
    answer = typist[name].type(f"mkdir -p {os.path.dirname(path)} && cat >{path} <<'END'\n{text}END\n", "")
    assert answer.code == 0, answer


def said(typed, command):
    return next(output for _, line, output in reversed(typed) if line == command)


def test_embedded():
    need_tool("kinit")
    with World("n1", "n2", "n3", "desk") as world:
        typist = Typist(world, PASSWORD)
        try:
            typed = typist.type_section(DOCUMENT, "Embedded")
            assert "alice@EXAMPLE.ORG" in said(typed, "smackd whoami")
            kdcs = re.compile(r"^ +kdc = (\S+)$", re.MULTILINE)
            wait_until(lambda: sorted(kdcs.findall(typist.type("n2", "cat /var/lib/smackd/krb5.conf"))) == ["n1:88", "n2:88", "n3:88"],
                       20, "all KDCs in n2's krb5.conf")
        finally:
            typist.close()


def start_mit(typist, host, realm, hosts, people):
    """Debian's krb5-kdc on `host`, and its krb5.conf on all."""
    for name in (host, *hosts):
        put(typist, name, "/etc/krb5.conf", krb5_conf(realm, f"{host}:88"))
    put(typist, host, "/etc/krb5kdc/kdc.conf", MitKdc.kdc_conf(realm, "0.0.0.0:88", "/var/lib/krb5kdc"))
    typist.units = {"krb5-kdc": ("krb5kdc -n", lambda process: "commencing operation" in process.log())}
    for command in ("mkdir -p /var/lib/krb5kdc", f"kdb5_util create -s -r {realm} -P {PASSWORD}", "systemctl start krb5-kdc",
                    *[f"kadmin.local addprinc -pw {PASSWORD} {name}" for name in people]):
        typist.type(host, command)


def test_mit():
    need_tool("kinit")
    with World("kdc", "n1", "n2", "desk") as world:
        typist = Typist(world, PASSWORD)
        try:
            start_mit(typist, "kdc", "SITE.EXAMPLE", ("n1", "n2", "desk"), ("boss", "carol"))
            typist.type_section(DOCUMENT, "MIT")
            typist.type("desk", "kinit carol")
            assert "carol@SITE.EXAMPLE" in typist.type("desk", "smackd whoami")
            wait_until(lambda: "n2" in typist.type("desk", "smackd status"), 30, "n2 among the servers")
        finally:
            typist.close()


def test_freeipa_but_its_tools():
    need_tool("kinit")
    with World("ipa", "n1", "n2", "desk") as world:
        typist = Typist(world, PASSWORD, domain="example.org")
        try:
            start_mit(typist, "ipa", "EXAMPLE.ORG", ("n1", "n2", "desk"), ("boss", "carol"))
            for name, services in (("n1", ("smack", "HTTP")), ("n2", ("smack",))):
                for service in services:
                    typist.type("ipa", f"kadmin.local addprinc -randkey {service}/{name}.example.org")
                    typist.type("ipa", f"kadmin.local ktadd -k {name}.keytab {service}/{name}.example.org")
                typist.type("ipa", f"scp {name}.keytab {name}:/etc/smackd/smackd.keytab")
            typist.type_section(DOCUMENT, "FreeIPA", but=("ipa",))
            typist.type("desk", "kinit carol")
            assert "carol@EXAMPLE.ORG" in typist.type("desk", "smackd whoami")
            typist.type("desk", "kinit boss")
            wait_until(lambda: "n2.example.org" in typist.type("desk", "smackd node list"), 10, "the agent")
        finally:
            typist.close()


def test_active_directory():
    need_tool("kinit")
    with World("dc", "n1", "n2", "desk") as world:
        typist = Typist(world, PASSWORD)
        try:
            realm = "AD.EXAMPLE"
            for name in ("dc", "n1", "n2", "desk"):
                put(typist, name, "/etc/krb5.conf", krb5_conf(realm, "dc:88"))
            SambaDc.need()
            typist.units = {"samba-ad-dc": (SambaDc.DAEMON, SambaDc.ready(world["dc"]))}
            for command in (SambaDc.provision(realm, world["dc"].address, PASSWORD), "systemctl start samba-ad-dc",
                            *[f"samba-tool user create {name} {PASSWORD}" for name in ("boss", "carol", "erin", "mallory")]):
                typist.type("dc", command)
            typed = typist.type_section(DOCUMENT, "Active Directory")
            who = said(typed, "smackd whoami")
            assert "carol@AD.EXAMPLE" in who and "ops" in who, who
            wait_until(lambda: "n2" in typist.type("desk", "smackd node list"), 10, "the agent")
            groups_decide(typist)
            accounts_count(typist)
        finally:
            typist.close()


def as_user(typist, name, *commands):
    """With a new ticket: what the last of the commands answers."""
    typist.type("desk", f"kinit {name}")
    for command in commands[:-1]:
        typist.type("desk", command)
    return typist["desk"].type(commands[-1], PASSWORD)


def groups_decide(typist):
    """Who may do what by a group of the directory, and when that ends."""
    stranger = as_user(typist, "erin", "smackd status")
    assert stranger.code == 1 and "this cluster has no user 'erin'" in stranger.err, stranger
    as_user(typist, "boss", "smackd user add erin", "smackd policy add ops-admin group:ops --allow admin")
    # Within the policy's own check, and within apply.
    member = as_user(typist, "carol", "smackd group add made-by-carol")
    other = as_user(typist, "erin", "smackd group add made-by-erin")
    assert member.code == 0, member
    assert other.code == 1 and "admin" in other.err, other
    typist.type("desk", "smackd login")  # by ticket: from then on this machine knows the cluster's authority
    password = typist["desk"].type("smackd login --user carol --password-stdin && smackd whoami", PASSWORD)
    assert password.code == 0 and "ops" in password.out, password
    typist.type("desk", "smackd logout")

    # Taken out in the directory, a new ticket takes the right away, and an old one does not bring it back.
    typist.type("desk", "kinit carol && cp $HOME/krb5cc $HOME/before")
    time.sleep(1.1)  # tickets tell seconds apart
    typist.type("dc", "samba-tool group removemembers smack-ops carol")
    assert as_user(typist, "carol", "smackd status").code == 1
    before = typist["desk"].type("KRB5CCNAME=FILE:$HOME/before smackd status", PASSWORD)
    assert before.code == 1, before
    time.sleep(1.1)
    typist.type("dc", "samba-tool group addmembers smack-ops carol")
    assert as_user(typist, "carol", "smackd status").code == 0

    # No longer mapped, it gives nothing to the same ticket.
    typist.type("desk", "cp $HOME/krb5cc $HOME/member")
    assert as_user(typist, "boss", f"smackd group unmap {typist.sid}").code == 0
    after = typist["desk"].type("KRB5CCNAME=FILE:$HOME/member smackd status", PASSWORD)
    assert after.code == 1, after


def accounts_count(typist):
    """A directory gives mallory a ticket for any name that mallory's account has taken."""
    as_user(typist, "boss", "smackd user add dave")
    typist.type("dc", "samba-tool user rename mallory --upn=dave@AD.EXAMPLE")
    alias = as_user(typist, "dave", "smackd whoami")
    assert alias.code == 1 and "another name of the directory's account 'mallory'" in alias.err, alias
