"""The page in a real browser: it opens without an error and from the file alone, and what can be touched works.

Chromium is driven through Playwright; without either the tests are skipped (`.ci/run` installs both where it can).
"""

import shutil
from pathlib import Path

import pytest
import synthetic
from problems import dots

from jaxcompare import report

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser is installed")

PHONE, DESK = {"width": 400, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_all", dots)
        folder = tmp_path_factory.mktemp("page")
        report.write(folder, synthetic.tables("a", "c"), {}, synthetic.MANIFEST)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # Inside a container there is no user namespace to shut it up in; the page is our own.
        opened = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, file):
    """The page, opened offline; what it complained of, and what it asked for, is held against it afterwards."""
    context = browser.new_context(viewport=DESK, offline=True)
    opened = context.new_page()
    complaints, asked = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


def test_pictures_load(page):
    sizes = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth])")
    assert len(sizes) > 10
    assert all(done and width for done, width in sizes)


def test_nothing_overflows_on_a_phone(page):
    page.set_viewport_size(PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, pre, svg') && "
        "one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"
    )
    assert wide == []


def cells(table, column):
    return table.evaluate("(one, index) => [...one.tBodies[0].rows].map(row => row.cells[index].textContent)", column)


def test_tables_sort_by_the_number_and_what_is_missing_stands_last(page):
    found = [table for table in page.query_selector_all("main table") if "steps to target" in table.inner_text()]
    table = next(table for table in found if "not reached" in table.text_content() and len(cells(table, 0)) > 3)
    heads = table.evaluate("one => [...one.tHead.rows[0].cells].map(cell => cell.textContent.trim())")
    column = heads.index("steps to target")
    head = table.query_selector(f"th:nth-child({column + 1})")
    missing = ("-", "not reached")

    def numbers():
        return [float(text.replace(",", "")) for text in cells(table, column) if text not in missing]

    assert head.get_attribute("aria-sort") == "none"
    head.query_selector("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers() == sorted(numbers())
    assert cells(table, column)[-1] in missing
    head.query_selector("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert numbers() == sorted(numbers(), reverse=True)
    assert cells(table, column)[-1] in missing


def test_words_are_sorted_as_words(page):
    table = page.query_selector("main table")
    head = table.query_selector("th")
    head.query_selector("button").click()
    assert cells(table, 0) == sorted(cells(table, 0), key=str.lower)


def test_curves_are_switched_and_read(page):
    figure = page.query_selector("figure.curves")
    assert figure.is_visible()
    lines = figure.query_selector_all(".lines button")
    drawn = len(figure.query_selector_all("polyline"))
    assert 0 < drawn < len(lines)
    assert lines[0].get_attribute("aria-pressed") == "true"
    lines[0].click()
    assert lines[0].get_attribute("aria-pressed") == "false"
    assert len(figure.query_selector_all("polyline")) == drawn - 1
    bar = {button.inner_text(): button for button in figure.query_selector_all(".bar button")}
    bar["all rates"].click()
    assert len(figure.query_selector_all("polyline")) == len(lines)
    last = lines[0].query_selector(".value").inner_text()
    box = figure.query_selector("svg[role=img]").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 100)
    assert figure.query_selector(".epoch").inner_text() == "epoch 0"
    assert lines[0].query_selector(".value").inner_text() != last
    page.mouse.move(0, 0)
    assert figure.query_selector(".epoch").inner_text() == "epoch 8"
    bar["training loss (running mean)"].click()
    assert bar["training loss (running mean)"].get_attribute("aria-pressed") == "true"
    bar["none"].click()
    assert not figure.query_selector_all("polyline")


def test_curves_answer_a_finger(browser, file):
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(file.as_uri())
    figure = page.query_selector("figure.curves")
    figure.scroll_into_view_if_needed()
    box = figure.query_selector("svg[role=img]").bounding_box()
    page.touchscreen.tap(box["x"] + 60, box["y"] + 100)
    assert figure.query_selector(".epoch").inner_text() == "epoch 0"
    context.close()


def test_without_scripts_pictures_and_tables_stand(browser, file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("figure.curves").first.is_hidden()
    assert page.locator("figure img").first.is_visible()
    assert page.locator("main table").first.is_visible()
    context.close()
