"""A real browser: Debian's Chromium, headless, spoken to by its DevTools protocol over a pipe.

Keys are real key events, so what a test reaches it reaches by the keyboard alone.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import harness

ANSWER_LIMIT_S = 60
LOOK_S = 0.1
PACKAGES = {"chromium": "chromium"}
# Names of keys that type no letter: (code, number, text).
KEYS = {"Tab": ("Tab", 9, None), "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, None), "Space": ("Space", 32, " "),
        "ArrowDown": ("ArrowDown", 40, None), "ArrowUp": ("ArrowUp", 38, None), "Backspace": ("Backspace", 8, None)}
SHIFT, CONTROL = 8, 2


class Browser:
    """One page. `close()` ends it; so does the end of the test's process. `names` maps names and ports to where they are
    (`MAP p1.dcos:80 127.0.0.1:8080`)."""

    def __init__(self, width=1280, height=900, names=""):
        harness.install(PACKAGES)
        harness.need_tool("chromium")
        self.work = harness.temporary_directory("browser")
        self.count = 0
        self.events = []
        self.buffer = b""
        to_child, self.write_end = os.pipe()
        self.read_end, from_child = os.pipe()
        words = [shutil.which("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--proxy-server=direct://",
                 f"--host-resolver-rules={names}", "--remote-debugging-pipe", f"--user-data-dir={self.work}/profile", "about:blank"]

        def place_pipes():  # the protocol's descriptors are 3 and 4
            harness._die_with_parent()
            source, target = os.dup(to_child), os.dup(from_child)
            os.dup2(source, 3, inheritable=True)
            os.dup2(target, 4, inheritable=True)
        self.log = open(os.path.join(self.work, "chromium.log"), "wb")
        self.child = subprocess.Popen(words, stdout=self.log, stderr=self.log, close_fds=False, preexec_fn=place_pipes,
                                      env={**os.environ, "HOME": self.work})
        os.close(to_child)
        os.close(from_child)
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def _read(self, limit_s):
        """The next message, None when there is none in time."""
        end = time.monotonic() + limit_s
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.read_end], [], [], left)[0]:
                return None
            piece = os.read(self.read_end, 1 << 20)
            if not piece:
                raise AssertionError(f"the browser ended; see {self.work}/chromium.log")
            self.buffer += piece
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def _send(self, method, **parameters):
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + ANSWER_LIMIT_S
        while True:
            answer = self._read(max(0, end - time.monotonic()))
            if answer is None:
                raise AssertionError(f"{method}: no answer in {ANSWER_LIMIT_S} s")
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def call(self, method, **parameters):
        return self._send(method, **parameters)

    def script(self, text):
        """The value of a JavaScript expression; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{text}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'", "the page")

    def until(self, condition, what=None, limit_s=60):
        """Waits for a JavaScript expression to be true."""
        end = time.monotonic() + limit_s
        while True:
            try:
                value = self.script(condition)
                if value:
                    return value
            except AssertionError:  # the page is being replaced
                if time.monotonic() > end:
                    raise
            if time.monotonic() > end:
                raise AssertionError(f"{what or condition} did not come about in {limit_s} s; the page says: {self.text()[-2000:]}; {self.problems()}")
            time.sleep(LOOK_S)

    def text(self):
        return self.script("document.body.innerText")

    def see(self, words, limit_s=60):
        self.until(f"document.body.innerText.includes({json.dumps(words)})", repr(words), limit_s)

    def press(self, key, modifiers=0):
        code, number, text = KEYS.get(key) or (f"Key{key.upper()}", ord(key.upper()), None if modifiers else key)
        event = {"key": " " if key == "Space" else key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        if text is not None:
            event["text"] = text
        if modifiers == CONTROL and key == "a":
            event["commands"] = ["selectAll"]
        self.call("Input.dispatchKeyEvent", type="keyDown" if text is not None else "rawKeyDown", **event)
        event.pop("text", None)
        event.pop("commands", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def focused(self):
        """What has the focus, as people would name it."""
        return self.script("""(() => { const one = document.activeElement;
            const label = one.labels?.[0]?.textContent ?? one.getAttribute('aria-label');
            return label ?? one.textContent.trim(); })()""")

    def tab_to(self, name, limit=80):
        """Tab until what is called so has the focus; it has to show that."""
        seen = []
        for _ in range(limit):
            self.press("Tab")
            now = self.focused()
            seen.append(now[:40])
            if now == name:
                assert self.script("(() => { const one = document.activeElement, style = getComputedStyle(one);"
                                   " return one.matches(':focus-visible') && parseFloat(style.outlineWidth) > 0; })()"), f"{name}: no visible focus"
                return
        raise AssertionError(f"'{name}' is not reached by Tab: {seen}")

    def problems(self):
        """What the page wrote to its console as errors, refused content included."""
        while (event := self._read(0)) is not None:
            self.events.append(event)
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"].get("exception", {}).get("description", str(parameters)))
            if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error" and parameters["entry"].get("source") != "network":
                found.append(parameters["entry"]["text"])
        return found

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def dark(self, on=True):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=False)["data"]))

    def close(self):
        try:
            os.close(self.write_end)
            self.child.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.child.kill()
            self.child.wait()
        os.close(self.read_end)
        self.log.close()
