"""The page of a score: what it says, that it needs nothing but itself, and what it looked like last time."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from brokenseal.drill import _score_plot as plotting
from brokenseal.drill import score_page
from brokenseal.drill._score_text import percent_text, time_text
from brokenseal.drill._score_values import median, rate, share
from brokenseal.drill.score import observe, score, summarise
from drill.score_truths import (
    OTHER,
    TENANT,
    World,
    attack,
    case,
    day,
    document,
    exposure,
    finding,
    read,
    record,
    state,
    tenant,
)

GOLDEN = Path(__file__).parent / "golden" / "score.txt"
VOID = {"meta"}


class Page(HTMLParser):
    """Texts of a page outside pictures, its elements, and whether every element is closed in order."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.lines, self.drawn = [], [], [], []
        self.feed(content.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if "style" in self.open or not text.strip():
            return
        kept = self.drawn if "svg" in self.open else self.lines
        kept.append(f"{self.open[-1]}: {' '.join(text.split())}")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    world = World(
        tenants=[tenant(), tenant(OTHER, logs="ual-only", mailboxes=2000, mailbox_weeks=16_000.0)],
        attacks=[
            *(attack(n, "A1", n % 4 + 1) for n in range(8)),
            *(attack(n, "A10", 2, tenant_id=OTHER) for n in range(8, 12)),
            attack(12, "A0g", 0, title="<script>ghost</script>"),
        ],
        records=[
            *(record(f"r{n}", day(n), instance=n) for n in range(8)),
            *(record(f"r{n}", day(1), instance=n, tenant_id=OTHER) for n in range(8, 12)),
            record("b", day(3), tenant_id=OTHER, actor_kind="tester"),
            record("non", day(3), stream="non_interactive"),
        ],
        messages=[read(n, n, day(0), tenant_id=TENANT if n < 8 else OTHER) for n in range(12)],
    )
    truth = world.write(tmp_path_factory.mktemp("truth"))
    full = [case(n, [finding(n, [f"r{n}"])], mailboxes=[n], seen=exposure([(n, n)])) for n in range(6)]
    states = [state("token.provenance", "quiet"), state("inbox_rule.effect", "not_assessable")]
    first = observe({}, document(full, states=states), truth, tenants=[TENANT])
    lone = [case(20, [finding(20, ["b"])]), case(21, [finding(21, ["r8"])])]
    second = observe({}, document(lone, states=states), truth, tenants=[OTHER])
    return summarise([first, second]), summarise([second])


@pytest.fixture(scope="module")
def page(made):
    return Page(score_page.render(made[0], others=[("Rarity alone", made[1])]))


def test_the_first_word_is_simulated(page):
    assert page.lines[0] == "title: Simulated: score of a drill"
    assert page.lines[1].startswith("p: Simulated: ")
    assert page.lines[-1].startswith("p: Simulated. ")


def test_the_page_looks_as_it_did(page):
    text = "\n".join(page.lines) + "\n"
    if os.environ.get("BROKENSEAL_GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8", newline="\n")
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_the_page_needs_nothing_but_itself(made, page):
    content = score_page.render(made[0]).decode()
    assert not re.search(r"(?:src|href)=\"(?!#)", content)
    assert {tag for tag, _ in page.elements} & {"script", "img", "link", "iframe"} == set()
    (policy,) = (names["content"] for _, names in page.elements if "http-equiv" in names)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_titles_of_attacks_are_text(page):
    assert any("<script>ghost</script>" in line for line in page.lines)


def test_the_headline_never_stands_without_its_false_case_rate_and_log_state(page):
    (headline,) = (line for line in page.lines if line.startswith("h1: "))
    # 6 of 8 and 1 of 4, at one false case in 16,800 mailbox-weeks; those of the last two days came after a week.
    assert headline == (
        "h1: 58.3 % of the intrusions had a case within 7 days, at 0.0595 false cases per 1,000 mailbox-weeks "
        "(at most 0.282; logs: full, ual-only)"
    )


def test_the_plot_names_every_run_and_marks_powers_of_ten(page):
    texts = [line.split(": ", 1)[1] for line in page.drawn if line.startswith("text: ")]
    assert {"All logs", "full", "ual-only", "Rarity alone"} <= set(texts)
    assert [tick for tick in ("0.01", "0.1", "1", "10", "100") if tick not in texts] == []
    assert "False cases per 1,000 mailbox-weeks" in texts


def test_points_outside_the_axis_stand_at_its_ends(made):
    one = made[0].recall_overall.within_7_d
    quiet, loud = rate(0, 1_000_000.0), rate(5000, 10.0)
    (low, high) = (plotting._row(plotting.Point("x", one, each, "other")) for each in (quiet, loud))
    assert (low["x"], low["x_low"], low["x_high"]) == (0.01, 0.01, 0.01)
    assert (high["x"], high["x_low"], high["x_high"]) == (100.0, 100.0, 100.0)
    assert plotting.plot([plotting.Point("x", share(0, 0), quiet, "all")]) is None


def test_the_position_of_a_point_is_its_logarithm(made):
    point = plotting.Point("x", share(1, 2), rate(1, 1000.0), "all")
    drawn = plotting.plot([point])
    # One per 1,000 is halfway between 0.01 and 100, and one half is halfway up.
    assert re.search(r"translate\(320,180\)", drawn)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.9999, "> 99.9 %"),
        (0.00001, "< 0.1 %"),
        (0.123, "12.3 %"),
    ],
)
def test_shares_are_rounded_without_lying(value, shown):
    assert percent_text(value) == shown.replace(" %", "\N{NO-BREAK SPACE}%")


@pytest.mark.parametrize(
    ("minutes", "shown"), [(0.0, "0 min"), (7.4, "7 min"), (90.0, "90 min"), (600.0, "10 h"), (14_400.0, "10 d")]
)
def test_minutes_are_said_in_the_unit_of_people(minutes, shown):
    assert time_text(median([(minutes, True)])) == shown


def test_a_median_that_was_not_reached_says_so():
    assert time_text(median([(5.0, False), (7.0, True), (9.0, False), (9.0, False)])) == "not reached (1 of 4)"
    assert time_text(median([])) == "–"


def test_an_empty_score_is_a_page_of_dashes(tmp_path):
    empty = score({}, document(), World().write(tmp_path))
    found = Page(score_page.render(empty))
    assert any("Nothing to draw" in line for line in found.lines)
    assert not [line for line in found.lines if re.search(r"\b(nan|None|inf)\b", line)]
    (headline,) = (line for line in found.lines if line.startswith("h1: "))
    assert headline.count("–") == 4


@pytest.mark.parametrize(
    ("timing", "said"), [("evidence", "timed late, never early"), ("measured", "A replay measured")]
)
def test_the_page_says_how_cases_were_timed(made, timing, said):
    assert said in score_page.render(replace(made[0], timing=timing)).decode()


def test_equal_scores_give_equal_bytes(made):
    assert score_page.render(made[0]) == score_page.render(made[0])
