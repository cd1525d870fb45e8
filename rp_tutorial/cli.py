"""The command line `rp-tutorial`: a thin door to the runner, the data, the ledger and the doctor.

Bad input ends with exit code 2 and one line on stderr, whatever raised it; 0 means that the command finished.
Results go to stdout and to files, progress to stderr.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from tqdm import tqdm

from rp_tutorial import __version__
from rp_tutorial.core.arguments import InputError, one_of, refuse

if TYPE_CHECKING:
    from rp_tutorial.data.faces.task import FaceTask
    from rp_tutorial.data.tables.people import PeopleTable

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Robust Privacy: run the book's experiments, check data, read the ledger of claims.",
)
data_app = typer.Typer(help="Fetch, check or describe a data set.")
app.add_typer(data_app, name="data")

# The root of typer's usage errors, the child of Exception: its module moved when typer took click in, this did not.
UsageError = typer.BadParameter.__mro__[-4]
DATA_HELP = (
    "synthetic; for tables diabetes, kaggle or the path of a CSV file; for faces lfw, folder:PATH or celeba:PATH"
)
FORMATS = ("text", "markdown", "csv", "json")
DATA_SETS = {"insurance": "kaggle", "faces": "lfw"}  # and what is fetched of each
SET_HELP = "a setting other than the profile's, as sigmas=0.1,0.2 or attack.patience=5; may be repeated"
SCHEMA_HELP = "a TOML file that says what the columns of a CSV are, as `data describe` writes it"
WITH_HELP = "a Python file that registers defences, attacks, data or experiments of your own; may be repeated"
WHOLE = {"identities": 1000, "train_images": 500_000, "test_images": 200_000, "public_images": 200_000}


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def parts(
    with_file: Annotated[list[str] | None, typer.Option("--with", help=WITH_HELP)] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version and leave")
    ] = False,
) -> None:
    """Robust Privacy: run the book's experiments, check data, read the ledger of claims."""
    if with_file:
        from rp_tutorial.core.registry import load_parts

        for file in with_file:
            load_parts(file)


@app.command()
def doctor() -> None:
    """Say what is installed, which devices and data are found, and what each profile needs."""
    from rp_tutorial.doctor import report

    for line in report():
        typer.echo(line)


@data_app.command()
def fetch(name: Annotated[str, typer.Argument(help="insurance or faces")]) -> None:
    """Download a data set, check it, and print what it holds; or say how to get it by hand.

    Of faces, LFW is downloaded (200 MB, once) and CelebA is explained.
    """
    _print_data(name, DATA_SETS[one_of("name", name, DATA_SETS)], download=True)
    if name == "faces":
        from rp_tutorial.data.faces.celeba import HOW_TO_GET
        from rp_tutorial.data.faces.lfw import lfw_folder

        typer.echo(f"in {lfw_folder()}: research use only, do not publish images")
        typer.echo(HOW_TO_GET)


@data_app.command()
def check(
    name: Annotated[str, typer.Argument(help="insurance or faces")],
    source: Annotated[
        str,
        typer.Argument(
            help="insurance: a CSV file of the schema, or synthetic, diabetes, kaggle; "
            "faces: folder:PATH, celeba:PATH, lfw or synthetic"
        ),
    ],
    schema: Annotated[str | None, typer.Option(help=SCHEMA_HELP)] = None,
) -> None:
    """Check data and print what the experiments would make of them.

    Tables are checked against the schema. Of faces every image is read; nothing is downloaded.
    """
    _print_data(one_of("name", name, DATA_SETS), source, download=False, schema=schema)


