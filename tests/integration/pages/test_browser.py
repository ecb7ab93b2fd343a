"""The pages in a real headless browser, from `file://`: what they show, and that nothing fails or runs."""

from __future__ import annotations

import html
import json
import random
import re
import subprocess
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import torch

from recipes.quickstart.task import task
from tests.support.accessible import NO_AXE, axe, faults
from tests.support.chromium import Page as Chromium
from tests.support.chromium import page as chromium_page
from tests.support.masks import random_row
from tests.support.report_data import report
from tests.support.tokenizers import tokenizer
from tests.support.view_files import BLOCK, FORKED, record, write
from tests.support.view_files import EVIL as ANY_EVIL
from tw_plugins.adapter.device import browser
from tw_plugins.attention import ancestor_mask
from tw_plugins.pages.browser.trajectories import write_browser
from tw_plugins.pages.reading.files import read, read_one
from tw_plugins.pages.report import write_report
from tw_plugins.pages.row.row import row_of, write_row
from tw_plugins.pages.stats.stats import write_stats

CHROMIUM = browser()
EVIL = ANY_EVIL.replace("\ud800", "")  # half a character: shown, but --dump-dom cannot print it and aborts
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path (CONTRIBUTING.md)")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    assert CHROMIUM is not None
    with chromium_page(CHROMIUM, tmp_path_factory.mktemp("chromium")) as made:
        yield made


OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--enable-logging=stderr", "--dump-dom"),
)


def dom(page: Path, fragment: str = "", *options: str) -> str:
    """The document after its scripts have run; a line on the console is an error."""
    assert CHROMIUM is not None
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, *options, profile, f"{page.as_uri()}{fragment}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert ":CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def asked(page: Path, script: str, fragment: str = "", width: int = 1200, height: int = 900) -> Any:
    """What the body of an async function returns in the page; `rest()` waits until the page has drawn itself.

    The script is put into a copy of the page without its policy, which forbids it.
    """
    text = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", page.read_text(encoding="utf-8"))
    rest = "const rest = () => new Promise((done) => setTimeout(done, 500));"
    answer = "document.body.replaceChildren(JSON.stringify(await (async () => {%s})()));" % script  # noqa: UP031
    copy = page.with_name(f"asked-{page.name}")
    copy.write_text(f"{text}<script>(async () => {{{rest} await rest(); {answer}}})();</script>", "utf-8")
    size = f"--window-size={width},{height}"
    shown = dom(copy, fragment, size, "--virtual-time-budget=20000")
    found = re.search(r"<body[^>]*>(.*)</body>", shown, re.DOTALL)
    assert found is not None, shown
    return json.loads(html.unescape(found[1]))


