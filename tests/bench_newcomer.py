"""From `make run` in a fresh checkout to the first measured figure on the page: `make bench-newcomer` says how long.

A clone of what is committed, with no environment and no package cached, is started and measured in as somebody does who
has never seen it: the link of the start line, then one click. Packages come over this machine's own line.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import SHELL, WHOLE, free_port, installed
from tests.conftest import ROOT

WAIT_S = 900.0
LINK = re.compile(r"http://\S+token=\S+")


class Watch:
    """Prints each step with the seconds since the start and how busy the machine was."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def said(self, step: str) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s  load {os.getloadavg()[0]:4.1f}  {step}", flush=True)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The link that `make run` of a fresh clone prints, once its server answers."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    own = {
        "UV_CACHE_DIR": str(folder / "uv"),
        "PIP_CACHE_DIR": str(folder / "pip"),
        "RIGHTSIZE_DATA": str(folder / "data"),
    }
    left_out = ("RIGHTSIZE_", "VIRTUAL_ENV", "DATABASE_URL", "RAY_ADDRESS")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(left_out)} | own
    log = folder / "run.log"
    with log.open("wb") as out:
        make = subprocess.Popen(
            ["make", "run", f"PORT={free_port()}"],
            cwd=clone,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            over = time.monotonic() + WAIT_S
            while "You can now view" not in log.read_text() and time.monotonic() < over and make.poll() is None:
                time.sleep(0.1)
            yield LINK.findall(log.read_text())[0]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGTERM)
            make.wait(20)


def main(_: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        program = installed(*WHOLE, SHELL)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        watch = Watch()
        with running(Path(name)) as link:
            watch.said("the server answers")
            page = browser.new_page(viewport={"width": 1300, "height": 1200})
            page.goto(link)
            button = page.locator(".st-key-measure_device button")
            button.wait_for(timeout=1e3 * WAIT_S)
            watch.said(button.inner_text())
            button.click()
            use = page.get_by_role("button", name="Use this measurement in the plan")
            last, over = "", time.monotonic() + WAIT_S
            while not use.count() and time.monotonic() < over:
                told = page.get_by_test_id("stProgress")
                now = " ".join(told.all_inner_texts()).partition(", about")[0]
                if now != last:
                    watch.said(now)
                last = now
                page.wait_for_timeout(100)
            watch.said("the first figure" if use.count() else "no figure")
            ended = 0 if use.count() else 1
        browser.close()
    return ended


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
