"""The door that only a ticket opens: who is let in, who is refused, and with which words."""

import base64
import json
import os
import time

from cluster import Cluster
from harness import Demo, SMACKD, run, shared_demo

JSON = {"Content-Type": "application/json"}


def message_of(body):
    answer = json.loads(body)  # Marathon's routes say {"message"}
    return answer["error"]["message"] if isinstance(answer.get("error"), dict) else answer["message"]


def test_nobody_without_a_ticket():
    demo = shared_demo()
    for path in ("/v2/apps", "/smack/v1/status", "/smack/v1/users", "/smack/v1/events", "/metrics", "/smack/v1/sql"):
        status, headers, body = demo.request("GET", path)
        assert status in (401, 405), (path, status, body)
        if status == 401:
            assert headers.get("www-authenticate", "").startswith("Negotiate"), (path, headers)
            assert "kinit" in message_of(body) or "smackd login" in message_of(body), body


def test_health_is_open():
    demo = shared_demo()
    for path in ("/ping", "/health", "/ready", "/"):
        status, _, body = demo.request("GET", path)
        assert status == 200, (path, status, body)


def test_curl_with_a_ticket():
    demo = shared_demo()
    environment = demo.kinit()
    status, headers, body = demo.curl("/smack/v1/whoami", environment=environment)
    assert status == 200 and json.loads(body)["principal"] == demo.environment["SMACKD_PRINCIPAL"], body
    assert any(value.startswith("Negotiate ") for value in headers.get("www-authenticate", [])), headers


def test_curl_without_a_ticket():
    demo = shared_demo()
    environment = {**demo.environment, "KRB5CCNAME": f"FILE:{demo.work}/none.ccache"}
    status, _, _ = demo.curl("/v2/apps", environment=environment)
    assert status == 401


def test_password_sign_in():
    demo = shared_demo()
    secret = "correct horse battery 7"
    demo.must("user", "add", "pat", "--password-stdin", stdin=secret + "\n")
    cache = os.path.join(demo.work, "pat.ccache")
    demo.kinit("pat", password=secret, cache=cache)
    session = {"SMACKD_SESSION_FILE": os.path.join(demo.work, "pat_session.json")}
    demo.must("login", "--user", "pat", "--password-stdin", stdin=secret + "\n", environment=session)
    assert demo.must_json("whoami", environment=session)["user"] == "pat"
    wrong = demo.cli("login", "--user", "pat", "--password-stdin", stdin="wrong horse battery 7\n", environment=session)
    assert wrong.code == 1 and "password" in wrong.err, wrong
    unknown = demo.cli("login", "--user", "nobody-at-all", "--password-stdin", stdin="wrong horse battery 7\n",
                       environment=session)
    alike = unknown.err.replace("nobody-at-all", "pat") == wrong.err
    assert unknown.code == 1 and alike, f"wrong password and unknown user must look alike: {wrong} {unknown}"
    assert secret not in demo.process.log()


def test_a_user_without_a_rule_sees_nothing_and_may_nothing():
    demo = shared_demo()
    demo.must("user", "add", "norule")
    keytab = os.path.join(demo.work, "norule.keytab")
    demo.must("user", "keytab", "norule", "--out", keytab)
    who = {"SMACKD_KEYTAB": keytab, "SMACKD_PRINCIPAL": "norule", "KRB5CCNAME": f"FILE:{demo.work}/norule.ccache"}
    answer = demo.cli("group", "add", "mine", environment=who)
    assert answer.code == 1 and "norule" in answer.err and "rule" in answer.err and "admin" in answer.err, answer
    listed = demo.cli("group", "list", "--json", environment=who)
    assert listed.code == 1 or listed.json()["groups"] == [], listed
    refused = demo.must_json("refusals")["refusals"]
    assert any("norule" in json.dumps(row) for row in refused), refused


def test_a_disabled_user_is_out():
    demo = shared_demo()
    demo.must("user", "add", "gone")
    keytab = os.path.join(demo.work, "gone.keytab")
    demo.must("user", "keytab", "gone", "--out", keytab)
    who = {"SMACKD_KEYTAB": keytab, "SMACKD_PRINCIPAL": "gone", "KRB5CCNAME": f"FILE:{demo.work}/gone.ccache"}
    demo.must("whoami", environment=who)
    demo.must("user", "disable", "gone")
    answer = demo.cli("whoami", environment=who)
    assert answer.code == 1, answer
    demo.must("user", "enable", "gone")
    demo.must("whoami", environment=who)


def test_ticket_of_another_realm():
    one, two = shared_demo(), Demo().start()
    # A realm with the same service name: the ticket is for HTTP/localhost, but of a KDC that we do not know.
    foreign = two.kinit()
    answer = run([SMACKD, "whoami", "--json"], {**foreign, "SMACKD_URL": one.environment["SMACKD_URL"]})
    assert answer.code == 1, answer
    assert any(word in answer.err for word in ("realm", "keytab", "ticket", "key")), answer
    two.stop()


