#!/usr/bin/env python3
"""Runs attacks on splits with and without defences and prints what each costs and denies, in Markdown.

Usage: python3 workflows/defences.py BINARY OUT [MODEL PLACEMENT[,PLACEMENT...] ...]

Without models: splits of digits-mlp and digits-cnn. OUT keeps the results folders: what is there is gone on
with. Standard library only.
"""
import csv
import os
import subprocess
import sys

BUILT_IN = ["digits-mlp", "SSS,CCS,SCC", "digits-cnn", "SSSSS,CCSSS,CCSSC"]
DEFENCES = [
    ("none", []),
    ("label", ["--answer", "label"]),
    ("rerandomise", ["--protect", "rerandomise"]),
    ("bootstrap", ["--protect", "bootstrap"]),
    ("gate", ["--protect", "gate"]),
]
# Rounds, and how long the attacks on a segment may take.
SWEEP = ["--images", "1", "--repeats", "3", "--attack-budget", "30s"]
QUERIES = 1000
COLUMNS = [
    "network", "split", "defence", "online", "upload", "look-ups", "accuracy", "chosen inputs", "masks",
    "copies agree (without the server)",
]


def rows(folder, name):
    with open(os.path.join(folder, name), newline="") as file:
        return list(csv.DictReader(file))


def percent(cell):
    return f"{100 * float(cell):.1f} %" if cell else "unknown"


def measure(binary, folder, model, placements, options):
    """Sweeps and attacks; returns what was wrong in a line, nothing where all ended well."""
    resume = ["--resume"] if os.path.exists(os.path.join(folder, "log.jsonl")) else []
    named = [word for placement in placements for word in ("--placement", placement)]
    sweep = [binary, "sweep", "--model", model, *named, *SWEEP, *options, "--out", folder, *resume]
    attack = [binary, "attack", folder, "--queries", str(QUERIES), "--replay", "0"]
    for command in (sweep, attack):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            return (run.stderr.strip().splitlines() or ["no reason"])[-1]
    return None


def found(segments, prefix):
    """Returns what an attack recovered of each segment, with its name and queries; "-" where none was mounted."""
    cells = []
    for row in segments:
        method, share = row[f"{prefix}_method"], row[f"{prefix}_recovered_share_all"]
        if method:
            cells.append(f"{percent(share)} ({method}, {int(row[f'{prefix}_queries']):,})")
    return ", ".join(cells) or "-"


def lines(folder, defence):
    exposure = rows(folder, "exposure.csv")
    copies = {row["placement"]: row for row in rows(folder, "copies.csv") if int(row["queries"]) == QUERIES}
    for row in rows(folder, "splits.csv"):
        placement = row["placement"]
        copy = copies.get(placement)
        agree = f"{percent(copy['copy_agreement'])} ({percent(copy['own_agreement'])})" if copy else "-"
        segments = [segment for segment in exposure if segment["placement"] == placement]
        yield [
            row["model"], f"`{placement}`", defence, f"{1e3 * float(row['online_s_median']):.3g} ms",
            f"{int(row['upload_bytes']) / 1024:.3g} KiB", row["bootstrap_count"],
            percent(row["simulated_accuracy"]), found(segments, "chosen_input"), found(segments, "mask"), agree,
        ]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, out, *models = sys.argv[1:]
    models = models or BUILT_IN
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for model, placements in zip(models[::2], models[1::2]):
        for defence, options in DEFENCES:
            folder = os.path.join(out, f"{os.path.basename(model)}-{defence}")
            wrong = measure(binary, folder, model, placements.split(","), options)
            if wrong:
                print(f"{model} {defence}: {wrong}", file=sys.stderr)
                continue
            for line in lines(folder, defence):
                print("| " + " | ".join(line) + " |", flush=True)


main()
