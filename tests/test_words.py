"""Every language says the same things."""

import re
import string
import subprocess
import sys
from datetime import datetime

import pandas as pd
import pytest

from jaxcompare import words
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.settings import KEYS, OPTION_TABLES
from jaxcompare.report.draw import words_of
from jaxcompare.run import parser, read_request
from jaxcompare.words.particles import PAIRS, final_sound, with_particles

EN, KO = words.ENGLISH.catalogue, words.KOREAN.catalogue


def fields(text):
    """The names that a format string asks for, each with its format."""
    return sorted({(name, form) for _, name, form, _ in string.Formatter().parse(text) if name})


def test_labels_of_configs_are_the_names_of_levels():
    told = {"a": {"labels": {"mine:opt": "Mine"}}, "b": {"labels": {"mine:opt": "Other", "sgd": "Plain"}}, "c": {}}
    korean = words_of({"replicas": pd.DataFrame({"optimizer": ["sgd"]})}, ["ko"], told)["ko"]
    assert [korean.level(level, "optimizer") for level in ("mine:opt", "sgd")] == ["Mine", "Plain"]
    assert korean.level("adam") == words.LANGUAGES["ko"].level("adam")


def test_a_catalogue_is_read_at_its_first_use():
    lines = ["import sys; from jaxcompare import words"]
    lines += ["assert not any('catalogue' in vars(language) for language in words.LANGUAGES.values())"]
    lines += ["assert words.say('axis.epoch') == 'epoch' and 'catalogue' not in vars(words.KOREAN)"]
    lines += ["assert not {'numpy', 'jax', 'matplotlib', 'pandas'} & set(sys.modules)"]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_catalogues_map_keys_to_texts():
    for catalogue in (EN, KO):
        assert all(isinstance(text, str) and re.fullmatch(r"\w+(\.\w+)*", key) for key, text in catalogue.items())


def test_catalogues_have_the_same_keys():
    assert set(KO) - set(EN) == set(), "in Korean alone"
    assert set(EN) - set(KO) == set(), "not translated"


def test_catalogues_fill_in_the_same_values():
    differ = {
        key: (fields(EN[key]), fields(KO[key])) for key in EN.keys() & KO.keys() if fields(EN[key]) != fields(KO[key])
    }
    assert differ == {}


def test_korean_is_korean():
    said = {key: re.sub(r"{.*?}", "", text) for key, text in KO.items() if not key.startswith(("level.", "factor."))}
    left = [key for key, text in said.items() if re.search("[a-z]{3}", text) and not re.search("[가-힣]", text)]
    assert left == []
    for key, text in KO.items():
        assert "$" not in text, f"{key}: mathtext has no Korean letters"


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_factor_and_level_has_a_name(language):
    found = words.LANGUAGES[language]
    assert {key for key in KEYS if f"factor.{key}" not in found.catalogue} <= {
        *OPTION_TABLES.values(),
        "seeds",
        "first_seed",
    }
    assert found.level("hidden_2") != found.level("hidden_1") != found.level("output")
    assert found.level("my_own") == "my own"


@pytest.mark.parametrize(
    ("text", "sound"),
    [("손실", "ㄹ"), ("학습률 0.03", "ㅁ"), ("SGD", ""), ("Adam", "ㄴ"), ("Adam (코사인)", "ㄴ"), ("시그모이드", ""),
     ("float16", "ㄱ"), ("2", ""), ("교차 엔트로피", ""), ("은닉층 4", ""), ("", "")],
)  # fmt: skip
def test_final_sounds(text, sound):
    assert bool(final_sound(text)) == bool(sound)
    assert (final_sound(text) == "ㄹ") == (sound == "ㄹ")


def test_no_sentence_keeps_both_forms_of_a_particle():
    for key, text in KO.items():
        values = {
            name: datetime(2026, 1, 2) if "%Y" in form else 0.5 if form else "손실" for name, form in fields(text)
        }
        said = words.KOREAN.say(key, **values)
        assert not any(both in said for both in PAIRS), key
    assert with_particles("모멘텀은(는) 손실으로(로) 3으로(로)") == "모멘텀은 손실로 3으로"


def test_a_language_is_spoken_inside_and_nowhere_else():
    assert words.say("axis.epoch") == "epoch"
    with words.speaking(words.KOREAN):
        assert words.say("axis.epoch") == "에폭"
        assert words.level("sigmoid") == "시그모이드"
        assert words.spoken().language == "ko"
    assert words.say("axis.epoch") == "epoch"


def test_files_have_their_language_in_their_names():
    assert words.localised("report.md", "en") == "report.md"
    assert words.localised("report", "ko") == "report.ko"
    assert words.localised("results_lr_0.1.png", "ko") == "results_lr_0.1.ko.png"


def test_the_command_line_asks_for_languages():
    asked = {
        lang: read_request(parser().parse_args(["--lang", lang]), "").outputs.languages for lang in ("en", "ko", "both")
    }
    assert asked == {"en": ("en",), "ko": ("ko",), "both": ("en", "ko")}
    with pytest.raises(ConfigError, match=r"--lang kr: no such language; did you mean ko\?"):
        read_request(parser().parse_args(["--lang", "kr"]), "")
