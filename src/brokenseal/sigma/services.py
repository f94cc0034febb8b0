"""The log sources of Sigma rules, and the log of the product that answers each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brokenseal.sigma.values import NOTHING
from brokenseal.sigma.vocabulary import DIRECTORY, GRAPH, SIGN_INS, UNIFIED_AUDIT, Log
from brokenseal.wording import Phrase, phrase

_SUBSCRIPTIONS: Final = phrase("The product does not read the activity log of Azure subscriptions")
_PIM: Final = phrase("The product does not read alerts of Privileged Identity Management")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A log source of Sigma, and the log that answers it.

    Attributes:
        log: None where the product reads no such log.
        note: What is to be known about the answer.
    """

    product: str
    service: str
    log: Log | None
    note: Phrase = NOTHING


SERVICES: Final = (
    Service(product="m365", service="", log=UNIFIED_AUDIT),
    Service(product="m365", service="audit", log=UNIFIED_AUDIT),
    Service(product="m365", service="exchange", log=UNIFIED_AUDIT),
    Service(product="m365", service="sharepoint", log=UNIFIED_AUDIT),
    Service(product="m365", service="threat_detection", log=UNIFIED_AUDIT),
    Service(product="m365", service="threat_management", log=UNIFIED_AUDIT),
    Service(product="azure", service="signinlogs", log=SIGN_INS),
    Service(product="azure", service="auditlogs", log=DIRECTORY),
    Service(product="azure", service="audit", log=DIRECTORY),
    Service(product="azure", service="entra_id", log=DIRECTORY),
    Service(product="azure", service="microsoftgraphactivitylogs", log=GRAPH),
    Service(product="azure", service="graphactivitylogs", log=GRAPH),
    Service(
        product="azure",
        service="riskdetection",
        log=SIGN_INS,
        note=phrase("Risk detections are read from the sign-ins that bear them; those without a sign-in are not there"),
    ),
    Service(product="azure", service="activitylogs", log=None, note=_SUBSCRIPTIONS),
    Service(product="azure", service="pim", log=None, note=_PIM),
    Service(
        product="azure",
        service="rolemanagementalerts",
        log=None,
        note=_PIM,
    ),
)


def service_of(product: str | None, service: str | None) -> Service | None:
    """The log source of a rule, or None where it is none of Microsoft 365 and Azure."""
    wanted = ((product or "").lower(), (service or "").lower())
    return next((each for each in SERVICES if (each.product, each.service) == wanted), None)
