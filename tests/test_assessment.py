"""Cases judged from end to end on a small tenant: marks and calibration are given by hand, everything else is real."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import random
import re
import string

import pyarrow as pa
import pytest

from brokenseal.assessment import UNITS_LISTED, assess, assessments
from brokenseal.calibration import Calibration, Group, Intrusions, Point, Tail
from brokenseal.coverage import coverage
from brokenseal.judgement import clustered, judge
from brokenseal.model import Evidence, Finding, Gap, Severity
from brokenseal.schema import MARK
from brokenseal.scope import cases_of
from brokenseal.wording import Phrase, phrase, say
from support import make_tables

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
STRANGER, TOKEN, VOLUME = "mail_access.stranger_client", "token.provenance", "mail_access.strange_volume"
ANNA, CARLA, ADMIN = "anna@x.example", "carla@x.example", "admin@x.example"
HOME, STRANGE = "198.51.100.7", "203.0.113.9"
SPY = "e-anna-25"
"""The first record of the strange session."""
POINTS = (
    Point(millibans=2_000, ratio_millibans=2_000, low_millibans=1_500, high_millibans=2_500, cases=90),
    Point(millibans=6_000, ratio_millibans=6_500, low_millibans=6_300, high_millibans=6_700, cases=200),
)


def calibration(**changes):
    values = {
        "format": 1,
        "made_of": "a test",
        "root": STRANGER,
        "groups_of": {"22+": "strange"},
        "benign": {
            "habitual": Group(units=900_000, bins={TOKEN: {"orphan": 40}}),
            "strange": Group(units=100_000, bins={STRANGER: {"22+": 400}, TOKEN: {"orphan": 0}, VOLUME: {"301-1000": 9}}),
        },
        "doors": Group(units=10_000, bins={"config.open_door": {"forward_out:strange:new_domain": 0}}),
        "mailbox_weeks": 1e5,
        "intrusions": {
            "A1": Intrusions(
                instances=5,
                units=10,
                bins={STRANGER: {"22+": 9}, TOKEN: {"orphan": 9}, VOLUME: {"301-1000": 5},
                      "config.open_door": {"forward_out:strange:new_domain": 2}},
            )
        },
        "points": POINTS,
        "inflation": {"1e-4": 1.0},
    }  # fmt: skip
    return Calibration(**{**values, **changes})


def access(name, day, *, ip=HOME, session=None, mailbox=ANNA, actor=None, app="owa-app", **values):
    fields = {
        "event_id": name, "occurred_at": START + day * DAY, "tenant_id": "t", "mailbox_key": f"upn:{mailbox}",
        "mailbox_upn": mailbox, "actor_key": actor or mailbox, "client_ip": ip, "ip_class": "public", "protocol": "owa",
        "effective_app": app, "session_id": session or f"s{day}", "token_id_raw": f"raw-{name}", "token_id": f"id-{name}", "logon_type": 0,
        "access_type": "bind", "user_type": 0,
    }  # fmt: skip
    return {**fields, **values}


def sign_in(name, day, *, account=ANNA, ip=HOME, category="interactive", device=None, asn=64501):
    return {
        "event_id": name, "occurred_at": START + day * DAY, "tenant_id": "t", "category": category, "actor_key": account,
        "client_ip": ip, "ip_class": "public", "succeeded": True, "device_id": device, "asn": asn,
    }  # fmt: skip


FORWARD = {
    "event_id": "d-forward", "occurred_at": START + 25.2 * DAY, "tenant_id": "t", "change": "mailbox_forwarding",
    "operation_key": "set-mailbox", "actor_key": ANNA, "client_ip": STRANGE, "ip_class": "public", "target_key": "anna",
    "destinations": ["out@evil.example"], "external_destinations": ["out@evil.example"], "succeeded": True,
    "is_service": False, "object_id": "box/anna",
}  # fmt: skip


def world():
    """Two mailboxes read daily from one place for a month; on day 25 somebody strange reads one, for two days."""
    accesses = [access(f"e-{who}-{day}", day, mailbox=mailbox, session=f"{who}{day}")
                for who, mailbox in (("home", ANNA), ("carla", CARLA)) for day in range(30)]  # fmt: skip
    accesses += [
        access(SPY, 25, ip=STRANGE, session="spy", app="spy-app"),
        access("e-anna-26", 26, ip=STRANGE, session="spy2", app="spy-app"),
    ]
    sign_ins = [sign_in(f"signin:{number}", number - 0.1, device="laptop") for number in range(30)]
    sign_ins += [sign_in(f"signin:n{number}", number - 0.1, category="non_interactive") for number in range(30)]
    sign_ins += [sign_in("signin:seen", 3, account=CARLA, ip=STRANGE, asn=64500)]
    events = [{**{name: row[name] for name in ("event_id", "occurred_at", "tenant_id", "actor_key", "client_ip")},
               "source": "unified_audit", "mailbox_key": row.get("mailbox_key")} for row in accesses]  # fmt: skip
    return {"mail_accesses": accesses, "sign_ins": sign_ins, "events": events, "config_changes": [FORWARD]}


def marks(**bins):
    rows = [
        {"unit": unit.replace("_", "-"), **({"state": "fired", "bin": name} if isinstance(name, str) else name)}
        for unit, name in bins.items()
    ]
    return pa.Table.from_pylist(
        [{column: row.get(column) for column in MARK.names} for row in rows], schema=MARK.arrow_schema()
    )


LOUD = {STRANGER: marks(e_anna_25="22+"), TOKEN: marks(e_anna_25="orphan")}


def finding(name="f1", *, units=(SPY,), events=(SPY,), day=25, family="token", **values):
    at = START + day * DAY
    fields = {
        "detector_id": TOKEN, "variant": "not_issued", "group_key": name, "title": phrase("x"), "attack": ("T1606",),
        "severity": Severity.HIGH, "is_notice": False, "innocent": phrase("x"), "settles": phrase("x"),
        "first_at": at, "last_at": at, "mailboxes": (ANNA,), "actors": (ANNA,), "addresses": (STRANGE,),
        "sessions": (), "objects": (), "case_keys": (f"account:{ANNA}",), "units": units, "family": family,
    }  # fmt: skip
    evidence = tuple(Evidence(event_id=event, role="read", occurred_at=at) for event in events)
    return Finding(id=name, evidence=evidence, **{**fields, **values})


DOORS = pa.table({"unit": ["d-forward"], "tenant_id": ["t"], "mailbox_key": [ANNA], "network": ["asn:64500"]})


@contextlib.contextmanager
def prepared(rows):
    tables = make_tables(rows)
    with clustered(tables) as working:
        yield working, coverage(tables, ())


@pytest.fixture(scope="module")
def usual():
    """The usual world, worked out once."""
    with prepared(world()) as both:
        yield both


def judged(both, *, findings=None, given=None, known=None, change_coverage=None):
    """All cases' judgements."""
    working, seen = both
    known, given = known or calibration(), LOUD if given is None else given
    if change_coverage:
        seen = change_coverage(seen)
    judgement = judge(working, given, DOORS, known)
    drafts = cases_of(findings or (finding(),), working, judgement).cases
    return assessments(drafts, judgement, working, seen, known)