class Lit(HTMLParser):
    """Per token of a row's page, in order, whether it is lit."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.all = False
        self.seen: list[bool] = []
        self.feed(document.partition('<main id="row"')[2].partition("</main>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = (dict(attrs).get("class") or "").split()
        if "chunk" in names:
            self.all = "all" in names
        elif "t" in names:
            self.seen.append(self.all or "lit" in names)


def test_trajectories_hostile_text_included(tmp_path: Path) -> None:
    hostile = record(text=FORKED.replace("one", EVIL), prompt=EVIL, kind=EVIL, limits_hit={EVIL: 1})
    reading = read([write(tmp_path / "a.jsonl", record(), hostile, b"{")])
    write_browser(reading, tmp_path / "page.html")
    shown = dom(tmp_path / "page.html", "#2").partition('<script type="application/json"')[0]
    assert "<img" not in shown and "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in shown
    assert shown.count('role="option"') == 2 and shown.count('class="thread ') == 2
    assert "1 line left out" in shown and "wall clock" in shown and "of 2" in shown


def test_a_row_lights_what_the_dense_mask_has(tmp_path: Path) -> None:
    text = FORKED.replace(" b<", f" b {BLOCK} {'long ' * 200}<")
    path = write(tmp_path / "a.jsonl", {"prompt": "1 + 2?", "response": text})
    shown = row_of(read_one(path, 0), tokenizer())
    assert len(shown.row.branches) == 2 and len(shown.row) > 1000  # several chunks
    write_row(shown, tmp_path / "row.html")
    mask = ancestor_mask(torch.tensor(shown.row.position_ids))
    for offset in (len(shown.row) - 2, 700):
        assert Lit(dom(tmp_path / "row.html", f"#{offset}")).seen == mask[offset].tolist()


def test_a_chosen_token_of_a_long_row_comes_into_view(tmp_path: Path) -> None:
    lines = (
        "a line of thirty\n" * 1_500
    )  # chunks are higher than what a chunk is taken for before it is drawn
    path = write(tmp_path / "a.jsonl", {"prompt": "1 + 2?", "response": f"<think>{lines}</think>"})
    shown = row_of(read_one(path, 0), tokenizer())
    write_row(shown, tmp_path / "row.html")
    jumps = """
        const places = [];
        for (const share of [0.5, 0.05, 0.9, 0.1, 0.7, 0.3]) {
            choose(Math.floor(share * N), true);
            await rest();
            places.push(document.querySelector('.chosen').getBoundingClientRect().top / innerHeight);
        }
        return places;
    """
    places = asked(tmp_path / "row.html", jumps)
    assert len(places) == 6 and all(0.4 < place < 0.6 for place in places), places


def test_a_long_line_is_cut_at_white_space_or_with_a_mark(tmp_path: Path) -> None:
    lines = f"{'word ' * 200}\n{'x' * 1_000}\n" + "short\n" * 200
    path = write(tmp_path / "a.jsonl", {"prompt": "1 + 2?", "response": f"<think>{lines}</think>"})
    write_row(row_of(read_one(path, 0), tokenizer()), tmp_path / "row.html")
    boxes = "return [...document.querySelectorAll('.chunk')].map((box) => [box.className, box.textContent]);"
    chunks = asked(tmp_path / "row.html", boxes)
    cuts = [(before[-1], name, text[0]) for (_, before), (name, text) in pairwise(chunks)]
    assert set(cuts) == {("d", "chunk goes-on", " "), ("x", "chunk goes-on", "x"), ("\n", "chunk", "s")}
    assert chunks[0][0] == "chunk"


def test_the_rule_is_the_dense_mask(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [random_row(rng, rng.randint(1, 3), rng.randint(0, 2))[0] for _ in range(30)]
    rule = files("tw_plugins.pages").joinpath("row/rule.js").read_text(encoding="utf-8")
    script = (
        f"const rows = {json.dumps(rows)};"
        "const all = (made) => made.map((_, offset) => seenBy(made, offset));"
        "document.body.textContent = JSON.stringify(rows.map((row) => all(segmentsOf(row))));"
    )
    (tmp_path / "rule.html").write_text(f"<!doctype html><body><script>{rule}{script}</script></body>")
    found = re.search(r"<body>(.*)</body>", dom(tmp_path / "rule.html"), re.DOTALL)
    assert found is not None
    for positions, seen in zip(rows, json.loads(found[1]), strict=True):
        mask = ancestor_mask(torch.tensor(positions))
        for offset, intervals in enumerate(seen):
            lit = [any(low <= key < high for low, high in intervals) for key in range(len(positions))]
            assert lit == mask[offset].tolist()


def test_rejected_records_are_filtered_by_their_reason(tmp_path: Path) -> None:
    made = {"id": "p", "prompt": "x", "response": "y", "status": "rejected", "detail": f"because {EVIL}"}
    lines = [{**made, "reason": reason} for reason in ("no_groups", "refused", "refused", "late")]
    path = write(tmp_path / "a.jsonl", *lines, {"id": "q", "status": "ok", "prompt": "x", "response": ""})
    write_browser(read([path]), tmp_path / "page.html")
    choose = """
        const names = () => [...document.querySelectorAll('.item .flag')].map((flag) => flag.textContent);
        const notice = document.querySelector('.notice.bad').textContent, all = names();
        byId('reason').value = 'refused';
        byId('reason').dispatchEvent(new Event('change'));
        return [notice, document.querySelector('#detail .badge.bad').textContent, all, names()];
    """
    notice, badge, every, filtered = asked(tmp_path / "page.html", choose)
    assert (badge, notice) == ("rejected", f"Rejected: no groupsbecause {EVIL}")
    assert every == ["no groups", "refused", "refused", "late"] and filtered == ["refused", "refused"]


def test_labels_of_the_timeline_end_in_their_bars(tmp_path: Path) -> None:
    threads = [{"block": 1, "thread": n, "tokens": 100 + 9 * n} for n in range(1, 100)]
    outside = [{"block": None, "thread": None, "tokens": tokens} for tokens in (90, 700, 70)]
    lines = [
        record(spans=[*outside, *threads, {"block": None, "thread": None, "tokens": more}])
        for more in (1, 300, 1500, 4000)
    ]
    write_browser(read([write(tmp_path / "a.jsonl", *lines)]), tmp_path / "page.html")
    ends = """
        const ends = [];
        for (const t of all) {
            select(t);
            for (const lane of document.querySelectorAll('.lane')) {
                const [bar, label] = ['rect', 'text'].map((name) => lane.querySelector(name)?.getBBox());
                if (label) ends.push(bar.x + bar.width - label.x - label.width);
            }
        }
        return ends;
    """
    ends = asked(tmp_path / "page.html", ends)
    assert len(ends) > 100 and min(ends) > 2, sorted(ends)[:5]


def test_the_browser_at_1200_pixels_by_keyboard(tmp_path: Path) -> None:
    lines = [record(), record(correct=False), record(text="", spans=[], total=0, longest=0)]
    write_browser(read([write(tmp_path / "a.jsonl", *lines)]), tmp_path / "page.html")
    script = """
        const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const figures = () => byId('figures').textContent, box = document.querySelector('.scroll.long');
        const items = [...document.querySelectorAll('.item .sub')];
        const verdicts = items.map((item) => item.textContent.split(' ')[0]);
        const wide = box.scrollWidth > box.clientWidth;
        press('ArrowDown');
        const second = location.hash;
        press('j');
        press('/');
        const third = location.hash, focused = document.activeElement.id, empty = byId('detail').textContent;
        byId('words').value = 'nowhere';
        byId('words').dispatchEvent(new Event('input'));
        await rest();
        return [verdicts, wide, second, third, focused, empty, figures()];
    """
    verdicts, wide, *hashes, focused, empty, figures = asked(tmp_path / "page.html", script, "#1")
    assert verdicts == ["correct", "wrong", "correct"] and not wide and hashes == ["#2", "#3"]
    assert focused == "words" and "An empty response." in empty and figures == "of 30"  # 0 of 3, no shares


@pytest.mark.parametrize("width", [700, 1200])
def test_statistics_need_no_scrolling_sideways(tmp_path: Path, width: int) -> None:
    path = write(tmp_path / "a.jsonl", *[record(total=total) for total in range(60)])
    write_stats(read([path]), tmp_path / "stats.html")
    wide = """
        const boxes = [...document.querySelectorAll('figure .scroll')], page = document.documentElement;
        const wide = boxes.filter((box) => box.scrollWidth > box.clientWidth).length;
        const shrunk = [...document.querySelectorAll('figure svg')]
            .map((picture) => picture.clientWidth / picture.viewBox.baseVal.width);
        return [wide, boxes.length, 12 * Math.min(...shrunk), page.scrollWidth <= innerWidth];
    """
    number, charts, font, fits = asked(tmp_path / "stats.html", wide, width=width)
    assert (number, fits) == (0, True) and charts >= 5 and font >= 10


@pytest.mark.parametrize("width", [390, 1200])
def test_the_reports_speed_ups_are_seen_without_scrolling(tmp_path: Path, width: int) -> None:
    data = report()
    data["samples"]["speedups"] = [1.742] * 300
    write_report(data, tmp_path)
    outside = """
        const card = document.querySelector('.split figure').getBoundingClientRect();
        const drawn = [...document.querySelectorAll('.split figure :is(.bar, text)')];
        const seen = drawn.filter((part) => part.getClientRects().length);
        const boxes = seen.map((part) => part.getBoundingClientRect());
        const bars = seen.filter((part) => part.matches('.bar')).length;
        return [bars, boxes.filter((box) => box.left < card.left || box.right > card.right).length];
    """
    assert asked(tmp_path / "report.html", outside, width=width) == [1, 0]


def test_a_filter_moves_the_selection_to_its_first_hit_or_clears_it(tmp_path: Path) -> None:
    lines = [
        record(reference="3", answer="3"),
        record(correct=False, reference="3", answer="4"),
        record(correct=False, reference="3", unanswered=True),
    ]
    write_browser(read([write(tmp_path / "a.jsonl", *lines)]), tmp_path / "page.html")
    script = """
        const seen = () => [location.hash, document.querySelector('.answers')?.textContent.trim() ?? byId('detail').textContent];
        const chip = (name) => byId('chips').querySelector(`[data-name="${name}"]`);
        const found = [seen()];
        chip('wrong').click();
        found.push(seen());
        move(1);
        chip('wrong').click();
        found.push(seen(), [document.activeElement.dataset.name, shown.length]);
        byId('words').value = 'nowhere';
        byId('words').dispatchEvent(new Event('input'));
        await rest();
        found.push(seen());
        byId('none').querySelector('button').click();
        return [...found, seen()];
    """  # noqa: E501
    first, wrong, kept, chips, nothing, every = asked(tmp_path / "page.html", script)
    assert first == ["#1", "expected 3 got 3"] and wrong == ["#2&is=wrong", "expected 3 got 4"]
    assert kept == ["#3", "expected 3 got no answer"] and chips == ["wrong", 3]
    assert nothing == ["#words=nowhere", "Nothing matches."] and every == first


def test_the_address_brings_the_filters_back(tmp_path: Path) -> None:
    made = [record(kind=kind, total=total, longest=total) for total in (7, 9, 8) for kind in ("a", EVIL)]
    write_browser(read([write(tmp_path / "a.jsonl", *made)]), tmp_path / "page.html")
    look = """
        const selects = SELECTS.map((id) => byId(id).value), here = location.hash;
        return [shown.map((t) => t.place), selected.place, [...on], words, selects, here];
    """
    asking = "#6&is=forked&words=One&kind=a&sort=as+in+the+file&is2=no"
    places, selected, on, words, selects, here = asked(tmp_path / "page.html", look, asking)
    assert (places, selected, on, words) == ([0, 2, 4], 0, ["forked"], "one")
    assert selects == ["", "a", "", "as in the file"] and here == "#1&is=forked&words=one&kind=a"
    assert asked(tmp_path / "page.html", look, here)[:4] == [places, selected, on, words]


def test_a_row_is_walked_through_by_keyboard_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "1 + 2?", "response": FORKED})
    write_row(row_of(read_one(path, 0), tokenizer()), tmp_path / "row.html")
    script = """
        const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const steps = [];
        for (const key of ['ArrowRight', 'ArrowRight', 'Escape', 'ArrowLeft', 'ArrowRight']) {
            press(key);
            steps.push(chosen);
        }
        const last = N - 1, said = document.querySelector('header').textContent;
        return [steps.map((at) => (at === last ? 'last' : at)), byId('row').tabIndex, said];
    """
    steps, index, said = asked(tmp_path / "row.html", script)
    assert steps == [0, 1, None, "last", "last"] and index == 0
    assert "The loss is that of SFT" in said


def test_a_copied_figure_stands_alone(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    script = """
        let copied = '';
        Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied = text; } } });
        const found = [];
        for (const button of document.querySelectorAll('figure .copy')) {
            button.click();
            await rest();
            found.push([button.ariaLabel, button.textContent, copied]);
        }
        return found;
    """  # noqa: E501
    found = asked(tmp_path / "report.html", script)
    labels = [label for label, _, _ in found]
    assert labels == [
        f"copy SVG: {name}"
        for name in ("token-latency speed-up per problem", "timeline", "SFT: loss", "RL: reward")
    ]
    for _, said, text in found:
        root = fromstring(text)
        assert said == "copied" and root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.attrib["width"]) > 300 and "class=" not in text and "var(" not in text
        assert {one.attrib["fill"] for one in root} - {"none"}


def shown_pages(folder: Path) -> list[tuple[str, str]]:
    """Every page, by file and fragment, with what is long, wrong or missing on it."""
    lines = [
        record(correct=False, reference="3", answer="4", limits_hit={"max_blocks": 1}),
        record(text=FORKED.replace("one", "word " * 2000), well_formed=False, prompt="x" * 3000),
    ]
    made = write(folder / "a.jsonl", *lines, b"{")
    write_browser(read([made]), folder / "browser.html")
    write_stats(read([made]), folder / "stats.html")
    row = write(folder / "row.jsonl", {"prompt": "1 + 2?", "response": FORKED})
    write_row(row_of(read_one(row, 0), tokenizer()), folder / "row.html")
    good, bad = report(), report()
    good["promises"] = [{"text": "more", "reached": False}, {"text": "less", "reached": True}]
    bad["speedup"].update(token_latency=1.0, wall_clock=0.7)
    for name, data in (("good", {**good, "task": task(), "outcome": "It forks."}), ("bad", bad)):
        write_report({**data, "trajectories": "x.html"}, folder / name)
    pages = [("browser.html", "#1"), ("browser.html", "#2"), ("row.html", ""), ("stats.html", "")]
    return [*pages, ("good/report.html", ""), ("bad/report.html", "")]


def each_look(shown: Chromium, folder: Path, looks: Iterable[tuple[int, bool]]) -> Iterator[str]:
    """Shows each page in windows so wide, and in the dark or not."""
    shown.send("Page.setBypassCSP", enabled=True)
    for file, fragment in shown_pages(folder):
        for width, dark in looks:
            shown.open((folder / file).as_uri() + fragment, width, dark)
            yield f"{file}{fragment} at {width}{' in the dark' if dark else ''}"


def test_text_is_seen_controls_have_names_and_what_scrolls_is_reached(
    shown: Chromium, tmp_path: Path
) -> None:
    looks = list(product((390, 1200), (False, True)))
    found = {look: faults(shown) for look in each_look(shown, tmp_path, looks)}
    assert len(found) == 24 and {look: some for look, some in found.items() if some} == {}


@pytest.mark.skipif(NO_AXE is not None, reason=str(NO_AXE))
def test_axe_finds_nothing(shown: Chromium, tmp_path: Path) -> None:
    found = {look: axe(shown) for look in each_look(shown, tmp_path, [(390, False), (1200, True)])}
    assert len(found) == 12 and {look: some for look, some in found.items() if some} == {}


def test_a_page_in_the_dark_is_printed_in_black(shown: Chromium, tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    shown.open((tmp_path / "report.html").as_uri(), 1200, dark=True)
    ink = "return getComputedStyle(document.body).color"
    assert shown.run(ink) == "rgb(231, 235, 241)"
    shown.send("Emulation.setEmulatedMedia", media="print", features=[])
    assert shown.run(ink) == "rgb(27, 35, 48)"
    assert (
        shown.run("return getComputedStyle(document.querySelector('.headline')).color") == "rgb(27, 35, 48)"
    )
    assert shown.run("return document.querySelector('.copy').getClientRects().length") == 0


def test_statistics(tmp_path: Path) -> None:
    write_stats(read([write(tmp_path / "a.jsonl", record(), record())]), tmp_path / "stats.html")
    assert "self-parallelism" in dom(tmp_path / "stats.html")
