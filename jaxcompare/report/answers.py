"""The questions that a run may answer, each from its own numbers; an answer says which measurements are missing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from jaxcompare.report.answers_activations import dead_units, distributions, mixed_activations
from jaxcompare.report.answers_losses import large_batches, mixed_losses, speed_of_losses
from jaxcompare.report.answers_optimizers import clipping, rate_by_batch
from jaxcompare.report.answers_scaling import scaling
from jaxcompare.report.blocks import Block, Heading, Paragraph
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.failures import attempt


class Question(NamedTuple):
    """A question of the report."""

    factors: tuple[str, ...]  # a main study that compares one of these asks the question, answered or not
    answer: Callable[[Evidence], list[Block]]  # no blocks: the run did not measure what the answer needs


QUESTIONS: dict[str, Question] = {
    "losses": Question(("loss",), speed_of_losses),
    "mixed_losses": Question(("loss",), mixed_losses),
    "large_batches": Question(("loss", "batch_size"), large_batches),
    "dead_units": Question(("activation",), dead_units),
    "mixed_activations": Question(("activation",), mixed_activations),
    "distributions": Question(("activation",), distributions),
    "scaling": Question(("optimizer", "remat"), scaling),
    "clipping": Question(("optimizer", "clip_norm"), clipping),
    "rate_by_batch": Question(("optimizer", "batch_size"), rate_by_batch),
}


def answers(evidence: Evidence, only: Collection[str] | None = None) -> list[Block]:
    """Return a section for each question that some study answers or that a main study asks.

    Args:
        evidence: the tables and the language.
        only: keys of the questions to consider; None: all.
    """
    words = evidence.words
    found: list[Block] = []
    for key, question in QUESTIONS.items():
        if only is not None and key not in only:
            continue
        blocks = attempt(words, f"question-{key}", partial(question.answer, evidence))
        if not blocks and not evidence.measured.comparing(*question.factors):
            continue
        unmeasured = Paragraph(words.say("answer.unmeasured", missing=words.say(f"missing.{key}")))
        found += [Heading(3, words.say(f"question.{key}"), f"question-{key}"), *(blocks or [unmeasured])]
    return [Heading(2, words.say("report.questions"), "questions"), *found] if found else []