def said(phrases, lang="en"):
    return [say(each, lang) for each in phrases]


def one(both, **given):
    if isinstance(both, dict):
        with prepared(both) as worked:
            return one(worked, **given)
    (found,) = judged(both, **given)
    return found


# ---------------------------------------------------------------- the whole


EVIDENCE = (finding(), finding("f2", units=(), events=("d-forward",), day=25.2))


def test_a_case_on_good_ground_is_judged_in_full(usual):
    found = one(usual, findings=EVIDENCE)
    assert (found.confidence, found.budget_per_billion) == ("high", 50_000)
    assert said(found.confidence_reasons) == [
        "2 independent kinds of evidence point the same way.",
        "All logs that it rests on are there, and every detector could judge what opened it.",
        "Innocent explanations were tested on the records, and none is supported.",
    ]
    # The calibration's last step alone: 10^6.5 times, at the priors of one mailbox in 14 days.
    assert [(each.prior_per_million, each.permille) for each in found.likelihoods] == [
        (100, 924), (1_000, 992), (10_000, 999),
    ]  # fmt: skip
    assert said(each.words for each in found.likelihoods) == [
        "very likely to almost certain, 88–96 %", "almost certain", "almost certain",
    ]  # fmt: skip
    assert [each.result for each in found.alternatives] == ["refuted"] * 6 + ["cannot_tell"]
    assert said(found.doors_open) == ["Mail still goes on to out@evil.example, as was set on 2025-03-28 12:48:00 UTC."]
    assert found.made_with["calibration"] == "a test"


