"""The screen of an explanation: what it says, that it fits, and that log text stays text."""

from __future__ import annotations

import io
import typing
import unicodedata
from dataclasses import fields, is_dataclass, replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from brokenseal.detectors import impossible_token, session_handover, strange_volume, stranger_client, two_hands
from brokenseal.explanations import values
from brokenseal.reports._explanation_parts import from_to, span
from brokenseal.reports.explanation_screen import explanation_screen
from brokenseal.wording import Phrase
from explain_world import LINUX, at, explained, read, sign_in, token

HOSTILE = "[bold red]x[/] \x1b[2J\x1b]8;;http://evil.example\x07y\u202e\u2066z\r\n\x00 {0} {missing} %s 🙂" + "w" * 400
AWAY = {"client_ip": "66.6.6.6", "user_agent": LINUX}


@pytest.fixture(scope="module")
def found():
    """One unit with something to say of every question but doors, and the record behind it."""
    reads = [read(f"old-{day}", at(day), "ann", session_id=f"old-{day}", token_id=token(day)) for day in range(20)]
    reads += [
        read("own", at(20), "ann", session_id="s", token_id=token(30), token_id_raw="raw", token_issued_at=at(20)),
        read(
            "e", at(20, hours=1), "ann", session_id="s", token_id=token(31), token_id_raw="raw", effective_app="app-x",
            token_issued_at=at(20, hours=3), **AWAY,
        ),
    ]  # fmt: skip
    rows = {
        "mail_accesses": reads,
        "sign_ins": [sign_in("near", at(20, hours=2, minutes=50), "ann", request_id=token(32), app_name="Mail")],
        "accessed_items": [
            {"event_id": "e", "occurred_at": at(20, hours=1), "mailbox_key": "box-ann", "kind": "message",
             "internet_message_id": "<1@x>", "folder_path": "\\Inbox"}
        ],
        "events": [{"event_id": "e", "occurred_at": at(20, hours=1), "input_sha256": "ab" * 32, "record_no": 12345,
                    "operation": "MailItemsAccessed", "actor": "ann@corp.example"}],
        "ledger": [{"seq": 1, "sha256": "ab" * 32, "path": "exports/a.csv"}],
    }  # fmt: skip
    detectors = [
        stranger_client.DETECTOR, strange_volume.DETECTOR, impossible_token.DETECTOR, two_hands.DETECTOR,
        session_handover.DETECTOR,
    ]  # fmt: skip
    explanation, _, _ = explained(rows, ["e"], detectors, n_units=3)
    return explanation


@pytest.fixture(scope="module")
def full(found):
    """The same with a door, so that every part of the screen is drawn."""
    step = values.DoorStep(
        what="used", at=at(2), last_at=None, event_id=None, actor=None, mailbox=None, app=None, network=None, records=0,
        after_s=60, in_case=True,
    )  # fmt: skip
    chain = (
        replace(step, what="opened", event_id="door", after_s=0),
        step,
        replace(step, event_id="e", actor="eve", mailbox="ann", app="app|rest", network="net:1", records=2),
        replace(step, what="removed", event_id="gone"),
    )
    door = values.Door(
        event_id="door", kind="mailbox_right", bin="b", meaning="m", operation="Add-MailboxPermission", actor="root",
        client_ip="1.1.1.1", network="n", target="t", grantee="g", app_id="a", app_name="An app", rights=("FullAccess",),
        before=(values.Setting(name="User", old=None, new="eve"),), n_before=2, chain=chain, n_uses=9,
    )  # fmt: skip
    side = values.DoorSide(doors=(door,), n_doors=2, refutes=Phrase(template="somebody vouches for it"))
    (unit,) = found.units
    answers = (*unit.answers, replace(unit.answers[0], f0_upper_ppb=1000, n_reference=5, is_assumed=True))
    ruled = values.RuleFinding(
        detector_id="password_spray", variant="success", title=Phrase(template="Passwords were tried"), first_at=at(1),
        last_at=at(2), cited=unit.cited, n_cited=44,
    )  # fmt: skip
    units = (replace(unit, door=side, answers=answers),)
    return replace(found, simulated=True, units=units, findings=(ruled,), n_findings=7)


def shown(explanation, lang="en", width=80, color=None):
    out = io.StringIO()
    Console(file=out, width=width, color_system=color, force_terminal=color is not None, legacy_windows=False).print(
        explanation_screen(explanation, lang)
    )
    return out.getvalue()


