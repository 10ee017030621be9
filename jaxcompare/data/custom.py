"""A user's own arrays as a data set: splits, classes and checks. Where the arrays come from is in `files` and `loading`.

Shapes: N examples of a split, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcompare.config.errors import shown
from jaxcompare.config.registry import nearest
from jaxcompare.data.base import Array, DataError, Dataset, digest
from jaxcompare.data.splits import generator, stratified

SPLITS = ("train", "validation", "test")
TEST_FRACTION = 0.2  # of examples that come without a test split
# The keys of a table with all examples: ours, and those of scikit-learn's loaders.
WHOLE = (("x", "y", "class_names"), ("data", "target", "target_names"))
FORMS = "x and y, or train and test, or x_train, y_train, x_test and y_test; validation is optional"


class Parts(NamedTuple):
    """Arrays as a user gives them, unchecked."""

    splits: dict[str, tuple[Any, Any]]  # (x, y) of "train", and of "validation" and "test" where there are any
    class_names: Sequence[Any] | None = None


def as_dataset(name: str, value: Any, *, seed: int, source: str) -> Dataset:
    """Return arrays in the form of the built-in data sets.

    Args:
        name: of the data set.
        value: (x, y) of all examples; or a table or named tuple with `x` and `y`, with scikit-learn's `data` and `target`,
            with (x, y) of `train`, `validation` and `test`, or with `x_train`, `y_train` and so on. `class_names` is optional.
            x is [N, ...], numbers; uint8 are pixels. y is [N]: whole numbers or texts.
        seed: draws a fifth of the training examples, stratified by class, where there is no test split; at least 0.
        source: the origin, in words.

    Raises:
        DataError: the arrays are no data set; the message says why.

    Example:
        >>> wine = as_dataset("w", ([[1.0], [2.0]] * 10, ["red", "white"] * 10), seed=0, source="here")
        >>> wine.x_train.shape, wine.x_test.shape, wine.class_names, wine.y_train.dtype.name
        ((16, 1), (4, 1), ('red', 'white'), 'int32')
    """
    given, class_names = parts(value)
    splits = {split: _checked(split, *pair) for split, pair in given.items()}
    shapes = {split: x.shape[1:] for split, (x, _) in splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"examples have different shapes: {', '.join(f'{k} {v}' for k, v in shapes.items())}")
    labels, names = _classes({split: y for split, (_, y) in splits.items()}, class_names)
    pixels = all(x.dtype == np.uint8 for x, _ in splits.values())
    arrays = {split: (x if pixels else x.astype(np.float32), labels[split]) for split, (x, _) in splits.items()}
    missing = sorted(set(range(len(names))) - set(arrays["train"][1].tolist()))
    if missing:
        raise DataError(f"there is no training example of class {shown(names[missing[0]])}")
    if "test" not in arrays:
        x, y = arrays["train"]
        kept, taken = stratified(y, classes=len(names), fraction=TEST_FRACTION, random=generator(seed, 1))
        if not len(taken):
            raise DataError(f"{len(y)} examples are too few to take {TEST_FRACTION:.0%} of them for testing")
        arrays |= {"train": (x[kept], y[kept]), "test": (x[taken], y[taken])}
        source += f", {TEST_FRACTION:.0%} for testing, seed {seed}"
    validation = arrays.get("validation")
    every = (*arrays["train"], *arrays["test"], *(validation or ()))
    return Dataset(
        name,
        *arrays["train"],
        *arrays["test"],
        classes=len(names),
        class_names=names,
        input_max=255.0 if pixels else None,
        source=source,
        digest=digest(*every),
        validation=validation,
    )


def parts(value: Any) -> Parts:
    """Return a user's arrays by split; raise DataError where they have another form than `as_dataset` takes."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return _parts_of_table(value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return Parts({"train": (value[0], value[1])})
    kind = f"{type(value).__name__} of {len(value)}" if isinstance(value, list | tuple) else type(value).__name__
    raise DataError(f"a {kind} is no data; it must be (x, y), or a table with {FORMS}")