def test_units_stand_heaviest_first_with_why_they_are_in_the_case(usual):
    found = one(usual, findings=EVIDENCE)
    assert [(each.unit, each.standing, each.is_door, each.network) for each in found.units] == [
        (SPY, "opens", False, "asn:64500"),
        ("d-forward", "cited", True, "asn:64500"),
        ("e-anna-26", "follows", False, "asn:64500"),
    ]
    # Detectors of sessions have nothing to say of a change.
    assert found.units[1].parts == ()
    spy = found.units[0]
    assert (spy.mailbox, spy.actor, spy.app, spy.records) == (ANNA, ANNA, "spy-app|owa", 1)
    assert spy.millibans == found.millibans > found.threshold_millibans
    assert [(part.detector_id, part.bin, part.basis) for part in spy.parts] == [
        (STRANGER, "22+", "calibration"), (TOKEN, "orphan", "calibration"),
    ]  # fmt: skip
    # None among 100,000 strange sessions: 3 in 100,000 at most.
    assert spy.parts[1].f0_upper_ppb == pytest.approx(29_957, abs=5)


def test_no_case_is_no_judgement_and_several_are_judged_alike_at_once(usual):
    assert judged(usual, findings=(finding(is_notice=True, units=("e-home-3",)),)) == ()
    second = finding("f3", units=("e-carla-27",), events=("e-carla-27",), day=27, mailboxes=(CARLA,), actors=(CARLA,),
                     addresses=(HOME,), case_keys=(f"account:{CARLA}",))  # fmt: skip
    known = calibration(rules={f"{TOKEN}/not_issued": 0}, rules_weeks=8_000.0)
    both = judged(usual, findings=(finding(), second), known=known)
    assert [(each.units[0].mailbox, each.units[0].standing) for each in both] == [(ANNA, "opens"), (CARLA, "cited")]


def test_more_units_than_are_listed_are_counted(usual):
    names = [f"e-home-{day}" for day in range(20)]
    found = one(usual, findings=(finding(units=(SPY, *names)),))
    assert (len(found.units), found.n_units) == (UNITS_LISTED, 22)


# ---------------------------------------------------------------- confidence


def test_one_kind_of_evidence_is_no_high_confidence_and_volume_is_none_beside_strangeness(usual):
    known = calibration(doors=Group(units=10_000))
    found = one(usual, given={STRANGER: marks(e_anna_25="22+"), VOLUME: marks(e_anna_25="301-1000")}, known=known)
    assert found.confidence == "moderate"
    assert said(found.confidence_reasons) == ["One kind of evidence stands alone."]


def test_a_detector_that_could_not_judge_lowers_confidence(usual):
    blind = {**LOUD, VOLUME: marks(e_anna_25={"state": "not_assessable", "reason": "unnamed"})}
    found = one(usual, given=blind)
    assert found.confidence == "moderate"
    assert "1 detector(s) could not judge what opened the case." in said(found.confidence_reasons)


def test_a_bin_that_was_never_counted_is_outside_of_what_can_be_judged(usual):
    found = one(usual, given={**LOUD, VOLUME: marks(e_anna_25="a new bin")})
    assert found.confidence == "low"
    assert "1 answer(s) of detectors are of a kind that was never counted." in said(found.confidence_reasons)


def test_a_short_history_is_low_confidence_whatever_else_is_there():
    rows = world()
    for name in ("mail_accesses", "events", "sign_ins"):
        rows[name] = [row for row in rows[name] if row["occurred_at"] >= START + 12 * DAY]
    found = one(rows)
    assert found.confidence == "low"
    assert "The logs reach back 13 day(s) before the case; strangeness needs 14." in said(found.confidence_reasons)


def test_a_field_that_comes_up_before_the_case_is_another_epoch():
    rows = world()
    late = START + 20 * DAY
    for row in rows["mail_accesses"]:
        row["token_id_raw"] = None if row["occurred_at"] < late else row["token_id_raw"]
    # Enough records a week that their shares mean something.
    more = [access(f"x{number}", number / 10, mailbox=CARLA, session="c") for number in range(300)]
    rows["mail_accesses"] += [{**row, "token_id_raw": None if row["occurred_at"] < late else "raw"} for row in more]
    found = one(rows)
    assert found.confidence == "low"
    assert any("changed their form around 2025-03-24" in each for each in said(found.confidence_reasons))


