"""Clusters in a Kerberos realm of the site: machines join by keytabs made there, users sign in with its tickets."""

import json

from harness import SMACKD, need_tool, wait_until
from site_realms import MitKdc
from test_join import wait_ready
from world import World

MIT_REALM = "SITE.EXAMPLE"
PASSWORD = "correct horse battery staple"


class Site:
    """A cluster whose realm is somebody else's. `krb5_conf` is on every machine, as an administrator has put it there."""

    def __init__(self, world, realm, krb5_conf):
        self.world = world
        self.realm = realm
        self.krb5 = {"KRB5_CONFIG": krb5_conf}

    def start_first(self, name, keytab, admin):
        host = self.world[name]
        host.start([SMACKD, "start", "--bootstrap", "--realm", self.realm, "--keytab", keytab, "--admin", admin, "--data-dir",
                    host.directory, "--node-name", name], self.krb5)
        wait_ready(host)

    def join(self, name, keytab, *more):
        host = self.world[name]
        return host.run([SMACKD, "join", "--seed", "n1", "--keytab", keytab, "--data-dir", host.directory, *more], self.krb5)

    def start(self, name):
        host = self.world[name]
        host.start([SMACKD, "start", "--data-dir", host.directory], self.krb5)
        wait_ready(host)

    def kinit(self, host, user, password=PASSWORD):
        """A ticket as people get one; the environment to use it with."""
        mine = {**self.krb5, "KRB5CCNAME": f"FILE:{host.work}/{user}.ccache", "SMACKD_URL": "https://n1:5050",
                "SMACKD_SESSION_FILE": f"{host.work}/{user}.json"}
        got = host.run(["kinit", f"{user}@{self.realm}"], mine, f"{password}\n")
        assert got.code == 0, got
        return mine

    def ask(self, host, environment, *words, code=0):
        answer = host.run([SMACKD, *words], environment)
        assert answer.code == code, answer
        return answer

    def whoami_by_curl(self, host, environment):
        """As scripts do it: curl --negotiate, with nothing of smackd on the machine but the cluster's CA."""
        answer = host.run(["curl", "-sS", "--negotiate", "-u", ":", "--cacert", f"{self.world['n1'].directory}/cluster/ca.pem",
                           "https://n1:5050/smack/v1/whoami"], environment)
        assert answer.code == 0, answer
        return json.loads(answer.out)


def test_mit_realm():
    need_tool("kinit")
    need_tool("curl")
    with World("kdc", "n1", "n2", "a1", "desk") as world:
        kdc = MitKdc(world["kdc"], MIT_REALM).start()
        site = Site(world, MIT_REALM, kdc.krb5_conf)
        keytabs = {name: kdc.keytab(f"{world[name].work}/smackd.keytab", f"smack/{name}", f"HTTP/{name}")
                   for name in ("n1", "n2", "a1")}
        for user in ("boss", "carol"):
            kdc.add_user(user, PASSWORD)
        site.start_first("n1", keytabs["n1"], "boss")
        desk = world["desk"]
        boss = site.kinit(desk, "boss")
        assert site.ask(desk, boss, "whoami", "--json").json()["principal"] == f"boss@{MIT_REALM}"
        assert site.whoami_by_curl(desk, boss)["groups"] == ["admins"]

        # The registry alone says which of the realm's machines may join.
        refused = site.join("n2", keytabs["n2"])
        assert refused.code == 1 and f"smack/n2@{MIT_REALM} is not a registered machine" in refused.err, refused
        site.ask(desk, boss, "machine", "add", "n2", "--role", "server")
        site.ask(desk, boss, "machine", "add", "a1", "--role", "agent")
        no_bundle = site.ask(desk, boss, "machine", "add", "a1", "--bundle", "-", code=1)
        assert "smackd join --seed NAME --keytab FILE" in no_bundle.err, no_bundle
        for name in ("n2", "a1"):
            joined = site.join(name, keytabs[name])
            assert joined.code == 0, joined
            site.start(name)
        renewed = world["a1"].run([SMACKD, "renew", "--data-dir", world["a1"].directory], site.krb5)
        assert renewed.code == 0 and "without" not in renewed.out, renewed
        wait_until(lambda: site.whoami_by_curl(desk, {**boss, "SMACKD_URL": "https://n2:5050"})["user"] == "boss", 5, "n2")

        # People of the realm are let in one by one: by ticket, and by password where there is no krb5.conf.
        carol = site.kinit(desk, "carol")
        stranger = site.ask(desk, carol, "whoami", code=1)
        assert "smackd user add carol" in stranger.err, stranger
        site.ask(desk, boss, "user", "add", "carol")
        assert site.ask(desk, carol, "whoami", "--json").json()["groups"] == []
        form = desk.run(["curl", "-sS", "--cacert", f"{world['n1'].directory}/cluster/ca.pem", "-H",
                         "Content-Type: application/json", "-d", json.dumps({"user": "carol", "password": PASSWORD}),
                         "https://n1:5050/smack/v1/login"])
        assert form.code == 0 and json.loads(form.out)["principal"] == f"carol@{MIT_REALM}", form
        password = desk.run([SMACKD, "user", "passwd", "carol", "--password-stdin"], boss, f"{PASSWORD}\n")
        assert password.code == 1 and "change the password there" in password.err, password

        # New keys in the KDC and in the keytab: who has a ticket for the old ones and who gets one for the new both come in.
        kdc.keytab(keytabs["n1"], "HTTP/n1")
        assert site.ask(desk, carol, "whoami", "--json").json()["user"] == "carol"
        boss = site.kinit(desk, "boss")
        assert site.ask(desk, boss, "whoami", "--json").json()["user"] == "boss"
