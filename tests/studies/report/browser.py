"""A headless Chromium, driven over the WebDriver protocol."""

import base64
import json
import re
import subprocess
from contextlib import suppress
from urllib.request import Request, urlopen

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


class Browser:
    """Opens pages at a width and a colour scheme; to be closed."""

    def __init__(self, driver):
        self.process = subprocess.Popen(
            [driver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = f"http://127.0.0.1:{self._port()}"
        try:
            options = {"goog:chromeOptions": {"args": FLAGS}}
            body = {"capabilities": {"alwaysMatch": options}}
            self.address += f"/session/{self._post('/session', body)['sessionId']}"
        except Exception:
            self.close()
            raise

    def _port(self):
        lines = iter(self.process.stdout.readline, "")
        found = (re.search(r"successfully on port (\d+)", line) for line in lines)
        return next(filter(None, found)).group(1)

    def open(self, path, width, scheme):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1}
        mobile = {"mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", **screen, **mobile)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._devtools("Emulation.setEmulatedMedia", features=[feature])
        self._post("/url", {"url": path.absolute().as_uri()})

    def ask(self, expression):
        script = {"script": f"return {expression}", "args": []}
        return self._post("/execute/sync", script)

    def screenshot(self, width):
        height = self.ask("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        found = self._devtools(
            "Page.captureScreenshot", captureBeyondViewport=True, clip=clip
        )
        return base64.b64decode(found["data"])

    def close(self):
        with suppress(OSError):  # ends Chromium as well
            urlopen(Request(self.address, method="DELETE"), timeout=60).close()
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def _devtools(self, command, **params):
        body = {"cmd": command, "params": params}
        return self._post("/goog/cdp/execute", body)

    def _post(self, path, body):
        header = {"Content-Type": "application/json"}
        request = Request(self.address + path, json.dumps(body).encode(), header)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]
