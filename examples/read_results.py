"""Prints the splits that fit a phone and do not give most of the model away, fastest first.

Where the exposure is unknown, exposed_weight_share is empty and the least that it can be is shown.
"""
import sys
import pandas as pd

folder = sys.argv[1] if len(sys.argv) > 1 else "results/example-digits-cnn"
splits = pd.read_csv(f"{folder}/splits.csv").query("status == 'ok'")
splits["modelled_wan_s"] = (splits.online_s_median + splits.rounds * 0.04
                            + 8 * (splits.upload_bytes + splits.download_bytes) / 400e6)
kept = splits.query("client_peak_rss_bytes < 2e9 and exposed_weight_share_least < 0.5").sort_values("modelled_wan_s")
columns = ["placement", "online_s_median", "modelled_wan_s", "exposed_weight_share_least", "exposure_is"]
print(kept[columns].to_string(index=False))
