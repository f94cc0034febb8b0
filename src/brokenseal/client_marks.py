"""What an address and a user agent say of where and with what somebody works, as Ibis expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

# What a user agent says of the machine and of the browser, in the order in which it must be asked: an iPhone calls
# itself Mac OS X too, Edge and Opera call themselves Chrome, and Chrome calls itself Safari.
_MACHINES = (
    ("iPhone", "ios"),
    ("iPad", "ios"),
    ("Android", "android"),
    ("Windows NT", "windows"),
    ("CrOS", "chromeos"),
    ("Macintosh", "macos"),
    ("Linux", "linux"),
    ("X11", "linux"),
)
_BROWSERS = (
    ("Edg", "edge"),
    ("OPR/", "opera"),
    ("Firefox/", "firefox"),
    ("FxiOS/", "firefox"),
    ("Chrome/", "chrome"),
    ("CriOS/", "chrome"),
    ("Safari/", "safari"),
)


def machine(agent: ir.StringValue) -> ir.StringValue:
    """The machine that a user agent names, such as `windows`; null where it names none."""
    return ibis.cases(*((agent.contains(mark), name) for mark, name in _MACHINES))


def browser_family(agent: ir.StringValue) -> ir.StringValue:
    """Machine and browser, such as `windows chrome`; null for programs that are no browser and where it is not said.

    Mail programs are left out because one sign-in of the machine serves all its programs.
    """
    browser = ibis.cases(*((agent.contains(mark), name) for mark, name in _BROWSERS))
    return machine(agent).concat(" ", browser)


def wide_network(address: ir.StringValue) -> ir.StringValue:
    """The first two parts of an address: neighbours in one network of an operator share them."""
    return address.re_extract(r"^([0-9a-f]+[.:][0-9a-f]*)[.:]", 1)


def narrow_network(address: ir.StringValue) -> ir.StringValue:
    """The first three parts of an address: a /24, or a /48, where customers of one operator live side by side."""
    return address.re_extract(r"^([0-9a-f]+[.:][0-9a-f]*[.:][0-9a-f]*)[.:]", 1)
