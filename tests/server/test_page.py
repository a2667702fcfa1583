"""The page in a real browser, against a server with scripted answers."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

import pytest
from browsing import browsing
from contract_server import ContractServer, hunk

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = playwright.expect

SOURCE = "A man rides a bike."
SAID = "Ein Mann fährt ein Fahrrad."
WANTED = "Ein Mann fährt ein Velo."
MARKUP = '<img src=x onerror="document.title=\'run\'"><script>document.title="run"</script><b>&amp;'


def others(count: int = 2) -> List[Dict[str, str]]:
    return [
        {"source": f"Bike {one} stands here.", "before": f"Fahrrad {one} steht.", "after": f"Velo {one} steht."}
        for one in range(count)
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[ContractServer]:
    server = ContractServer()
    server.translations[SOURCE] = SAID
    carried = hunk(0, "Fahrrad", "Velo", 19, trigger="bike", carried=True, why="It goes with bike.")
    server.understanding = {"hunks": [carried], "would_change": others(), "notes": ["A note."]}
    yield server
    server.close()


@pytest.fixture
def open_page(browser: Any, server: ContractServer) -> Iterator[Any]:
    opened: List[Any] = []
    faults: List[str] = []

    def open_page(path: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"locale": "en-US", **options})
        context.set_default_timeout(5000)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
        page.goto(server.address + path)
        expect(page.locator("#connection")).to_have_attribute("data-state", "open")
        return page

    yield open_page
    for context in opened:
        context.close()
    assert faults == []


def translate(page: Any, source: str = SOURCE) -> None:
    page.fill("#source", source)
    page.press("#source", "Enter")
    expect(page.locator("#target")).to_be_focused()


def correct(page: Any, target: str = WANTED) -> None:
    translate(page)
    page.fill("#target", target)
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")


def marked(page: Any, field: str, kind: str) -> List[str]:
    return page.locator(f"#{field}-marks mark.{kind}").all_inner_texts()


def test_a_correction_is_understood_submitted_and_followed_until_it_is_proven(
    server: ContractServer, open_page: Any
) -> None:
    page = open_page()
    expect(page.locator("#queue-state")).to_contain_text("No fixes yet")
    translate(page)
    expect(page.locator("#target")).to_have_value(SAID)
    page.fill("#target", WANTED)
    expect(page.locator(".hunk")).to_contain_text("hangs on bike")
    assert marked(page, "target", "carried") == ["Velo"]
    assert marked(page, "source", "carried") == ["bike"]
    expect(page.locator("#others-title")).to_have_text("2 other sentences that would change")
    expect(page.locator("#others-list li").first).to_contain_text("Bike 0 stands here.")
    page.fill("#who", "Anna")
    page.press("#who", "Enter")
    expect(page.locator("#followed-title")).to_have_text("Fix 1: Velo")
    submitted = {"source": SOURCE, "target": WANTED, "who": "Anna"}
    assert ("POST", "/fixes", submitted) in server.asked
    server.translations[SOURCE] = WANTED
    server.change(1, state="live", stage="proof", seconds={"live": 1.25, "proven": None})
    expect(page.locator("#followed-text")).to_contain_text(f"now translates as wanted: {WANTED}")
    server.send("progress", {"id": 1, "stage": "proof", "done": 1, "of": 4})
    expect(page.locator("#followed-progress")).to_have_js_property("value", 0.25)
    server.change(1, state="proven", stage=None, now=WANTED, seconds={"live": 1.25, "proven": 30})
    expect(page.locator("#followed [aria-current=step]")).to_contain_text("Proven")
    expect(page.locator("#fix-1 .badge")).to_have_text("Proven")
    expect(page.locator("#spoken")).to_have_text("Fix 1: Proven")


@pytest.mark.slow
def test_the_switch_says_where_a_change_applies_and_what_would_change_then(
    server: ContractServer, open_page: Any
) -> None:
    second = hunk(1, "ein", "sein", 15, trigger="a")
    server.understanding["hunks"].append(second)
    page = open_page()
    correct(page)
    page.get_by_role("group", name="Where it applies: Fahrrad → Velo").get_by_label("Only here").check(force=True)
    expect(page.locator("#others-hint")).to_have_text("Only this sentence changes.")
    expect(page.locator("#others-list li")).to_have_count(0)
    # One change of a sentence is carried: the other one gives way.
    page.get_by_role("group", name="Where it applies: ein → sein").get_by_label("Everywhere").check(force=True)
    page.get_by_role("group", name="Where it applies: Fahrrad → Velo").get_by_label("Everywhere").check(force=True)
    expect(page.locator("#scope-hint")).to_contain_text("One change of a sentence can apply everywhere")
    expect(page.locator("#others-list li")).to_have_count(2)
    page.click("#submit")
    expect(page.locator("#followed")).to_be_visible()
    chosen = [{"number": 0, "carried": True}, {"number": 1, "carried": False}]
    assert next(body for method, path, body in server.asked if (method, path) == ("POST", "/fixes"))["hunks"] == chosen


@pytest.mark.slow
def test_a_change_that_hangs_on_nothing_is_for_its_sentence_alone(server: ContractServer, open_page: Any) -> None:
    server.understanding["hunks"] = [hunk(0, "Fahrrad", "", 19)]
    page = open_page()
    correct(page, "Ein Mann fährt ein.")
    expect(page.locator(".hunk").get_by_label("Everywhere")).to_be_disabled()
    expect(page.locator(".hunk")).to_contain_text("(nothing)")


@pytest.mark.slow
def test_nothing_is_submitted_before_it_was_shown_what_would_change(server: ContractServer, open_page: Any) -> None:
    server.refusals["/api/understand"] = (503, {"error": "the worker starts again"})
    page = open_page()
    translate(page)
    page.fill("#target", WANTED)
    page.press("#target", "Control+Enter")
    expect(page.locator("#work-problem")).to_contain_text("the worker starts again")
    assert ("POST", "/fixes") not in [one[:2] for one in server.asked]
    server.refusals.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")


def test_everything_is_done_from_the_keyboard(server: ContractServer, open_page: Any) -> None:
    page = open_page()
    expect(page.locator("#source")).to_be_focused()
    page.keyboard.type(SOURCE)
    page.keyboard.press("Enter")
    expect(page.locator("#target")).to_be_focused()
    page.keyboard.press("End")
    for _ in range(len("Fahrrad.")):
        page.keyboard.press("Backspace")
    page.keyboard.type("Velo.")
    expect(page.locator(".hunk")).to_be_visible()
    page.keyboard.press("Alt+3")
    expect(page.locator("input[value=everywhere]")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#others-hint")).to_have_text("Only this sentence changes.")
    expect(page.locator("input[value=here]")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#followed")).to_be_visible()
    expect(page.locator("#source")).to_be_focused()
    page.keyboard.press("Alt+4")
    expect(page.locator("#queue")).to_be_focused()
    names = []
    for _ in range(12):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
        if names[-1] == "Undo fix 1":
            break
    assert names[-2:] == ["Details of fix 1", "Undo fix 1"]
    page.keyboard.press("Enter")
    expect(page.locator("#fix-1 .badge")).to_have_text("Undone")
    expect(page.get_by_role("button", name="Details of fix 1")).to_be_focused()
    page.keyboard.press("Alt+0")
    expect(page.locator("#shortcuts")).to_contain_text("submit the fix")
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+2")
    page.fill("#target", WANTED)
    expect(page.locator("#understood")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#target")).to_have_value(SAID)


@pytest.mark.slow
def test_the_focus_is_always_seen(open_page: Any) -> None:
    page = open_page()
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("""() => {
            const one = document.activeElement;
            const shown = [one, one.nextElementSibling, one.closest('fieldset')].filter(Boolean);
            return [one.outerHTML.slice(0, 60), shown.some((each) => getComputedStyle(each).outlineStyle === 'solid')];
        }"""))
    assert [name for name, outlined in seen if not outlined and not name.startswith("<body")] == []


def test_the_queue_is_filtered_and_tells_details_and_the_report(server: ContractServer, open_page: Any) -> None:
    server.add(SOURCE, WANTED, state="proven", who="Anna", hunks=server.understanding["hunks"])
    server.add("A cat.", "Ein Kater.", state="failed", reason="2 of 9 sentences show it, expected 5 at least.")
    server.report = {
        "efficacy": True, "clean": [7, 8], "unrelated": [299, 300],
        "probes": [{**one, "clean": index > 0} for index, one in enumerate(reversed(others()))],
        "changed": others(1),
    }  # fmt: skip
    page = open_page()
    expect(page.locator(".fix")).to_have_count(2)
    expect(page.locator(".fix").first).to_contain_text("2 of 9 sentences show it")
    expect(page.locator("#states")).to_contain_text("Proven 1")
    page.get_by_role("radio", name=re.compile("Proven")).check(force=True)
    expect(page.locator(".fix")).to_have_count(1)
    page.get_by_role("button", name="Details of fix 1").click()
    detail = page.locator("#detail-1")
    expect(detail).to_contain_text("7 of 8 (88%)")
    expect(detail).to_contain_text("299 of 300")
    detail.get_by_text("Sentences it was judged by").click()
    assert [text.split("\n")[-1] for text in detail.locator("details").first.locator("li").all_inner_texts()] == [
        "not clean", "clean"
    ]  # fmt: skip
    expect(detail.get_by_role("link", name="The whole report")).to_have_attribute("href", "fixes/1/report")
    page.get_by_role("radio", name=re.compile("^All ")).check(force=True)
    page.fill("#filter-text", "Kater")
    expect(page.locator(".fix")).to_have_count(1)
    page.fill("#filter-text", "nowhere")
    expect(page.locator("#queue-state")).to_have_text("No fix passes these filters.")
    page.fill("#filter-text", "")
    page.fill("#filter-who", "Anna")
    expect(page.locator(".fix")).to_have_count(1)


@pytest.mark.slow
def test_a_long_queue_comes_in_parts_and_an_address_opens_one_fix(server: ContractServer, open_page: Any) -> None:
    for one in range(40):
        server.add(f"Sentence {one}.", f"Satz {one}.", state="proven")
    page = open_page("#fix-35")
    expect(page.locator("#detail-35")).to_be_visible()
    page.get_by_role("button", name="Details of fix 36").click()
    assert page.url.endswith("#fix-36")
    expect(page.locator(".fix")).to_have_count(30)
    page.click("#more")
    expect(page.locator(".fix")).to_have_count(40)
    expect(page.locator("#more")).to_be_hidden()


@pytest.mark.slow
def test_a_change_elsewhere_keeps_the_focus_where_it_is(server: ContractServer, open_page: Any) -> None:
    server.add(SOURCE, WANTED, state="live")
    page = open_page()
    page.get_by_role("button", name="Undo fix 1").focus()
    server.change(1, state="proven")
    expect(page.locator("#fix-1 .badge")).to_have_text("Proven")
    expect(page.get_by_role("button", name="Undo fix 1")).to_be_focused()
    server.add("A cat.", "Ein Kater.")
    server.change(2, state="live")
    expect(page.locator(".fix")).to_have_count(2)
    expect(page.locator("#states")).to_contain_text("All 2")
    expect(page.get_by_role("button", name="Undo fix 1")).to_be_focused()


@pytest.mark.slow
def test_a_fix_leaves_the_list_when_the_filter_no_longer_fits_it(server: ContractServer, open_page: Any) -> None:
    for _ in range(2):
        server.add(SOURCE, WANTED, state="live")
    page = open_page()
    page.get_by_role("radio", name=re.compile("^Live")).check(force=True)
    expect(page.locator(".fix")).to_have_count(2)
    page.get_by_role("button", name="Undo fix 1").focus()
    server.change(2, state="proven")
    expect(page.locator(".fix")).to_have_count(1)
    expect(page.get_by_role("button", name="Undo fix 1")).to_be_focused()


@pytest.mark.slow
def test_a_stream_that_tells_all_again_announces_nothing(server: ContractServer, open_page: Any) -> None:
    for _ in range(40):
        server.add(SOURCE, WANTED, state="proven")
    page = open_page()
    expect(page.locator(".fix")).to_have_count(30)
    translate(page)
    for one in server.fixes:
        server.send("fix", one)
    server.change(40, state="baked")
    expect(page.locator("#fix-40 .badge")).to_have_text("Baked")
    expect(page.locator(".fix")).to_have_count(30)
    expect(page.locator("#spoken")).to_have_text(f"Translated: {SAID}")


@pytest.mark.slow
def test_baking_asks_first_and_tells_how_it_ended(server: ContractServer, open_page: Any) -> None:
    server.add(SOURCE, WANTED, state="proven")
    page = open_page()
    page.get_by_role("button", name="Bake 1 proven fix").click()
    page.get_by_role("button", name="Cancel").click()
    assert ("POST", "/fixes/bake") not in [one[:2] for one in server.asked]
    page.get_by_role("button", name="Bake 1 proven fix").click()
    page.get_by_role("button", name="Bake", exact=True).click()
    expect(page.locator("#bake-state")).to_have_text("Baking…")
    server.send("bake", {"id": 1, "state": "written", "file": "edited.pt"})
    expect(page.locator("#bake-state")).to_have_text("Baked into edited.pt")
    server.bake = (409, {"error": "it was started without --bake-to"})
    page.get_by_role("button", name="Bake 1 proven fix").click()
    page.get_by_role("button", name="Bake", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("without --bake-to")


def test_a_token_is_asked_for_only_when_needed_and_kept_for_the_tab(server: ContractServer, open_page: Any) -> None:
    server.token = "secret"
    server.add(SOURCE, WANTED, state="live")
    page = open_page()
    expect(page.locator("#token-dialog")).to_be_hidden()
    page.get_by_role("button", name="Undo fix 1").click()
    expect(page.locator("#token")).to_be_focused()
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#token-text")).to_contain_text("did not take this token")
    page.fill("#token", "secret")
    page.keyboard.press("Enter")
    expect(page.locator("#fix-1 .badge")).to_have_text("Undone")
    assert page.evaluate("sessionStorage['fairseq_rome.token']") == "secret"
    assert page.evaluate("JSON.stringify(localStorage).includes('secret')") is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "status 400"), (413, "too long"), (429, "Too many requests at once. Try again in 7 sec"),
        (422, "The model cannot meet this"), (500, "failed (status 500)"), (503, "The server is busy."),
    ],
)
def test_a_refusal_is_told_with_what_the_server_says(
    server: ContractServer, open_page: Any, status: int, told: str
) -> None:
    page = open_page()
    server.refusals["/translate"] = (status, {"error": f"words of the server {MARKUP}"})
    page.fill("#source", SOURCE)
    page.click("#translate")
    expect(page.locator("#work-problem")).to_contain_text(told)
    expect(page.locator("#work-problem")).to_contain_text("words of the server <img")
    server.refusals.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#target")).to_have_value(SAID)
    expect(page.locator("#work-problem")).to_be_hidden()


@pytest.mark.slow
def test_a_server_that_is_away_is_told(server: ContractServer, open_page: Any) -> None:
    page = open_page()
    server.close()
    page.context.set_offline(True)  # the connections that are kept alive end too
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    page.fill("#source", SOURCE)
    page.click("#translate")
    expect(page.locator("#work-problem")).to_contain_text("The server cannot be reached.")


def test_markup_in_every_field_is_shown_and_not_run(server: ContractServer, open_page: Any) -> None:
    said = f"Ein {MARKUP}"
    server.information.update(
        model=MARKUP, version=MARKUP, source="xx_yy_zz", source_name=MARKUP, target="xx_yy_zz", target_name=MARKUP
    )
    server.translations[MARKUP] = said
    told = hunk(0, MARKUP, MARKUP, 0, trigger=MARKUP, why=MARKUP, kind=MARKUP)
    one = {"source": MARKUP, "before": MARKUP, "after": f"{MARKUP}!", "clean": True}
    server.understanding = {"hunks": [{**told, "carried": True}], "would_change": [one], "notes": [MARKUP]}
    server.report = {"efficacy": 1, "clean": [1, 1], "unrelated": [1, 1], "probes": [one], "changed": [one]}
    server.add(
        MARKUP, MARKUP, state="live", who=MARKUP, reason=MARKUP, before="x", now=MARKUP, stage=MARKUP, created=MARKUP,
        hunks=[told],
    )  # fmt: skip
    page = open_page()
    page.get_by_role("button", name="Details of fix 1").click()
    expect(page.locator("#detail-1 .facts").first).to_be_visible()
    translate(page, MARKUP)
    page.fill("#target", f"{said}!")
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    page.click("#submit")
    expect(page.locator("#followed")).to_be_visible()
    server.change(2, state="failed", reason=MARKUP)
    server.send("bake", {"id": 1, "state": "failed", "reason": MARKUP})
    expect(page.locator("#bake-state")).to_contain_text("<img src=x")
    expect(page.locator("#followed-text")).to_contain_text("<script>")
    assert page.locator("main img, main script, main b, header img").count() == 0
    for place in ("#model", "#source-name", "#fix-1", "#detail-1", "#followed-title"):
        assert "<img src=x onerror" in page.locator(place).inner_text(), place
    assert page.title() == "Translation fixes"


@pytest.mark.slow
def test_a_right_to_left_side_and_one_without_spaces(server: ContractServer, open_page: Any) -> None:
    source, said, wanted = "رجل يركب دراجة", "男人骑单车。", "男人骑自行车。"
    server.information.update(
        source="ar", target="zh_CN", dir={"source": "rtl", "target": "ltr"}, spaced={"source": True, "target": False}
    )
    server.translations[source] = said
    told = hunk(0, "单车", "自行车", 3, trigger="دراجة", carried=True)
    rows = [{"source": source, "before": said, "after": wanted}]
    server.understanding = {"hunks": [told], "would_change": rows, "notes": []}
    page = open_page()
    translate(page, source)
    page.fill("#target", wanted)
    assert marked(page, "target", "fresh") == ["自行"]
    expect(page.locator(".hunk")).to_be_visible()
    expect(page.locator("#target")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#source-name")).to_have_text("Arabic")
    expect(page.locator("#target-name")).to_have_text("Chinese (China)")
    for field in ("#source", "#source-marks", ".trigger"):
        expect(page.locator(field).first).to_have_attribute("dir", "rtl")
    assert marked(page, "source", "carried") == ["دراجة"]
    assert marked(page, "target", "carried") == ["自行车"]
    assert page.locator("#others-list ins").all_inner_texts() == ["自行"]


@pytest.mark.slow
def test_marks_stand_right_behind_characters_of_two_units(server: ContractServer, open_page: Any) -> None:
    wanted = "😀😀 Ein Velo."
    server.understanding["hunks"] = [hunk(0, "Fahrrad", "Velo", wanted.index("Velo"), trigger="bike", carried=True)]
    page = open_page()
    correct(page, wanted)
    assert marked(page, "target", "carried") == ["Velo"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_page_and_texts_have_contrast(
    server: ContractServer, open_page: Any, width: int, scheme: str
) -> None:
    long = "Donaudampfschifffahrtsgesellschaftskapitän" * 8
    server.add(long, long, state="failed", reason=long, who=long, stage="proof", progress=0.5)
    for state in ("submitted", "live", "proven", "baked", "undone"):
        server.add(SOURCE, WANTED, state=state, who="Anna", hunks=server.understanding["hunks"])
    server.translations[SOURCE] = SAID
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.get_by_role("button", name="Details of fix 1").click()
    correct(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(LOW_CONTRAST) == []


# Texts whose contrast with what lies behind them is below 4.5, with the contrast.
LOW_CONTRAST = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parse(color).map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (parse(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || one.closest('.marks, .skip, noscript') || !one.checkVisibility()) continue;
    const pair = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) low.push([walker.currentNode.data.trim().slice(0, 30), contrast]);
  }
  return low;
}"""


