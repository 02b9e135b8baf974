#!/usr/bin/env python3
"""Returns of the tuned configs: final weights, deterministic, 100 episodes on seeds that training did not use.

  bench/tuned.py [--binary build/release/pawl] [--envs half_cheetah hopper walker2d] [--seeds 1 2 3] [--jobs 2]

One JSON line per run and one per task (mean, least, target). With --jobs 2 two runs share the machine, one thread each.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"half_cheetah": 4000, "hopper": 2400, "walker2d": 3300}


def train(binary, env, seed):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([binary, "train", str(ROOT / f"configs/mujoco/{env}_tuned.toml"), "--run", str(run),
                        "--set", f"seed={seed}", "--set", "eval.final_episodes=0", "--set", "eval.video=false",
                        "--set", "actors.count=1", "--set", "ppo.update_threads=1"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        out = subprocess.run([binary, "eval", str(run), "--episodes", "100", "--json"], check=True, capture_output=True,
                             text=True).stdout
    result = json.loads(out)
    row = {"config": f"{env}_tuned", "seed": seed, "return_mean": result["return_mean"], "return_ci95": result["return_ci95"],
           "episodes": result["episodes"]}
    print(json.dumps(row), flush=True)
    return row["return_mean"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=str(ROOT / "build/release/pawl"))
    p.add_argument("--envs", nargs="+", default=list(TARGETS))
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    p.add_argument("--jobs", type=int, default=2)
    a = p.parse_args()
    with ThreadPoolExecutor(a.jobs) as pool:
        runs = {env: [pool.submit(train, a.binary, env, seed) for seed in a.seeds] for env in a.envs}
    for env, pending in runs.items():
        returns = [run.result() for run in pending]
        print(json.dumps({"config": f"{env}_tuned", "seeds": a.seeds, "return_mean": statistics.mean(returns),
                          "return_least": min(returns), "target": TARGETS.get(env)}), flush=True)


if __name__ == "__main__":
    main()
