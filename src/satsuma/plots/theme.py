"""One theme for all pictures: colours that colour-blind readers tell apart, on light and on dark paper.

In SVG each colour becomes a CSS variable, so that one picture follows the page (or the system) between light and dark.
Source: Okabe and Ito, *Color Universal Design*, 2008, for the colours of lines.
"""

import hashlib
import re

# name → (on light paper, on dark paper). A figure is drawn in the first; no two are equal, so that each can be found.
COLOURS = {
    "ink": ("#1b1b1f", "#ececf1"),
    "faint": ("#5f6068", "#a9abb6"),  # ticks, captions
    "rule": ("#d9dae0", "#3b3d47"),  # grid lines, frames
    "paper": ("#fefefe", "#17181c"),
    "blue": ("#0072b2", "#56b4e9"),
    "orange": ("#d55e00", "#f0904d"),
    "green": ("#00805c", "#2fc79a"),
    "pink": ("#b0568a", "#e29ac3"),
    "yellow": ("#a07800", "#e8c34a"),
    "grey": ("#7c7d86", "#8f919c"),
}
INK, FAINT, RULE, PAPER, BLUE, ORANGE, GREEN, PINK, YELLOW, GREY = (light for light, _ in COLOURS.values())
SERIES = (BLUE, ORANGE, GREEN, PINK, YELLOW, GREY)
UNKNOWN = "\ufffd"  # stands for a letter that cannot be shown
HEAT = "cividis"  # for amounts; read alike by those who see fewer colours
VARIABLES = {
    "light": "".join(f"--{name}:{light};" for name, (light, _) in COLOURS.items()),
    "dark": "".join(f"--{name}:{dark};" for name, (_, dark) in COLOURS.items()),
}
PALETTE_CSS = (
    f":root{{color-scheme:light dark;{VARIABLES['light']}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{VARIABLES['dark']}}}}}"
)
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # an SVG file with one cannot be opened
FONT = re.compile(r"(?:(?:normal|italic|bold|[1-9]00|oblique) )*([\d.]+)px [^;\"]+")


def themed_svg(svg: str, title: str) -> str:
    """Matplotlib's SVG as a piece of HTML: `title` read out for it, colours as variables, names unique in a page.

    It holds no `style` attribute and no `style` element, so that it may stand in a page whose policy forbids them.
    """
    svg = NO_XML.sub(UNKNOWN, svg[svg.index("<svg") :])
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' style="([^"]*)"', as_attributes, svg)
    for name, (light, _) in COLOURS.items():
        svg = re.sub(re.escape(light), f"var(--{name},{light})", svg, flags=re.IGNORECASE)
    mark = "p" + hashlib.blake2b(svg.encode(), digest_size=4).hexdigest()
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{mark}-", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    width, height = re.findall(r"[\d.]+", view[0])[2:4] if view else ("100", "100")
    told = NO_XML.sub(UNKNOWN, escaped(title))
    head = (
        f'<svg class="figure" role="img" aria-label="{told}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'stroke-linejoin="round" stroke-linecap="butt">'
    )
    return head + svg[svg.index(">") + 1 :].rstrip()


def standing_alone(svg: str) -> str:
    """The picture as a file of its own, that follows the system between light and dark."""
    first = svg.index(">") + 1
    css = PALETTE_CSS.replace(":root", "svg")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg[:first]}<style>{css}</style>{svg[first:]}\n'


def as_attributes(found: re.Match[str]) -> str:
    """A `style` attribute of SVG as the attributes of the same names."""
    parts = []
    for part in found[1].split(";"):
        name, _, value = (text.strip() for text in part.partition(":"))
        if name == "font" and (font := FONT.fullmatch(value)):
            weight = ' font-weight="bold"' if "bold" in value or "700" in value else ""
            parts.append(f' font-size="{font[1]}px" font-family="system-ui, sans-serif"{weight}')
        elif name:
            parts.append(f' {name}="{value}"')
    return "".join(parts)


def escaped(text: str) -> str:
    """Text as it may stand in HTML, in an attribute too."""
    from html import escape

    return escape(text.encode("utf-8", "replace").decode(), quote=True)
