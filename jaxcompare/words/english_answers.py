"""English, third part: the questions of the report and their answers, and what is often claimed."""

from __future__ import annotations

ANSWERS: dict[str, str] = {
    "report.questions": "Questions, answered from this run",
    "question.losses": "Why do MSE and cross-entropy converge at different speeds?",
    "question.mixed_losses": "How stable is each loss in mixed precision?",
    "question.large_batches": "Does the gradient vanish at large batches?",
    "question.dead_units": "How do dead ReLUs behave: by learning rate, depth, precision and device?",
    "question.mixed_activations": "What does mixed precision do to each activation?",
    "question.distributions": "How are the distributions of activations gathered in constant memory?",
    "question.scaling": "How does each optimizer scale on the device, with replicas and batch?",
    "question.clipping": "When is gradient clipping needed in mixed precision?",
    "question.rate_by_batch": "How must the learning rate change with the batch?",
    "answer.unmeasured": "Not measured in this run: {missing}.",
    "missing.losses": "it needs a study in which the loss varies, with its layers measured",
    "missing.mixed_losses": "it needs a study in which loss and precision vary together",
    "missing.large_batches": "it needs a study in which the batch size varies, with its layers measured",
    "missing.dead_units": "it needs a study with ReLU at several learning rates, with its layers measured",
    "missing.mixed_activations": "it needs a study in which activation and precision vary together",
    "missing.distributions": "no histograms of activations were kept",
    "missing.scaling": "the timing of the programs was not kept, or not which replicas were theirs",
    "missing.clipping": "it needs a study in which precision and gradient clipping vary together",
    "missing.rate_by_batch": "it needs a study in which batch size and learning rate vary together",
    "answer.where": "{title}, {where}",
    "answer.corrected": "{p} after correction for the {family} differences of this answer",
    "answer.other_failed": "runs of the one it is compared with diverged",
    "answer.losses_why": "Through a softmax with probabilities p and label y over C classes, cross-entropy's "
    "gradient on the logits is p - y. That of the mean square error on probabilities is 2/C times p times a "
    "difference of such errors: it is smaller by 2/C, which a larger rate makes up for, and by p, which it does "
    "not: where the network is sure and wrong, p of the right class is near 0 and so is the gradient. What was "
    "measured:",
    "answer.losses": "{where}: before the first step the gradient of the last layer is {ratio} times as large with "
    "{larger} as with {smaller} (medians over seeds), and the best rate of {smaller} is {rates} times that of "
    "{larger}. At their best rates the target takes {steps_larger} steps with {larger} and {steps_smaller} with "
    "{smaller} (medians).",
    "answer.precision.above": "{where}, {name} in {precision}: {difference} points, above float32 ({n}, p {p}).",
    "answer.precision.below": "{where}, {name} in {precision}: {difference} points, below float32 ({n}, p {p}).",
    "answer.precision.none": "{where}, {name} in {precision}: no difference to float32 shown, {difference} points "
    "({n}, p {p}).",
    "answer.precision.few": "{where}, {name} in {precision}: {difference} points to float32, with too few seeds for "
    "an interval ({n}).",
    "answer.precision.failed": "{where}, {name} in {precision}: no mean difference to float32, since runs diverged "
    "({failures}).",
    "answer.precision_note": "Differences are paired over seeds, each precision at its own rate (the best one, "
    "where several were tried, else the one that was set); brackets are the 95% interval of each difference alone. "
    "Whether one is shown follows p, corrected after Holm over the study's claims where it is one of them.",
    "answer.batches_stay": "{where}: no. At the best rate of each batch size ({sizes}), in the {count} "
    "settings of which no run failed, the gradient's norm in the first layer is {low} to {high} times that in "
    "the last after the last epoch; below {threshold:g} it would have vanished.",
    "answer.batches_vanish": "{where}: yes, at {k} of the {count} settings of which no run failed (batch sizes "
    "{sizes}) the gradient's norm in the first layer is below {threshold:g} times that in the last after the "
    "last epoch ({low} to {high} over all {count}).",
    "answer.batches_probe": "Gradients are taken on the same probe batch for all batch sizes, so what differs is "
    "the network that each trained, not the noise of its batches; at first all are alike.",
    "answer.dead": "{where}, by learning rate: {first} of the hidden units are dead before the first step, {best} "
    "after the last epoch at the best rate ({best_rate:g}), and at most {worst} (rate {worst_rate:g}). Means over "
    "seeds.",
    "answer.dead_lost": "At {k} of {count} settings a run diverged, and there is no share.",
    "answer.dead_by": "By {factor}, at the best rate of each: {levels}.",
    "answer.dead_level": "{where}, {level}: {share} (n = {n})",
    "answer.dead_not_varied": "By {factor}: not measured in this run. Each of its studies that measured dead units has ReLU "
    "with one value ({values}); a study that has several of them in its grid, {example} say, would tell.",
    "answer.dead_by_place": "How deep in the network the dead units are stands in the table by layer below.",
    "answer.dead_device": "By device: not measured. All runs of this report were made on one kind of device "
    "({device}).",
    "answer.dead_no_device": "By device: not measured.",
    "answer.dead_layers": "Dead units by layer after the last epoch, at the best rate and at the highest at which "
    "no run diverged",
    "answer.dead_rows": "Every rate ({count} rows)",
    "answer.distributions": "Each layer's activations on the probe batch are counted into fixed bins inside the "
    "compiled program, and what lies outside the range is counted below and above it. What is kept of a layer is "
    "so many counts, however many examples are seen; a second batch would be added to the same counts. Reckoned "
    "from what this run kept, in KiB a replica and snapshot (pre-activations and activations, 4 bytes a number):",
    "answer.scaling_batch": "{where}, {name}: from batch {low} to {high}, {times} times as many examples a "
    "step, {faster} times as many examples a second (one timing each, of {seconds} s of training).",
    "answer.scaling_no_batch": "By batch size: not measured in this run, whose programs that are alike in all else "
    "have one size.",
    "answer.scaling_replicas": "By replicas: not varied apart from the rest. A tile of the programs below holds "
    "{counts} replicas side by side; the benchmark (python -m benchmarks) varies their number.",
    "answer.scaling_replicas_unknown": "By replicas: not measured; how many train side by side was not recorded.",
    "answer.scaling_remat": "{name}: with activations computed anew the program's temporary memory is {bytes} "
    "times what it was, and its speed {speed} times (one timing each, of {seconds} s of training).",
    "answer.clip.above": "at rate {rate} it is better by {difference} points ({n}, p {p})",
    "answer.clip.below": "at rate {rate} it is worse, {difference} points ({n}, p {p})",
    "answer.clip.none": "at rate {rate} no difference is shown, {difference} points ({n}, p {p})",
    "answer.clip.few": "at rate {rate} test accuracy differs by {difference} points, with too few seeds for an "
    "interval ({n})",
    "answer.clip.failed": "at rate {rate} there is no mean difference, since runs diverged ({n})",
    "answer.rate": "{name}: the best rates are {rates}; over {count} batch sizes they grow like the batch size to "
    "the power {slope} (1 would be the linear rule, 0.5 the square root, 0 no change).",
    "answer.rate_at": "{rate} at {batch}",
    "answer.rate_edges": "At {k} of {count} sizes the best rate is at the edge of its grid, so the power is uncertain.",
    "answer.rate_note": "Rates are those that were used: where a rule scales the learning rate with the batch, what "
    "it made of it. They stand on a grid, so that a power is no finer than the grid; every batch size is trained "
    "for the same number of epochs, so that a larger one takes fewer steps.",
    "answer.batches_stay_set": "{where}: no. At the rates that were set for each batch size ({sizes}), in the "
    "{count} settings of which no run failed, the gradient's norm in the first layer is {low} to {high} times "
    "that in the last after the last epoch; below {threshold:g} it would have vanished.",
    "answer.batches_unknown": "{where}: not known, since there is no setting of which every run learnt.",
    "answer.batches_left": "Left out are {k} of {count} settings, since runs failed there: what they show is a "
    "rate that is too high rather than the size of the batch. They are {names}.",
    "answer.losses_set": "{where}: before the first step the gradient of the last layer is {ratio} times as "
    "large with {larger} as with {smaller} (medians over seeds); the rate set for {smaller} is {rates} times "
    "that of {larger}. At these rates the target takes {steps_larger} steps with {larger} and {steps_smaller} "
    "with {smaller} (medians).",
    "answer.clip_failed_runs": "{told}, where {k} of {n} runs fail without it and {k_clipped} of {n_clipped} with it",
    "answer.clipping_above": "{where}, {name}: clipping at {clip} helps; {told}.",
    "answer.clipping_below": "{where}, {name}: clipping at {clip} hurts; {told}.",
    "answer.clipping_none": "{where}, {name}: neither need nor harm of clipping at {clip} is shown; {told}.",
    "answer.clipping_note": "Each rate is judged for itself, clipped less unclipped test accuracy, seed by "
    "seed; a run that is stuck counts with the accuracy that it has. Brackets are the 95% interval of each "
    "difference alone; whether one is shown follows p, corrected after Holm.",
    "answer.rate_unmeasured": "Not measured in this run: each batch size was trained at one rate, which was "
    "set beforehand or made by a rule, so that none was found to be the best. It would take several rates at "
    "each batch size, chosen among on validation (in a study's grid learning_rate with three values and more "
    "beside batch_size, its role nuisance). What was measured is the test accuracy that each size comes to "
    "at equal examples seen:",
    "answer.equal_examples": "{name}: {told} (n = {n}).",
    "answer.accuracy_at": "{accuracy} at batch {batch}",
    "answer.scaling_batch_short": "{where}, {name}: from batch {low} to {high}, {times} times as many examples "
    "a step: too short to tell what it does to speed (one timing each, of {seconds} s of training).",
    "answer.scaling_remat_short": "{name}: with activations computed anew the program's temporary memory is "
    "{bytes} times what it was; too short to tell what it does to speed ({seconds} s of training).",
    "claimed.speed_short": "too short to tell in {count} pairs of programs ({seconds} s of training)",
    "answer.dead_set": "{where}, by learning rate: {first} of the hidden units are dead before the first step; "
    "after the last epoch at least {best} (rate {best_rate:g}) and at most {worst} (rate {worst_rate:g}), at rates "
    "that were set. Means over seeds.",
    "answer.dead_by_set": "By {factor}, at the rate that was set for each: {levels}.",
    "chart.at_end": "after the last epoch",
    # Charts.
    "chart.note": "Mean over seeds and 95% interval (t, from 5 seeds on); cross: runs failed (a median where one "
    "diverged).",
    "chart.dead_note": "Mean over seeds, 95% interval (t, from 5 seeds on); none where a run diverged; cross: runs "
    "stuck.",
    "chart.medians_note": "Medians over seeds after the last epoch, each at its best rate or the one that was set; "
    "cross: runs failed.",
    "chart.median_note": "Median and range over seeds, each at its best rate or the one that was set; cross: runs "
    "failed.",
    "chart.rates_note": "Each at its best rate on validation; cross: runs failed. Pale: what a rule would make of it.",
    "chart.once": "Each program timed once, over its wall time without compilation. Pale: trained for less "
    "than {seconds:g} s, too short to tell.",
    "key.rule_failed": "{rule}: {k}/{n} failed",
    "chart.reckoned": "Reckoned from the sizes of layers, not measured.",
    "chart.series": "{name}, {where}",
    "chart.vanished": "vanished below",
    "chart.linear": "linear rule",
    "chart.square_root": "square-root rule",
    "chart.bins": "{name}: counts in bins",
    "chart.everything": "{name}: every activation",
    "chart.losses": "Gradient of the last layer over the training",
    "chart.mixed_losses": "Each loss in each precision",
    "chart.large_batches": "Gradient that arrives at the first layer, by batch size",
    "chart.dead_units": "Dead ReLUs after the last epoch, by learning rate",
    "chart.mixed_activations": "Each activation in each precision",
    "chart.distributions": "Memory of a snapshot of a replica, by the examples seen",
    "chart.scaling": "Examples a second",
    "chart.clipping": "With and without clipping in each precision",
    "chart.rate_by_batch": "Best learning rate by batch size",
    "axis.share_of_training": "share of the training",
    "axis.gradient_last": "gradient norm, last layer",
    "axis.examples": "examples",
    "axis.kibibytes": "KiB",
    "axis.examples_per_second": "examples a second, all replicas",
    "axis.effective_rate": "best learning rate",
    "column.gradient_start": "last layer's gradient, at first",
    "column.gradient_end": "last layer's gradient, at the end",
    "column.first_step": "rate x gradient, first step",
    "column.common": "common rate",
    "column.steps_at_common": "steps to target there",
    "column.skipped_steps": "skipped steps (median)",
    "column.loss_scale": "loss scale at the end (median)",
    "column.underflow": "gradients that underflow (median)",
    "column.minus_float32": "minus float32 (points)",
    "column.minus_unclipped": "minus unclipped (points)",
    "column.failed_anywhere": "failed over all rates",
    "column.dead_first": "dead, at first",
    "column.dead_last": "dead, at the end",
    "column.layers": "layers",
    "column.bins": "bins",
    "column.snapshots": "snapshots",
    "column.examples": "examples of the probe",
    "column.kept_bytes": "kept (KiB)",
    "column.probe_bytes": "every activation of the probe (KiB)",
    "column.train_bytes": "every activation of the training set (KiB)",
    "column.side_by_side": "replicas of a tile",
    "column.examples_per_second": "examples / s",
    "column.effective_rate": "rate used",
    # What is often claimed.
    "report.claimed": "Often claimed, here measured",
    "report.claimed_note": "Programs are compared that differ in nothing but the precision. What this run did not "
    "measure is not told from elsewhere.",
    "column.claim": "claim",
    "column.measured": "measured in this run",
    "column.why": "why",
    "claimed.not_measured": "not measured",
    "claimed.unknown_device": "not recorded",
    "claimed.span": "{low} to {high}",
    "claimed.memory_measured": "{precision}: {span} (pairs of programs: {count}; arguments and temporaries)",
    "claimed.speed_measured": "{precision}: {span} times float32's steps a second (pairs of programs: {count}, "
    "each timed once)",
    "claimed.compile_measured": "not its effect; compiling or loading took {compile} s (programs added up), training {train} s",
    "claimed.memory": "Mixed precision halves the memory",
    "claimed.memory_why": "Parameters and the optimizer's state stay in float32, and so does the data set; only "
    "activations and their gradients are halved. Read off the compiled programs; not known where none ran in 16 "
    "bits or the compiler does not say.",
    "claimed.speed": "Mixed precision is 1.5 to 2 times as fast",
    "claimed.speed_why": "That holds where a device has units for 16 bits and the products are large enough to fill "
    "them; a CPU without them converts back and forth. This run: {device}.",
    "claimed.gpu": "A GPU is 5 to 10 times as fast as a CPU",
    "claimed.gpu_why": "A run uses one kind of device (this one: {device}). Networks as small as these fill a GPU "
    "only with many replicas side by side; the benchmark (python -m benchmarks) on both machines tells.",
    "claimed.loading": "Pinned memory and worker processes remove the data-loading bottleneck",
    "claimed.loading_why": "There is none to remove: the data lie on the device from the start, and batches are "
    "gathered inside the compiled loop, so that nothing is loaded while training.",
    "claimed.autotuning": "Kernel autotuning speeds training up",
    "claimed.autotuning_why": "XLA chooses its kernels while it compiles (on a GPU it tries several); that is in "
    "the compile time, apart from training. Training without it was not timed.",
    "claimed.cache": "Emptying the device's cache frees memory",
    "claimed.cache_why": "No cache is emptied here: a program's buffers are reserved once and used again in each "
    "step (the state is donated), and its data are given back when it is done.",
    # Environment, further words.
    "report.timing_rows": "Every program ({count} rows)",
    "column.argument_bytes": "arguments (MiB)",
    "column.temporary_bytes": "temporaries (MiB)",
    "memory.limit": "{size} in all",
    "memory.peak": "{size} used at most",
    "number.date": "{when:%Y-%m-%d %H:%M} {zone}",
}
