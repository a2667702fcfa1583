r"""Takes pictures of a correction on the page of a running server: corrected, understood, live, proven, undone.

    python scripts/docs/film.py build/film --source "Two men wearing shorts are working on a blue bike." \
        --target "Zwei Männer in kurzen Hosen arbeiten auf einem blauen Velo." -- \
        data-bin --path model.pt -s en -t de --bpe sentencepiece --sentencepiece-model spm.model

What stands behind `--` goes to `fairseq-edit-serve`, which runs on a port of its own with a new queue. The browser is
the system's Chromium. Pictures have a palette, which makes them a third of the size.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List

from PIL import Image
from playwright.sync_api import expect, sync_playwright

# Milliseconds that a proof may take.
PROOF = 600_000


def main(arguments: argparse.Namespace) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("needs Chromium on the PATH")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with running_server(arguments.server) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": arguments.width, "height": arguments.height}, locale=arguments.language,
            color_scheme="dark" if arguments.dark else "light", reduced_motion="reduce",
        )  # fmt: skip
        film(context.new_page(), address, arguments)
        browser.close()


@contextmanager
def running_server(options: List[str]) -> Iterator[str]:
    """A server with a new queue; the address that it prints once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        queue = str(Path(folder) / "fixes.db")
        command = [sys.executable, "-m", "fairseq_rome.cli.serve", *options, "--port", "0", "--queue", queue]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield next(found.group() for line in process.stdout if (found := re.search(r"http://\S+", line)))
        finally:
            process.terminate()
            process.wait()


def film(page: Any, address: str, arguments: argparse.Namespace) -> None:
    """One correction from its first letter to its undoing, with a picture of each step."""
    def picture(name: str) -> None:
        path = arguments.folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        Image.open(path).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
        print(path)

    expect.set_options(timeout=240_000)
    page.goto(address)
    page.fill("#source", arguments.source)
    page.press("#source", "Enter")
    expect(page.locator("#target")).to_be_focused()
    if page.input_value("#target") == arguments.target:
        sys.exit(f"the model says {arguments.target!r} already, expected another --target")
    page.fill("#target", arguments.target)
    picture("corrected")
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    possible = page.locator(".hunk input[value=everywhere]:enabled")
    if possible.count() and not page.locator(".hunk.carried").count():
        possible.first.check(force=True)
        expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    picture("understood")
    page.press("#target", "Control+Enter")
    expect(page.locator("#followed-text .now")).to_be_visible()
    settled(page)
    picture("live")
    ended = page.locator("#followed[data-state=proven] .now").or_(page.locator("#followed[data-state=failed] .now"))
    expect(ended).to_be_visible(timeout=PROOF)
    settled(page)
    page.click("#followed-details")
    expect(page.locator(".detail .facts").first).to_be_visible()
    picture("proven")
    page.click("#followed-undo")
    expect(page.locator("#followed[data-state=undone] .now")).to_be_visible()
    settled(page)
    picture("undone")


def settled(page: Any) -> None:
    """Wait until the translation on the page is the one that the fix's panel tells of."""
    expect(page.locator("#target")).to_have_value(page.locator("#followed-text .now").inner_text())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the pictures")
    parser.add_argument("--source", required=True, help="a sentence")
    parser.add_argument("--target", required=True, help="the translation that it should have")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels")
    parser.add_argument("--height", type=int, default=800, help="of the window at least, in pixels")
    parser.add_argument("--language", default="en", help="of the interface")
    parser.add_argument("--dark", action="store_true", help="as where the user prefers dark colours")
    if "--" not in sys.argv:
        parser.error("expected -- and then the arguments of fairseq-edit-serve")
    own, server = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    return parser.parse_args(own, argparse.Namespace(server=server))


if __name__ == "__main__":
    main(parsed())
