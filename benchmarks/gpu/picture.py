"""Throughput and its share of the roofline against replicas in a tile; comparison C in each kind of products."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu import page
from jaxcompare.plots import style


class NothingError(Exception):
    """There is nothing to draw."""


def draw(found: dict[str, Any]) -> bytes:
    """The picture as PNG, from what `gpu.json` holds.

    Raises:
        NothingError: neither question was answered.
    """
    return style.png(figure(found))


@style.styled
def figure(found: dict[str, Any]) -> Any:
    """A sheet of three panels, without those that were not measured."""
    machine, asked = page.machine_of(found), found["questions"]
    rows = [row for one in page.answered(asked.get("replicas", {})).values() for row in one if "median" in row]
    kinds = {kind: one for kind, one in page.answered(asked.get("precisions", {})).items() if "median" in one}
    panels: list[tuple[Any, Any]] = [(_rates, rows), (_shares, rows)] if rows else []
    if kinds:
        panels.append((_kinds, kinds))
    if not panels:
        raise NothingError("neither replicas nor precisions were measured")
    note = f"{machine.get('device')}; batch 128, AdamW where not said otherwise; training alone"
    made, axes = style.sheet(len(panels), "Training on a GPU", note, columns=len(panels), size=(4.4, 3.6))
    for ax, (panel, drawn) in zip(axes, panels, strict=True):
        panel(ax, drawn, machine)
    return made


def _lines(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["network"], []).append(row)
    return found


def _rates(ax: Any, rows: list[dict[str, Any]], _: dict[str, Any]) -> None:
    for place, (network, line) in enumerate(_lines(rows).items()):
        x, y = [row["replicas"] for row in line], [row["median"] for row in line]
        ax.plot(x, y, "o-", color=style.PALETTE[place], label=network)
    ax.set(yscale="log", ylabel="replica-steps a second", title="Throughput")
    _replicas(ax, rows)
    ax.legend(loc="best")


def _shares(ax: Any, rows: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    for place, (network, line) in enumerate(_lines(rows).items()):
        shares = [page.share(row, machine, "streamed") for row in line]
        known = [(row["replicas"], 100 * part) for row, part in zip(line, shares, strict=True) if part is not None]
        ax.plot([x for x, _ in known], [y for _, y in known], "o-", color=style.PALETTE[place], label=network)
    ax.set(ylim=(0, None), ylabel="% of the roofline", title="Of what weights' bytes or products allow")
    _replicas(ax, rows)


def _replicas(ax: Any, rows: list[dict[str, Any]]) -> None:
    """Ticks where something was measured."""
    known = sorted({row["replicas"] for row in rows})
    ax.set(xscale="log", xlabel="replicas in a tile")
    ax.set_xticks(known, [f"{replicas:,}" for replicas in known])
    ax.minorticks_off()


def _kinds(ax: Any, kinds: dict[str, dict[str, Any]], _: dict[str, Any]) -> None:
    names = list(kinds)
    ax.barh(names, [kinds[kind]["median"] for kind in names], color=style.PALETTE[0])
    for place, kind in enumerate(names):
        ax.annotate(
            f"{kinds[kind]['median']:,.0f}",
            (0, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color="white",
        )
    ax.invert_yaxis()
    replicas = kinds[names[0]]["replicas"]
    ax.set(xlabel="replica-steps a second", title=f"Comparison C, {replicas} replicas")
