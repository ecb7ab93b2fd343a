"""A headless Chromium that is told what to do over DevTools' pipe: for pages that talk with a server."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
HELPERS = """
const rest = (ms) => new Promise((done) => setTimeout(done, ms));
const press = (key, more = {}) => document.dispatchEvent(new KeyboardEvent("keydown", { key, ...more }));
const until = async (what) => { for (let n = 0; n < 1000 && !what(); n++) await rest(10); return what(); };
"""


class Page:
    """One page.

    Attributes:
        console: what was written there, and faults of scripts.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._write, self._read = to_browser, from_browser
        self._rest, self._number, self._session = b"", 0, None
        self.console: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """A command of DevTools' protocol, and its result."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        sent = {"id": self._number, "method": method, "params": params, **session}
        os.write(self._write, json.dumps(sent).encode() + b"\0")
        while True:
            got = self._message()
            if got.get("id") == self._number:
                assert "error" not in got, got
                return got["result"]
            self._note(got)

    def open(self, url: str, width: int, dark: bool = False) -> None:
        """Loads it in a window so wide."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Page.navigate", url=url)
        deadline = time.monotonic() + 20
        while self.run("return document.readyState") != "complete" or self.run("return location.href") != url:
            assert time.monotonic() < deadline, "the page did not load"
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """What the body of an async function returns there."""
        body = f"(async () => {{{HELPERS}{script}}})()"
        done = self.send("Runtime.evaluate", expression=body, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def _note(self, message: dict[str, Any]) -> None:
        if message["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.console.append(json.dumps(message["params"]))

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        found, _, self._rest = self._rest.partition(b"\0")
        return json.loads(found)  # type: ignore[no-any-return]


@contextmanager
def page(chromium: str, profile: Path) -> Iterator[Page]:
    """A blank one."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()

    def as_3_and_4() -> None:
        # Copies first: one of the two may be where the other belongs.
        read, write = os.dup(from_us), os.dup(to_us)
        os.dup2(read, 3)
        os.dup2(write, 4)

    process = subprocess.Popen(
        [chromium, *OPTIONS, f"--user-data-dir={profile}"],
        preexec_fn=as_3_and_4,
        pass_fds=(3, 4),
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(to_us)
    try:
        yield Page(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        process.terminate()
        process.wait(20)
