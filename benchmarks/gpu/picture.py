"""Throughput and its share of the roofline against replicas in a tile; comparison C in each kind of products."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu import page
from benchmarks.picture import Panel, sheet
from benchmarks.tables import Row
from jaxcompare.plots import style


def draw(known: Row) -> bytes | None:
    """Return the picture as PNG; None where nothing was measured that is drawn."""
    return style.png(one) if (one := figure(known)) else None


@style.styled
def figure(known: Row) -> Any | None:
    """Return the sheet of what was measured."""
    ceilings, asked, pass_share = page.rates_of(known), known["questions"], "of the roofline, each pass"
    rows = [row for row in page.rows_of(asked.get("replicas", {}), ceilings) if "median" in row]
    lines = {
        name: [row for row in rows if row["network"] == name] for name in dict.fromkeys(row["network"] for row in rows)
    }
    panels = [Panel("Throughput", lines)] if rows else []
    if any(pass_share in row for row in rows):
        panels.append(Panel("Of what weights' bytes or products allow", lines, y=pass_share, ylabel="share"))
    kinds = [row for row in page.rows_of(asked.get("precisions", {}), ceilings) if row["program"] == "all"]
    if kinds := [row for row in kinds if "median" in row]:
        title = f"Comparison C, {kinds[0]['replicas']} replicas"
        panels.append(Panel(title, {row["kind"]: [row] for row in kinds}, x="kind", log=False))
    note = f"{known['machine'].get('device')}; batch 128, AdamW where not said otherwise; training alone"
    return sheet("Training on a GPU", note, panels, 3) if panels else None
