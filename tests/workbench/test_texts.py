"""The workbench speaks three languages, and says the same in each."""

import re

import pytest

from satsuma.workbench.texts import LANGUAGES, chosen_language, texts_of, translate


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_gaps(language: str) -> None:
    english, other = texts_of("en"), texts_of(language)
    assert other.keys() == english.keys()
    gaps = re.compile(r"\{(\w+)\}")
    assert [name for name in english if set(gaps.findall(english[name])) != set(gaps.findall(other[name]))] == []


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_texts_are_translated(language: str) -> None:
    same = [name for name, text in texts_of(language).items() if text == texts_of("en")[name] and len(text) > 3]
    assert same == []


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9", "zh"),
        (None, "fr, ja;q=0.5", "ja"),
        ("ja", "zh", "ja"),
        ("../../en", "zh", "zh"),
        ("xx", "fr", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(cookie: str | None, accepted: str, language: str) -> None:
    assert chosen_language(cookie, accepted) == language


def test_gaps_are_filled() -> None:
    assert translate("en", "runs") == "Runs"
