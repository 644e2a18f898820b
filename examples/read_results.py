"""Prints the splits that were measured, fastest first, and what each gives away.

Where the exposure is unknown, exposed_weight_share is empty and the least that it can be is shown, with the
reason. `splitbench choose` picks one of them.
"""
import csv
import sys

folder = sys.argv[1] if len(sys.argv) > 1 else "results/example-digits-cnn"
with open(f"{folder}/splits.csv", newline="") as file:
    splits = [row for row in csv.DictReader(file) if row["status"] == "ok"]
for row in sorted(splits, key=lambda row: float(row["online_s_median"])):
    known, least = row["exposed_weight_share"], row["exposed_weight_share_least"]
    exposure = f"{float(known):.1%}" if known else f"≥ {float(least):.1%}, unknown ({row['exposure_is']})"
    print(f"{row['placement']}  {1e3 * float(row['online_s_median']):10.2f} ms  exposure {exposure}")
