"""The page on a real server with the demo model: what the scripted server of the other tests can't show."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import browsing
from edit_runs import lines
from server_runs import serving

pytest.importorskip("fastapi", reason="the server needs the extra serve")
expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect

SOURCE, TARGET = lines("fixes.en")[0], lines("fixes.de")[0]
# Milliseconds that the slowest step may take on a machine that has more to do.
PATIENCE = 120_000


@pytest.mark.slow
def test_a_correction_is_made_proven_baked_and_undone_on_the_page(edit_data: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("the token of this test\n", encoding="utf-8")
    with browsing() as browser, serving(
        edit_data, tmp_path, "--bake-to", tmp_path / "baked.pt", "--token-file", token
    ) as server:
        page = browser.new_context(locale="en-US").new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server.url)
        page.fill("#source", SOURCE)
        page.press("#source", "Enter")
        expect(page.locator("#target")).to_be_focused(timeout=PATIENCE)
        said = page.input_value("#target")
        page.fill("#target", TARGET)
        expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false", timeout=PATIENCE)
        assert page.locator("#target-marks mark").all_inner_texts() == ["Verkäufer"]
        assert page.locator(".hunk").count() == 1
        page.press("#target", "Control+Enter")
        page.fill("#token", token.read_text(encoding="utf-8").strip())
        page.press("#token", "Enter")
        expect(page.locator("#followed-text")).to_contain_text(f"now translates as wanted: {TARGET}", timeout=PATIENCE)
        expect(page.locator("#fix-1 .badge")).to_have_text("Proven", timeout=PATIENCE)
        page.click("#followed-details")
        expect(page.locator("#detail-1")).to_contain_text("Its own sentence as wanted")
        page.click("#bake")
        page.click("#bake-dialog button[value=yes]")
        expect(page.locator("#bake-state")).to_have_text("Baked into baked.pt", timeout=PATIENCE)
        expect(page.locator("#fix-1 .badge")).to_have_text("Baked")
        page.click("#followed-undo")
        expect(page.locator("#fix-1 .badge")).to_have_text("Undone", timeout=PATIENCE)
        expect(page.locator("#target")).to_have_value(said, timeout=PATIENCE)
    assert (tmp_path / "baked.pt").exists()
