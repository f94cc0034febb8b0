"""The recorded golden-SAML laboratory: one case, whose chain is a right to mail, a credential, and the reading."""

from __future__ import annotations

import datetime as dt

import pytest

from brokenseal import investigate
from brokenseal.settings import Settings
from brokenseal.store import Store
from support import SAMPLES, needs_samples

pytestmark = needs_samples


@pytest.fixture(scope="module")
def detection(tmp_path_factory):
    settings = Settings(store_dir=tmp_path_factory.mktemp("golden") / "store")
    investigate.add_exports([SAMPLES / "golden-saml"], settings, now=dt.datetime(2026, 4, 7, tzinfo=dt.UTC))
    tables = Store.open(settings).tables()
    return investigate.detect(tables, investigate.coverage_of(tables))


def test_the_intrusion_is_one_case_with_its_chain(detection):
    (case,) = detection.cases
    (chain,) = [found for found in case.findings if found.detector_id == "config.door_chain"]
    day = dt.datetime(2021, 8, 2, tzinfo=dt.UTC)
    assert [(item.role, (item.occurred_at - day) // dt.timedelta(seconds=1)) for item in chain.evidence] == [
        ("grant", 13 * 3600 + 27 * 60 + 20),
        ("credential", 13 * 3600 + 29 * 60 + 25),
        ("read", 13 * 3600 + 32 * 60 + 7),
    ]
    assert chain.objects == ("simulandapp",)


def test_what_the_application_read_is_certain_and_nobody_else_is_blamed(detection):
    (case,) = detection.cases
    assert (case.exposure.accesses, case.exposure.certain) == (1, 6)
    assert case.mailboxes == ("pgustavo@simulandlabs.com",)
