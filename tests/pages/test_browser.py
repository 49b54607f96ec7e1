"""The pages in a real Chromium, over a real center: what a person can see and do.

Every page of these tests must leave the console silent, which is where the browser reports what the
Content-Security-Policy forbids.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import Served, serving, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(90)]

# The heat map's own account of where a machine is drawn, so that a test can click there.
WHERE = """async (machine) => {
  const map = await (await fetch("/api/v1/sites/north/heatmap")).json();
  const { HeatMap } = await import("/static/js/heatmap.js");
  const canvas = document.querySelector(".heat .map");
  const other = new HeatMap(document.createElement("canvas"), map);
  other.layOut(Math.floor(canvas.parentElement.clientWidth));
  const cell = map.machine.indexOf(machine);
  return [other.x[cell] + other.size / 2, other.y[cell] + other.size / 2];
}"""


def open_map(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/sites/north")
    expect(page.locator("[data-heat-state]")).to_have_text("connected")


def test_the_overview_answers_after_signing_in(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("Overview")
    expect(page.locator(".fig.hero")).to_contain_text("%")
    expect(page.locator(".verdict")).to_contain_text("of what it should")
    expect(page.locator(".head .badge.virtual")).to_have_text("virtual")
    expect(page.locator("#plot-fleet canvas")).to_be_visible()
    expect(page.locator("#world svg a")).to_have_count(1)
    expect(page.locator("[data-link]")).to_have_text("live")


def test_a_click_on_a_cell_opens_the_machine(page: Page, mine: Served) -> None:
    open_map(page, mine)
    x, y = page.evaluate(WHERE, "m-0025")
    page.mouse.move(0, 0)
    box = page.locator(".heat .map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x, box["y"] + y)
    expect(page.locator(".tip b")).to_have_text("m-0025")
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.wait_for_url(f"{mine.url}/machines/m-0025")
    expect(page.locator("h1")).to_have_text("m-0025")


def test_the_map_is_walked_by_keys_and_heard(page: Page, mine: Served) -> None:
    open_map(page, mine)
    page.locator("input[value=age]").focus()
    page.keyboard.press("Tab")
    says = page.locator("[data-heat-says]")
    expect(says).to_contain_text("m-0001, hashing")
    page.keyboard.press("ArrowRight")
    expect(says).to_contain_text("m-0002")
    page.keyboard.press("ArrowDown")
    expect(says).to_contain_text("m-0006")
    page.keyboard.press("PageDown")
    expect(says).to_contain_text("m-0021")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{mine.url}/machines/m-0021")


def test_a_change_reaches_the_open_map(page: Page, mine: Served) -> None:
    open_map(page, mine)
    x, y = page.evaluate(WHERE, "m-0030")
    box = page.locator(".heat .map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x, box["y"] + y)
    expect(page.locator(".tip")).to_contain_text("hashing")
    mine.tell("cell m-0030 offline 25")
    expect(page.locator(".tip")).to_contain_text("offline")


def test_a_change_reaches_the_open_machine(page: Page, mine: Served) -> None:
    page.goto(f"{mine.url}/machines/m-0033")
    expect(page.locator("[data-link]")).to_have_text("live")
    mine.tell("cell m-0033 sleeping 31")
    expect(page.locator(".head .state")).to_have_text("sleeping")
    expect(page.locator(".kpis")).to_contain_text("31°C")
    mine.tell("cell m-0033 hashing 59")
    expect(page.locator(".kpis")).to_contain_text("59°C")


def test_the_plot_outlives_what_is_swapped_around_it(page: Page, mine: Served) -> None:
    expect(page.locator("#plot-fleet canvas")).to_have_count(1)
    page.locator("#plot-fleet canvas").evaluate("canvas => canvas.dataset.mine = 'yes'")
    before = page.locator("#now-top").get_attribute("data-now")
    mine.tell("cell m-0034 hashing 60")
    expect(page.locator("#now-top")).not_to_have_attribute("data-now", before or "")
    expect(page.locator("#plot-fleet canvas")).to_have_attribute("data-mine", "yes")
    expect(page.locator("#plot-fleet canvas")).to_have_count(1)


def test_what_somebody_marks_is_not_swapped_away(page: Page, mine: Served) -> None:
    page.goto(f"{mine.url}/machines/m-0035")
    expect(page.locator("[data-link]")).to_have_text("live")
    page.locator(".head h1").select_text()
    mine.tell("cell m-0035 sleeping 33")
    page.wait_for_timeout(4_500)
    expect(page.locator(".head .state")).to_have_text("hashing")
    page.evaluate("getSelection().removeAllRanges()")
    mine.tell("cell m-0035 sleeping 34")
    expect(page.locator(".head .state")).to_have_text("sleeping")


def test_every_measure_has_a_legend_in_words(page: Page, mine: Served) -> None:
    open_map(page, mine)
    for value, first in (("rate", "105 %"), ("power", "0 kW"), ("age", "0 s"), ("temp", "55 °C")):
        page.locator(f"input[value={value}]").check(force=True)
        expect(page.locator(".legend .ticks span").first).to_have_text(first)
    expect(page.locator("[data-shapes] > span")).to_have_count(7)


def test_an_operator_acknowledges_a_finding(page: Page, mine: Served) -> None:
    page.goto(f"{mine.url}/findings")
    page.locator("tbody a[href^='/findings/']").last.click()
    expect(page.locator("#seen h2")).to_have_text("Acknowledge")
    page.fill("#note", "fan ordered <b>today</b>")
    page.click("text=I have seen it")
    expect(page.locator("#seen h2")).to_have_text("Seen")
    expect(page.locator("#seen")).to_contain_text("Kari Operator has seen this")
    expect(page.locator("#seen p.note").first).to_have_text("fan ordered <b>today</b>")


def test_the_search_box_jumps_to_a_machine(page: Page, mine: Served) -> None:
    page.keyboard.press("/")
    page.keyboard.type("VIRT01000041")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{mine.url}/machines/m-0042")
    page.fill("#search", "10.20.0.7")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{mine.url}/machines/m-0007")


def test_the_list_of_machines_filters_and_sorts(page: Page, mine: Served) -> None:
    page.goto(f"{mine.url}/machines")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.click("text=Next")
    expect(page.locator("tbody tr")).to_have_count(20)
    page.goto(f"{mine.url}/machines")
    page.click("th >> text=Hottest chip")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Hottest chip")
    page.select_option("#f-state", "degraded")
    page.wait_for_url(re.compile("state=degraded"))
    expect(page.locator("tbody .state-degraded").first).to_be_visible()


def test_no_page_scrolls_sideways_on_a_phone(browser: Browser, mine: Served) -> None:
    with signed_in(browser, mine, 390, 844) as page:
        finding = page.locator("a[href^='/findings/']").first.get_attribute("href")
        for path in ("/", "/sites", "/sites/north", "/machines", "/machines/m-0003", "/findings",
                     finding, "/about", "/account"):  # fmt: skip
            page.goto(f"{mine.url}{path}")
            page.wait_for_load_state("load")
            assert page.evaluate("document.documentElement.scrollWidth") == 390, path


def test_hostile_names_are_only_text(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "center", "hostile") as served,
        signed_in(browser, served, 390, 844) as page,
    ):
        finding = page.locator("a[href^='/findings/']").first.get_attribute("href")
        for path in ("/", "/sites", "/sites/north", "/machines", "/machines/m-0003",
                     "/machines/m-0001", "/findings", finding):  # fmt: skip
            page.goto(f"{served.url}{path}")
            page.wait_for_load_state("load")
            page.wait_for_timeout(150)
            assert page.evaluate("window.harmed") is None, path
            assert page.evaluate("document.documentElement.scrollWidth") == 390, path
            assert "{{ 7 * 7 }}" in page.content(), path
        page.goto(f"{served.url}/sites/north")
        expect(page.locator("[data-heat-state]")).to_have_text("connected")
        page.locator(".heat .map").hover(position={"x": 12, "y": 60})
        assert page.evaluate("window.harmed") is None


def test_an_empty_center_says_how_to_begin(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "center", "empty") as served,
        signed_in(browser, served) as page,
    ):
        for path in ("/", "/sites", "/machines"):
            page.goto(f"{served.url}{path}")
            expect(page.locator(".empty")).to_contain_text("redoubt center token site")
        page.goto(f"{served.url}/findings")
        expect(page.locator(".empty")).to_contain_text("Nothing is the matter")


def test_a_silent_site_never_looks_live(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "center", "dark") as served,
        signed_in(browser, served) as page,
    ):
        expect(page.locator(".verdict")).to_contain_text("Dark: Bunker South")
        page.goto(f"{served.url}/sites/south")
        expect(page.locator(".badge.dark").first).to_have_text("dark")
        expect(page.locator(".verdict")).to_contain_text("Nothing has come from this site for 47")
        states = page.evaluate(
            "async () => (await (await fetch('/api/v1/sites/south/heatmap')).json()).cells.state"
        )
        assert set(states) == {5}, json.dumps(states)
        expect(page.locator(".kpis dd").first).to_have_text("–")
