"""Korean particles, whose form depends on the final sound of the word before them: `SGD는`, `Adam은`, `학습률을`, `손실로`.

A catalogue contains both forms, as printed forms do (`{name}은(는)`). `with_particles` keeps the form that fits the name.
"""

from __future__ import annotations

import re

# Both forms in a catalogue: (after a final consonant, after a vowel).
PAIRS = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "으로(로)": ("으로", "로"),
}
# Final consonants of digits and letters when read aloud: 영 일 이 삼 사 오 육 칠 팔 구; 엘 엠 엔 알. A word in small letters
# that ends in another consonant is assumed to gain a vowel, as most do (드, 스, 트).
CONSONANTS = {"0": "ㅇ", "1": "ㄹ", "3": "ㅁ", "6": "ㄱ", "7": "ㄹ", "8": "ㄹ", "l": "ㄹ", "m": "ㅁ", "n": "ㄴ"}
ABBREVIATED = {"R": "ㄹ"}  # only in words of capitals, whose letters are read one by one
WRITTEN = re.compile("|".join(re.escape(both) for both in PAIRS))
ASIDE = re.compile(r"\s*[(\[][^()\[\]]*[)\]]$")


def final_sound(text: str) -> str:
    """Return the final consonant of a text read aloud; empty after a vowel, or where the sound is unknown.

    Brackets at the end are ignored.

    >>> final_sound("손실"), final_sound("SGD (코사인)"), final_sound("rate 0.1"), final_sound("ReLU")
    ('ㄹ', '', 'ㄹ', '')
    """
    while (shorter := ASIDE.sub("", text)) != text:
        text = shorter
    last = next((letter for letter in reversed(text) if letter.isalnum()), "")
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "" if final == 0 else "ㄹ" if final == 8 else "ㅇ"
    word = re.search(r"[A-Za-z]*$", text.rstrip(" .,'\""))
    if word and word.group().isupper() and last in ABBREVIATED:
        return ABBREVIATED[last]
    return CONSONANTS.get(last.lower(), "")


def with_particles(text: str) -> str:
    """Return the text with one form of each particle.

    >>> with_particles("SGD은(는) AdamW과(와) 다르고, 모멘텀이(가) 학습률 0.1으로(로) 이긴다")
    'SGD는 AdamW와 다르고, 모멘텀이 학습률 0.1로 이긴다'
    """
    parts, end = [""], 0
    for match in WRITTEN.finditer(text):
        parts.append(text[end : match.start()])
        after_consonant, after_vowel = PAIRS[match.group()]
        sound = final_sound("".join(parts))
        plain = sound == "" or (sound == "ㄹ" and match.group() == "으로(로)")
        parts.append(after_vowel if plain else after_consonant)
        end = match.end()
    return "".join([*parts, text[end:]])
