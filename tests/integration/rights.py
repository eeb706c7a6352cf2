"""A demo with two teams for test_rights.py, and clients that ask it as each of them."""

import http.client
import json
import os

import harness
from harness import Demo, wait_until
from rights_table import app, ports

PASSWORD = "correct horse battery 7"
# What tom must never be told, whatever he asks. Refusals repeat what he wrote himself.
SECRETS = ("secret-of-b", "bertha", "b-team", "19771", "static.b.example")
NAMES = ("team-b", "b.example")


OTHERS = """
SELECT 'app', id, version, instances FROM apps WHERE id NOT LIKE '/team-a/%'
UNION ALL SELECT 'app group', id, version, '' FROM app_groups WHERE id <> '/' AND id <> '/team-a' AND id NOT LIKE '/team-a/%'
UNION ALL SELECT 'claim', claim, app, '' FROM app_claims WHERE app NOT LIKE '/team-a/%'
UNION ALL SELECT 'task', id, desired, ended FROM tasks WHERE app NOT LIKE '/team-a/%'
UNION ALL SELECT 'deployment', id, '', '' FROM deployments WHERE instr(deployment, CAST('/team-b/stuck' AS BLOB))
UNION ALL SELECT 'user', name, version, disabled FROM users
UNION ALL SELECT 'group', name, version, '' FROM groups
UNION ALL SELECT 'member', group_name, user_name, '' FROM group_members
UNION ALL SELECT 'rule', id, version, actions || subject || path FROM rules
UNION ALL SELECT 'principal', name, version, '' FROM principals
UNION ALL SELECT 'machine', name, version, '' FROM machines
UNION ALL SELECT 'node', node_id, machine, '' FROM nodes
UNION ALL SELECT 'name', name, value, '' FROM settings WHERE name LIKE 'dns/%'
UNION ALL SELECT 'directory', sid, version, group_name FROM directory_groups
ORDER BY 1, 2, 3
"""


