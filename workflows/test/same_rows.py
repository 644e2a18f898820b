#!/usr/bin/env python3
"""Says whether two results folders hold the same rows, but for what the clock and the memory say."""

import csv
import sys
from pathlib import Path


def stable_rows(table):
    with open(table, newline="") as file:
        return [
            {
                column: cell
                for column, cell in row.items()
                if not (column.endswith(("_s", "_rss_bytes")) or "_s_" in column)
                # Times and the machine decide them.
                and column not in ("efficiency", "environment", "calibration_drift", "noisy")
                # Keys are drawn anew for each run, and with them their noise.
                and not column.startswith(("measured_", "chosen_input_", "exposed_", "malicious_", "information_floor_"))
                and column not in ("encrypted_label", "label_agreement")
            }
            for row in csv.DictReader(file)
        ]


def main(first, second):
    differences = []
    for name in ["splits.csv", "samples.csv", "layers.csv", "exposure.csv"]:
        left, right = (stable_rows(Path(folder) / name) for folder in (first, second))
        if len(left) != len(right):
            differences.append(f"{name}: {len(left)} rows and {len(right)}")
        for a, b in zip(left, right):
            for column in a.keys() | b.keys():
                if a.get(column) != b.get(column):
                    what = f"{a.get(column)!r} and {b.get(column)!r}"
                    differences.append(f"{name}: {a['placement']}: {column}: {what}")
    placements = stable_rows(Path(second) / "splits.csv")
    print("\n".join(differences) or f"{second}: {len(placements)} splits, as in {first}")
    return bool(differences)


sys.exit(main(*sys.argv[1:]))
