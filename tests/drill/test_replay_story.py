"""The story is told from results alone: other results, other sentences."""

import dataclasses
import datetime as dt

import pytest

from brokenseal.drill import _replay_story as tales
from drill.replay_cases import FOUND, missed

UNTOLD = {
    "epoch",
    "hours_judged",
    "intruder_records",
    "log_records",
    "mailboxes",
    "number",
    "true_cases",
    "unknowable",
}


def told(*found):
    return tales.story(found, version="1.2.3", seed=9)


def line(text, start):
    (found,) = [each for each in text.splitlines() if each.startswith(start)]
    return found


def test_a_found_organisation_is_told_with_its_hour_and_its_losses():
    text = told(FOUND)

    assert line(text, "- 15 May 2023, 02:00") == (
        "- 15 May 2023, 02:00 UTC: **a case stands at First**, 1.5 hours after the first read (a.detector). "
        "By then 30 messages had been read, 2.5 % of the 1,200 in the end."
    )
    assert line(text, "By 19 June") == (
        "By 19 June 2023, 00:00 UTC a case told of the intruder in 1 of 1 organisation, and named 1 of the "
        "2 mailboxes that were read."
    )
    assert line(text, "When the cases") == (
        "When the cases opened, 30 messages had been lost, 2.5 % of all (where no case opened, every one counts)."
    )
    assert line(text, "Read with") == (
        "Read with certainty, say the cases: 600 messages. The intruder read 590 of these, 49.2 % of all that it read."
    )
    assert line(text, "Possibly") == "Possibly read: 40 more, of which 10 were."
    assert line(text, "3 other") == (
        "3 other cases told of no intruder: 60.0 per 1,000 mailbox-weeks (simulated, 50 mailbox-weeks)."
    )
    assert line(text, "In the replay") == (
        "In the replay the first case stood on 15 May 2023, 02:00 UTC, 1.5 hours after the first read and 31 days "
        "earlier; before 16 June 2023 cases stood in 1 of 1 organisation."
    )
    assert "ot found" not in text


def test_nothing_found_is_said_plainly():
    text = told(missed(), missed(number=2, name="Second", has_reads=False, intruder_records=0))

    assert line(text, "By 19 June") == (
        "By 19 June 2023, 00:00 UTC no case stood that tells of the intruder: **not found**, in any of the "
        "2 organisations."
    )
    assert line(text, "Not found, without") == (
        "Not found, without a trace: Second. No record of the intruder is in the logs there; 1 of 1 had no record of "
        "reads at all."
    )
    assert line(text, "Not found, although") == (
        "Not found, although 90 records of the intruder lay in the logs: First."
    )
    assert line(text, "No case calls") == "No case calls any message read; the intruder really read 2,400."
    assert line(text, "The replay,") == "The replay, in these logs, found nothing to set against that."
    assert "a case stands" not in text


def test_losses_without_a_case_are_everything_that_was_read():
    total = tales.totals_of([FOUND, missed(number=2)])

    assert (total.organisations_found, total.messages_before) == (1, 30 + 1200)


@pytest.mark.parametrize(
    ("opened", "words"),
    [
        (dt.datetime(2023, 6, 15, 23, tzinfo=dt.UTC), "on the same day; before 16 June 2023 cases stood in 1 of"),
        (dt.datetime(2023, 6, 16, 1, tzinfo=dt.UTC), "1 day later; before 16 June 2023 cases stood in 0 of"),
        (dt.datetime(2023, 6, 13, 1, tzinfo=dt.UTC), "2 days earlier; before 16 June 2023 cases stood in 1 of"),
    ],
)
def test_the_comparison_follows_the_hour_of_the_first_case(opened, words):
    assert words in told(dataclasses.replace(FOUND, opened_at=opened))


def test_each_epoch_has_its_chapter_in_the_order_given():
    text = told(dataclasses.replace(FOUND, epoch=2026), missed())

    chapters = [each for each in text.splitlines() if each.startswith("## ")]
    assert chapters == [
        "## The same campaign in the logs of 2026 (simulated)",
        "## The same campaign in the logs of 2023 (simulated)",
    ]


def test_days_stand_in_order_of_time():
    late = dataclasses.replace(FOUND, number=2, name="Second", first_read_at=dt.datetime(2023, 5, 14, tzinfo=dt.UTC))

    days = [each.split(": ")[0] for each in told(FOUND, late).splitlines() if each.startswith("- ")]
    assert days == [
        "- 14 May 2023, 00:00 UTC",
        "- 15 May 2023, 00:30 UTC",
        "- 15 May 2023, 02:00 UTC",
        "- 15 May 2023, 02:00 UTC",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field.name, value)
        for field in dataclasses.fields(FOUND)
        # What the story does not tell of an organisation that was found stands in the JSON.
        if field.name not in UNTOLD
        for value in [getattr(FOUND, field.name)]
    ],
)
def test_every_result_that_it_tells_changes_the_text(field, value):
    other = {
        bool: lambda: not value,
        int: lambda: value + 1,
        float: lambda: value + 1,
        str: lambda: f"{value}!",
        tuple: lambda: ("other",),
        dt.datetime: lambda: value + dt.timedelta(days=5),
    }[type(value)]()

    assert told(dataclasses.replace(FOUND, **{field: other})) != told(FOUND)


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (0, 10, "0.0 %"),
        (10, 10, "100.0 %"),
        (1, 100_000, "under 0.1 %"),
        (99_999, 100_000, "over 99.9 %"),
        (0, 0, "none"),
    ],
)
def test_rounding_turns_no_few_into_none_and_no_most_into_all(part, whole, words):
    assert tales._share(part, whole) == words


def test_totals_are_of_one_epoch():
    with pytest.raises(ValueError, match="expected one epoch"):
        tales.totals_of([FOUND, dataclasses.replace(FOUND, epoch=2026)])
