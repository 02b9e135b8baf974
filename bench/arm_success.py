#!/usr/bin/env python3
"""Trains the arm tasks with seeds 1-3 and evaluates the final weights: deterministic, unseen episodes, last-step success.

  bench/arm_success.py [--binary build/release/pawl] [--tasks reach drawer ...] [--seeds 1 2 3] [--episodes 200]

One JSON line per run and one per task (mean of the seeds, wall time, and wall time over the physics time in it).
"""
import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"reach": 0.99, "drawer": 0.95, "lift": 0.90, "push_forward": 0.90, "pick_to_goal": 0.90}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=str(ROOT / "build/release/pawl"))
    p.add_argument("--tasks", nargs="+", default=list(TARGETS))
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    p.add_argument("--episodes", type=int, default=200)
    a = p.parse_args()
    for task in a.tasks:
        scores, walls, shares = [], [], []
        for seed in a.seeds:
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                subprocess.run([a.binary, "train", str(ROOT / f"configs/arm/{task}.toml"), "--run", str(run),
                                "--set", f"seed={seed}", "--set", "eval.final_episodes=0", "--set", "eval.video=false"],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
                out = subprocess.run([a.binary, "eval", str(run), "--episodes", str(a.episodes), "--json"], check=True,
                                     capture_output=True, text=True).stdout
                result = json.loads(out)
            scores.append(result["success_rate"])
            walls.append(last["time_s"])
            shares.append(last["time_s"] / last["physics_s"])
            print(json.dumps({"task": task, "seed": seed, "env_steps": last["env_steps"], "success": result["success_rate"],
                              "ci95": result["success_ci95"], "train_s": last["time_s"],
                              "train_over_physics": shares[-1]}), flush=True)
        print(json.dumps({"task": task, "seeds": a.seeds, "success_mean": statistics.mean(scores),
                          "target": TARGETS.get(task), "train_s_mean": statistics.mean(walls),
                          "train_over_physics": statistics.mean(shares)}), flush=True)


if __name__ == "__main__":
    main()
