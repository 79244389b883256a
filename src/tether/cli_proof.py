"""`tether ablate`, `tether merge`, `tether gate`: which part helps, how much of it to keep, is it enough."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tether.errors import RequestError

PANEL = "Run"
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes such as train.steps=40 method=rdft.", metavar="[key=value ...]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]


def register(app: typer.Typer) -> None:
    """Put the commands of this file into the command line."""
    for command in (ablate, merge, gate):
        app.command(rich_help_panel=PANEL)(command)


def ablate(
    config: Annotated[
        str, typer.Argument(help="A preset's name or a path ending in .yaml.", metavar="CONFIG")
    ],
    overrides: Overrides = None,
    seeds: Annotated[str, typer.Option(help="How many seeds, or which: 3, or 0,1,2.")] = "1",
    rows: Annotated[
        str | None,
        typer.Option(
            help="Kinds (term, teacher, shift, after, option, control) or names such as 'without*', "
            "comma-separated; default: all."
        ),
    ] = None,
    controls: Annotated[
        str, typer.Option(help="Other methods on the same data and steps.")
    ] = "aug_ce,wise_ft,finetune,lora",
    output: Annotated[str | None, typer.Option(help="Folder for the runs and the tables.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which rows would run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Leave out the method's parts one at a time, and say which part carries the gain.

    Rows are read off the method: each term, each teacher, each family of training shifts (out, and alone),
    the finish, the controller, the rule of prediction; and what its file declares. Every row trains for as
    many steps, but for a plain LoRA that gets the whole method's work. Finished runs are found.

    Example: `tether ablate emoji method=rdft --seeds 3 --rows term,teacher,control`
    """
    from tether.ablate import ablate as ablate_
    from tether.ablation_rows import plan_rows
    from tether.cli import OUT
    from tether.report.ablation_output import ablation_json, print_ablation

    wanted, others = _listed(rows or ""), _listed(controls)
    if dry_run:
        plan = plan_rows(config, overrides or [], wanted, others)
        if as_json:
            print(json.dumps([{"name": r.name, "kind": r.kind, "same": r.same} for r in plan.rows]))
            return
        for row in plan.rows:
            same = f" (= {', '.join(row.same)})" if row.same else ""
            steps = "" if row.steps is None else f" for {row.steps} steps"
            OUT.print(f"{row.kind:8} {row.name}{same}{steps}", markup=False, highlight=False, soft_wrap=True)
        for name, why in plan.skipped.items():
            OUT.print(f"skipped  {name}: {why}", markup=False, highlight=False, soft_wrap=True)
        return
    done = ablate_(config, overrides or [], _numbers(seeds), wanted, others, output)
    if as_json:
        print(ablation_json(done.table, done.command))
    else:
        print_ablation(done.table, OUT)
        OUT.print(f"\nTable: {done.page}", soft_wrap=True, markup=False)
    for name, message in done.failed.items():
        print(f"tether: {name} failed: {message}", file=sys.stderr)
    if done.failed:
        raise typer.Exit(1)


