"""English, second part: what the report says of measures, curves, questions, claims of others and its environment."""

from __future__ import annotations

REPORT: dict[str, str] = {
    "level.True": "yes",
    "level.False": "no",
    "clip_norm.inf": "none",
    "learning_rate_rule.fixed": "no rule",
    "learning_rate_rule.linear": "linear rule",
    "learning_rate_rule.square_root": "square-root rule",
    # The summary's first lines: an answer a comparison.
    "headline.told": "{title}, {where}: {told} ({n}).",
    "headline.told_seen": "{title}, {where}: {told} ({n}; where none is shown, less than about {half:.2f} points "
    "could not have been told from none).",
    "headline.shown": "{winner} beats {loser} by {difference:.2f} points",
    "headline.none": "no difference is shown between {pairs}",
    "headline.few": "there are too few seeds to tell {pairs} apart",
    "headline.failed": "runs diverged, so that there is no mean difference between {pairs}",
    "headline.pair": "{first} and {second} ({difference} points)",
    "headline.pair_plain": "{first} and {second}",
    "headline.why": "{name}: {why}",
    "headline.dead": "{share:.1%} of its hidden units dead at the end",
    "headline.vanishing": "the gradient's norm in its first layer {ratio:.1g} times that in the last at initialisation",
    "headline.turns": "this hangs on a near-tie of rates: with {name} at {near:g}, as good on validation as "
    "{rate:g}, the reading is another",
    # How well rates were tuned.
    "finding.under_tuned_claimed": "{name} is under-tuned: it loses to {special}, a special case of it, by "
    "{difference:.2f} points [{low:.2f}, {high:.2f}] (n = {n}, p {p_value} after correction for {family} claims).",
    "finding.near_tie": "{name}: rate {near:g} is as good on validation as the best, {rate:g} ({gap:.2f} points apart, "
    "less than one standard error, n = {n}).",
    "finding.near_tie_claim": "{name}: rate {near:g} is as good on validation as the best, {rate:g} ({gap:.2f} "
    "points apart, less than one standard error, n = {n}). Against {other} it differs by {difference_best:+.2f} "
    "points at {rate:g} (p {p_best}) and by {difference_near:+.2f} at {near:g} (p {p_near}), on the seeds that "
    "chose, uncorrected.",
    # Cells.
    "cell.median": "median {value}",
    "cell.median_range": "median {value}, from {low} to {high}",
    "cell.cut": "{value}*",
    "report.cut": "*: Student's t takes this interval out of 0 to 1; it is cut there. The tables on disk have it "
    "whole.",
    "cell.minus": "{first} - {second}",
    "cell.nowhere": "nowhere",
    "cell.chosen": "{value} (chosen)",
    "cell.plain": "{value}",
    # Tables that are folded away.
    "measure.effects": "What each factor does at every level and rate",
    "measure.effects_note": "Paired over seeds, in points of test accuracy; the p-values are corrected after Holm "
    "over the rows of this table. Nothing here was chosen or declared: it is for reading on, not for claims.",
    "measure.convergence": "Convergence: how soon",
    "measure.convergence_note": "The way to validation accuracy {target:g}: medians over seeds, a miss counting as "
    "infinite. Seconds are the program's wall time over its replicas, which train side by side, without "
    "compilation. The area is the mean height of the validation accuracy's curve over all examples seen, with its "
    "95% interval.",
    "measure.area_note": "The area is the mean height of the validation accuracy's curve over all examples seen, "
    "with its 95% interval.",
    "measure.at_common": "At one common rate",
    "measure.stability": "Stability: how steadily",
    "measure.stability_note": "Medians over seeds. Late deviation: standard deviation of the validation accuracy "
    "over the last {late:.0%} of the evaluated epochs (three at least), in points. Largest rise: of the training "
    "loss from one evaluated epoch to the next. A spike rises above {spike:g} times the lowest training loss "
    "before it.",
    "measure.gradients": "Gradient flow: how much arrives at the first layer",
    "measure.gradients_note": "Norm of the gradient in the first layer over that in the last, before the first step "
    "and after the last epoch (medians over seeds). It vanishes at the first layer met, going back from the last, "
    "whose norm is below {threshold:g} times the last one's. Growth: the largest factor by which a layer's norm "
    "grew over what it was at first.",
    "measure.sensitivity": "Every learning rate",
    "measure.sensitivity_note": "Means with 95% intervals; where a run diverged the median, if half of the runs did "
    "not. Below best: how far the mean validation accuracy is below that of the best rate, in points.",
    "measure.trials": "Expected best accuracy against the number of trials",
    "measure.trials_note": "What tuning is expected to find with so many of a level's settings, drawn without "
    "replacement: the best validation accuracy, and the test accuracy that comes with it, with 95% intervals over "
    "seeds. A run that diverged counts as chance.",
    "column.variant": "variant",
    "column.at": "at",
    "column.effect_of": "first - second",
    "column.points": "difference (points)",
    "column.learning_rate": "learning rate",
    "column.examples_to_target": "examples to target",
    "column.seconds_to_target": "seconds to target",
    "column.area": "area under the curve",
    "column.late_deviation": "late deviation (points)",
    "column.largest_jump": "largest rise of the loss",
    "column.spikes": "spikes",
    "column.ratio_initial": "first / last layer, at first",
    "column.vanished_initial": "vanishes at, at first",
    "column.ratio_final": "first / last layer, at the end",
    "column.vanished_final": "vanishes at, at the end",
    "column.gradient_growth": "growth",
    "column.below_best": "below best (points)",
    "column.trials": "trials",
    # Curves that the page draws.
    "curves.caption": "Curves to try: {where}",
    "curves.name": "{name} ({notes})",
    "curves.hint": "Line: mean over seeds; band: 95% interval (t, from 5 seeds on); cross: a run diverged, and the "
    "line ends. Thin lines: rates that were not chosen. Point at the curves (or tap, or use the arrow keys) for "
    "the figures of an epoch; press a name to switch its line on or off.",
    "script.sort": "sort by this column",
    "script.best": "best rates",
    "script.all": "all rates",
    "script.nothing": "none",
    "script.empty": "Nothing is switched on.",
    "script.gap": "no mean",
    # Environment.
    "environment.driver": "driver",
    "environment.cuda": "CUDA",
    "environment.precision": "computed in",
    "environment.matmul_precision": "products of float32 in",
    "environment.compile_seconds": "compilation (s), programs added up",
    "environment.train_seconds": "training (s), programs added up",
    "environment.evaluate_seconds": "evaluation (s), programs added up",
    "environment.memory": "memory of the device",
    "environment.host_memory": "memory of the machine",
    "environment.peak": "most that was used",
    "environment.not_used": "none used",
    # What went wrong.
    "report.not_drawn": "This picture could not be drawn ({name}): {error}",
    "report.not_told": "This part could not be made: {error}",
    "failure.line": "could not be made: {name}: {error}",
}
