"""Prints the splits that fit a phone and keep most of the model, fastest first."""
import sys
import pandas as pd

folder = sys.argv[1] if len(sys.argv) > 1 else "results/example-digits-cnn"
splits = pd.read_csv(f"{folder}/splits.csv").query("status == 'ok'")
splits["modelled_wan_s"] = (splits.online_s_median + splits.rounds * 0.04
                            + 8 * (splits.upload_bytes + splits.download_bytes) / 400e6)
kept = splits.query("client_peak_rss_bytes < 2e9 and client_weight_share < 0.5").sort_values("modelled_wan_s")
print(kept[["placement", "online_s_median", "modelled_wan_s", "client_weight_share"]].to_string(index=False))
