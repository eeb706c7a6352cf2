"""The dashboard in a real browser, by the keyboard alone: signing in, deploying, scaling, removing, and what refuses to run."""

import json

from browser import CONTROL, Browser
from harness import Demo
from test_apps import add, eventually, running

SECRET = "correct horse battery 7"
PAGES = ["overview", "apps", "apps/page", "deploy", "deploy/page", "tasks", "deployments", "nodes", "nodes/1", "people", "machines", "rules", "events", "me"]


def signed_in(demo):
    eventually(lambda: "capacity" in demo.must_json("node", "list")["nodes"][0], what="the node's word of what it has")
    demo.must("user", "add", "pat", "--password-stdin", stdin=SECRET + "\n")
    demo.must("policy", "add", "pat", "user:pat", "--allow", "admin")
    browser = Browser()
    browser.open(demo.environment["SMACKD_URL"] + "/")
    browser.see("Use my Kerberos ticket")
    browser.type("pat")  # the field has the focus
    browser.tab_to("Password")
    browser.type(SECRET)
    browser.press("Enter")
    browser.see("This node")
    return browser


def follow(browser, name):
    browser.tab_to(name)
    browser.press("Enter")


def write(browser, definition):
    browser.tab_to("Definition")
    browser.press("a", CONTROL)
    browser.type(definition if isinstance(definition, str) else json.dumps(definition))


def test_deploying_by_keyboard():
    demo = Demo()
    demo.start()
    browser = signed_in(demo)
    follow(browser, "Applications")
    browser.see("Nothing is deployed yet")
    follow(browser, "Deploy an application")
    browser.see("Definition")

    # What is wrong is named, and leads to its place in the text.
    write(browser, '{"id": "/page",')
    follow(browser, "Check")
    browser.see("This is no JSON")
    page = {"id": "/page", "cmd": "echo hello; exec sleep 600", "cpus": 0.1, "mem": 32, "instances": -1}
    write(browser, page)
    follow(browser, "Check")
    browser.see("/instances")
    follow(browser, "/instances")
    browser.until("document.activeElement.id === 'definition'", "the focus in the text")
    assert browser.script("getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart,"
                          " document.activeElement.selectionEnd)") == '"instances"'
    page["instances"] = 1
    write(browser, page)
    follow(browser, "Check")
    browser.see("is a new application")
    browser.see("1 task wanted: 0 stay, 1 start, 0 end.")
    assert demo.must_json("app", "list")["apps"] == [], "checking changes nothing"
    follow(browser, "Deploy")
    browser.see("/page is deployed", limit_s=120)
    task = running(demo, "/page")[0]

    follow(browser, "To the application")
    browser.see(task["id"].split("instance-")[1][:8])
    browser.see("1 of 1")
    browser.tab_to("Instances")
    browser.press("a", CONTROL)
    browser.type("2")
    browser.press("Enter")
    eventually(lambda: running(demo, "/page", 2), 120)
    browser.press("Tab")  # what is being typed is not drawn over
    browser.see("2 of 2", limit_s=120)

    follow(browser, "Remove")
    browser.see("Remove /page?")
    browser.press("Escape")
    browser.until("!document.querySelector('dialog')", "the question's end")
    assert running(demo, "/page", 2)
    follow(browser, "Remove")
    browser.see("Remove /page?")
    browser.until("document.querySelector('dialog').contains(document.activeElement)", "the focus in the question")
    follow(browser, "Remove")
    browser.see("Nothing is deployed yet", limit_s=120)
    assert demo.must_json("app", "list")["apps"] == []
    assert browser.problems() == []
    browser.close()
    demo.stop()


def test_what_does_not_run_says_why():
    demo = Demo()
    demo.start()
    browser = signed_in(demo)
    browser.script("location.hash = '#/deploy'")
    browser.see("Definition")
    write(browser, {"id": "/big", "cmd": "exec sleep 600", "cpus": 1000, "mem": 32})
    follow(browser, "Check")
    browser.see("InsufficientCpus")
    browser.see("1 would wait")
    write(browser, {"id": "/broken", "cmd": "echo no luck >&2; exit 7", "cpus": 0.1, "mem": 32, "healthChecks": [{"protocol": "TCP", "port": 1}]})
    follow(browser, "Deploy")
    browser.see("no luck", limit_s=120)  # follows the deployment by the feed
    browser.see("ended with exit code 7")
    # That deployment is in the way of the one that mends it.
    write(browser, {"id": "/broken", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 32, "healthChecks": []})
    follow(browser, "Deploy")
    browser.see("App is locked by one or more deployments")
    follow(browser, "Cancel that deployment and go on")
    browser.see("/broken is deployed", limit_s=120)
    assert running(demo, "/broken")
    # One that is rolled back meanwhile is not called done.
    # With a check that it never passes: a task that ran for a moment would be deployed.
    write(browser, {"id": "/broken", "cmd": "exit 8", "cpus": 0.1, "mem": 32, "healthChecks": [{"protocol": "TCP", "port": 1}]})
    follow(browser, "Deploy")
    browser.see("ended with exit code 8", limit_s=120)
    demo.must("deployment", "cancel", demo.must_json("deployment", "list")["deployments"][0]["id"])
    browser.see("went back to what it was", limit_s=120)
    assert browser.problems() == []
    browser.close()
    demo.stop()


