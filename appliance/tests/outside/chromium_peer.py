"""Chromium, told what to do over its debugging protocol. Prints one JSON object.

Every name below `test` is at ADDRESS. `page ADDRESS URL` loads a page and waits until its title begins with `done`;
`dashboard ADDRESS ADMIN URL FOLDER POINTS` loads the dashboard at
ADMIN, the same by a name that somebody else could own, and the page at URL that asks ADMIN across origins, and writes
pictures to FOLDER once the line of the dashboard has so many POINTS.
"""

import base64
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from websockets.sync.client import connect

PATIENCE = 90
# Width, height, dark, phone.
PICTURES = {
    "desktop": (1280, 900, False, False),
    "desktop-dark": (1280, 900, True, False),
    "phone": (390, 844, False, True),
    "phone-dark": (390, 844, True, True),
}


class Browser:
    def __init__(self, address):
        program = shutil.which("chromium")
        if program is None:
            sys.exit("chromium is missing: the Debian package of this name, which .ci/run installs")
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--hide-scrollbars", "--ignore-certificate-errors", "--remote-debugging-port=0",
            f"--host-resolver-rules=MAP *.test {address}", f"--user-data-dir={self.folder.name}", "about:blank",
        ]
        self.process = subprocess.Popen([program, *arguments], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        told = pathlib.Path(self.folder.name, "DevToolsActivePort")
        wait("the browser's port", lambda: told.exists() and told.read_text().count("\n") >= 1)
        port, path = told.read_text().splitlines()[:2]
        # A busy browser answers no ping for long.
        self.socket = connect(
            f"ws://127.0.0.1:{port}{path}", max_size=None, open_timeout=PATIENCE, ping_interval=None
        )
        self.numbers = itertools.count(1)
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def take(self, seconds):
        """The next message; an event is kept and comes as nothing."""
        try:
            message = json.loads(self.socket.recv(seconds))
        except TimeoutError:
            return None
        if "method" in message:
            self.events.append(message)
            return None
        return message

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        call = {"id": number, "method": method, "params": parameters}
        if session:
            call["sessionId"] = session
        self.socket.send(json.dumps(call))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            message = self.take(1)
            if message and message["id"] == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
        raise TimeoutError(method)


class Tab:
    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Network", "Runtime", "Log"]:
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, url):
        self.call("Page.navigate", url=url)
        wait(f"{url} is loaded", lambda: self.ask("document.readyState") == "complete" and self.ask("location.href") == url)

    def ask(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return result["result"].get("value")

    def events(self, method):
        return [event["params"] for event in self.browser.events
                if event["method"] == method and event.get("sessionId") == self.session]

    def requests(self):
        return sorted({event["request"]["url"] for event in self.events("Network.requestWillBeSent")})

    def complaints(self):
        logged = [event["entry"]["text"] for event in self.events("Log.entryAdded")]
        thrown = [str(event["exceptionDetails"]) for event in self.events("Runtime.exceptionThrown")]
        return logged + thrown

    def picture(self, path, width, height, dark, phone):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        tall = self.ask("document.documentElement.scrollHeight")
        shown = {"x": 0, "y": 0, "width": width, "height": min(tall, 4000), "scale": 1}
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=shown)
        path.write_bytes(base64.b64decode(taken["data"]))
        return self.ask("document.documentElement.scrollWidth")


def wait(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError(what)


def page(browser, url):
    tab = Tab(browser)
    tab.open(url)
    wait("the page is done", lambda: str(tab.ask("document.title")).startswith("done"))
    answers = tab.events("Network.responseReceived")
    shaken = tab.events("Network.webSocketHandshakeResponseReceived")
    return {
        "title": tab.ask("document.title"),
        "protocols": {answer["response"]["url"]: answer["response"].get("protocol") for answer in answers},
        "websocket": [answer["response"]["status"] for answer in shaken],
    }


def dashboard(browser, admin, asking, folder, points):
    tab = Tab(browser)
    tab.open(f"http://{admin}/")
    rows = "document.querySelectorAll('#%s tbody tr').length"
    for table in ["traffic", "findings", "certificates", "clusters", "workers"]:
        wait(f"rows of {table}", lambda: (tab.ask(rows % table) or 0) > 0)
    wait("a rate", lambda: tab.ask("document.getElementById('rate').textContent") != "–")
    tab.ask("document.getElementById('url').value = 'https://shop.example.com/cart'; document.querySelector('form button').click()")
    wait("an answer", lambda: tab.ask("document.getElementById('answer').textContent.length") > 20)
    drawn = "(document.getElementById('line').getAttribute('d') || '').split('L').length"
    wait("a line", lambda: (tab.ask(drawn) or 0) >= int(points))
    widths = {name: tab.picture(pathlib.Path(folder, f"dashboard-{name}.png"), *how) for name, how in PICTURES.items()}
    found = {
        "elements": tab.ask("document.querySelectorAll('img, iframe, a, object, embed, link, script[src]').length"),
        "ran": tab.ask("String(window.ran)"),
        "text": tab.ask("document.body.innerText"),
        "dialogs": len(tab.events("Page.javascriptDialogOpening")),
        "requests": tab.requests(),
        "complaints": tab.complaints(),
        "widths": widths,
    }
    stranger = Tab(browser)
    port = admin.rsplit(":", 1)[1]
    stranger.open(f"http://evil.test:{port}/")
    found["rebound"] = [event["response"]["status"] for event in stranger.events("Network.responseReceived")
                        if event["type"] == "Document"]
    across = Tab(browser)
    across.open(asking)
    wait("the page is done", lambda: str(across.ask("document.title")).startswith("done"))
    found["across"] = across.ask("document.title")
    return found


with Browser(sys.argv[2]) as browser:
    role = {"page": page, "dashboard": dashboard}[sys.argv[1]]
    print(json.dumps(role(browser, *sys.argv[3:])))