def _listed(text: str) -> list[str]:
    """Names between commas; of a row whose own name has a comma a pattern asks, such as "lora*"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> int | list[int]:
    try:
        return int(text) if "," not in text else [int(part) for part in text.split(",") if part]
    except ValueError as e:
        raise RequestError(f"--seeds: expected a count or a list such as 0,1,2, got {text!r}") from e


def merge(
    runs: Annotated[list[Path], typer.Argument(help="A finished run's folder; several with --soup.")],
    mu: Annotated[str, typer.Option(help="auto, or the weight of the trained model from 0 to 1.")] = "auto",
    grid: Annotated[int, typer.Option(help="Points of the line, its ends included.")] = 21,
    soup: Annotated[
        str | None, typer.Option(help="Average several runs: uniform, or greedy on ID validation.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write; default RUN-merged or RUN-soup.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Also show the test sets along the line; they choose nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge every mixture of a run's start and its result on validation, and write the chosen model.

    The whole line goes to merge.jsonl and merge.png. Of several runs of one start it writes the mean.

    Example: `tether merge runs/digits-lora_s0 --mu auto -o runs/merged`
    """
    from tether.cli import OUT, _next
    from tether.merging import curve_rows, merge_run, merge_runs
    from tether.report.merged import print_merge

    if soup is None and len(runs) > 1:
        raise RequestError(
            f"merge: expected one run, got {len(runs)}; --soup uniform or greedy averages several"
        )
    if soup is not None:
        if soup not in ("uniform", "greedy"):
            raise RequestError(f"--soup: expected uniform or greedy, got {soup!r}")
        if mu != "auto" or test:
            raise RequestError("--soup averages runs and walks no line; leave --mu and --test out")
        done = merge_runs(runs, "greedy" if soup == "greedy" else "uniform", output)
    else:
        done = merge_run(runs[0], _mu(mu), grid, output, test)
    if as_json:
        used = [row.name for row in done.soup if row.used]
        print(
            json.dumps(
                {
                    "folder": str(done.folder),
                    "mu": done.mu,
                    "why": done.why,
                    "curve": curve_rows(done),
                    "used": used,
                }
            )
        )
        return
    if done.curve:
        print_merge(curve_rows(done), OUT)
        if test:
            OUT.print("The test sets are shown, and steered nothing.", style="dim")
    for row in done.soup:
        OUT.print(f"{'in ' if row.used else 'out'} {row.name}", markup=False, highlight=False, soft_wrap=True)
    chosen = f"mu {done.mu:.3g}: " if done.mu is not None else ""
    OUT.print(f"\n{chosen}{done.why}", markup=False, soft_wrap=True)
    OUT.print(f"Model: {done.folder}", markup=False, soft_wrap=True)
    _next([f"tether evaluate {done.folder} CONFIG", f"tether predict {done.folder} INPUT"])


def _mu(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as e:
        raise RequestError(f"--mu: expected auto, or a number from 0 to 1, got {text!r}") from e


def gate(
    run: Annotated[Path, typer.Argument(help="A finished run, or the folder of `tether evaluate`.")],
    max_gap: Annotated[float | None, typer.Option(help="The largest robustness gap, 1 - OOD/ID.")] = None,
    min_id: Annotated[float | None, typer.Option(help="The least accuracy on ID test.")] = None,
    min_ood: Annotated[
        float | None, typer.Option(help="The least mean accuracy on the shifted sets.")
    ] = None,
    min_worst_group: Annotated[
        float | None, typer.Option(help="The least accuracy of any group or natural domain.")
    ] = None,
    max_ece: Annotated[float | None, typer.Option(help="The largest calibration error on ID test.")] = None,
    at_least: Annotated[
        list[str] | None, typer.Option("--min", help="METRIC:SET=VALUE, such as macro_f1:id_test=0.9.")
    ] = None,
    at_most: Annotated[
        list[str] | None, typer.Option("--max", help="METRIC:SET=VALUE, such as nll:fog@3=1.2.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="A run on the same data to compare with.")] = None,
    max_id_drop: Annotated[
        float | None, typer.Option(help="How far ID accuracy may lie below the reference's.")
    ] = None,
    max_ood_drop: Annotated[
        float | None, typer.Option(help="How far shifted accuracy may lie below the reference's.")
    ] = None,
    confident: Annotated[
        bool, typer.Option("--confident", help="Judge the bad end of each 95% interval, not the value.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Exit with 1 and the reason when a run falls short of a limit: for CI.

    0: every limit is met. 1: one is not. 2: a wrong request, or a limit that nothing in the run answers.

    Example: `tether gate runs/digits-rdft_s0 --max-gap 0.1 --min-id 0.9 --confident`
    """
    from tether.cli import OUT
    from tether.report.gate import Limit, check_gate, parse_limit
    from tether.report.gate_output import gate_json, print_gate, reasons
    from tether.report.runs import read_run

    most = {"gap": max_gap, "ece:id_test": max_ece, "id_drop": max_id_drop, "ood_drop": max_ood_drop}
    least = {"id": min_id, "ood": min_ood, "worst_group": min_worst_group}
    limits = [Limit(what, "max", v) for what, v in most.items() if v is not None]
    limits += [Limit(what, "min", v) for what, v in least.items() if v is not None]
    limits += [parse_limit(text, "min") for text in at_least or []]
    limits += [parse_limit(text, "max") for text in at_most or []]
    other = None if reference is None else read_run(reference)
    checked = check_gate(read_run(run), limits, other, confident)
    if as_json:
        print(gate_json(checked, confident))
    else:
        print_gate(checked, confident, OUT)
    for reason in reasons(checked):
        print(f"tether: {run}: {reason}", file=sys.stderr)
    if not all(c.met for c in checked):
        raise typer.Exit(1)
