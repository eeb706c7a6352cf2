"""Kerberos realms of a site, as their own software runs them: MIT's KDC of Debian's krb5-kdc, and Active Directory as
Debian's samba-ad-dc plays it. Each runs on a Host of a World with everything it keeps below that host's folder."""

import os
import secrets

from harness import install, need_tool, wait_until

ENCTYPES = "aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal"
READY_LIMIT_S = 60


def krb5_conf(realm, kdc):
    """What an administrator puts into /etc/krb5.conf of every machine."""
    return (f"[libdefaults]\n    default_realm = {realm}\n    dns_lookup_kdc = false\n    dns_lookup_realm = false\n"
            f"    dns_canonicalize_hostname = false\n    rdns = false\n    udp_preference_limit = 1\n"
            f"[realms]\n    {realm} = {{\n        kdc = {kdc}\n    }}\n")


class MitKdc:
    """krb5kdc with its own database; kadmin.local makes principals and keytabs."""

    def __init__(self, host, realm):
        for tool in ("krb5kdc", "kdb5_util", "kadmin.local"):
            need_tool(tool)
        self.host = host
        self.realm = realm
        self.folder = os.path.join(host.work, "kdc")
        os.makedirs(self.folder)
        self.krb5_conf = self.write("krb5.conf", krb5_conf(realm, f"{host.address}:88"))
        self.write("kdc.conf", self.kdc_conf(realm, f"{host.address}:88", self.folder))
        self.environment = {"KRB5_CONFIG": self.krb5_conf, "KRB5_KDC_PROFILE": os.path.join(self.folder, "kdc.conf")}

    @staticmethod
    def kdc_conf(realm, listen, folder):
        return f"""[kdcdefaults]
    kdc_listen = {listen}
    kdc_tcp_listen = {listen}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/kadm5.acl
        supported_enctypes = {ENCTYPES}
        default_principal_flags = +preauth
    }}
[logging]
    kdc = STDERR
"""

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def do(self, *words):
        answer = self.host.run(list(words), self.environment)
        assert answer.code == 0, answer
        return answer

    def start(self):
        self.do("kdb5_util", "create", "-s", "-r", self.realm, "-P", secrets.token_hex(16))
        self.host.start(["krb5kdc", "-n", "-r", self.realm], self.environment)
        wait_until(lambda: "commencing operation" in self.host.process.log(), READY_LIMIT_S, "krb5kdc")
        return self

    def add_user(self, name, password):
        self.do("kadmin.local", "-r", self.realm, "addprinc", "-pw", password, name)

    def keytab(self, path, *names):
        """Random keys for services, made where they are missing, in a new keytab file."""
        for name in names:
            if self.host.run(["kadmin.local", "-r", self.realm, "getprinc", name], self.environment).code != 0:
                self.do("kadmin.local", "-r", self.realm, "addprinc", "-randkey", name)
            self.do("kadmin.local", "-r", self.realm, "ktadd", "-k", path, name)
        return path


class SambaDc:
    """Samba as an Active Directory domain controller: its KDC and its database, without file shares, DNS and LDAP over
    the network. Everything is below /var/lib/samba and /etc/samba of the host it is typed on (typed.py)."""

    DAEMON = "samba --foreground --no-process-group --model=single"

    @staticmethod
    def need():
        """Debian's packages are large: installed when a test first wants them."""
        install({"samba": "samba-ad-dc", "samba-tool": "samba-ad-provision"})
        for tool in ("samba", "samba-tool"):
            need_tool(tool)

    @staticmethod
    def provision(realm, address, password):
        options = {"vfs objects": "", "server services": "kdc", "interfaces": address, "bind interfaces only": "yes",
                   # Windows' DefaultDomainSupportedEncTypes: accounts that name no key types of their own use AES.
                   "kdc default domain supported enctypes": "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96"}
        return " ".join(["mkdir -p /var/lib/samba/private /run/samba /var/log/samba && samba-tool domain provision",
                         f"--realm={realm} --domain={realm.split('.')[0]} --server-role=dc --dns-backend=NONE",
                         f"--host-name=dc --host-ip={address} --adminpass={password}",
                         *[f"--option='{name}={value}'" for name, value in options.items()]])

    @staticmethod
    def ready(host):
        """A condition: its KDC takes connections."""
        return lambda _: host.run(["bash", "-c", f"exec 3<>/dev/tcp/{host.address}/88"]).code == 0
