"""The workbench's words: a folder a language, in it files of JSON with the same names in each."""

import json
from functools import cache
from importlib.resources import files

LANGUAGES = {"en": "English", "ja": "日本語", "zh": "中文"}


@cache
def texts_of(language: str) -> dict[str, str]:
    """The words of a language by their names; `{name}` in a text is filled in."""
    found: dict[str, str] = {}
    for file in files("satsuma.workbench.texts").joinpath(language).iterdir():
        if file.name.endswith(".json"):
            found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def translate(language: str, name: str, /, **values: object) -> str:
    """The text called `name` in a language, filled in; in English where that language lacks it."""
    text = texts_of(language).get(name) or texts_of("en")[name]
    return text.format(**values) if values else text


def texts_for(language: str, beginnings: tuple[str, ...]) -> dict[str, str]:
    """The texts whose names begin so, for a page's script, with their gaps."""
    return {name: translate(language, name) for name in texts_of("en") if name.startswith(beginnings)}


def chosen_language(cookie: str | None, accepted: str) -> str:
    """The language of the cookie, else the first that the browser asks for and that there is, else English.

    >>> chosen_language(None, "fr-FR,ja;q=0.8,en;q=0.5")
    'ja'
    """
    if cookie in LANGUAGES:
        return str(cookie)
    for part in accepted.split(","):
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return "en"
