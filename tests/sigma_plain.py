"""Sigma on dictionaries, in the plainest words: what the compiled rules have to agree with.

Nothing of pySigma and nothing of the product is used, so that neither can mislead the other.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
import re

DASHES = "-/–—―"


def fold(text):
    return text.replace("İ", "i").replace("Σ", "σ").lower()


def matches(detection, record):
    """Whether a record (field to None, text, or list of texts) satisfies the `detection` part of a rule."""
    conditions = detection["condition"]
    conditions = conditions if isinstance(conditions, list) else [conditions]
    selections = {name: part for name, part in detection.items() if name != "condition"}
    return any(_Condition(each, selections, record).value() for each in conditions)


class _Condition:
    def __init__(self, text, selections, record):
        self.tokens = re.findall(r"[()]|[^\s()]+", text)
        self.selections = selections
        self.record = record

    def value(self):
        found = self._or()
        assert not self.tokens
        return found

    def _next(self, *wanted):
        if self.tokens and self.tokens[0] in wanted:
            return self.tokens.pop(0)
        return None

    def _or(self):
        found = self._and()
        while self._next("or"):
            other = self._and()
            found = found or other
        return found

    def _and(self):
        found = self._not()
        while self._next("and"):
            other = self._not()
            found = found and other
        return found

    def _not(self):
        if self._next("not"):
            return not self._not()
        if self._next("("):
            found = self._or()
            assert self._next(")")
            return found
        if self.tokens[1:2] == ["of"]:
            quantity, _, pattern = self.tokens.pop(0), self.tokens.pop(0), self.tokens.pop(0)
            pattern = "*" if pattern == "them" else pattern
            chosen = [part for name, part in self.selections.items() if re.fullmatch(pattern.replace("*", ".*"), name)]
            return (all if quantity == "all" else any)(selection(part, self.record) for part in chosen)
        return selection(self.selections[self.tokens.pop(0)], self.record)


def selection(part, record):
    if isinstance(part, dict):
        return all(item(key, values, record) for key, values in part.items())
    if isinstance(part, list) and any(isinstance(each, dict) for each in part):
        return any(selection(each, record) for each in part)
    return any(keyword(each, record) for each in (part if isinstance(part, list) else [part]))


def keyword(value, record):
    return text_matches(
        f"*{value}*" if not isinstance(value, str) else wrapped(value), record.get("_text"), cased=False
    )


def wrapped(value):
    start = "" if value.startswith("*") else "*"
    return start + value + ("" if value.endswith("*") and not value.endswith("\\*") else "*")


def item(key, values, record):
    name, *modifiers = key.split("|")
    values = values if isinstance(values, list) else [values]
    if not values:
        values = [None]
    held = record.get(name)
    held = [] if held is None else held if isinstance(held, list) else [held]
    if "exists" in modifiers:
        return any(bool(held) == value for value in values)
    results = [
        any(one(value, modifiers, each, record) for each in held) if value is not None else not held for value in values
    ]
    found = all(results) if "all" in modifiers else any(results)
    return not found if "neq" in modifiers else found


def one(value, modifiers, held, record):  # noqa: C901, PLR0911 - one case for each modifier, in a row
    kinds = [each for each in modifiers if each not in ("all", "neq")]
    if "re" in kinds:
        flags = sum({"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}[each] for each in kinds if each in "ims")
        return re.search(value, held, flags) is not None
    if "cidr" in kinds:
        return in_network(held, value)
    for name, test in (("gte", float.__ge__), ("gt", float.__gt__), ("lte", float.__le__), ("lt", float.__lt__)):
        if name in kinds:
            is_number = re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", held) is not None
            return is_number and test(float(held), float(value))
    if "fieldref" in kinds:
        other = record.get(value)
        if other is None:
            return False
        mine, other = fold(held), fold(other)
        if "contains" in kinds:
            return other in mine
        if "startswith" in kinds:
            return mine.startswith(other)
        return mine.endswith(other) if "endswith" in kinds else mine == other
    if isinstance(value, bool):
        return fold(held) == str(value).lower()
    if isinstance(value, int | float):
        return held == str(value)
    return any(text_matches(each, held, cased="cased" in kinds) for each in spelt(value, kinds))


def spelt(value, kinds):
    """The patterns that a text stands for after its modifiers, in their order."""
    found = [value]
    for kind in kinds:
        if kind == "contains":
            found = [wrapped(each) for each in found]
        elif kind == "startswith":
            found = [each if each.endswith("*") else each + "*" for each in found]
        elif kind == "endswith":
            found = [each if each.startswith("*") else "*" + each for each in found]
        elif kind == "base64":
            found = [base64.b64encode(each.encode()).decode() for each in found]
        elif kind == "base64offset":
            found = [piece for each in found for piece in offsets(each.encode())]
        elif kind == "wide":
            found = [each.encode("utf-16le").decode() for each in found]
        elif kind == "windash":
            found = [other for each in found for other in dashed(each)]
    return found


def offsets(data):
    """What base64 makes of some bytes wherever they stand in a longer text."""
    for before in range(3):
        encoded = base64.b64encode(b" " * before + data).decode().rstrip("=")
        start = (0, 2, 3)[before]
        # The last letter depends on what follows unless the bytes end on a border.
        yield encoded[start:] if (before + len(data)) % 3 == 0 else encoded[start:-1]


def dashed(value):
    places = [found.start() for found in re.finditer(r"\B[-/]\b", value)]
    for letters in itertools.product(DASHES, repeat=len(places)):
        text = list(value)
        for place, letter in zip(places, letters, strict=True):
            text[place] = letter
        yield "".join(text)


def text_matches(pattern, held, *, cased):
    if held is None:
        return False
    parts = []
    rest = iter(range(len(pattern)))
    for place in rest:
        letter = pattern[place]
        following = pattern[place + 1 : place + 2]
        if letter == "\\" and following and following in "*?\\":
            parts.append(re.escape(following if cased else fold(following)))
            next(rest)
        elif letter in "*?":
            parts.append(".*" if letter == "*" else ".")
        else:
            parts.append(re.escape(letter if cased else fold(letter)))
    return re.fullmatch("".join(parts), held if cased else fold(held), re.DOTALL) is not None


def in_network(held, network):
    wanted = ipaddress.ip_network(network)
    bare = re.sub(r"^\[(.*)\](:\d+)?$", r"\1", held)
    bare = re.sub(r"^([^:]*):\d+$", r"\1", bare)
    bare = re.sub(r"^::ffff:(\d+\.)", r"\1", bare, flags=re.IGNORECASE)
    try:
        return ipaddress.ip_address(bare.partition("%")[0]) in wanted
    except ValueError:
        return False


# ---------------------------------------------------------------- correlation


def satisfied(hits, *, kind, n_rules, span, condition):
    """The positions of the hits at which a correlation rule is satisfied, by looking at every window.

    `hits` are (rule, at, event_id, group, value); `condition` is a function of a number.
    """
    found = []
    for place, (_, at, _, group, value) in enumerate(hits):
        if None in group or (kind == "value_count" and value is None):
            continue
        window = [each for each in hits if each[3] == group and at - span <= each[1] <= at]
        if kind == "event_count":
            count = len(window)
        elif kind == "value_count":
            count = len({each[4] for each in window if each[4] is not None})
        elif kind == "temporal":
            count = len({each[0] for each in window})
        else:
            last = hits[place][0] == n_rules - 1
            if last and _chain(window, n_rules - 1, at):
                found.append(place)
            continue
        if condition(count):
            found.append(place)
    return found


def _chain(window, rule, until):
    """Whether hits of the rules 0 to `rule` stand in the window in their order, the last not after `until`."""
    ends = [each[1] for each in window if each[0] == rule and each[1] <= until]
    return bool(ends) and (rule == 0 or any(_chain(window, rule - 1, end) for end in ends))