@pytest.mark.parametrize(
    ("table", "level", "reason"),
    [
        ("sign_ins", "low", "The logs hold no sign-ins: how anybody got in cannot be told."),
        ("config_changes", "moderate", "The logs hold no changes of configuration"),
    ],
)
def test_a_log_that_is_missing_counts_by_what_the_case_rests_on(table, level, reason):
    found = one({**world(), table: []})
    assert found.confidence == level
    assert any(each.startswith(reason) for each in said(found.confidence_reasons))


def test_missing_sign_ins_by_machines_are_moderate_and_the_first_thing_to_collect():
    rows = world()
    rows["sign_ins"] = [row for row in rows["sign_ins"] if row["category"] == "interactive"]
    found = one(rows)
    assert found.confidence == "moderate"
    assert said(found.collection)[0].startswith("Export the non-interactive sign-ins from 2025-02-28")
    assert said(found.collection)[2].startswith(f"Ask {ANNA}, over another channel")


def test_a_gap_while_the_case_lasted_is_said(usual):
    def with_gap(seen):
        gap = Gap(
            source="sign_in.interactive", first_at=START + 24.9 * DAY, last_at=START + 25.1 * DAY, expected_records=9.0
        )
        return dataclasses.replace(seen, sources=(dataclasses.replace(seen.sources[0], gaps=(gap,)), *seen.sources[1:]))

    found = one(usual, change_coverage=with_gap)
    assert found.confidence == "moderate"
    assert "The logs have 1 gap(s) while the case lasted." in said(found.confidence_reasons)


def test_a_supported_explanation_lowers_confidence_and_is_the_first_thing_to_settle():
    rows = world()
    rows["sign_ins"].append(sign_in("signin:trip", 24.9, ip=STRANGE, device="laptop", asn=64500))
    found = one(rows)
    journey = next(each for each in found.alternatives if "journey" in each.name.template)
    assert (journey.result, journey.event_ids) == ("supported", ("signin:trip",))
    assert found.confidence == "moderate"
    assert said(found.refutes)[0] == "Those concerned confirm the innocent explanation that the records speak for."


def test_without_points_nothing_bounds_the_probability_from_above(usual):
    found = one(usual, known=calibration(points=(), inflation={}))
    assert found.confidence == "low"
    assert all(each.high_permille == 999 for each in found.likelihoods)
    assert "No calibration says how weights of cases and intrusions go together." in said(found.confidence_reasons)
    assert "How much more often false cases come than the shares say was not measured." in said(found.assumptions)


# ---------------------------------------------------------------- assumptions and rules


def test_assumptions_name_the_simulation_and_what_was_never_counted_together(usual):
    lines = said(one(usual).assumptions)
    assert lines[0].startswith("Each prior is brought from one mailbox-year to one mailbox in 14 days")
    # 32 sessions of the mailbox in 29 days, and doors have half of the budget.
    assert "about 31 sessions" in lines[0]
    assert "one false case is to be expected in 20,000 mailbox-weeks" in lines[1]
    assert "Shares among authorised use come from simulated tenants (100,000 units and more): a test." in lines
    rare = calibration(benign={
        "habitual": Group(units=9_000_000, bins={TOKEN: {"orphan": 1}}),
        "strange": Group(units=100, bins={STRANGER: {"22+": 100}}),
    })  # fmt: skip
    assert any("20 times likelier after the first" in each for each in said(one(usual, known=rare).assumptions))


def test_a_threshold_that_the_measured_tail_lowered_says_so_and_counts_the_same_sessions(usual):
    tail = Tail(
        from_millibans=1_000,
        beyond=100,
        units=100_000,
        share_upper_ppb=2_000_000,
        step_millibans=300,
        independent=50,
        tenants=5,
    )
    lines = said(one(usual, known=calibration(tails={"clusters": tail, "doors": tail})).assumptions)
    assert "about 31 sessions" in lines[0]
    lowered, bound = (float(re.search(r"[\d.]+(?= \(decimal|\.$)", line).group()) for line in lines[1:3])
    assert "the bound that needs no such end" in lines[2]
    assert 1 < lowered < bound


