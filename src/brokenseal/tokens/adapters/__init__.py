"""Verifiers that a probe can ask: the product's own, and four libraries in two uses each.

`documented` is the library's own example with an audience; `entra` is the recipe that applications for Entra follow:
the key by its id from all published keys, the audience, the issuers of the accepted tenants. The libraries are
imported when an adapter is asked, and need not be installed otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A verifier and how to ask it.

    Attributes:
        library: Name of the distribution.
        use: `documented`, `entra`, or `strict` for the product's own.
        module: Module of this package.
    """

    library: str
    use: str
    module: str

    @property
    def target(self) -> str:
        """Its name for `--target`."""
        return f"python:brokenseal.tokens.adapters.{self.module}:{self.use}"


ADAPTERS: Final = (
    Adapter(library="PyJWT", use="documented", module="pyjwt"),
    Adapter(library="PyJWT", use="entra", module="pyjwt"),
    Adapter(library="joserfc", use="documented", module="joserfc"),
    Adapter(library="joserfc", use="entra", module="joserfc"),
    Adapter(library="python-jose", use="documented", module="python_jose"),
    Adapter(library="python-jose", use="entra", module="python_jose"),
    Adapter(library="Authlib", use="documented", module="authlib"),
    Adapter(library="Authlib", use="entra", module="authlib"),
    Adapter(library="brokenseal", use="strict", module="brokenseal"),
)
"""Every verifier of the table in the documentation."""
