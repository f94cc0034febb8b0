"""A Vega-Lite chart as SVG that can stand inside a page: no scripts, no styles, no ids that clash.

Colours are the light theme's; the page's style sheet replaces them in the dark theme by attribute selectors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset(f"{{{_SVG}}}{name}" for name in ("svg", "g", "path", "rect", "line", "text", "defs", "clipPath"))
_ATTRIBUTES = frozenset(
    (
        "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "width", "height", "viewBox", "transform", "fill", "stroke",
        "stroke-width", "stroke-dasharray", "stroke-opacity", "fill-opacity", "opacity", "text-anchor", "font-size",
        "font-weight", "clip-path", "id",
    )
)  # fmt: skip
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_NUMBER = re.compile(r"-?\d+\.\d+")
_MEASURES = frozenset(("d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "transform"))
_NOT_DRAWN = ("", "M0,0h0v0h0Z")


def warm_up() -> None:
    """Start the renderer, which takes longer than any picture; for a thread beside the analysis."""
    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": []}, "mark": "bar"}, allowed_base_urls=[])


def to_svg(chart: dict[str, Any], *, prefix: str, lang: str) -> str:
    """Render a Vega-Lite specification; nothing is fetched.

    Args:
        chart: The specification; a mark's `description` becomes its hover text.
        prefix: Put before every id, unique in the page.
        lang: Language of month and day names.
    """
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(
        chart,
        allowed_base_urls=[],
        format_locale="fr-FR" if lang == "fr" else "en-GB",
        time_format_locale="fr-FR" if lang == "fr" else "en-GB",
    )
    return cleaned(drawn, prefix)


def cleaned(drawn: str, prefix: str) -> str:
    """The drawing reduced to shapes, texts and titles from a fixed list of elements and attributes."""
    from xml.etree.ElementTree import fromstring, tostring

    root = fromstring(drawn)  # noqa: S314 - as above
    _clean(root, prefix)
    root.attrib.pop("height", None)
    root.set("aria-hidden", "true")
    root.set("xmlns", _SVG)
    return tostring(root, encoding="unicode")


def _clean(node: Element, prefix: str) -> None:
    from xml.etree.ElementTree import SubElement

    for child in list(node):
        unseen = child.get("display") == "none" or ("d" in child.attrib and child.get("d") in _NOT_DRAWN)
        if child.tag not in _ELEMENTS or (unseen and len(child) == 0):
            node.remove(child)
        else:
            _clean(child, prefix)
    node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
    said = node.get("aria-label") if node.get("role") == "graphics-symbol" and len(node) == 0 else None
    for name in list(node.attrib):
        if name not in _ATTRIBUTES:
            del node.attrib[name]
        elif name in _MEASURES:
            node.set(
                name, _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), node.attrib[name])
            )
        elif name == "id":
            node.set("id", prefix + node.attrib["id"])
        elif name == "clip-path":
            node.set(name, _REFERENCE.sub(lambda found: f"url(#{prefix}{found[1]})", node.attrib[name]))
    if said:
        SubElement(node, "title").text = said
