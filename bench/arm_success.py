#!/usr/bin/env python3
"""Trains the arm tasks with seeds 1-3 and evaluates the final weights: deterministic, unseen episodes, last-step success.

  bench/arm_success.py [--build build/release] [--tasks reach drawer ...] [--seeds 1 2 3] [--episodes 200]

One JSON line per run and one per task: success, wall time of training, and that time over the limit: the time which the
bare physics and inverse kinematics of as many steps take on the same threads. The limit is replayed by arm_physics_bench
from policies along the training (its checkpoints), since contacts, and so the cost of a step, change as a policy learns.
"""
import argparse
import json
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"reach": 0.99, "drawer": 0.95, "lift": 0.90, "push_forward": 0.90, "pick_to_goal": 0.90}


def dry_updates(pawl, config):
    """PPO iterations of a config, from what --dry-run prints."""
    out = subprocess.run([pawl, "train", config, "--dry-run"], check=True, capture_output=True, text=True).stdout
    return int(re.search(r"updates +(\d+)", out).group(1))


def bare_seconds(build, run, env_steps):
    """Seconds that the physics alone of `env_steps` steps takes, from the run's checkpoints at equal distances."""
    paths = sorted((run / "checkpoints").glob("step_*"))
    out = subprocess.run([f"{build}/bench/arm_physics_bench", "--steps", "200", *map(str, paths)], check=True,
                         capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    return env_steps * statistics.mean(1 / row["steps_per_s"] for row in rows)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=str(ROOT / "build/release"))
    p.add_argument("--tasks", nargs="+", default=list(TARGETS))
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    p.add_argument("--episodes", type=int, default=200)
    a = p.parse_args()
    pawl = f"{a.build}/pawl"
    for task in a.tasks:
        config = str(ROOT / f"configs/arm/{task}.toml")
        updates = dry_updates(pawl, config)
        rows = []
        for seed in a.seeds:
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                subprocess.run([pawl, "train", config, "--run", str(run), "--set", f"seed={seed}",
                                "--set", "eval.final_episodes=0", "--set", "eval.video=false",
                                "--set", f"checkpoint.every_updates={-(-updates // 8)}", "--set", "checkpoint.keep=100"],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
                out = subprocess.run([pawl, "eval", str(run), "--episodes", str(a.episodes), "--json"], check=True,
                                     capture_output=True, text=True).stdout
                result = json.loads(out)
                bare = bare_seconds(a.build, run, last["env_steps"])
            rows.append({"task": task, "seed": seed, "env_steps": last["env_steps"], "success": result["success_rate"],
                         "ci95": result["success_ci95"], "train_s": last["time_s"], "bare_physics_s": bare,
                         "train_over_bare": last["time_s"] / bare})
            print(json.dumps(rows[-1]), flush=True)
        mean = {key: statistics.mean(row[key] for row in rows) for key in ("success", "train_s", "train_over_bare")}
        print(json.dumps({"task": task, "seeds": a.seeds, "target": TARGETS.get(task),
                          **{f"{key}_mean": value for key, value in mean.items()}}), flush=True)


if __name__ == "__main__":
    main()
