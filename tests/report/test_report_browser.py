"""The page in a real browser: no error, nothing fetched, tables that sort by mouse and keyboard."""

import pytest

import chromium
from tether.report.page import write_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.find() is None, reason="no Chromium on the path ($CHROMIUM names another)"),
]
SORT = """(column) => [...document.querySelectorAll("#comparison tbody tr")].map(
  r => r.cells[column].dataset.value)"""
HEAD = "document.querySelectorAll('#comparison thead th')[{}]"


@pytest.fixture(scope="module")
def page(comparison, runs, tmp_path_factory):
    target = tmp_path_factory.mktemp("browser") / "report.html"
    return write_page(comparison, runs, target, "In a browser", "tether compare digits")


@pytest.fixture(scope="module")
def browser():
    with chromium.Chromium() as b:
        yield b


@pytest.fixture(scope="module")
def tab(browser, page):
    return browser.open(page.as_uri())


def column(tab, number):
    return tab.run(f"({SORT})({number})")


def test_it_opens_without_errors_and_fetches_nothing(tab, page):
    assert tab.run("document.title") == "In a browser"
    assert tab.errors == []
    assert tab.requests == [page.as_uri()]
    assert tab.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert tab.run("typeof window.alert") == "function"  # scripts of the test run, those of the runs do not
    assert tab.run("document.scripts.length") == 1


def test_a_driver_that_sees_errors(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<script>console.error('one'); throw new Error('two')</script><img src='none.png'>")
    errors = browser.open(bad.as_uri()).errors
    assert any("one" in e for e in errors)
    assert len(errors) >= 2


def test_a_click_sorts_and_a_second_one_turns_the_order(tab):
    before = [float(v) for v in column(tab, 3)]
    tab.run(HEAD.format(3) + ".querySelector('button').click()")
    assert [float(v) for v in column(tab, 3)] == sorted(before)
    assert tab.run(HEAD.format(3) + ".getAttribute('aria-sort')") == "ascending"
    tab.run(HEAD.format(3) + ".querySelector('button').click()")
    assert [float(v) for v in column(tab, 3)] == sorted(before, reverse=True)
    assert tab.run(HEAD.format(3) + ".getAttribute('aria-sort')") == "descending"
    assert tab.run(HEAD.format(2) + ".getAttribute('aria-sort')") == "none"


def test_the_keyboard_sorts_and_unknown_values_stay_last(tab):
    for _ in range(2):
        tab.run(HEAD.format(5) + ".querySelector('button').focus()")
        tab.press("Enter")
        values = column(tab, 5)
        assert values[-1] == ""  # the reference has no reduction against itself
    assert tab.run(HEAD.format(5) + ".getAttribute('aria-sort')") == "descending"
    known = [float(v) for v in values[:-1]]
    assert known == sorted(known, reverse=True)


@pytest.mark.parametrize(("width", "phone"), [(390, True), (1100, False)])
def test_the_page_itself_never_scrolls_sideways(browser, page, width, phone):
    tab = browser.open(page.as_uri(), width, 844, phone=phone)
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_dark_and_light_have_their_own_paper(browser, page):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (browser.open(page.as_uri(), dark=d).run(paper) for d in (False, True))
    assert light == "rgb(253, 253, 252)"
    assert dark == "rgb(21, 23, 26)"


def test_on_paper_everything_is_unfolded(browser, page, tmp_path):
    tab = browser.open(page.as_uri())
    tab.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert tab.run("[...document.querySelectorAll('details')].every(d => d.open)")


def test_pictures_of_the_page_can_be_taken(tab, tmp_path):
    from PIL import Image

    tab.screenshot(tmp_path / "a.webp", {"x": 0, "y": 0, "width": 300, "height": 200})
    with Image.open(tmp_path / "a.webp") as picture:
        assert picture.size == (300, 200)
        assert len(set(picture.convert("L").tobytes())) > 5  # something is on it