@pytest.mark.slow
@pytest.mark.parametrize(("code", "words"), [("de", "Übersetzen"), ("es", "Traducir"), ("zh", "翻译")])
def test_the_interface_speaks_the_language_of_the_browser_or_the_chosen_one(
    server: ContractServer, open_page: Any, code: str, words: str
) -> None:
    page = open_page(locale=code)
    expect(page.locator("html")).to_have_attribute("lang", code)
    expect(page.locator("#translate")).to_have_text(words)
    correct(page)
    page.select_option("#interface", "en")
    expect(page.locator("#translate")).to_have_text("Translate")
    expect(page.locator(".hunk")).to_contain_text("hangs on")
    expect(page.locator("#understood-state")).to_have_text("1 change, for every sentence")
    page.reload()
    expect(page.locator("#translate")).to_have_text("Translate")


def test_every_control_has_a_name(server: ContractServer, open_page: Any) -> None:
    server.add(SOURCE, WANTED, state="live", stage="proof")
    page = open_page()
    correct(page)
    controls = "button, a[href], input, select, textarea, progress"
    nameless = page.evaluate("""(controls) => [...document.querySelectorAll(controls)]
        .filter((one) => one.checkVisibility())
        .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute('aria-label')
          || document.getElementById(one.getAttribute('aria-labelledby'))?.textContent.trim()))
        .map((one) => one.outerHTML)""", controls)
    assert nameless == []
    assert page.locator("h1").count() == 1


