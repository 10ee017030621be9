"""English: the catalogue from which the others are translated, key by key."""

from __future__ import annotations

from jaxcompare.words.english_answers import ANSWERS
from jaxcompare.words.english_report import REPORT

EN: dict[str, str] = (
    REPORT
    | ANSWERS
    | {
        # Values of factors. A name that is not here is printed as it is.
        "level.cross_entropy": "cross-entropy",
        "level.mse": "MSE on probabilities",
        "level.mse_half_sum": "half summed square error on probabilities",
        "level.mse_logits": "MSE on logits",
        "level.mse_logits_half_sum": "half summed square error on logits",
        "level.relu": "ReLU",
        "level.leaky_relu": "leaky ReLU",
        "level.gelu": "GELU",
        "level.silu": "SiLU",
        "level.elu": "ELU",
        "level.mish": "Mish",
        "level.sgd": "SGD",
        "level.adam": "Adam",
        "level.adamw": "AdamW",
        "level.rmsprop": "RMSProp",
        "level.lion": "Lion",
        "level.fashion_mnist": "Fashion-MNIST",
        "level.mlp": "MLP",
        "level.cnn": "CNN",
        "about.mse": "MSE on probabilities is the mean over the classes of (softmax - label)^2, like the Brier score; "
        "the mean divides the gradient by the number of classes, and so scales the best rate.",
        "about.mse_half_sum": "The half summed square error on probabilities is half the sum over the classes of "
        "(softmax - label)^2.",
        "about.mse_logits": "MSE on logits is the mean over the classes of (logit - label)^2.",
        "about.mse_logits_half_sum": "The half summed square error on logits is half the sum over the classes of (logit "
        "- label)^2.",
        "experiment.a": "A. Losses",
        "experiment.b": "B. Activations",
        "experiment.c": "C. Optimizers",
        # Factors.
        "factor.learning_rate": "learning rate",
        "factor.batch_size": "batch size",
        "factor.weight_decay": "weight decay",
        "factor.hidden": "hidden layers",
        # Axes, with their units.
        "axis.epoch": "epoch",
        "axis.loss": "loss",
        "axis.train_loss": "training loss (running mean)",
        "axis.train_subset_accuracy": "accuracy (training subset)",
        "axis.validation_accuracy": "accuracy (validation)",
        "axis.test_accuracy": "accuracy (test)",
        "axis.learning_rate": "learning rate",
        "axis.layer": "layer",
        "axis.gradient_norm": "gradient norm",
        "axis.gradient_ratio": "gradient norm, first / last layer",
        "axis.update_ratio": "update norm / parameter norm",
        "axis.dead": "share of dead units",
        "axis.dead_mean": "share of dead units, mean of layers",
        "axis.activation": "activation",
        "axis.share": "share a bin",
        "axis.feature_1": "feature 1",
        "axis.feature_2": "feature 2",
        "axis.probability": "probability of class 1, mean over seeds",
        # Panels and pictures.
        "panel.loss": "Loss: {loss}",
        "panel.train_loss": "Training loss",
        "panel.train_subset_accuracy": "Accuracy on a training subset",
        "panel.validation_accuracy": "Validation accuracy",
        "panel.test_accuracy": "Test accuracy",
        "panel.sensitivity": "Final accuracy by learning rate",
        "panel.gradients_start": "Gradients at initialisation",
        "panel.gradients_end": "Gradients after the last epoch",
        "panel.gradient_norm": "Gradient norm by layer",
        "panel.gradient_ratio": "Gradient flow",
        "panel.update_ratio": "Relative update by layer",
        "panel.dead_layers": "{name}: dead units after the last epoch (n = {n})",
        "panel.dead_epochs": "{name}: dead units over training",
        "picture.n": "n = {n}",
        "picture.at_rate": "{name}, rate {rate:g}",
        "picture.title": "{experiment} on {dataset}",
        "picture.best_note": "Each at its best learning rate on validation. Line: mean over seeds, band: 95% interval "
        "(t, from 5 seeds on). Cross: runs failed (so many of n); a line ends where one diverges. Ring: best rate.",
        "picture.band_note": "Line: mean over seeds, band: 95% interval (t, from 5 seeds on). Cross: a run failed; a "
        "line ends where one diverges. Ring: best rate.",
        "picture.distributions": "Activations by layer on {dataset}",
        "picture.distributions_note": "Each at its best learning rate; the runs of all seeds pooled; logarithmic share.",
        "picture.dead": "Dead units on {dataset}",
        "picture.dead_note": "Dead: zero on the whole probe batch. Mean over seeds, band: 95% interval (t, from 5 seeds "
        "on).",
        "picture.boundary": "{name} on {dataset}",
        "picture.boundary_note": "rate {rate:g}, test accuracy {accuracy}, {runs}",
        "picture.optimizer": "{name} at rate {rate:g} on {dataset}",
        "picture.optimizer_note": "Above: mean over seeds and 95% interval (t, from 5 seeds on). Below: median and range "
        "over seeds. Cross: a run diverged, and the line ends.",
        "picture.rates": "{name} on {dataset}: every learning rate",
        "key.train": "training",
        "key.validation": "validation",
        "key.epoch_first": "epoch {epoch} (outline)",
        "key.epoch_last": "epoch {epoch}: {name}",
        "key.outside_first": "outside, first: {share:.1%}",
        "key.outside_last": "outside, last: {share:.1%}",
        "key.rate_n": "rate {rate:g} (n = {n})",
        "key.boundaries": "boundaries of {k} of {n} seeds",
        "key.cell_diverged": "{k} of {n}\ndiverged",
        "key.class": "class {index}",
        "failed.diverged": "{k} of {n} diverged",
        "failed.stuck": "{k} of {n} stuck at chance",
        "failed.no_mean": "no mean: a run diverged",
        "name.apart": "{name} ({apart})",
        "name.at_rate": "{name} at rate {rate:g}",
        "number.none": "-",
        "number.missed": "not reached",
        "number.p": "{p:.3g}",
        "number.p_is": "= {p:.3g}",
        "number.p_small": "< 0.001",
        # The report.
        "report.title": "jaxcompare: which training choice is better, by how much, and why?",
        "report.quick": "A quick run ({names}), to see that everything works: its figures say nothing about the question.",
        "report.summary": "Summary",
        "report.contents": "Contents",
        "report.leader": "{title}, {where}: {name} has test accuracy {accuracy} ({runs}).",
        "report.alone": "Nothing was compared with it.",
        "report.reading": "Test accuracy, mean over seeds with its 95% interval (Student's t, from five seeds on), each "
        "at the learning rate that did best on the validation split.",
        "report.question": "Question",
        "report.protocol": "Protocol",
        "report.grid": "Grid of learning rates: {grids}.",
        "report.grid_level": "{name} {rates}",
        "report.apart": "Chosen for each {factors} apart.",
        "report.seeds": "{n} seeds for every variant; seeds are paired: at one seed every variant starts from the same "
        "weights and sees the same batches.",
        "report.seeds_differ": "{low} to {high} seeds a variant; seeds are paired: at one seed every variant starts from "
        "the same weights and sees the same batches.",
        "report.selection": "The learning rate is chosen on the final validation accuracy, the test split is reported; a "
        "variant with failed runs ranks after those with fewer. The seeds that chose are those that are reported.",
        "report.selection_train": "There is no validation split: the learning rate is chosen on a subset of the training "
        "set, the test split is reported. The seeds that chose are those that are reported.",
        "report.confirmed": "What was chosen was then trained again on {n} fresh seeds, on which the claims rest.",
        "report.budget": "{epochs} epochs of {steps} steps, without early stopping; evaluated after each epoch.",
        "report.target": "Target: validation accuracy {target:g}. Steps to it are the median over seeds, a miss counting "
        "as infinite.",
        "report.fixed": "Fixed: {values}.",
        "report.dataset": "{dataset}",
        "report.study": "{dataset}, study {study}",
        "report.best": "At its best rate",
        "report.fresh": "At its best rate, on fresh seeds",
        "report.common": "At one common rate ({rate:g})",
        "report.common_rates": "At one common rate",
        "report.no_common": "No learning rate was tried by all of them, so there is no comparison at one common rate.",
        "report.common_rule": "Of the rates that all tried, the one with the fewest failed runs, then the best mean over "
        "all.",
        "report.differences": "Differences in test accuracy, in points, seed by seed, each at its best rate",
        "report.findings": "What the tables show",
        "report.pictures": "Pictures",
        "report.limits": "Limits",
        "report.environment": "Environment",
        "report.data": "Data",
        "report.timing": "Timing",
        "report.timing_note": "Compilation is counted apart from training. Replicas train together, as one vmapped "
        "program: seconds a replica are the program's training time over its replicas, not the time that one run alone "
        "would take.",
        "report.reproduce": "How to reproduce",
        "report.reproduce_run": "{names}, tables and all:",
        "report.reproduce_report": "Pictures, CSVs and this report again, from the tables:",
        "column.n": "n",
        "column.failed": "failed runs",
        "column.validation_accuracy": "validation accuracy",
        "column.test_accuracy": "test accuracy",
        "column.steps_to_target": "steps to target",
        "column.reached": "reached it",
        "column.first": "first",
        "column.second": "second",
        "column.difference": "first - second",
        "column.wins": "first is better",
        "column.effect": "effect (d)",
        "column.p_t": "p (paired t)",
        "column.p_t_holm": "p (corrected)",
        "column.p_sign_flip": "p (sign flip)",
        "column.p_sign_flip_holm": "p (sign flip, corrected)",
        "column.reading": "reading",
        "column.what": "what",
        "column.value": "value",
        "column.source": "source",
        "column.digest": "digest",
        "column.train": "train",
        "column.validation": "validation",
        "column.test": "test",
        "column.dataset": "data set",
        "column.program": "program",
        "column.experiment": "experiment",
        "column.replicas": "replicas",
        "column.steps": "steps",
        "column.compile_seconds": "compile (s)",
        "column.train_seconds": "train (s)",
        "column.evaluate_seconds": "evaluate (s)",
        "column.wall_seconds": "wall (s)",
        "column.replica_steps_per_second": "replica-steps / s",
        "column.seconds_a_replica": "train (s) a replica",
        "environment.device": "device",
        "environment.started": "started",
        "environment.code": "digest of the code",
        "table.wins": "{wins} of {n}",
        "table.wins_ties": "{wins} of {n}, {ties} equal",
        "table.edge_low": "{rate:g} (lowest)",
        "table.edge_high": "{rate:g} (highest)",
        "table.edge_only": "{rate:g} (only one)",
        "table.edge_": "{rate:g}",
        "reading.above": "first is better",
        "reading.below": "second is better",
        "reading.none": "no difference shown",
        "reading.few": "too few seeds",
        "reading.failed": "a run diverged",
        "difference.above": "{first} beats {second} by {difference} points{interval}, {wins} of {n} seeds, d = {effect}, "
        "p {p}.",
        "difference.below": "{first} loses to {second} by {difference} points{interval}, better in {wins} of {n} seeds, "
        "d = {effect}, p {p}.",
        "difference.corrected": "{p} after correction for {family} claims",
        "difference.with_failures": "{told} Failed runs are in the mean: {failures}.",
        "difference.none": "No difference shown between {first} and {second}: {difference} points{interval}, better in "
        "{wins} of {n} seeds, d = {effect}, p {p}.",
        "difference.few": "{first} and {second} differ by {difference} points, better in {wins} of {n} seeds: too few seeds "
        "for an interval, so no difference is shown.",
        "difference.failed": "{first} and {second} have no mean difference, since runs diverged ({failures}); the first "
        "is better in {wins} of {n} seeds.",
        "finding.edge_low": "The best rate of {name}, {rate:g}, is the lowest that was tried: lower ones may do better, "
        "and the comparison is not finished.",
        "finding.edge_high": "The best rate of {name}, {rate:g}, is the highest that was tried: higher ones may do "
        "better, and the comparison is not finished.",
        "finding.edge_only": "{name} was tried at one rate only, {rate:g}: it was not tuned.",
        "finding.failed": "{name} at rate {rate:g}: {failures}.",
        "finding.dead": "{name}: {share:.1%} of the hidden units are dead after the last epoch at its best rate "
        "({rate:g}), {first:.1%} before the first step.",
        "finding.dead_worst": "{name}: {share:.1%} of the hidden units are dead after the last epoch at rate {rate:g}, "
        "{first:.1%} before the first step.",
        "finding.vanishing": "{name}: gradients vanish. At initialisation their norm in the first layer is {ratio:.1g} "
        "times that in the last (median over seeds, rate {rate:g}).",
        "finding.vanishing_at": "{name}: gradients vanish at {layer}. At initialisation, going back from the last layer, it "
        "is the first whose norm is below {threshold:g} times the last one's; in the first layer it is {ratio:.1g} times that "
        "(median over seeds, rate {rate:g}).",
        "finding.exploding": "{name}: gradients explode. At initialisation their norm in the first layer is {ratio:.1g} times "
        "that in the last (median over seeds, rate {rate:g}).",
        "finding.exploding_later": "{name}: gradients explode. At rate {rate:g} a layer's norm grew to {ratio:.1g} times what "
        "it was before the first step (median over seeds).",
        "finding.under_tuned": "{name} is under-tuned: it loses to {special}, a special case of it, by {difference:.2f} points "
        "[{low:.2f}, {high:.2f}].",
        "finding.overflow": "{name} at rate {rate:g}: float16 overflowed, and loss scaling skipped {skipped:g} steps (median "
        "over seeds; some in {k} of {n} runs).",
        "finding.order": "At the common rate {rate:g}{where} the order on validation is another: {common}; at best "
        "rates: {best}.",
        "finding.same_order": "At the common rate {rate:g}{where} the order on validation is the same as at the best "
        "rates.",
        "finding.where": " ({where})",
        "limit.selection": "The seeds that chose the learning rates are those that are reported, so the best rates' "
        "figures are slightly too good. No rerun on fresh seeds was made.",
        "limit.confirmed": "The learning rates were chosen on other seeds: what they left was trained again on fresh ones, "
        "on which the claims rest.",
        "limit.seeds": "Intervals cover the seeds (initial weights and order of batches), not the choice of the data's "
        "split.",
        "limit.sign_flip": "With n = {n} seeds the sign-flip p cannot fall below {floor:.3g}.",
        "limit.family": "The p-values are corrected, after Holm, for the {count} claims of the study on all of its data sets.",
        "limit.scope": "What is shown holds for this network, this budget and these grids.",
        "caption.experiment": "Learning curves",
        "caption.activation": "Distributions of activations",
        "caption.dead": "Dead units",
        "caption.decision": "Decision boundary",
        "caption.lr": "All learning rates of an optimizer",
        "caption.other": "Picture",
        "caption.alt": "{caption}: {name}",
        "error.folder": "{folder} is not a folder: give one that a run wrote its results to",
        "error.tables": "{folder} holds no tables of a run: {name} is missing",
        "error.columns": "{name} cannot be used: it lacks the column {column}",
        "error.empty": "{name} has no rows",
        "error.broken": "{name} cannot be read: {reason}",
        "done": "wrote {count} files to {folder}",
    }
)