class Client:
    """Requests of one user over one kept connection, as they are written here: nothing is normalised on the way."""

    def __init__(self, demo, authorization=None):
        self.demo = demo
        self.headers = {} if authorization is None else {"Authorization": authorization}
        self.connection = http.client.HTTPConnection("127.0.0.1", demo.ports["api"], timeout=60)

    def ask(self, method, path, body=None, headers=None):
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        for attempt in (1, 2):
            try:
                self.connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
                self.connection.putheader("Host", f"localhost:{self.demo.ports['api']}")
                sent = {**self.headers, **({} if data is None else {"Content-Type": "application/json"}), **(headers or {})}
                for name, value in sent.items():
                    self.connection.putheader(name, value)
                if data is not None or method in ("POST", "PUT", "PATCH"):
                    self.connection.putheader("Content-Length", str(len(data or b"")))
                self.connection.endheaders(data)
                response = self.connection.getresponse()
                return response.status, response.read().decode(errors="replace")
            except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
                self.connection.close()
                if attempt == 2:
                    raise
        return None

    def json(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        assert status < 300, (method, path, status, text)
        return json.loads(text)


class Teams:
    """The users tom (/team-a), bertha (/team-b), lea (launch alone on /team-a) and nora (no rule), and an app of each team."""

    def __init__(self):
        self.demo = Demo().start()
        self.admin = Client(self.demo, "Bearer " + self.demo.token())
        self.tickets = {}
        for user in ("tom", "bertha", "lea", "nora"):
            self.add_user(user)
        for user, path, actions in (("tom", "/team-a", ["view", "launch", "change", "kill", "exec"]), ("lea", "/team-a", ["launch"]),
                                    ("bertha", "/team-b", ["view", "launch", "change", "kill", "exec"])):
            self.admin.json("PUT", f"/smack/v1/rules/{user}", {"subject": f"user:{user}", "actions": actions, "tenant": "*", "path": path})
        self.admin.json("PUT", "/smack/v1/groups/b-team", {"members": ["bertha"]})
        self.admin.json("PUT", "/smack/v1/dns/static.b.example", {"addresses": ["127.0.0.7"]})
        self.anonymous = Client(self.demo)
        self.forged = Client(self.demo, "Bearer " + self.forge())
        self.tom, self.lea, self.nora, self.bertha = (Client(self.demo, "Bearer " + self.login(user)) for user in ("tom", "lea", "nora", "bertha"))
        self.deploy()

    def add_user(self, user):
        self.demo.must("user", "add", user, "--password-stdin", stdin=PASSWORD + "\n")
        self.tickets[user] = self.demo.kinit(user, password=PASSWORD, cache=os.path.join(self.demo.work, f"{user}.ccache"))

    def login(self, user):
        """A token for the user's ticket, as `smackd login` gets it."""
        session = os.path.join(self.demo.work, f"{user}.session")
        environment = {**self.tickets[user], "SMACKD_SESSION_FILE": session, "SMACKD_KEYTAB": ""}
        self.demo.must("login", environment=environment)
        with open(session) as file:
            return next(iter(json.load(file).values()))["token"]

    def forge(self):
        head, _, rest = self.demo.token().partition(".")
        body, _, signature = rest.partition(".")
        return ".".join((head, body, ("A" if signature[0] != "A" else "B") + signature[1:]))

    def deploy(self):
        web = app("/team-b/web", cmd="echo secret-of-b; exec sleep 3600", labels={"team": "b", "HAPROXY_GROUP": "external,internal", "HAPROXY_0_VHOST": "b.example"},
                  container=ports({"containerPort": 8080, "servicePort": 19771, "labels": {"VIP_0": "/b-vip:80"}}))
        self.bertha.json("POST", "/v2/apps", web)
        self.admin.json("POST", "/v2/apps", app("/a/label-team"))  # in DNS label-team-a, as /team-a/label would be
        self.bertha.json("POST", "/v2/apps", app("/team-b/stuck", cmd="echo secret-of-b", cpus=4000))
        self.tom.json("POST", "/v2/apps", app("/team-a/web", cmd="echo mine; exec sleep 3600"))
        wait_until(lambda: self.task("/team-a/web") and self.task("/team-b/web"), 60, "the teams' tasks")
        wait_until(lambda: len(self.admin.json("GET", "/v2/deployments")) == 1, 60, "the end of the deployments")

    def task(self, app_id):
        return next((task["id"] for task in self.admin.json("GET", f"/v2/apps{app_id}/tasks")["tasks"] if task["state"] == "TASK_RUNNING"), None)

    def words(self):
        """What the table's placeholders stand for, now."""
        return {
            "{own_task}": wait_until(lambda: self.task("/team-a/web"), 60, "the own task"), "{other_task}": self.task("/team-b/web"),
            "{own_version}": self.admin.json("GET", "/v2/apps/team-a/web")["app"]["version"],
            "{other_version}": self.admin.json("GET", "/v2/apps/team-b/web")["app"]["version"],
            "{deployment}": next(one["id"] for one in self.admin.json("GET", "/v2/deployments") if "/team-b/stuck" in one["affectedApps"]),
            "{oldest}": self.admin.json("GET", "/smack/v1/users")["revision"].split(".")[0] + ".1",
        }

    def of_others(self):
        """Everything that tom may not change, row by row with its version."""
        return self.rows(OTHERS)

    def apps(self):
        """All definitions by their versions: tom's own, too."""
        return self.rows("SELECT id, version, instances FROM apps ORDER BY id")

    def rows(self, query):
        answer = self.admin.json("POST", "/smack/v1/sql", {"query": query})
        assert not answer["truncated"]
        return answer["rows"]

    def policy_refusals(self):
        _, text = self.admin.ask("GET", "/metrics")
        line = next(line for line in text.splitlines() if line.startswith('smackd_api_refusals_total{reason="policy"}'))
        return int(line.split()[1])


def sample_path(pattern, words):
    """One path of a route, for callers who are to be refused whatever it names."""
    path = pattern
    for name, value in (("{id...}", "team-b/web"), ("{task}", words["{other_task}"]), ("{version}", words["{other_version}"]),
                        ("{id}/log", words["{other_task}"] + "/log"), ("{id}/exec", words["{other_task}"] + "/exec"), ("{stream}", "stdout"), ("{name}", "bertha"), ("{sid}", "S-1-5-21-1-2-3-512")):
        path = path.replace(name, value)
    return path.replace("{id}", words["{deployment}"] if "deployments" in path else "bertha")


def filled(value, words):
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(name, str(word))
        return value
    if value is None:
        return None
    return json.loads(filled(json.dumps(value), words))
