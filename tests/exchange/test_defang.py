import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.exchange.defang import defang, refang, shown_value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("203.0.113.77", "203[.]0[.]113[.]77"),
        ("2001:db8::1", "2001[:]db8[:][:]1"),
        ("https://a.example/x?y=1", "hxxps[:]//a[.]example/x?y=1"),
        ("HTTP://A.EXAMPLE", "HxxP[:]//A[.]EXAMPLE"),
        ("ftp://a.example", "fxp[:]//a[.]example"),
        ("anna@contoso.example", "anna[@]contoso[.]example"),
        ("nothing here", "nothing here"),
    ],
)
def test_what_people_read_leads_nowhere(text, shown):
    assert defang(text) == shown


@given(
    st.from_regex(r"(https?://|ftp://)?[a-z0-9.:@/-]{0,30}", fullmatch=True).filter(
        lambda text: "xx" not in text and "fx" not in text
    )
)
def test_it_can_be_undone_and_leaves_no_address(text):
    assert refang(defang(text)) == text
    assert not re.search(r"(?<!\[)[.:@](?!\])", defang(text))


def test_a_user_agent_is_shown_as_it_is_unless_a_link_is_in_it():
    assert shown_value("user_agent", "tool/1.0") == "tool/1.0"
    assert shown_value("user_agent", "bot/1.0 (+http://a.example)") == "bot/1[.]0 (+hxxp[:]//a[.]example)"
    assert shown_value("address", "203.0.113.7") == "203[.]0[.]113[.]7"
