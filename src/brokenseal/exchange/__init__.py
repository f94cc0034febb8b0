"""From the case document to what others take: indicators, findings, timelines and queries, and bundles read back.

`indicators.share` decides what may leave; a format only writes it down. Names of formats are listed in `FORMATS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.exchange import (
    attack_navigator,
    hunting_kql,
    hunting_sigma,
    indicators_csv,
    misp_event,
    ocsf,
    stix_bundle,
    timesketch,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.exchange.shared import Shared
    from brokenseal.model import CaseDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFormat:
    """One exchange format: a pure function from the document and what of it is shared to bytes.

    Attributes:
        what: What it is, for the documentation.
    """

    name: str
    media_type: str
    suffix: str
    what: str
    render: Callable[[CaseDocument, Shared], bytes]


def _navigator(shared: Shared) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(attack_navigator.layer_of(shared)), indent=2) + b"\n"


FORMATS: Final = (
    ShareFormat(
        name="stix",
        media_type="application/stix+json;version=2.1",
        suffix=".stix.json",
        what="STIX 2.1 bundle",
        render=lambda _, shared: stix_bundle.stix_bytes(shared),
    ),
    ShareFormat(
        name="misp",
        media_type="application/json",
        suffix=".misp.json",
        what="MISP event",
        render=lambda _, shared: misp_event.misp_json(shared),
    ),
    ShareFormat(
        name="navigator",
        media_type="application/json",
        suffix=".layer.json",
        what="ATT&CK Navigator layer 4.5",
        render=lambda _, shared: _navigator(shared),
    ),
    ShareFormat(
        name="ocsf",
        media_type="application/jsonl",
        suffix=".ocsf.jsonl",
        what="OCSF 1.8.0 detection findings, one a line",
        render=ocsf.ocsf_lines,
    ),
    ShareFormat(
        name="timesketch-csv",
        media_type="text/csv; charset=utf-8",
        suffix=".timesketch.csv",
        what="Timesketch timeline",
        render=timesketch.timesketch_csv,
    ),
    ShareFormat(
        name="timesketch-jsonl",
        media_type="application/jsonl",
        suffix=".timesketch.jsonl",
        what="Timesketch timeline",
        render=timesketch.timesketch_jsonl,
    ),
    ShareFormat(
        name="sigma",
        media_type="application/yaml",
        suffix=".sigma.yml",
        what="Sigma rules for hunting",
        render=lambda _, shared: hunting_sigma.sigma_text(shared).encode(),
    ),
    ShareFormat(
        name="kql",
        media_type="text/plain; charset=utf-8",
        suffix=".kql",
        what="Kusto queries for hunting",
        render=lambda _, shared: hunting_kql.kql_text(shared).encode(),
    ),
    ShareFormat(
        name="csv",
        media_type="text/csv; charset=utf-8",
        suffix=".indicators.csv",
        what="Indicators as CSV",
        render=lambda _, shared: indicators_csv.indicators_csv(shared),
    ),
)
