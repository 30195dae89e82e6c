"""The report in a browser, from disk: no error, no request; sorting, hovering and keys work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anonymi_bids.report.pages import render_page

TRY = """<script>
var table = document.querySelector("table.sortable");
var found = function () {
  var rows = Array.from(table.tBodies[0].rows);
  return rows.map(function (row) { return row.cells[3].textContent; });
};
var button = table.querySelectorAll("thead button")[3];
var said = { buttons: table.querySelectorAll("thead button").length };
button.click();
said.rising = found();
button.click();
said.falling = found();
said.sort = button.parentNode.getAttribute("aria-sort");
var mark = document.querySelectorAll("figure path[role='graphics-symbol']")[1];
mark.dispatchEvent(new MouseEvent("mouseenter"));
var tip = document.querySelector(".tip");
said.hover = [tip.textContent, mark.getAttribute("aria-label"), tip.style.display];
var chart = document.querySelector("figure svg");
chart.focus();
said.focused = document.activeElement === chart;
mark.dispatchEvent(new MouseEvent("mouseleave"));
["ArrowRight", "ArrowRight"].forEach(function (key) {
  chart.dispatchEvent(new KeyboardEvent("keydown", { key: key }));
});
said.key = [tip.textContent, chart.querySelectorAll("path[role='graphics-symbol']")[1]
  .getAttribute("aria-label")];
document.documentElement.dataset.said = encodeURIComponent(JSON.stringify(said));
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium is installed")
    return found


def opened(browser: str, page: Path) -> tuple[str, str, str]:
    """Page after its script ran, what the console said, and the log of requests."""
    log = page.with_suffix(".net.json")
    command = [browser, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={page.parent / 'profile'}", f"--log-net-log={log}"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += ["--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{page}"], capture_output=True, text=True, timeout=400, check=True
    )
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console, log.read_text(encoding="utf-8")


def requests(log: str) -> list[str]:
    """What a page asked for; what the browser asks of its own maker is none of it."""
    asked = re.findall(r'"url":\s*"((?!data:|blob:|file:|chrome|about:)[^"]+)"', log)
    return [url for url in asked if not re.search(r"//[\w.-]*(google|gvt1)[\w.]*/", url)]


@pytest.mark.slow
def test_opened_from_disk_it_says_and_asks_nothing(
    browser: str, audit: dict[str, Any], charts: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "audit.html"
    page.write_text(render_page(audit, charts), encoding="utf-8")
    shown, console, log = opened(browser, page)
    assert 'data-ready="yes"' in shown
    assert console == ""
    assert requests(log) == []


@pytest.mark.slow
def test_a_planted_request_and_a_planted_script_are_noticed(
    browser: str, audit: dict[str, Any], charts: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "audit.html"
    planted = '<img src="http://tracker.invalid/x.png"><script>document.title="bad"</script>'
    page.write_text(
        render_page(audit, charts).replace("</main>", f"{planted}</main>"), encoding="utf-8"
    )
    shown, console, _ = opened(browser, page)
    assert "tracker.invalid" in console
    assert "<title>bad</title>" not in shown
    assert console.count("Content Security Policy") >= 2


@pytest.mark.slow
def test_tables_sort_and_charts_say_their_values(
    browser: str, audit: dict[str, Any], charts: dict[str, Any], tmp_path: Path
) -> None:
    text = re.sub(r"<meta http-equiv[^>]*>", "", render_page(audit, charts))
    page = tmp_path / "audit.html"
    page.write_text(text.replace("</body>", f"{TRY}</body>"), encoding="utf-8")
    shown, console, _ = opened(browser, page)
    assert console == ""
    answer = re.search(r'data-said="([^"]*)"', shown)
    assert answer is not None
    from urllib.parse import unquote

    said = json.loads(unquote(answer[1]))
    assert said["buttons"] == 10
    hits = [int(value) for value in said["rising"]]
    assert len(hits) == len(audit["attacks"]) + len(audit["union"])
    assert hits == sorted(hits)
    assert [int(value) for value in said["falling"]] == sorted(hits, reverse=True)
    assert said["sort"] == "descending"
    assert said["hover"][0] == said["hover"][1] != ""
    assert said["hover"][2] == "block"
    assert said["focused"]
    assert said["key"][0] == said["key"][1] != ""
