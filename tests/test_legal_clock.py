"""Deadlines by the calendar: hours, months, business days, and what the list says of itself."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal import legal_clock
from brokenseal.legal_clock import after_a_month, deadlines, facts_of, federal_holidays, fourth_business_day
from notices.victims import Box, case, document

AWARE = dt.datetime(2026, 3, 27, 21, 30, tzinfo=dt.UTC)
BOX = Box(1, "a.example", reason="throttled")
FOUND = document([case(1, [BOX])], boxes=[BOX])


def facts(found=FOUND, *, now=AWARE, **values):
    return facts_of(found, now=now, **values)


def due(**values):
    return {each.id: each.due_at for each in deadlines(facts(**values))}


def test_hours_count_from_awareness_through_weekends_and_the_change_of_clocks():
    # 29 March 2026 has 23 hours in the European Union.
    assert due(aware_at=AWARE) == {
        "gdpr-33": dt.datetime(2026, 3, 30, 21, 30, tzinfo=dt.UTC),
        "gdpr-34": None,
        "nis2-24h": dt.datetime(2026, 3, 28, 21, 30, tzinfo=dt.UTC),
        "nis2-72h": dt.datetime(2026, 3, 30, 21, 30, tzinfo=dt.UTC),
        "nis2-month": dt.datetime(2026, 4, 30, 21, 30, tzinfo=dt.UTC),
        "sec-8k": None,
        "fisma-1h": dt.datetime(2026, 3, 27, 22, 30, tzinfo=dt.UTC),
        "circia-72h": dt.datetime(2026, 3, 30, 21, 30, tzinfo=dt.UTC),
    }


def test_the_final_report_counts_from_the_notification_where_somebody_says_when_it_went_out():
    notified = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)

    assert due(aware_at=AWARE, notified_at=notified)["nis2-month"] == dt.datetime(2026, 2, 28, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2024-01-31", "2024-02-29"),
        ("2026-12-31", "2027-01-31"),
        ("2026-05-31", "2026-06-30"),
        ("2026-02-28", "2026-03-28"),
    ],
)
def test_a_month_ends_on_the_same_day_or_on_the_last(begin, end):
    at = dt.datetime.fromisoformat(f"{begin}T05:06:07+00:00")

    assert after_a_month(at) == dt.datetime.fromisoformat(f"{end}T05:06:07+00:00")


# Days on which the Office of Personnel Management says that federal holidays are observed.
OPM = {
    2021: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
    2022: "01-17 02-21 05-30 06-20 07-04 09-05 10-10 11-11 11-24 12-26",
    2026: "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25",
    2027: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
}


@pytest.mark.parametrize("year", OPM)
def test_federal_holidays_are_those_that_are_published(year):
    assert federal_holidays(year) == {dt.date.fromisoformat(f"{year}-{day}") for day in OPM[year].split()}


def test_juneteenth_is_a_holiday_since_2021():
    assert dt.date(2020, 6, 19) not in federal_holidays(2020)


@pytest.mark.parametrize(
    ("determined", "last"),
    [
        ("2026-03-02", "2026-03-06"),  # a Monday
        ("2026-03-06", "2026-03-12"),  # a Friday
        ("2026-03-07", "2026-03-12"),  # a Saturday: the four days begin with Monday, and include it
        ("2026-03-08", "2026-03-12"),
        ("2026-07-02", "2026-07-09"),  # Independence Day, observed on Friday the 3rd
        ("2026-11-24", "2026-12-01"),  # Thanksgiving
        ("2026-12-24", "2026-12-31"),  # Christmas
        ("2021-12-30", "2022-01-06"),  # New Year's Day 2022, observed on 31 December 2021
    ],
)
def test_four_business_days_leave_out_weekends_and_federal_holidays(determined, last):
    assert fourth_business_day(dt.date.fromisoformat(determined)) == dt.date.fromisoformat(last)


@given(st.dates(dt.date(2021, 1, 1), dt.date(2060, 12, 31)))
def test_the_fourth_business_day_is_what_counting_gives(day):
    last = fourth_business_day(day)
    open_days = [
        each
        for n in range(1, (last - day).days + 1)
        if (each := day + dt.timedelta(days=n)).weekday() < 5 and each not in federal_holidays(each.year)
    ]

    assert len(open_days) == 4
    assert open_days[-1] == last


def test_the_last_hour_to_file_is_half_past_five_in_washington_in_summer_and_in_winter():
    assert due(material_on=dt.date(2026, 3, 2))["sec-8k"] == dt.datetime(2026, 3, 6, 22, 30, tzinfo=dt.UTC)
    assert due(material_on=dt.date(2026, 6, 1))["sec-8k"] == dt.datetime(2026, 6, 5, 21, 30, tzinfo=dt.UTC)


def standings(found=FOUND, **values):
    return {each.id: each.standing for each in deadlines(facts(found, **values))}


def test_what_runs_is_told_apart_from_what_is_past_not_in_force_or_lacks_a_fact():
    assert standings(aware_at=AWARE, now=AWARE + dt.timedelta(hours=48)) == {
        "gdpr-33": "runs",
        "gdpr-34": "needs_fact",
        "nis2-24h": "past",
        "nis2-72h": "runs",
        "nis2-month": "runs",
        "sec-8k": "needs_fact",
        "fisma-1h": "past",
        "circia-72h": "not_in_force",
    }


def test_nothing_runs_for_simulated_logs_or_where_nothing_was_found():
    quiet = replace(FOUND, cases=(), verdict=replace(FOUND.verdict, kind="cannot_tell"))

    assert set(standings(replace(FOUND, simulated=True)).values()) == {"simulated"}
    assert set(standings(quiet).values()) == {"nothing_started"}


def test_awareness_that_nobody_stated_is_said_to_be_assumed():
    said = {
        is_stated: next(
            each for each in deadlines(facts(aware_at=AWARE if is_stated else None)) if each.id == "gdpr-33"
        )
        for is_stated in (True, False)
    }

    assert "as you said" in said[True].assumption.template
    assert "if you knew earlier, the deadline is earlier" in said[False].assumption.template
    assert said[True].due_at == said[False].due_at


def test_every_deadline_has_a_source_a_condition_and_an_assumption():
    for each in deadlines(facts()):
        assert each.source.startswith("https://")
        assert each.applies.template
        assert each.assumption.template


def test_the_text_says_what_it_is_and_what_it_leans_on():
    text = legal_clock.clock_text(facts(), deadlines(facts()), "en")
    flowing = " ".join(text.split())

    assert "This is a list, not legal advice." in flowing
    assert "looked at up to 2026-03-10" in flowing
    assert "certain messages 2, possible 1, unknowable spans 1" in flowing
    assert "Not in force as far as this version knows" in flowing
    assert text.count("https://") == 8
    assert max(len(line) for line in text.splitlines()) <= 100


def test_facts_are_those_of_all_cases():
    other = Box(2, "a.example", messages=5)
    found = facts(document([case(1, [BOX]), case(2, [other])], boxes=[BOX, other]))

    assert (found.mailboxes, found.certain, found.possible, found.unknowable) == (2, 7, 2, 1)
    assert (found.first_read_at, found.last_read_at) == (BOX.at, other.at + dt.timedelta(hours=1))
