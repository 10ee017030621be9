"""What was sealed comes back as it was, or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcompare.system.sealed import FIRST_LINE, DamagedError, seal, unseal

# A busy machine is slow, and no folder of examples is left behind.
property_of = settings(deadline=None, database=None)
CONTENT, KEYS = st.binary(max_size=200), st.binary(max_size=64)


@property_of
@given(CONTENT, KEYS)
def test_what_was_sealed_comes_back(content, key):
    assert unseal(seal(content, key), key) == content


@property_of
@given(st.data(), CONTENT, KEYS)
def test_any_flipped_bit_is_noticed(data, content, key):
    sealed = bytearray(seal(content, key))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedError):
        unseal(bytes(sealed), key)


def test_each_bit_counts():
    sealed = seal(b"numbers")
    for place in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(DamagedError):
            unseal(bytes(damaged))


@property_of
@given(CONTENT, KEYS)
def test_any_truncation_is_noticed(content, key):
    sealed = seal(content, key)
    for length in range(len(sealed)):
        with pytest.raises(DamagedError):
            unseal(sealed[:length], key)


@property_of
@given(CONTENT, KEYS, st.binary(min_size=1, max_size=5))
def test_what_was_appended_is_noticed(content, key, more):
    with pytest.raises(DamagedError):
        unseal(seal(content, key) + more, key)


@property_of
@given(CONTENT, KEYS, KEYS)
def test_another_key_opens_nothing(content, key, other):
    sealed = seal(content, key)
    if key == other:
        return
    with pytest.raises(DamagedError):
        unseal(sealed, other)


def test_the_first_line_names_the_format():
    assert seal(b"").splitlines()[0] == b"jaxcompare sealed 1" == FIRST_LINE.strip()
    with pytest.raises(DamagedError, match="the first line is not 'jaxcompare sealed 1'"):
        unseal(b"PK\x03\x04 something else")