def _parts_of_table(table: Mapping[str, Any]) -> Parts:
    for x, y, class_names in WHOLE:
        if x in table and y in table:
            others = [key for key in table if key not in (x, y, class_names)]
            if others and x == "x":  # scikit-learn's tables have more
                raise DataError(f"there is no place for {shown(others[0])} beside x and y; it must have {FORMS}")
            return Parts({"train": (table[x], table[y])}, table.get(class_names))
    pairs = {split: (f"x_{split}", f"y_{split}") for split in SPLITS}
    known = [*SPLITS, *(key for pair in pairs.values() for key in pair), "class_names"]
    for key in table:
        if key not in known:
            raise DataError(f"there is no place for {shown(key)}: {nearest(key, known)}; it must have {FORMS}")
    splits = {split: parts(table[split]).splits["train"] for split in SPLITS if split in table}
    splits |= {split: (table[x], table[y]) for split, (x, y) in pairs.items() if x in table and y in table}
    single = [key for x, y in pairs.values() for key in (x, y) if (x in table) != (y in table) and key not in table]
    if single or "train" not in splits:
        lacking = f"{single[0]} is missing" if single else "there are no training examples"
        raise DataError(f"{lacking} beside {', '.join(map(str, table)) or 'nothing'}; it must have {FORMS}")
    return Parts(splits, table.get("class_names"))


def _checked(split: str, x: Any, y: Any) -> tuple[Array, Array]:
    """Return inputs [N, ...] and labels [N] of a split; raise DataError, with the split's name, where they are none."""
    try:
        inputs, labels = _inputs(x), _labels(y)
        if len(inputs) != len(labels):
            raise DataError(f"x has {len(inputs)} examples and y has {len(labels)}; both must have the same number")
    except DataError as error:
        raise DataError(f"{split}: {error}") from error
    return inputs, labels


def _inputs(x: Any) -> Array:
    try:
        x = np.asarray(x)
    except ValueError as error:  # a list of lists of different lengths
        raise DataError("the examples in x have different shapes; all must have one shape") from error
    if x.dtype.kind not in "biuf":
        raise DataError(f"x has the type {x.dtype.name}; it must be numbers, in examples of one shape")
    if x.ndim < 2 or not x.size:
        raise DataError(
            f"x has the shape {x.shape}; it must be (examples, features), or (examples, height, width, channels) of images"
        )
    with np.errstate(over="ignore"):
        x = x if x.dtype == np.uint8 else x.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(1))
    if len(bad):
        raise DataError(
            f"x is NaN, infinite or too large for float32 in {len(bad)} of {len(x)} examples, first in example {bad[0]} "
            "(from 0); it must be finite"
        )
    return x


def _labels(y: Any) -> Array:
    """Return labels [N] as whole numbers or as texts."""
    try:
        y = np.asarray(y)
    except ValueError as error:
        raise DataError("y has entries of different lengths; it must have one class for each example") from error
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = "; of columns with 0 and 1, take the argmax" if y.ndim == 2 else ""
        raise DataError(f"y has the shape {y.shape}; it must have one class for each example, (examples,){hint}")
    if y.dtype.kind == "f":
        _refuse(y, ~np.isfinite(y) | (y % 1 != 0))
        return y.astype(np.int64)
    if y.dtype.kind == "O":
        _refuse(y, np.array([not isinstance(label, str) for label in y], bool))
    if y.dtype.kind not in "biuOUT":
        raise DataError(f"y has the type {y.dtype.name}; it must be whole numbers or texts")
    return y if y.dtype.kind in "iu" else y.astype(np.str_)


def _refuse(y: Array, wrong: Array) -> None:
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"y = {shown(y[place].item() if hasattr(y[place], 'item') else y[place])} in example {place} (from 0) "
            "is no class; it must be a whole number or a text"
        )


def _classes(labels: Mapping[str, Array], given: Sequence[Any] | None) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the labels of each split as int32 in [0, C), and the names of the classes.

    Classes are in the order of `given`, else sorted.
    """
    everything = np.concatenate(list(labels.values()))
    found, codes = np.unique(everything, return_inverse=True)
    numbers = everything.dtype.kind in "iu"
    if given is None and numbers and 3 * len(found) > len(everything):
        raise DataError(
            f"y has {len(found)} different numbers in {len(everything)} examples, which are no classes; a class needs "
            "at least three examples"
        )
    names = tuple(str(name) for name in (found.tolist() if given is None else given))
    known = {label: place for place, label in enumerate(range(len(names)) if given is not None and numbers else names)}
    places = [known.get(label if given is not None and numbers else str(label)) for label in found.tolist()]
    if None in places:
        wrong = found[places.index(None)].item()
        valid = f"0 to {len(names) - 1}" if numbers else nearest(wrong, names)
        raise DataError(f"y = {shown(wrong)} is no class of the {len(names)} in class_names; it must be {valid}")
    if len(names) < 2:
        raise DataError(f"all labels are {shown(names[0]) if names else 'missing'}; there must be at least two classes")
    every = np.array(places, np.int32)[codes]
    ends = np.cumsum([len(y) for y in labels.values()])[:-1]
    return dict(zip(labels, np.split(every, ends), strict=True)), names
