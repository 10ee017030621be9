"""Prose is plain English: no docstring, comment, message, document or English word list uses a turn of the list below."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WRITTEN = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "configs/*.toml", "jaxcompare/words/en*.toml")
CODE = ("jaxcompare", "benchmarks")

# A turn to avoid, as a regular expression, and what to write instead. A space stands for any white space.
TURNS = {
    r"told": "say what is reported, passed or distinguished",
    r"(tell|tells|telling) (of|apart)": "report, distinguish",
    r"apart": "separately; except for; distinguish",
    r"so many": "give the number, or the condition",
    r"of which": "split the sentence",
    r"anew": "again, recompute, redraw",
    r"whatever": "any, every, everything that",
    r"one's": "custom, a user's",
    r"ours to": "say who decides",
    r"(stand|stands|stood)": "is, lies, appears",
    r"shall": "must, should, or the plain verb",
    r"reckon(s|ed|ing)?": "compute, count",
    r"(look|looks|looked|looking) into": "read, inspect",
    r"mend(s|ed|ing)?": "fix, repair",
    r"(shelf|shelves)": "cache",
    r"parted": "separated",
    r"(but|save) for": "except for",
    r"all but": "all except; almost",
    r"the (former|latter)": "name the thing",
    r"as yet": "yet, so far",
    r"(hand|hands|handed|handing) on": "pass",
    r"(is|are|was|were) to be (had|found|seen)": "say where it is",
    r"be that as it may": "delete",
    r"(ought|lest|ere|nought|betwixt|whilst|amongst|hitherto|aforesaid)": "the word in use today",
    r"(where|there|here)(of|in|by|from|with|upon|to|fore(?!\w))(?<!therefore)": "split the sentence",
    r"(whence|thence|hence)(?!forth)": "so, therefore, from there",
}
TURN = re.compile("|".join(rf"(?P<t{i}>\b{turn}\b)".replace(" ", r"\s+") for i, turn in enumerate(TURNS)), re.I)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
CODE_SPAN = re.compile(
    r"``[^`]+``|`[^`]+`|https?://\S+|^\s*(>>>|\.\.\.).*$|{\w+[^{}]*}", re.M
)  # and fields of messages
TOML_KEY = re.compile(r"""^\s*[\w."'-]+\s*(?==)""", re.M)


def blanked(pattern, text):
    """The text with each match replaced by spaces, lines kept."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def turns(text, first_line=1):
    """(line, turn, what to write instead) for each turn of a text; code in backticks is not prose."""
    text = blanked(CODE_SPAN, blanked(FENCE, text))
    instead = list(TURNS.values())
    return [
        (first_line + text.count("\n", 0, match.start()), " ".join(match[0].split()), instead[int(match.lastgroup[1:])])
        for match in TURN.finditer(text)
    ]


def comments(text):
    """(first line, text) of each block of comments on consecutive lines."""
    blocks = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, words = token.start[0], token.string.lstrip("#")
            if blocks and blocks[-1][0] + len(blocks[-1][1]) == line:
                blocks[-1][1].append(words)
            else:
                blocks.append((line, [words]))
    return [(line, "\n".join(words)) for line, words in blocks]


def strings(node):
    """(first line, text) of each string of several words: docstrings and messages, f-strings with a {} for each value."""
    text, nested = "", ast.iter_child_nodes(node)
    if isinstance(node, ast.JoinedStr):
        text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        nested = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    if " " in text.strip():
        yield node.lineno, text
    for child in nested:
        yield from strings(child)


def turns_of_file(name, text):
    """`turns` of the prose of a file: all of a document; of code its comments and strings; of TOML all except its keys."""
    if name.endswith(".py"):
        pieces = [*comments(text), *strings(ast.parse(text))]
    elif name.endswith(".toml"):
        pieces = [(1, blanked(TOML_KEY, text))]
    else:
        pieces = [(1, text)]
    lines = text.splitlines()

    def placed(line, turn):  # a string in several pieces has the line of its first one
        word = turn.split()[0].lower()
        return next((number for number in range(line, len(lines) + 1) if word in lines[number - 1].lower()), line)

    seen = (turn for line, piece in pieces for turn in turns(piece, line))
    return sorted((placed(line, turn), turn, instead) for line, turn, instead in seen)


def files():
    paths = {path for pattern in WRITTEN for path in ROOT.glob(pattern)}
    paths |= {path for folder in CODE for path in (ROOT / folder).rglob("*.py")}
    return sorted(str(path.relative_to(ROOT)) for path in paths)


@pytest.mark.parametrize("name", files())
def test_no_turn_to_avoid(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = text.splitlines()
    found = [
        f"{name}:{line}: {turn!r} ({instead}): {lines[line - 1].strip()}"
        for line, turn, instead in turns_of_file(name, text)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("sentence", "turn"),
    [
        ("Every value of loss is told of apart.", "told"),
        ("What differs cannot be\ntold.", "told"),
        ("Of so\nmany layers only the input is kept.", "so many"),
        ("It takes two programs, one of which is new.", "of which"),
        ("Activations are computed anew.", "anew"),
        ("A test reads whatever is there.", "whatever"),
        ("An optimizer of one's own.", "one's"),
        ("A figure stands in the table.", "stands"),
        ("It shall take a minute.", "shall"),
        ("Evaluation is timed apart.", "apart"),
        ("The same as Flax, but for the floor.", "but for"),
        ("Its default is not ours to know.", "ours to"),
        ("We look into the files.", "look into"),
    ],
)
def test_a_turn_is_seen(sentence, turn):
    assert turn in {seen for _, seen, _ in turns(sentence)}


@pytest.mark.parametrize(
    "sentence",
    [
        "Return the loss of each example.",
        "Each loss is reported separately; therefore n is printed with its standard error.",
        "The column `apart` names the cell.",
        "```\nsplit(apart)\n```",
        ">>> told(1)",
        "{told:g} runs diverged.",
        "Where no seed is given, there are five.",
    ],
)
def test_plain_sentences_pass(sentence):
    assert turns(sentence) == []


def test_code_is_read_where_it_speaks():
    code = '''"""Computed anew."""

whatever = {"apart": 1}  # fine as names and keys


def function(value):
    """Return a value.

    What it was told.
    """
    # A comment that
    # shall be read.
    raise ValueError(
        f"{value} "
        f"stands here {whatever['apart']}"
    )
'''
    assert [(line, turn) for line, turn, _ in turns_of_file("code.py", code)] == [
        (1, "anew"),
        (9, "told"),
        (12, "shall"),
        (15, "stands"),
    ]


def test_keys_of_a_catalogue_are_not_prose():
    assert turns_of_file("en.toml", '"answer.apart" = "separately"\ntold = "reported"') == []
    assert [line for line, _, _ in turns_of_file("en.toml", '\n"answer.apart" = "told"')] == [2]
