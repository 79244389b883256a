"""Headless Chromium over its debugging pipe: JSON between NUL bytes.

Selenium and Playwright bring a driver or a browser of their own; this needs a Chromium and two pipes.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT = 60.0  # seconds for an answer; a busy machine starts a browser slowly


def find() -> str | None:
    """The browser to use: $CHROMIUM, else the first of the usual names on the path; None without one."""
    return next(
        (p for p in (shutil.which(n) for n in (os.environ.get("CHROMIUM", ""), *NAMES) if n) if p), None
    )


class Chromium:
    """A browser without a window; a context manager, since it is a process.

    Example:
        >>> with Chromium() as browser:  # doctest: +SKIP
        ...     tab = browser.open("file:///tmp/report.html", width=390)
    """

    def __enter__(self):
        path = find()
        if path is None:
            raise FileNotFoundError(f"no Chromium on the path; looked for {', '.join(NAMES)}")
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; first out of the way of both.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [
                path,
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",  # containers run as root; the page is our own file
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                f"--user-data-dir={self._profile.name}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=place,
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._in, self._out = ours_in, ours_out
        self._rest, self._count, self.events = b"", 0, []
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
        except (OSError, TimeoutError):
            self._process.kill()
        self._process.wait(TIMEOUT)
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def call(self, method, session=None, **parameters):
        """One command; its result. Events that come meanwhile are kept."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._until(lambda m: m.get("id") == message["id"])

    def wait(self, method, session):
        """Wait for an event of a tab, also one that came before."""
        if not any(e.get("method") == method and e.get("sessionId") == session for e in self.events):
            self._until(lambda m: m.get("method") == method and m.get("sessionId") == session)

    def _until(self, wanted):
        end = time.monotonic() + TIMEOUT
        while True:
            while b"\0" not in self._rest:
                ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
                if not ready:
                    raise TimeoutError("Chromium does not answer")
                got = os.read(self._in, 1 << 20)
                if not got:
                    raise OSError("Chromium has ended")
                self._rest += got
            line, self._rest = self._rest.split(b"\0", 1)
            message = json.loads(line)
            if "method" in message:
                self.events.append(message)
            if wanted(message):
                if "error" in message:
                    raise OSError(f"Chromium: {message['error']['message']}")
                return message.get("result")

    def open(self, url, width=1100, height=900, dark=False, phone=False):
        """A tab that has loaded `url`."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, width, height, phone)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.resize(height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired", session)
        return tab


class Tab:
    """A page in the browser."""

    def __init__(self, browser, session, width, height, phone):
        self._browser, self._session = browser, session
        self.width, self.height, self._phone = width, height, phone

    def call(self, method, **parameters):
        """One command to this tab."""
        return self._browser.call(method, self._session, **parameters)

    def resize(self, height):
        """Set the height of the window; phones have two pixels a point."""
        self.height = height
        scale = 2 if self._phone else 1
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=self.width,
            height=height,
            deviceScaleFactor=scale,
            mobile=self._phone,
        )

    def run(self, script):
        """The value of a script."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise OSError(f"script failed: {result['exceptionDetails']['text']} {result['result']}")
        return result["result"].get("value")

    def press(self, key):
        """Press a key where the focus is, such as Enter or Tab."""
        text = {"Enter": "\r"}.get(key, "")
        code = {"Enter": 13, "Tab": 9}[key]
        self.call(
            "Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code, code=key
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code, code=key)

    def _events(self, method):
        return [
            e["params"]
            for e in self._browser.events
            if e.get("method") == method and e.get("sessionId") == self._session
        ]

    @property
    def errors(self):
        """Exceptions, console errors and warnings, and what the policy or the network refused."""
        found = [e["exceptionDetails"]["text"] for e in self._events("Runtime.exceptionThrown")]
        found += [
            str(e["args"])
            for e in self._events("Runtime.consoleAPICalled")
            if e["type"] in ("error", "warning", "assert")
        ]
        found += [
            e["entry"]["text"]
            for e in self._events("Log.entryAdded")
            if e["entry"]["level"] in ("error", "warning")
        ]
        return found

    @property
    def requests(self):
        """Every address that was asked for, without what lies in the page itself."""
        sent = [e["request"]["url"] for e in self._events("Network.requestWillBeSent")]
        return [url for url in sent if not url.startswith("data:")]

    def box(self, selector):
        """Where an element lies on the page, {x, y, width, height}."""
        return self.run(
            "(() => { const b = document.querySelector(" + json.dumps(selector) + ").getBoundingClientRect();"
            " return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}; })()"
        )

    def screenshot(self, target, box=None, quality=80):
        """Write the window, or a box of the page, as WebP or PNG by the target's ending."""
        kind = Path(target).suffix[1:]
        extra = {"quality": quality} if kind == "webp" else {}
        if box is not None:
            extra |= {"clip": {**box, "scale": 1}, "captureBeyondViewport": True}
        self.call("Page.bringToFront")  # a tab behind another one is never painted
        data = self.call("Page.captureScreenshot", format=kind, **extra)["data"]
        Path(target).write_bytes(base64.b64decode(data))

    def pdf(self, target):
        """Write what a printer would get."""
        Path(target).write_bytes(base64.b64decode(self.call("Page.printToPDF")["data"]))