def test_revoked_and_forged_tokens():
    demo = shared_demo()
    session = {"SMACKD_SESSION_FILE": os.path.join(demo.work, "revoked.json")}
    demo.must("login", environment=session)
    with open(session["SMACKD_SESSION_FILE"]) as file:
        token = next(iter(json.load(file).values()))["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert demo.request("GET", "/smack/v1/whoami", headers=bearer)[0] == 200
    assert demo.request("GET", "/v2/apps", headers={"Authorization": f"token={token}"})[0] == 200
    demo.must("logout", environment=session)
    status, _, body = demo.request("GET", "/smack/v1/whoami", headers=bearer)
    assert status == 401 and "revoked" in message_of(body), (status, body)
    head, claims, signature = token.split(".")
    for forged in (f"{head}.{claims}.{signature[:-4]}AAAA", f"{head}.{claims}.", "x.y.z", token[:-10]):
        status, _, body = demo.request("GET", "/smack/v1/whoami", headers={"Authorization": f"Bearer {forged}"})
        assert status == 401, (forged, status, body)


def test_expired_token():
    """A server whose tokens live two seconds: taken at once, refused after, and the text says what to do."""
    cluster = Cluster(1)
    server = cluster.servers[0]
    with open(server.config, "a") as file:
        file.write("token_life_s = 2\n")
    cluster.start()
    environment = cluster.environment(server)
    connection = ["curl", "-sS", "--cacert", os.path.join(server.directory, "cluster/ca.pem"), "-w", "\n%{http_code}"]

    def sign_in():
        login = run([SMACKD, "login", "--json"], environment)
        assert login.code == 0, login
        with open(environment["SMACKD_SESSION_FILE"]) as file:
            return next(iter(json.load(file).values()))["token"]

    def whoami(token):
        words = [*connection, "-H", f"Authorization: Bearer {token}", server.url() + "/smack/v1/whoami"]
        body, status = run(words, environment).out.rsplit("\n", 1)
        return int(status), body

    for _ in range(5):  # on a busy machine the answer may come after the token's end
        token = sign_in()
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert claims["exp"] - claims["iat"] == 2, claims
        status, body = whoami(token)
        if time.time() < claims["exp"]:
            break
    assert status == 200, (status, body)
    time.sleep(max(0, claims["exp"] + 0.1 - time.time()))
    status, body = whoami(token)
    assert status == 401, (status, body)
    assert "token: expired" in message_of(body) and "smackd login" in message_of(body), body
    cluster.stop()


def test_foreign_host_header():
    demo = shared_demo()
    for host in ("evil.example.org", "evil.example.org:5050", "", "localhost.evil.example.org"):
        status, _, body = demo.request("GET", "/smack/v1/whoami", headers={**demo.bearer(), "Host": host})
        assert status in (400, 403, 421), (host, status, body)


def test_cross_site_browser_requests():
    demo = shared_demo()
    environment = demo.kinit()
    body = json.dumps({"description": "x", "members": []})
    put = ["-X", "PUT", "-d", body]
    url = "/smack/v1/groups/cross"
    status, _, text = demo.curl(url, *put, "-H", "Content-Type: application/json", "-H", "Origin: http://evil.example.org",
                                environment=environment)
    assert status == 403 and "Origin" in message_of(text), (status, text)
    status, _, text = demo.curl(url, *put, "-H", "Content-Type: application/json", "-H", "Sec-Fetch-Site: cross-site",
                                environment=environment)
    assert status == 403 and "Sec-Fetch-Site" in message_of(text), (status, text)
    status, _, text = demo.curl(url, *put, "-H", "Content-Type: text/plain", environment=environment)
    assert status in (403, 415), (status, text)
    status, _, text = demo.curl(url, *put, "-H", "Content-Type: application/json", environment=environment)
    assert status in (200, 201), (status, text)


def test_basic_is_off():
    demo = shared_demo()
    status, _, body = demo.request("GET", "/smack/v1/whoami", headers={"Authorization": "Basic YWRtaW46eA=="})
    assert status == 401 and "Basic" in message_of(body), (status, body)


def test_smuggled_requests_are_refused():
    demo = shared_demo()
    status, _, _ = demo.request("POST", "/smack/v1/login", "{}", {"Transfer-Encoding": "chunked", **JSON})
    assert status == 400


def test_password_is_never_sent_in_clear():
    answer = run([SMACKD, "login", "--user", "x", "--password-stdin", "--url", "http://192.0.2.1:5050"],
                 dict(os.environ), stdin="secret\n")
    assert answer.code == 1 and "never sent over plain HTTP" in answer.err, answer


def test_fake_kdc():
    """A KDC that says yes to everything knows no key of ours: the server refuses what it vouches for."""
    demo = shared_demo()
    fake = Demo().start()
    fake.must("user", "add", "mallory", "--password-stdin", stdin="correct horse battery 7\n")
    session = {"SMACKD_SESSION_FILE": os.path.join(demo.work, "fake.json")}
    answer = demo.cli("login", "--user", f"mallory@{demo.environment['SMACKD_PRINCIPAL'].split('@')[1]}",
                      "--password-stdin", stdin="correct horse battery 7\n", environment=session)
    assert answer.code == 1, answer
    fake.stop()


def test_https_on_the_same_port():
    demo = shared_demo()
    environment = demo.kinit()
    url = f"https://localhost:{demo.ports['api']}/smack/v1/whoami"
    ca = os.path.join(demo.directory, "cluster", "ca.pem")
    answer = run(["curl", "-sS", "--cacert", ca, "--negotiate", "-u", ":", url], environment)
    assert answer.code == 0 and '"principal"' in answer.out, answer
    https = {"SMACKD_URL": f"https://localhost:{demo.ports['api']}",
             "SMACKD_SESSION_FILE": os.path.join(demo.work, "https.json")}
    demo.must("login", environment=https)
    assert demo.must_json("whoami", environment=https)["user"] == "admin"
