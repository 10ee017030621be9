"""The questions that a run may answer, each from its own numbers; where it did not measure something, the answer says so."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from jaxcompare.report.answers_activations import dead_units, distributions, mixed_activations
from jaxcompare.report.answers_losses import large_batches, mixed_losses, speed_of_losses
from jaxcompare.report.answers_optimizers import clipping, rate_by_batch
from jaxcompare.report.answers_scaling import scaling
from jaxcompare.report.blocks import Block, Heading, Paragraph
from jaxcompare.report.evidence import Evidence
from jaxcompare.report.failures import attempt

Answer = Callable[[Evidence], list[Block]]  # no blocks: the run did not measure it

QUESTIONS: dict[str, dict[str, Answer]] = {  # by the comparison that asks them
    "a": {"losses": speed_of_losses, "mixed_losses": mixed_losses, "large_batches": large_batches},
    "b": {"dead_units": dead_units, "mixed_activations": mixed_activations, "distributions": distributions},
    "c": {"scaling": scaling, "clipping": clipping, "rate_by_batch": rate_by_batch},
}


def answers(evidence: Evidence, only: Collection[str] | None = None) -> list[Block]:
    """A section a question: of the comparisons that were run, and of others where some study answers them.

    `only` some of them, by their keys.
    """
    words = evidence.words
    found: list[Block] = []
    for experiment, questions in QUESTIONS.items():
        for key, answer in questions.items():
            if only is not None and key not in only:
                continue
            blocks = attempt(words, f"question-{key}", partial(answer, evidence))
            if not blocks and experiment not in evidence.measured.told:
                continue
            unmeasured = Paragraph(words.say("answer.unmeasured", missing=words.say(f"missing.{key}")))
            found += [Heading(3, words.say(f"question.{key}"), f"question-{key}"), *(blocks or [unmeasured])]
    return [Heading(2, words.say("report.questions"), "questions"), *found] if found else []
