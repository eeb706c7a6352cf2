"""Changes of an app that its clients do not notice: no request fails while instances are replaced, scaled or restarted."""

import time

import harness
import rolling
from harness import Demo
from traffic import Traffic

RATE = 100  # requests a second


def checked(traffic, versions):
    result = traffic.result
    assert result["failed"] == 0 and result["closed_idle"] == 0 and result["requests"] > RATE, result
    assert set(result["versions"]) == {str(version) for version in versions}, result


def test_an_update_a_restart_and_scaling_fail_no_request():
    demo = Demo()
    demo.start()
    rolling.add(demo, rolling.web(1, 3))
    with Traffic(demo.ports["http"], rolling.NAME, demo.work, RATE) as traffic:
        rolling.update(demo, rolling.web(2, 3))
        rolling.update(demo, rolling.web(3, 3, {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}))
        rolling.cli(demo, "app", "restart", "/web")
        rolling.cli(demo, "app", "scale", "/web", "1")
        rolling.cli(demo, "app", "scale", "/web", "2")
        time.sleep(1)
    checked(traffic, (1, 2, 3))
    demo.stop()


def test_a_killed_task_finishes_what_it_has():
    """`smackd task kill`: pages that take 300 ms are answered before SIGTERM, which the server does not survive."""
    demo = Demo()
    demo.start()
    rolling.add(demo, rolling.web(1, 3))
    with Traffic(demo.ports["http"], rolling.NAME, demo.work, RATE) as traffic:
        for _ in range(3):
            before = {task["id"] for task in rolling.tasks(demo)}
            gone = min(before)
            demo.must("task", "kill", gone)
            harness.wait_until(lambda: gone not in {task["id"] for task in rolling.tasks(demo)}, 60, "the end of the task")
            harness.wait_until(lambda: len([task for task in rolling.tasks(demo) if task["state"] == "TASK_RUNNING" and all(
                check["alive"] for check in task.get("healthCheckResults", [{"alive": False}]))]) == 3, 60, "another one")
    checked(traffic, (1,))
    demo.stop()


def test_nobody_gets_a_request_before_it_is_ready():
    """Healthy at once, ready (`/ready`) only later: traffic waits for the second one."""
    demo = Demo()
    demo.start()
    server = ("cat > s.py <<'END'\nimport http.server, os, time\nbegan = time.monotonic()\n"
              "class Page(http.server.BaseHTTPRequestHandler):\n"
              "    def do_GET(self):\n"
              "        ready = time.monotonic() - began > 3\n"
              "        self.send_response(200 if ready or self.path == '/health' else 503)\n"
              "        self.send_header('Content-Length', '0')\n"
              "        self.end_headers()\n"
              "http.server.ThreadingHTTPServer(('0.0.0.0', 8080), Page).serve_forever()\nEND\nexec python3 -u s.py")
    app = rolling.web(1, 1, cmd=server, readinessChecks=[
        {"name": "r", "protocol": "HTTP", "path": "/ready", "portName": "http", "intervalSeconds": 1, "timeoutSeconds": 0.9}])
    app["healthChecks"][0]["path"] = "/health"
    rolling.add(demo, app)
    assert demo.request("GET", "/", headers={"Host": rolling.NAME}, port=demo.ports["http"])[0] == 200
    began, seen = time.monotonic(), set()
    first = {task["id"] for task in rolling.tasks(demo)}
    demo.must("app", "restart", "/web", "--detach")
    while time.monotonic() - began < 8:
        seen.add(demo.request("GET", "/", headers={"Host": rolling.NAME}, port=demo.ports["http"])[0])
    harness.wait_until(lambda: not first & {task["id"] for task in rolling.tasks(demo)}, 60, "the restart")
    assert seen == {200}, seen
    demo.stop()


def test_pre_stop_comes_before_the_signal():
    demo = Demo()
    demo.start()
    command = "trap 'cat note; echo got TERM; exit 0' TERM; echo began; while true; do sleep 0.1; done"
    app = {"id": "/last", "cmd": command, "cpus": 0.1, "mem": 32,
           "labels": {"SMACKD_PRE_STOP": "echo pre-stop > note; sleep 0.5"}}
    rolling.cli(demo, "app", "add", rolling.definition(demo, app))
    task = rolling.tasks(demo, "/last")[0]["id"]
    began = time.monotonic()
    rolling.cli(demo, "app", "scale", "/last", "0")
    assert time.monotonic() - began >= 0.5, "it waits for the command"
    log = demo.must("task", "log", task).out
    assert log.endswith("pre-stop\ngot TERM\n"), log
    demo.stop()


def test_checks_that_change_leave_tasks_and_traffic_alone():
    """Another check and other intervals, then none at all, then a readiness check: the same tasks, no failed request."""
    demo = Demo()
    demo.start()
    app = rolling.web(1, 2)
    rolling.add(demo, app)
    before = {task["id"] for task in rolling.tasks(demo)}
    http = app["healthChecks"][0]
    with Traffic(demo.ports["http"], rolling.NAME, demo.work, RATE) as traffic:
        app["healthChecks"] = [{**http, "intervalSeconds": 2}, {"protocol": "TCP", "portIndex": 0, "intervalSeconds": 1}]
        rolling.update(demo, app)
        harness.wait_until(lambda: all(len(task["healthCheckResults"]) == 2 and all(check["alive"] for check in task["healthCheckResults"])
                                       for task in rolling.tasks(demo)), 30, "both checks of both tasks")
        app["healthChecks"] = []
        rolling.update(demo, app)
        app["healthChecks"] = [http]
        app["readinessChecks"] = [{"name": "r", "protocol": "HTTP", "path": "/", "portName": "http", "intervalSeconds": 1, "timeoutSeconds": 0.9}]
        rolling.update(demo, app)
        time.sleep(2)
    checked(traffic, (1,))
    assert {task["id"] for task in rolling.tasks(demo)} == before
    demo.stop()