@data_app.command()
def describe(
    file: Annotated[str, typer.Argument(help="a CSV file of any shape")],
    out: Annotated[str | None, typer.Option(help="the TOML file to write; left out, it is printed")] = None,
) -> None:
    """Look at a CSV file and write a schema for it, to be checked by hand and given as --schema."""
    from rp_tutorial.core.files import write_atomically
    from rp_tutorial.data.tables.describe import describe as described

    if out is not None and Path(out).exists():
        raise refuse("out", out, "a new file: what is there may have been changed by hand")
    text = described(file)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(Path(out), text)
        typer.echo(f"{out} written: check its lines, then give it as --schema {out}")


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="its name, as doctor lists them, or all")],
    profile: Annotated[str, typer.Option(help="smoke, cpu or gpu")] = "cpu",
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "synthetic",
    schema: Annotated[str | None, typer.Option(help=SCHEMA_HELP)] = None,
    seed: Annotated[int, typer.Option(help="everything random follows from it")] = 0,
    out: Annotated[str, typer.Option(help="folder for results.json, tables and charts")] = "results",
    device: Annotated[str | None, typer.Option(help="cpu or cuda; left out, the profile chooses")] = None,
    force: Annotated[bool, typer.Option("--force", help="compute everything anew")] = False,
    changes: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
) -> None:
    """Run an experiment and write DIR/results.json; finished stages are remembered, so a killed run resumes."""
    from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, PROFILES
    from rp_tutorial.experiments.engine.overrides import parsed
    from rp_tutorial.experiments.engine.runner import run as run_experiment
    from rp_tutorial.experiments.engine.runner import writable_folder, write_out
    from rp_tutorial.figures.pages import pages

    one_of("experiment", experiment, (*EXPERIMENTS, "all"))
    one_of("profile", profile, PROFILES)
    options = {"profile": profile, "data": data, "schema": schema, "seed": seed, "force": force, "device": device}
    for name in EXPERIMENTS if experiment == "all" else (experiment,):
        folder = Path(out) / name if experiment == "all" else Path(out)
        asked = EXPERIMENTS[name]
        if experiment == "all" and not asked.reads.takes(data):
            typer.echo(f"{name}: skipped, it takes --data {' or '.join(asked.reads.sources())} only")
            continue
        writable_folder(folder)
        with _StageBar() as bar:
            document = run_experiment(name, progress=bar.begin, **options, **parsed(changes or []))
        write_out(name, document, folder, pages(document))
        typer.echo(asked.summary(document["results"]))
        typer.echo(f"{folder / 'results.json'} written after {document['seconds']} s")


@app.command()
def sweep(
    experiment: Annotated[str, typer.Argument(help="its name, as doctor lists them")],
    grid: Annotated[str, typer.Option(help="a TOML file: seed, [axes] of settings and their values, [fixed] settings")],
    engine: Annotated[
        str, typer.Option(help="local (processes of this machine) or ray (the nodes of a cluster)")
    ] = "local",
    jobs: Annotated[int, typer.Option(help="processes of the local engine")] = 2,
    address: Annotated[str | None, typer.Option(help="of a Ray cluster; left out, one is started here")] = None,
    gpus: Annotated[float, typer.Option(help="of a GPU for each cell on Ray: 0.25 lets four share one")] = 0.0,
    profile: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper, where the grid names none")] = "cpu",
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "synthetic",
    schema: Annotated[str | None, typer.Option(help=SCHEMA_HELP)] = None,
    out: Annotated[str, typer.Option(help="folder for a results.json a cell and sweep.json")] = "results/sweep",
    device: Annotated[str | None, typer.Option(help="cpu or cuda; left out, the profile chooses")] = None,
) -> None:
    """Run every cell of a grid of settings, side by side; finished cells are remembered, a failed one is reported."""
    from rp_tutorial.core.registry import loaded_parts
    from rp_tutorial.experiments.engine.grid import read_grid
    from rp_tutorial.experiments.engine.sweep import sweep as sweep_cells

    cells = read_grid(grid, experiment, profile=profile, data=data, schema=schema)
    where = {"engine": engine, "jobs": jobs, "address": address, "gpus": gpus, "device": device, "out": out}
    with tqdm(total=len(cells), unit="cell", file=sys.stderr, delay=1) as bar:
        rows = sweep_cells(cells, **where, parts=loaded_parts(), progress=lambda row: bar.update())
    for row, cell in zip(rows, cells, strict=True):
        typer.echo(f"{row['cell']:04d}  {row['status']:10s} {cell.name}{': ' + row['reason'] if row['reason'] else ''}")
    failed = sum(row["status"] == "failed" for row in rows)
    others = "; the same command tries the others again" if failed else ""
    typer.echo(f"{len(cells) - failed} of {len(cells)} cells are in {out}{others}")
    if failed:
        raise typer.Exit(1)


@app.command()
def cache(
    action: Annotated[str, typer.Argument(help="size, check (digests of all entries) or clear")] = "size",
) -> None:
    """Say what is remembered and where, look for damaged entries, or forget everything."""
    from rp_tutorial.experiments.engine.stages import cache_dir, damaged, kept

    files = kept()
    if one_of("action", action, ("size", "check", "clear")) == "check":
        for path in damaged():
            typer.echo(f"damaged, and computed again when it is needed: {path}")
    typer.echo(f"{cache_dir()}: {len(files):,} entries, {sum(path.stat().st_size for path in files) / 1e6:,.1f} MB")
    if action == "clear":
        for path in files:
            path.unlink(missing_ok=True)
        typer.echo("cleared")


