"""The facts that contradict each other stand side by side, each with its record."""

from __future__ import annotations

import pytest

from brokenseal.detectors import impossible_token
from brokenseal.explanations import claims
from explain_world import OWA, TENANT, at, explained, read, sign_in, token

CONSUMER = impossible_token.CONSUMER_TENANT
USED = at(10, hours=12)
ISSUED = at(10, hours=11)
BIN_NAMES = tuple(impossible_token.BINS)


class Case:
    """Records of one check, which have nothing in common with those of another."""

    def __init__(self, name):
        self.name = name
        self.token = token(BIN_NAMES.index(name) + 1)
        self.who = f"ann-{name}"

    def id(self, short):
        return f"{short}-{self.name}"

    def use(self, short="e", when=USED, who=None, **columns):
        return read(
            self.id(short), when, who or self.who,
            **{"token_id": self.token, "token_id_raw": "raw", "token_issued_at": ISSUED,
               "session_id": f"s-{self.name}", **columns},
        )  # fmt: skip

    def issue(self, who=None, **columns):
        return sign_in(self.id("s"), ISSUED, who or self.who, request_id=self.token, **columns)

    def revoke(self, short, when, change):
        key = f"{self.who}@corp.example"
        return {"event_id": self.id(short), "occurred_at": when, "change": change, "target_key": key}


ODD = "00000000-0000-1000-8000-0000000000ff"
ROWS = {
    "consumer_tenant": lambda c: {"mail_accesses": [c.use(token_tenant_id=CONSUMER)]},
    "two_subjects": lambda c: {"mail_accesses": [c.use(), c.use("f", at(10, hours=13), "bob")]},
    "issued_ahead": lambda c: {"mail_accesses": [c.use(token_issued_at=at(10, hours=13))]},
    "too_old": lambda c: {"mail_accesses": [c.use(token_issued_at=at(8))]},
    "other_subject": lambda c: {"mail_accesses": [c.use()], "sign_ins": [c.issue("bob")]},
    "two_issues": lambda c: {
        "mail_accesses": [c.use(), c.use("f", at(10, hours=13), token_issued_at=at(10, hours=10))]
    },
    "foreign_tenant": lambda c: {"mail_accesses": [c.use(token_tenant_id="other")]},
    "after_revocation": lambda c: {
        "mail_accesses": [c.use(token_issued_at=at(10, hours=6))],
        "config_changes": [
            c.revoke("early", at(10, hours=2), "password_reset"),
            c.revoke("late", at(10, hours=9), "sessions_revoked"),
        ],
    },
    "failed_sign_in": lambda c: {
        "mail_accesses": [c.use()], "sign_ins": [c.issue(succeeded=False, error_code=50126)]
    },
    "other_client": lambda c: {"mail_accesses": [c.use()], "sign_ins": [c.issue(app_id="another")]},
    "odd_form": lambda c: {"mail_accesses": [c.use(token_id=ODD)]},
}  # fmt: skip
FACTS = {
    "consumer_tenant": [("token_tenant_id", CONSUMER, "e"), ("tenant_id", TENANT, "e")],
    "two_subjects": [("token_subject", "oid-ann-two_subjects", "e"), ("token_subject", "oid-bob", "f")],
    "issued_ahead": [("token_issued_at", "2025-03-13T13:00:00Z", "e"), ("occurred_at", "2025-03-13T12:00:00Z", "e")],
    "too_old": [("token_issued_at", "2025-03-11T00:00:00Z", "e"), ("occurred_at", "2025-03-13T12:00:00Z", "e")],
    "other_subject": [("subject_id", "oid-bob", "s"), ("token_subject", "oid-ann-other_subject", "e")],
    "two_issues": [
        ("token_issued_at", "2025-03-13T11:00:00Z", "e"),
        ("token_issued_at", "2025-03-13T10:00:00Z", "f"),
    ],
    "foreign_tenant": [("token_tenant_id", "other", "e"), ("tenant_id", TENANT, "e"), ("home_tenant_id", None, None)],
    "after_revocation": [
        ("token_issued_at", "2025-03-13T06:00:00Z", "e"),
        ("occurred_at", "2025-03-13T09:00:00Z", "late"),
        ("occurred_at", "2025-03-13T12:00:00Z", "e"),
    ],
    "failed_sign_in": [("error_code", "50126", "s"), ("token_id_raw", "raw", "e")],
    "other_client": [("app_id", "another", "s"), ("effective_app", OWA, "e")],
    "odd_form": [
        ("token_id_raw", "raw", "e"),
        ("token_id", ODD, "e"),
        ("token_id", "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxx00, …01 or …02", None),
    ],
}
BETWEEN_S = {"issued_ahead": -3600, "too_old": 60 * 3600, "two_issues": -3600, "after_revocation": 3 * 3600}


@pytest.fixture(scope="module")
def contradictions():
    """Check to the contradictions of its unit, all in one tenant."""
    rows = {}
    for name, make in ROWS.items():
        for table, listed in make(Case(name)).items():
            rows.setdefault(table, []).extend(listed)
    found = {}
    # Ten units of a case are explained.
    for names in (BIN_NAMES[:6], BIN_NAMES[6:]):
        units = [f"e-{name}" for name in names]
        explanation, _, _ = explained(rows, units, [impossible_token.DETECTOR])
        found |= {unit.unit.partition("-")[2]: unit.claims.contradictions for unit in explanation.units}
    return found


@pytest.mark.parametrize("name", BIN_NAMES)
def test_each_check_shows_its_facts_raw(contradictions, name):
    (one,) = contradictions[name]
    assert (one.bin, one.meaning) == (name, impossible_token.BINS[name])
    expected = [(column, value, None if short is None else f"{short}-{name}") for column, value, short in FACTS[name]]
    assert [(fact.column, fact.value, fact.event_id) for fact in one.facts] == expected
    assert one.between_s == BETWEEN_S.get(name)
    assert one.records == (2 if name == "two_issues" else 1)


def test_every_check_of_the_detector_has_its_facts():
    assert claims._FACTS.keys() == impossible_token.BINS.keys()


def test_a_column_keeps_the_names_that_the_logs_give_it(contradictions):
    assert contradictions["issued_ahead"][0].facts[0].log_fields == "AppAccessContext.IssuedAtTime"


def test_several_checks_stand_gravest_first_and_count_their_records():
    case = Case("issued_ahead")
    reads = [
        case.use(token_issued_at=at(10, hours=13), token_id=token(20)),
        case.use("e2", at(10, hours=12, minutes=1), token_issued_at=at(10, hours=13), token_id=token(20)),
        case.use("e3", at(10, hours=12, minutes=2), token_tenant_id=CONSUMER, token_id=token(21)),
        read("fine", USED, "bob", token_id=token(22), token_id_raw="raw", token_issued_at=ISSUED),
    ]
    found, _, _ = explained({"mail_accesses": reads}, [case.id("e"), "fine"], [impossible_token.DETECTOR])
    told = [(one.bin, one.records) for one in found.units[0].claims.contradictions]
    assert told == [("consumer_tenant", 1), ("issued_ahead", 2)]
    assert found.units[1].claims is None
