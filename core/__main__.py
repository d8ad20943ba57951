"""The commands of `python -m core`: train, inspect, experiment, poisoning, calibration, resume, runs, catalogue.

The app's own: work, arm, demo, layout.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.refusal import Refusal
from core.runs.folder import RunFolder, list_runs

EXAMPLE = "python -m core train --data emoji --loss.kind clip --loss.temperature 0.07 --steps 500 --seed 0 --out FOLDER"


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code; 141, as a shell has it, where nobody reads on what is printed."""
    parser = _parser()
    known, rest = parser.parse_known_args(words)
    if rest and known.command not in ("train", "experiment", "poisoning"):
        parser.error(f"unrecognised: {rest[0]}; see python -m core {known.command} --help")
    try:
        code = COMMANDS[known.command](known, rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Refusal as error:
        print(f"python -m core {known.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = "the same command" if known.command == "experiment" else "resume"
        print(
            f"\npython -m core {known.command}: interrupted; what is done is kept, and {again} goes on from there",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__, epilog=EXAMPLE, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser(
        "train",
        help="train a recipe; any of its settings is a flag, such as --loss.kind clip",
        epilog=EXAMPLE,
        allow_abbrev=False,
    )
    train.add_argument("--out", type=Path, help="folder of the run (default: among your runs)")
    train.add_argument("--recipe", type=Path, help="JSON file to start from; flags change it")
    train.add_argument("--threads", type=int, default=1, help="torch threads, stored with the run (default: 1)")
    resume = commands.add_parser("resume", help="go on with a run from its checkpoint", allow_abbrev=False)
    work = commands.add_parser("work", help="train a prepared folder, as the app does", allow_abbrev=False)
    work.add_argument("--polite", action="store_true", help="let every other waiting run go first")
    for command in (resume, work):
        command.add_argument("folder", type=Path)
    for command in (train, resume, work):
        command.add_argument("--checkpoint-seconds", type=float, default=1.0, help="time between checkpoints")
    experiment = commands.add_parser(
        "experiment",
        help="test a claim: arms, tuned alike, compared seed by seed",
        epilog="Also --data, --seeds, --configurations, --steps, --arms, --ratings and --split, each with a value.",
        allow_abbrev=False,
    )
    experiment.add_argument("task", choices=("retrieval", "recommender", "missing"))
    experiment.add_argument("--out", type=Path, help="folder of the experiment (default: among your files)")
    experiment.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at once")
    experiment.add_argument(
        "--accept-terms", action="store_true", help="fetch MovieLens-100k, its terms being accepted"
    )
    poisoning = commands.add_parser(
        "poisoning",
        help="measure how a loss treats a few marked images, on built-in digits",
        epilog="Also --loss.kind and its settings, --seeds, --steps, --epsilon and --share, each with a value.",
        allow_abbrev=False,
    )
    calibration = commands.add_parser(
        "calibration", help="measure what calibrating class Gaussians mends, on built-in digits", allow_abbrev=False
    )
    for command in (poisoning, calibration):
        command.add_argument("--out", type=Path, help="JSON file to keep the numbers of every seed in")
    arm = commands.add_parser("arm", help="work on one arm of an experiment, as it does", allow_abbrev=False)
    arm.add_argument("folder", type=Path)
    arm.add_argument("key")
    arm.add_argument("parent", type=int)
    demo = commands.add_parser("demo", help="train the run of the Start page, as the app does", allow_abbrev=False)
    demo.add_argument("--record", type=Path, help="also write its film here, for assets/recording.npz")
    inspect = commands.add_parser(
        "inspect", help="tell how healthy a file of weights or of embeddings is", allow_abbrev=False
    )
    inspect.add_argument(
        "file", type=Path, help="a checkpoint, or .npz, .npy, .csv, .tsv or .parquet; nothing in it runs"
    )
    inspect.add_argument("--against", type=Path, help="a second file of the same kind, to be compared")
    inspect.add_argument("--json", action="store_true", help="print one JSON object instead")
    commands.add_parser("layout", help="draw the maps that the app asks for, until none comes", allow_abbrev=False)
    for name, text in (("runs", "list your runs"), ("catalogue", "list every piece")):
        commands.add_parser(name, help=text, allow_abbrev=False).add_argument("--json", action="store_true")
    return parser


def _flags(words: Sequence[str]) -> dict[str, str]:
    """`--address value` and `--address=value`, in any order."""
    flat: dict[str, str] = {}
    pending = list(words)
    while pending:
        word = pending.pop(0)
        if not word.startswith("--"):
            raise Refusal(f"'{word}' stands where a flag was expected; write --loss.kind clip")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not pending or (pending[0].startswith("--")):
                raise Refusal(f"--{name} has no value; write --{name} VALUE")
            value = pending.pop(0)
        flat[name] = value
    return flat


def _recipe(file: Path | None, flat: dict[str, str]) -> Any:
    from core.addresses import read
    from core.recipe import Recipe

    base = Recipe()
    if file:
        try:
            base = Recipe.model_validate_json(file.read_bytes())
        except OSError as error:
            raise Refusal(f"--recipe {file} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise Refusal(f"--recipe {file} is not a recipe: {_first_line(error)}") from error
    recipe, refused = read(flat, base)
    if refused:
        raise Refusal(f"--{refused[0].address} {refused[0].value}: {refused[0].reason}")
    return recipe


def _first_line(error: ValueError) -> str:
    return " ".join(str(error).splitlines()[1:3]).strip() or str(error)


def _train(known: argparse.Namespace, rest: list[str]) -> int:
    if known.threads < 1:
        raise Refusal(f"--threads {known.threads}: expected a whole number from 1")
    recipe = _recipe(known.recipe, _flags(rest))
    from core.data.loading import load
    from core.runs.fit import remarks
    from core.runs.worker import prepare

    try:
        folder = prepare(recipe, RunFolder(known.out) if known.out else None, known.threads)
    except OSError as error:
        raise Refusal(f"{error.filename} cannot be written ({error.strerror}); name a new folder with --out") from error
    for remark in remarks(recipe, load(recipe.data)):
        print(remark, file=sys.stderr)
    return _finish(folder, known.checkpoint_seconds)


def _resume(known: argparse.Namespace, rest: list[str]) -> int:
    return _finish(RunFolder(known.folder), known.checkpoint_seconds)


def _finish(folder: RunFolder, checkpoint_seconds: float) -> int:
    """Train with a progress bar on standard error; the last line of standard output is the result."""
    from tqdm import tqdm

    from core.runs.worker import recipe_of, work

    with tqdm(total=recipe_of(folder).steps, unit="step", file=sys.stderr) as bar:
        try:
            work(folder, checkpoint_seconds=checkpoint_seconds, progress=lambda step: bar.update(step - bar.n))
        except OSError as error:
            print(f"{folder.path}: {folder.status().message or error}", file=sys.stderr)
            return 1
    status = folder.status()
    if status.state != "done":
        print(f"{folder.path}: {status.state}. {status.message}", file=sys.stderr)
        return 1
    environment = folder.environment()
    run = {"id": folder.id, "folder": str(folder.path)} | {k: environment[k] for k in ("device", "threads")}
    print(json.dumps(folder.result() | {"run": run}))
    return 0


def _work(known: argparse.Namespace, rest: list[str]) -> int:
    from core.runs.worker import work

    work(RunFolder(known.folder), polite=known.polite, checkpoint_seconds=known.checkpoint_seconds)
    return 0


def _experiment(known: argparse.Namespace, rest: list[str]) -> int:
    """Run the arms with a progress bar on standard error; the last line of standard output is the outcome."""
    from core.experiments.command import run, settings, usual_folder

    asked = settings(known.task, _flags(rest), known.accept_terms)
    print(json.dumps(run(asked, known.out or usual_folder(asked), known.workers)))
    return 0


def _poisoning(known: argparse.Namespace, rest: list[str]) -> int:
    """Probe a loss with a progress bar on standard error; the last line of standard output is the outcome."""
    from tqdm import tqdm

    from core.experiments.poisoning import asked, keep, probe, summary

    p = asked(_flags(rest))
    found = [probe(p, seed) for seed in tqdm(range(p.seeds), unit="seed", file=sys.stderr)]
    if known.out:
        keep(known.out, p, found)
    print(json.dumps(summary(p, found)))
    return 0


def _calibration(known: argparse.Namespace, rest: list[str]) -> int:
    from core.experiments.calibration import survey
    from core.runs.folder import write_json

    found = survey()
    if known.out:
        try:
            write_json(known.out, found)
        except OSError as error:
            raise Refusal(f"{known.out} cannot be written ({error.strerror}); name a new file with --out") from error
    print(json.dumps(found))
    return 0


def _arm(known: argparse.Namespace, rest: list[str]) -> int:
    from core.experiments.worker import work

    work(known.folder, known.key, known.parent)
    return 0


def _demo(known: argparse.Namespace, rest: list[str]) -> int:
    from core.runs import demo
    from core.runs.worker import prepare, work

    folder = prepare(_recipe(None, demo.first_link()))
    demo.remember(folder)
    work(folder, polite=True)
    if known.record:
        demo.record(folder, known.record)
    return 0


def _inspect(known: argparse.Namespace, rest: list[str]) -> int:
    from core.inspecting import inspect

    found = inspect(known.file, known.against)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print(json.dumps(found.plain, allow_nan=False) if known.json else "\n".join(found.lines))
    return 0


def _layout(known: argparse.Namespace, rest: list[str]) -> int:
    from core.runs.layout_worker import serve

    serve()
    return 0


def _runs(known: argparse.Namespace, rest: list[str]) -> int:
    rows = []
    for folder in list_runs():
        status = folder.status()
        rows.append({"id": folder.path.name, "folder": str(folder.path), **vars(status)})
    if known.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{row['id']}  {row['state']:<9}  step {row['step']} of {row['steps']}  {row['message']}")
    return 0


def _catalogue(known: argparse.Namespace, rest: list[str]) -> int:
    from core.catalogue import catalogue

    rows = catalogue()
    if known.json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{row['kind']:<10}  {row['key']:<12}  {row['title']}")
    return 0


COMMANDS = {
    "train": _train,
    "inspect": _inspect,
    "experiment": _experiment,
    "poisoning": _poisoning,
    "calibration": _calibration,
    "arm": _arm,
    "resume": _resume,
    "work": _work,
    "demo": _demo,
    "layout": _layout,
    "runs": _runs,
    "catalogue": _catalogue,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
