#!/usr/bin/env python3
"""Start to first gradient step, and resident memory: Reach with 64 environments.

  bench/startup.py [--binary build/release/pawl] [--repeats 5]

The time runs from the start of the process to the first line of metrics.jsonl, so it holds the whole first rollout and its
update: an upper bound. Memory is the kernel's high-water mark of resident pages (VmHWM).
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measure(binary):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        began = time.monotonic()
        process = subprocess.Popen([binary, "train", str(ROOT / "configs/arm/reach.toml"), "--run", str(run),
                                    "--set", "env.num_envs=64", "--set", "total_steps=40000",
                                    "--set", "eval.final_episodes=0", "--set", "eval.video=false"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        first, peak_kb, metrics = None, 0, run / "metrics.jsonl"
        while process.poll() is None:
            if first is None and metrics.exists() and metrics.stat().st_size > 0:
                first = time.monotonic() - began
            try:
                for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        peak_kb = max(peak_kb, int(line.split()[1]))
            except OSError:
                pass
            time.sleep(0.001)
        return first, peak_kb / 1e3


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=str(ROOT / "build/release/pawl"))
    p.add_argument("--repeats", type=int, default=5)
    a = p.parse_args()
    rows = [measure(a.binary) for _ in range(a.repeats)]
    print(json.dumps({"first_update_s": statistics.median(r[0] for r in rows),
                      "first_update_s_range": [min(r[0] for r in rows), max(r[0] for r in rows)],
                      "resident_mb": max(r[1] for r in rows)}))


if __name__ == "__main__":
    main()
