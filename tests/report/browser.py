"""A headless Chromium, spoken to through the DevTools protocol: no driver, nothing to install beside the browser."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.services.wait import until

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--mute-audio",
    "--remote-allow-origins=*",
)  # fmt: skip
_SECONDS = 300.0
"""How long the browser may take for one answer, on a machine that is busy with other things."""

_CODES = {
    "Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    "?": 191, "/": 191, "+": 187, "-": 189, ".": 190, ",": 188,
}  # fmt: skip
"""Virtual codes of keys that are neither a letter nor a digit."""


def find_chromium() -> str:
    """Path of the browser; a test without one fails under CI and is skipped elsewhere."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI"):
        pytest.fail("no chromium on the PATH; CI needs Debian's package chromium")
    pytest.skip("no chromium on the PATH")


class Page:
    """A tab: what it logged, what it requested of the network, and a way to run script in it."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._last = socket, session, 0
        self.console: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        self._socket.send(
            json.dumps({"id": self._last, "sessionId": self._session, "method": method, "params": params})
        )
        while True:
            message = self._receive(_SECONDS)
            if message.get("id") == self._last:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]

    def open(self, url: str, width: int, height: int = 900, dark: bool = False) -> None:
        """Go to a page at a viewport of `width` x `height` CSS pixels, and wait until it is loaded and quiet."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._loaded = False
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + _SECONDS
        while not self._loaded:
            self._receive(deadline - time.monotonic())

    def run(self, script: str) -> Any:
        """Value of a script, as JSON."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key: one that writes a character, or one of :data:`_CODES`."""
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            code = _CODES.get(key, ord(key[0].upper()))
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **extra)

    def write(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _receive(self, timeout: float) -> dict[str, Any]:
        message = json.loads(self._socket.recv(timeout=max(0.1, timeout)))
        if message.get("sessionId") == self._session:
            self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"][:200])
        elif method == "Runtime.consoleAPICalled":
            self.console.append(f"{params['type']}: {params['args']}")
        elif method == "Runtime.exceptionThrown":
            self.console.append(f"exception: {params['exceptionDetails'].get('text')}")
        elif method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")


@contextmanager
def chromium() -> Iterator[Page]:
    """A page in a browser of its own."""
    program = find_chromium()
    with tempfile.TemporaryDirectory(prefix="trapaudit-browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": profile},  # nothing of it stays behind
        )
        try:
            address = _address(Path(profile), process)
            socket = connect(address, max_size=None, open_timeout=_SECONDS, ping_interval=None)
            with socket:
                yield Page(socket, _attach(socket))
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_SECONDS)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    port_file = profile / "DevToolsActivePort"

    def look() -> str:
        assert process.poll() is None, f"chromium ended with {process.returncode}"
        if port_file.exists() and len(lines := port_file.read_text().split("\n")) >= 2 and lines[1]:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        return ""

    return until(look, _SECONDS, "DevTools port of chromium")


def _attach(socket: ClientConnection) -> str:
    """Session of the one tab that is open."""
    socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
    targets = _answer(socket, 1)["targetInfos"]
    target = next(found["targetId"] for found in targets if found["type"] == "page")
    socket.send(
        json.dumps({"id": 2, "method": "Target.attachToTarget", "params": {"targetId": target, "flatten": True}})
    )
    return _answer(socket, 2)["sessionId"]


def _answer(socket: ClientConnection, number: int) -> dict[str, Any]:
    while True:
        message = json.loads(socket.recv(timeout=_SECONDS))
        if message.get("id") == number:
            return message["result"]