@app.command()
def ledger(
    results: Annotated[
        list[str] | None, typer.Option(help="folder of your own runs; the published ones if left out")
    ] = None,
    format: Annotated[str, typer.Option(help="text, markdown, csv or json")] = "text",
) -> None:
    """Print the paper's claims beside our measurements, with intervals and verdicts."""
    from rp_tutorial.experiments.engine.documents import read_documents
    from rp_tutorial.ledger.verdicts import render, table

    one_of("format", format, FORMATS)
    documents = [document for folder in results for document in read_documents(folder)] if results else None
    typer.echo(render(table(documents), format))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with 0 (finished), 2 (bad input, one line) or 130 (stopped)."""
    if isinstance(sys.stdout, TextIOWrapper):  # as stderr does: a letter that the encoding lacks is no fault of a run
        sys.stdout.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):  # a queue that ends a job is to leave the same sentence as a person
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    try:
        code = app(args=(sys.argv[1:] if arguments is None else arguments) or ["--help"], standalone_mode=False)
    except UsageError as error:
        _leave(error.format_message(), 2)
    except InputError as error:
        _leave(str(error), 2)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        _leave(f"{error.filename or 'output'} cannot be read or written: {error.strerror}", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:  # newer releases of typer return it, older ones raise
        _leave("stopped; finished stages are kept and the same command resumes", 130)
    sys.exit(code or 0)


class _StageBar:
    """A count of stages on stderr that appears with the first one: bad input is refused before, in one line."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None

    def begin(self, stage: str) -> None:
        if self.bar is None:
            self.bar = tqdm(unit="stage", file=sys.stderr)
        else:
            self.bar.update()
        self.bar.set_description(stage)

    def __enter__(self) -> _StageBar:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.bar is not None:
            self.bar.update(kind is None)
            self.bar.close()


def _leave(message: str, code: int) -> NoReturn:
    print(f"rp-tutorial: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def _print_data(name: str, source: str, *, download: bool, schema: str | None = None) -> None:
    """One of DATA_SETS, whole. `download` is about faces: a table is fetched where its source says so."""
    if name == "insurance":
        from rp_tutorial.data.tables.sources import load_table

        _print_table(load_table(source, schema=schema))
    elif schema is not None:
        raise refuse("schema", schema, "none for faces; it describes a table")
    else:
        from rp_tutorial.data.faces.sources import load_faces

        whole = {} if source == "synthetic" else WHOLE
        _print_faces(load_faces(source, size=32, download=download, **whole))


def _print_table(table: PeopleTable) -> None:
    """A data set in a few lines: size, the attribute, the threshold, the fingerprint."""
    values, unit = table.frame[table.attribute], table.unit
    columns = f"{len(table.numeric)} numeric and {len(table.categorical)} categorical inputs"
    typer.echo(f"{table.source}: {len(values):,} rows, {columns}")
    if table.dropped:
        typer.echo(f"left out for missing values: {table.dropped:,} rows")
    low, high = values.min(), values.max()
    typer.echo(f"{table.attribute}: mean {values.mean():.2f}, sd {values.std():.2f}, {low:g} to {high:g} {unit}")
    typer.echo(f"90th percentile: {values.quantile(0.9):g} {unit}")
    if table.label is not None and table.label.column is not None:
        typer.echo(f"decided 1 by {table.label.column}: {table.frame[table.label.column].mean():.1%}")
    typer.echo(f"fingerprint: {table.fingerprint}")


def _print_faces(task: FaceTask) -> None:
    """A set of faces in a few lines: sizes, what was converted or left out, the fingerprint."""
    trained, tested, public = len(task.y_train), len(task.y_test), len(task.public)
    typer.echo(
        f"{task.source}: {task.num_classes:,} private people, {trained:,} training and {tested:,} test images; "
        f"{public:,} images of other people"
    )
    if task.real_people:
        typer.echo("real people: do not publish images or reconstructions")
    for note in task.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"fingerprint at {task.size}x{task.size}: {task.fingerprint}")


if __name__ == "__main__":
    main()