def changed(value, change):
    """The value with every text of the logs, or everything that may be absent, replaced."""
    if isinstance(value, Phrase):
        return value
    if isinstance(value, tuple):
        return tuple(changed(each, change) for each in value)
    if isinstance(value, dict):
        return {name: change("str | None", each) for name, each in value.items()}
    if not is_dataclass(value):
        return value
    hints = typing.get_type_hints(type(value), include_extras=True)
    new = {}
    for field in fields(value):
        old = getattr(value, field.name)
        kept = "Literal" in str(hints[field.name]) or is_dataclass(old) or isinstance(old, tuple | dict | Phrase)
        if kept:
            new[field.name] = changed(old, change)
            if isinstance(old, tuple) and old and isinstance(old[0], str):
                new[field.name] = tuple(change("str", each) for each in old)
        else:
            new[field.name] = change(str(hints[field.name]), old)
    return replace(value, **new)


def hostile(kind, value):
    return HOSTILE if isinstance(value, str) else value


def absent(kind, value):
    return None if "None" in kind else value


def test_every_question_is_drawn(full):
    text = shown(full)
    for title in (
        "What the detectors say", "Was the token issued?", "Can the token's claims be true?",
        "Is the client a stranger there?", "How much left?", "Is the session in two hands?", "Was a door opened?",
        "Records to look at: 1 of", "What would refute it", "2 more unit(s) of the case",
    ):  # fmt: skip
        assert title in text
    assert "Simulated:" in text
    assert "at most one authorised unit in 1,000,000 looks so (95 %)" in text.replace("\n", " ")


def test_numbers_on_the_screen_are_those_of_the_values(found):
    text = " ".join(shown(found, width=200).split())
    client = found.units[0].client
    for part in client.parts:
        assert f"{part.millinats / 1000:.1f} nats; before it, session clusters of this mailbox: " in text
    assert f"Certain messages: {found.units[0].volume.certain}" in text
    assert "from the first to the second: -2 h 0 min" in text
    assert "-10 min 0 s 2025-03-23 02:50:00 UTC interactive, succeeded 9.9.9.9 Mail (9199bf20" in text
    assert "exports/a.csv, record 12345" in text
    assert f"kept as line 12345 of evidence/{'ab' * 6}*.jsonl.zst" in text
    assert "weight 10^7.0 – opens the case" in text


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("change", [None, hostile, absent])
def test_it_fits_eighty_columns_and_holds_no_controls(full, change, lang):
    text = shown(full if change is None else changed(full, change), lang)
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= 80
    assert {char for char in text if unicodedata.category(char) in {"Cc", "Cs"}} <= {"\n"}
    assert not set(text) & set("\u202e\u2066\u2069\u2028")


def test_markup_in_log_text_is_no_markup(full):
    text = shown(changed(full, hostile), width=400, color="truecolor")
    assert "[bold red]x[/]" in text
    assert "\x1b]8;" not in text
    assert "\x1b[2J" not in text


def test_what_is_missing_is_said_to_be_missing(full):
    assert shown(changed(full, absent)).count("not in the logs") >= 10
    assert "absent des journaux" in shown(changed(full, absent), "fr")


def test_what_stands_by_a_rule_is_shown_with_its_records(full):
    text = shown(replace(full, units=(), n_units=0))
    assert "Units explained, heaviest first: 0 of 0" in text
    assert "Findings about no unit, which stand by their rules: 7" in text
    assert "password_spray/success" in text
    assert "Records to look at: 1 of 44" in text
    assert "… and 6 more" in text


@pytest.mark.parametrize(
    ("length_s", "expected"),
    [(0, "+0 s"), (59, "+59 s"), (60, "+1 min 0 s"), (-3661, "-1 h 1 min"), (90_000, "+1 d 1 h"), (None, "–")],
)
def test_spans_are_said_in_their_two_largest_units(length_s, expected):
    assert span(length_s, signed=True) == expected


def test_the_day_is_said_once_where_it_is_one():
    assert from_to(at(0), at(0)) == "2025-03-03 00:00:00 UTC"
    assert from_to(at(0), at(0, hours=5)) == "2025-03-03 00:00:00 – 05:00:00 UTC"
    assert from_to(at(0), at(1)) == "2025-03-03 00:00:00 – 2025-03-04 00:00:00 UTC"
