"""The command line: ``bikes generate``, ``bikes train``, ``bikes infer``."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bikes import model, synthetic
from bikes.data import Hours, read_hours


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit status, 1 for input that cannot be used."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "generate":
            generate(options.data)
        elif options.command == "train":
            train(options.data, options.outputs)
        else:
            infer(options.data, options.outputs)
    except (OSError, TypeError, ValueError) as error:
        print(f"bikes {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Build the parser; every folder defaults to one below the working directory."""
    top = argparse.ArgumentParser(prog="bikes", description="Hourly bike demand.")
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("generate", "write the synthetic data: hours.csv and forecast.csv"),
        ("train", "learn from hours.csv; write the model, its weights and its metrics"),
        ("infer", "predict forecast.csv with the trained model"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--data", type=Path, default=Path("data"), metavar="DIR")
        if name != "generate":
            command.add_argument("--outputs", type=Path, default=Path("outputs"), metavar="DIR")
    return top


def generate(data: Path) -> None:
    """Write the synthetic data into a folder."""
    for path in synthetic.generate(data):
        print(f"wrote {path}")


def train(data: Path, outputs: Path) -> None:
    """Fit on all but the last 56 days of ``hours.csv``, score on those, write it all down."""
    history, holdout = read_hours(data / "hours.csv").split(model.HOLDOUT_DAYS)
    trained = model.fit(history)
    predictions = model.predict(trained, holdout)
    metrics = model.evaluate(trained, holdout, predictions)
    outputs.mkdir(parents=True, exist_ok=True)
    model.save(trained, outputs / "model.joblib")
    np.savez_compressed(outputs / "weights.npz", allow_pickle=False, **model.weights(trained))
    write_arrays(outputs / "holdout.npz", predictions)
    (outputs / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(f"trained on {len(history)} hours, scored on {len(holdout)}")
    print(f"mae {metrics['mae']:.1f} bikes per hour, accuracy {metrics['accuracy']:.3f}")


def infer(data: Path, outputs: Path) -> None:
    """Predict every hour of ``forecast.csv`` with the model in the outputs folder."""
    hours = read_hours(data / "forecast.csv")
    predictions = model.predict(model.load(outputs / "model.joblib"), hours)
    write_arrays(outputs / "predictions.npz", predictions)
    write_table(outputs / "predictions.csv", hours, predictions)
    print(f"predicted {len(hours)} hours, {int(predictions.busy.sum())} of them busy")


def write_arrays(path: Path, predictions: model.Predictions) -> None:
    """Write predictions as arrays, at full precision."""
    np.savez_compressed(
        path,
        count=predictions.count,
        busy_probability=predictions.busy_probability,
        busy=predictions.busy,
    )


def write_table(path: Path, hours: Hours, predictions: model.Predictions) -> None:
    """Write predictions for people: bikes to one decimal, chances to four."""
    with path.open("w", encoding="ascii", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("timestamp", "count", "busy_probability", "busy"))
        rows = zip(
            hours.timestamp,
            predictions.count,
            predictions.busy_probability,
            predictions.busy,
            strict=True,
        )
        for when, count, chance, busy in rows:
            writer.writerow((f"{when}:00", f"{count:.1f}", f"{chance:.4f}", int(busy)))
