#!/usr/bin/env python3
"""Returns at 1M steps with CleanRL's recipe: ours over many seeds beside Stable-Baselines3's recorded runs.

  bench/returns.py [--binary build/release/pawl] [--envs half_cheetah hopper walker2d] [--seeds 10] [--jobs 2]

Ours: mean unscaled return of the last 100 training episodes (as SB3's), one JSON file per run under
bench/results/returns/; runs that exist are kept. Then one line per task: means, standard errors, and whether ours is lower
by more than two standard errors of the difference.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS, PEER = ROOT / "bench/results/returns", ROOT / "bench/results/sb3_returns"
IDS = {"half_cheetah": "HalfCheetah-v5", "hopper": "Hopper-v5", "walker2d": "Walker2d-v5"}


def train(binary, env, seed):
    out = OURS / f"{IDS[env]}_seed{seed}.json"
    if out.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([binary, "train", str(ROOT / f"configs/mujoco/{env}_cleanrl.toml"), "--run", str(run),
                        "--set", f"seed={seed}", "--set", "actors.count=1", "--set", "ppo.update_threads=1",
                        "--set", "eval.final_episodes=20", "--set", "eval.video=false"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        summary = json.loads((run / "summary.json").read_text())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    text = json.dumps({"commit": commit, "machine": summary["machine"], "env": IDS[env], "seed": seed, "env_steps": rows[-1]["env_steps"],
                       "episode_return_last100": rows[-1]["episode_return"], "eval_return_mean": summary["return_mean"],
                       "time_s": rows[-1]["time_s"],
                       "curve": [[r["env_steps"], r["episode_return"]] for r in rows[:: max(1, len(rows) // 100)]]})
    OURS.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, out)


def load(folder, env):
    return [json.loads(f.read_text())["episode_return_last100"] for f in sorted(folder.glob(f"{IDS[env]}_seed*.json"))]


def error(values):
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=str(ROOT / "build/release/pawl"))
    p.add_argument("--envs", nargs="+", default=list(IDS))
    p.add_argument("--seeds", type=int, default=10)
    p.add_argument("--jobs", type=int, default=2)
    a = p.parse_args()
    with ThreadPoolExecutor(a.jobs) as pool:
        for done in [pool.submit(train, a.binary, e, s) for s in range(1, a.seeds + 1) for e in a.envs]:
            done.result()
    for env in a.envs:
        ours, peer = load(OURS, env), load(PEER, env)
        row = {"env": IDS[env], "pawl_mean": statistics.mean(ours), "pawl_se": error(ours), "pawl_seeds": len(ours)}
        if peer:
            row |= {"sb3_mean": statistics.mean(peer), "sb3_se": error(peer), "sb3_seeds": len(peer)}
            if len(peer) > 1:
                spread = math.hypot(row["pawl_se"], row["sb3_se"])
                row["not_lower_by_two_se"] = row["pawl_mean"] >= row["sb3_mean"] - 2 * spread
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
