"""What a run says at the end: short tables."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def verdict_table(verdicts: list[dict[str, Any]]) -> Table:
    """The verdicts of an audit, one line for each law."""
    table = Table(title="Laws", title_justify="left", header_style="bold")
    for name in ("law", "statement"):
        table.add_column(name)
    for name in ("error", "scale", "tolerance"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for v in verdicts:
        numbers = [_scientific(v[name]) for name in ("error", "scale", "tolerance")]
        # `Text`: a statement may hold brackets, which rich would take for markup.
        table.add_row(Text(v["name"]), Text(v["statement"]), *numbers, _judged(v))
    return table


def failed(verdicts: list[dict[str, Any]]) -> list[str]:
    """The names of the laws that do not hold. A vacuous verdict says nothing, neither for nor against."""
    return [v["name"] for v in verdicts if not v["passed"] and not v["vacuous"]]


def show_metrics(console: Console, metrics: dict[str, Any], folder: str) -> None:
    """The verdicts, then the numbers of a finished run, and where its report is."""
    console.print(verdict_table(metrics["audit"]["verdicts"]))
    order = metrics["audit"].get("refinement", {}).get("order")
    if order is not None:
        console.print(
            f"Where the group acts but the pixels do not, the error vanishes under refinement with order {order:.2f}."
        )
    images = metrics["images"]
    table = Table(title=metrics["title"], title_justify="left", header_style="bold")
    for name in (
        "model",
        "parameters",
        f"test accuracy ({images['test']:,})",
        f"validation ({images['validation']:,})",
        "training",
    ):
        table.add_column(name, justify="left" if name == "model" else "right")
    rows = [{**metrics, "title": f"equivax, {metrics['group']}"}, *metrics.get("baseline", {}).values()]
    for row in rows:
        table.add_row(
            row["title"],
            f"{row['parameters']:,}",
            f"{row['test_accuracy']:.2%}",
            "-" if row["validation_accuracy"] is None else f"{row['validation_accuracy']:.2%}",
            f"{row['seconds_training']:.0f} s",
        )
    console.print(table)
    if metrics["embedded"]:
        console.print(
            "[bold red]Only the embedded subset of 5,000 images was at hand: these numbers do not compare with others.[/]"
        )
    console.print(f"{metrics['seconds_total']:.0f} s in all. Report: {folder}/report.html", soft_wrap=True)


def show_comparison(console: Console, metrics: dict[str, Any], folder: str) -> None:
    """The verdicts of a finished run, its table of numbers as the report has it, and where that is."""
    console.print(verdict_table(metrics["audit"]["verdicts"]))
    table = Table(title=metrics["title"], title_justify="left", header_style="bold")
    for i, name in enumerate(metrics["comparison"]["columns"]):
        table.add_column(name, justify="right" if i else "left")
    for row in metrics["comparison"]["rows"]:
        table.add_row(*row)
    console.print(table)
    console.print(f"{metrics['seconds_total']:.0f} s in all. Report: {folder}/report.html", soft_wrap=True)


def show_skipped(console: Console, skipped: Sequence[str]) -> None:
    """How many files were left out, and the first of them, each with its reason."""
    if skipped:
        console.print(f"[bold red]Skipped {len(skipped):,} file{'s' * (len(skipped) > 1)} that cannot be read:[/]")
    for line in skipped[:10]:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _scientific(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _judged(verdict: dict[str, Any]) -> str:
    if verdict["vacuous"]:
        return "[yellow]vacuous[/]"
    return "[green]holds[/]" if verdict["passed"] else "[bold red]FAILS[/]"