@pytest.mark.slow
def test_a_switch_flipped_just_before_submitting_is_looked_at_first(server: ContractServer, open_page: Any) -> None:
    page = open_page()
    correct(page)
    server.pauses["/api/understand"] = 0.4
    page.locator("input[value=here]").check(force=True)
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#others-hint")).to_have_text("Only this sentence changes.")
    assert ("POST", "/fixes") not in [one[:2] for one in server.asked]
    page.keyboard.press("Control+Enter")
    expect(page.locator("#followed")).to_be_visible()
    assert server.fixes[0]["hunks"][0]["carried"] is False


@pytest.mark.slow
def test_an_answer_that_comes_after_a_change_of_mind_is_not_shown(server: ContractServer, open_page: Any) -> None:
    page = open_page()
    translate(page)
    server.pauses["/api/understand"] = 0.5
    page.fill("#target", WANTED)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.wait_for_timeout(900)
    expect(page.locator("#understood")).to_be_hidden()
    assert marked(page, "source", "carried") == []


@pytest.mark.slow
def test_a_choice_holds_while_the_text_is_edited_further(server: ContractServer, open_page: Any) -> None:
    page = open_page()
    correct(page)
    page.locator("input[value=here]").check(force=True)
    expect(page.locator("#others-hint")).to_have_text("Only this sentence changes.")
    # Another change comes before it, so that its number is another one.
    velo = {**server.understanding["hunks"][0], "number": 1, "start": 20}
    server.understanding["hunks"] = [hunk(0, "Mann", "Herr", 4, trigger="man", carried=False), velo]
    page.fill("#target", "Ein Herr fährt ein Velo.")
    expect(page.locator(".hunk")).to_have_count(2)
    expect(page.locator(".hunk.carried")).to_have_count(0)
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    page.click("#submit")
    expect(page.locator("#followed")).to_be_visible()
    submitted = next(body for method, path, body in server.asked if (method, path) == ("POST", "/fixes"))
    assert submitted["hunks"] == [{"number": 0, "carried": False}, {"number": 1, "carried": False}]


@pytest.mark.slow
def test_a_page_that_nobody_sees_does_not_listen_and_catches_up_later(server: ContractServer, open_page: Any) -> None:
    page = open_page()
    correct(page)
    page.press("#target", "Control+Enter")
    expect(page.locator("#fix-1 .badge")).to_have_text("Submitted")
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange')); }", True)
    expect(page.locator("#connection")).to_have_attribute("data-state", "lost")
    server.change(1, state="live", now=WANTED)
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange')); }", False)
    expect(page.locator("#connection")).to_have_attribute("data-state", "open")
    expect(page.locator("#fix-1 .badge")).to_have_text("Live")
    expect(page.locator("#followed-text")).to_contain_text("now translates as wanted")
