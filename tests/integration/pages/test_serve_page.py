"""The page that `threadweaver serve` sends, in a real headless browser: what it shows of a trajectory."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.chromium import Page, page
from tests.support.serving import Talker, running, served
from tw_plugins.adapter.device import browser
from tw_plugins.serve.page import FILES

CHROMIUM = browser()
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path (CONTRIBUTING.md)")
    with page(CHROMIUM, tmp_path_factory.mktemp("chromium")) as made:
        yield made


def test_threads_grow_side_by_side_and_are_counted(shown: Page) -> None:
    with running(served(Talker(pace_s=0.01))) as up:
        shown.open(up.url + "/", 1200)
        found = shown.run("""
          await until(() => document.getElementById("model").textContent);
          document.getElementById("problem").value = "<img src=x onerror=alert(1)>";
          document.getElementById("compare").checked = true;
          press("Enter", { ctrlKey: true });
          await until(() => document.querySelectorAll(".thread.growing").length === 2);
          const growing = document.querySelectorAll(".thread.growing").length;
          const status = () => document.getElementById("status").textContent;
          await until(() => status() === "done");
          const threads = [...document.querySelectorAll(".thread")];
          const tops = threads.map((one) => one.getBoundingClientRect().top);
          return {
            growing, status: status(), model: document.getElementById("model").textContent,
            threads: threads.map((one) => one.textContent), images: document.images.length,
            beside: tops[0] === tops[1], still: document.querySelectorAll(".growing").length,
            bars: [...document.querySelectorAll(".bar")].map((one) => one.getBoundingClientRect().width > 1),
            figures: document.getElementById("figures").textContent,
            other: document.querySelector("#other pre").textContent,
            fits: document.documentElement.scrollWidth <= innerWidth,
          };
        """)
    assert found["growing"] == 2 and found["status"] == "done" and found["model"] == "toy"
    first, second = found["threads"]
    assert first.startswith("thread 1") and f"first {MARKUP}" in first
    assert second.startswith("thread 2") and f"the second thread of {MARKUP}" in second
    assert (found["images"], found["still"], found["beside"], found["fits"]) == (0, 0, True, True)
    assert found["bars"] == [True] * 4
    assert "one after the other" in found["figures"] and "speed-up" in found["figures"]
    assert f"It is {MARKUP}." in found["other"]
    assert not shown.console


def test_narrow_dark_and_stopped(shown: Page) -> None:
    talker = Talker(pace_s=0.05)
    with running(served(talker)) as up:
        shown.open(up.url + "/", 380, dark=True)
        found = shown.run("""
          document.getElementById("problem").value = "42";
          document.getElementById("run").click();
          await until(() => document.querySelectorAll(".thread").length === 2);
          press("Escape");
          const status = () => document.getElementById("status").textContent;
          await until(() => status() === "stopped");
          const threads = [...document.querySelectorAll(".thread")];
          const [one, two] = threads.map((node) => node.getBoundingClientRect());
          return {
            status: status(), below: two.top >= one.bottom, again: !document.getElementById("run").disabled,
            fits: document.documentElement.scrollWidth <= innerWidth,
            color: getComputedStyle(document.body).backgroundColor,
          };
        """)
    assert found == {
        "status": "stopped", "below": True, "again": True, "fits": True, "color": "rgb(17, 21, 27)"
    }  # fmt: skip
    assert talker.counts["cancelled"] > 0


def test_a_key_is_asked_for(shown: Page) -> None:
    with running(served(Talker(), api_key="sk-42")) as up:
        shown.open(up.url + "/", 1200)
        said, model = shown.run("""
          await until(() => !document.getElementById("locked").hidden);
          await until(() => document.getElementById("status").textContent);
          const said = document.getElementById("status").textContent;
          document.getElementById("key").value = "sk-42";
          document.getElementById("key").dispatchEvent(new Event("change"));
          await until(() => document.getElementById("model").textContent);
          return [said, document.getElementById("model").textContent];
        """)
    assert "wants a key" in said and model == "toy"


def test_it_loads_nothing_from_elsewhere() -> None:
    with running(served(Talker(), api_key="sk-42")) as up:
        for path in FILES:
            answer = httpx.get(up.url + path)
            policy = answer.headers["content-security-policy"]
            assert answer.status_code == 200 and policy.startswith("default-src 'none'")
            assert "//" not in re.sub(r"(^|\s)// .*", "", answer.text, flags=re.MULTILINE)