def test_a_case_that_a_rule_opened_says_so_and_its_probability_is_left_open(usual):
    known = calibration(rules={f"{TOKEN}/not_issued": 0}, rules_weeks=8_000.0)
    found = one(usual, given={STRANGER: marks(), TOKEN: marks()}, known=known)
    assert any(
        "time(s) in all in 8,000 simulated mailbox-weeks of authorised use" in each for each in said(found.assumptions)
    )
    assert found.millibans < found.threshold_millibans
    assert found.confidence == "moderate"
    assert {each.high_permille for each in found.likelihoods} == {999}
    nothing = one(
        usual,
        findings=(finding(units=(), events=("nowhere",)),),
        given={STRANGER: marks(), TOKEN: marks()},
        known=known,
    )
    assert (nothing.units, nothing.millibans) == ((), 0)


def test_what_a_rule_would_have_opened_too_leaves_the_upper_end_open(usual):
    known = calibration(rules={f"{TOKEN}/not_issued": 0}, rules_weeks=8_000.0)
    plain, ruled = one(usual), one(usual, known=known)
    assert ruled.millibans == plain.millibans > ruled.threshold_millibans
    assert all(each.high_permille == 999 for each in ruled.likelihoods)
    assert [each.permille for each in ruled.likelihoods] == [each.permille for each in plain.likelihoods]
    assert any(each.high_permille < 999 for each in plain.likelihoods)


def test_what_joined_a_case_that_a_rule_opened_speaks_for_it_too(usual):
    known = calibration(rules={f"{TOKEN}/not_issued": 0}, rules_weeks=8_000.0)
    given = {STRANGER: marks(e_anna_26="22+"), TOKEN: marks(e_anna_26="orphan")}
    light = calibration(benign={
        "habitual": Group(units=900_000, bins={TOKEN: {"orphan": 40}}),
        "strange": Group(units=100_000, bins={STRANGER: {"22+": 400}, TOKEN: {"orphan": 900}}),
    }, rules=known.rules, rules_weeks=8_000.0)  # fmt: skip
    found = one(usual, findings=(finding(units=(SPY, "e-anna-26")),), given=given, known=light)
    assert [(each.unit, each.standing) for each in found.units] == [("e-anna-26", "joins"), (SPY, "cited")]
    assert found.millibans == found.units[0].millibans
    assert said(found.confidence_reasons)[0] == "2 independent kinds of evidence point the same way."


# ---------------------------------------------------------------- what always holds


def phrases(value):
    if isinstance(value, Phrase):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from phrases(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from phrases(each)


PROBABLE = re.compile(r"\b(un)?likel|almost (certain|no chance)|even chance|probab", re.IGNORECASE)
SURE = re.compile(r"confiden", re.IGNORECASE)


@pytest.mark.parametrize("known", [calibration(), calibration(points=(), inflation={"1e-4": 3.0})])
@pytest.mark.parametrize("findings", [EVIDENCE, (finding(units=("e-home-9",)), finding("f2"))])
def test_probability_and_confidence_never_stand_in_one_sentence(known, findings, usual):
    found = one(usual, known=known, findings=findings)
    assert not [each for each in said(found.confidence_reasons) if PROBABLE.search(each)]
    for each in phrases(found):
        assert not (PROBABLE.search(each.template) and SURE.search(each.template))
        assert {name for _, name, _, _ in string.Formatter().parse(each.template) if name} == set(each.values)
        assert say(each, "fr")


def test_shuffled_and_repeated_records_give_the_same_judgement():
    rows = world()
    mixed = {name: [*each, *random.Random(name).sample(each, len(each) // 3)] for name, each in rows.items()}
    for name, each in mixed.items():
        random.Random(f"{name}!").shuffle(each)
    # A repeated mail access is one record of a session, not two.
    assert one(mixed, findings=EVIDENCE) == one(rows, findings=EVIDENCE)


def test_an_empty_store_has_nothing_to_judge():
    tables = make_tables({})
    nothing = pa.table({name: pa.array([], pa.string()) for name in ("unit", "tenant_id", "mailbox_key", "network")})
    with clustered(tables) as working:
        judgement = judge(working, {STRANGER: marks()}, nothing, calibration())
        assert assessments((), judgement, working, coverage(tables, ()), calibration()) == ()


def test_one_case_is_judged_as_it_is_among_others(usual):
    working, seen = usual
    known = calibration()
    judgement = judge(working, LOUD, DOORS, known)
    (draft,) = cases_of(EVIDENCE, working, judgement).cases
    assert (assess(draft, judgement, working, seen, known),) == judged(usual, findings=EVIDENCE)