def test_a_terminal_in_a_task():
    demo = Demo()
    demo.start()
    browser = signed_in(demo)
    add(demo, {"id": "/page", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 64})
    task = running(demo, "/page")[0]["id"]

    def screen():
        return browser.script("document.querySelector('.terminal .rows').innerText")

    def see(words):
        browser.until(f"document.querySelector('.terminal')?.innerText.includes({json.dumps(words)})", f"'{words}' in the terminal")

    def line(text):
        browser.type(text)
        browser.press("Enter")

    for width, height, dark in ((1280, 900, False), (390, 844, True)):
        browser.resize(width, height)
        browser.dark(dark)
        browser.script("location.hash = '#/tasks'")
        browser.until("document.querySelector('main h1')?.textContent === 'Tasks'", "the list of tasks")
        browser.script(f"location.hash = '#/task/{task}'")
        browser.see("stdout")
        follow(browser, "terminal")
        browser.until("/[#$] /.test(document.querySelector('.terminal .rows')?.innerText)", "the prompt")
        assert browser.focused() == "Terminal", browser.focused()
        line("echo hi $((40+2))")
        see("hi 42")
        # Line editing, colours, and a program that has the screen.
        browser.type("echo wrong")
        for _ in "wrong":
            browser.press("Backspace")
        line("right-$((1+1))")
        see("right-2")
        browser.press("ArrowUp")
        line("")
        browser.until("document.querySelector('.terminal').innerText.split('right-2').length === 3", "what was typed before, once more")
        line("printf '\\033[31mred\\033[0m\\n'")
        browser.until("[...document.querySelectorAll('.terminal .fg-1')].some((one) => one.textContent === 'red')", "red")
        colour = browser.script("getComputedStyle(document.querySelector('.terminal .fg-1')).color")
        assert colour == ("rgb(255, 159, 159)" if dark else "rgb(161, 26, 26)"), colour
        line("clear; stty size")
        rows, columns = (int(part) for part in browser.until("/^([0-9]+ [0-9]+) *$/m.exec(document.querySelector('.terminal .rows').innerText)?.[1]", "its size").split())
        assert rows == browser.script("document.querySelectorAll('.terminal .rows .line').length")
        assert (columns > 100) == (width == 1280) and columns > 30, (width, columns)
        assert "hi 42" not in screen(), "the screen was cleared"
        wider = browser.script("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, (width, wider)
        line("echo going-$((1+1)); exec sleep 600 & wait")
        see("going-2")
        browser.press("c", CONTROL)
        line("echo code-$?")
        see("code-130")
        line("cat -A")
        browser.press("Tab")
        assert browser.focused() == "Terminal", "Tab is the program's"
        line("tab")
        see("^Itab$")
        browser.press("d", CONTROL)
        line("exit 3")
        browser.see("It has ended with exit code 3")
    # Who may not is told so.
    demo.must("user", "add", "kim", "--password-stdin", stdin=SECRET + "\n")
    demo.must("policy", "add", "kim", "user:kim", "--allow", "view")
    demo.must("policy", "add", "pat-view", "user:pat", "--allow", "view")
    demo.must("policy", "remove", "pat")
    follow(browser, "Start again")
    browser.see("no rule lets user")
    assert browser.problems() == []
    browser.close()
    demo.stop()


def test_every_page_fits_and_draining_works():
    demo = Demo()
    demo.start()
    browser = signed_in(demo)
    add(demo, {"id": "/page", "cmd": "exec sleep 600", "cpus": 0.1, "mem": 32})
    for width, height in ((1280, 900), (390, 844)):
        browser.resize(width, height)
        for page in PAGES:
            browser.script(f"location.hash = '#/{page}'")
            browser.until("document.querySelector('main h1') && !document.querySelector('main .loading')", f"page {page}")
            assert not browser.script("document.querySelector('main [role=alert].notice.bad')?.textContent"), (page, browser.text())
            wider = browser.script("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, (page, width, wider)
    browser.script("location.hash = '#/events'")
    browser.see("/page")  # what was before the page was opened is there, too
    browser.tab_to("People and rules")
    browser.press("Enter")
    browser.until("!document.querySelector('main table').textContent.includes('/page')", "people's events alone")
    browser.see("pat")
    browser.script("location.hash = '#/nodes/1'")
    browser.see("Maintenance")
    browser.until("document.querySelectorAll('svg.chart .chart-line').length === 3", "lines of CPU, memory and tasks")
    browser.until("document.querySelector('svg.chart[aria-label^=\"Tasks: now 1\"]') !== null", "the number of tasks")
    follow(browser, "Drain")
    browser.see("it gets no new ones")
    follow(browser, "Drain")
    browser.see("Draining since")
    assert demo.must_json("node", "list")["nodes"][0]["drain"], "it is drained"
    follow(browser, "Take tasks again")
    browser.see("Kill what is left after")
    assert browser.problems() == []
    browser.close()
    demo.stop()
