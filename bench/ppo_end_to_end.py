#!/usr/bin/env python3
"""PPO end to end with SB3's default recipe on HalfCheetah: ours beside Stable-Baselines3, in alternating runs.

  bench/ppo_end_to_end.py [--binary build/release/pawl] [--build build/release] [--repeats 3] [--steps 102400]

Prints one JSON object: steps/s of both (median and range), the ratio, and ours as a share of 1 / (1 / r_pool + 1 / r_update)
with r_pool and r_update measured alone on 2 threads in this same run (env_pool_bench, ppo_update_bench).
"""
import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs/mujoco/half_cheetah_sb3.toml"
MINIBATCHES_PER_STEP = 10 / 64  # epochs / minibatch: gradient steps per environment step


def ours(binary, steps):
    """Steady steps/s of the loop: from the first update to the last, start-up and closing evaluation left out."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([binary, "train", str(CONFIG), "--run", str(run), "--set", f"total_steps={steps}",
                        "--set", "eval.final_episodes=0", "--set", "eval.video=false"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        first, last = rows[0], rows[-1]
        return (last["env_steps"] - first["env_steps"]) / (last["time_s"] - first["time_s"])


def json_lines(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=str(ROOT / "build/release/pawl"))
    p.add_argument("--build", default=str(ROOT / "build/release"))
    p.add_argument("--python", default=str(ROOT / ".venv-peers/bin/python"))
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--steps", type=int, default=102400)
    a = p.parse_args()
    rates, peers, pools, bares, updates = [], [], [], [], []
    for _ in range(a.repeats):
        rates.append(ours(a.binary, a.steps))
        rows = json_lines([a.python, str(ROOT / "bench/peers/sb3_ppo.py"), "--env", "HalfCheetah-v5"])
        peers.append(max(row["steps_per_s"] for row in rows if "steps_per_s" in row))
        pool, = json_lines([f"{a.build}/bench/env_pool_bench", "--env", "HalfCheetah-v5", "--envs", "8", "--batch", "4",
                            "--pairs", "3"])
        pools.append(pool["pool_sync_steps_per_s"])
        bares.append(pool["bare_steps_per_s"])
        update = json_lines([f"{a.build}/bench/ppo_update_bench", "--only", "update", "--rounds", "3", "--seconds", "0.5"])[0]
        updates.append(update["fused_2_cores_s"]["median"])
    r_pool, r_update = statistics.median(pools), 1 / (statistics.median(updates) * MINIBATCHES_PER_STEP)
    reachable = 1 / (1 / r_pool + 1 / r_update)
    result = {
        "pawl_steps_per_s": statistics.median(rates), "pawl_range": [min(rates), max(rates)],
        "sb3_best_steps_per_s": statistics.median(peers), "sb3_range": [min(peers), max(peers)],
        "ratio": statistics.median(x / y for x, y in zip(rates, peers)),
        "pool_steps_per_s": r_pool, "update_steps_per_s": r_update, "reachable_steps_per_s": reachable,
        "share_of_reachable": statistics.median(rates) / reachable,
        "bare_steps_per_s": statistics.median(bares), "share_of_bare": statistics.median(rates) / statistics.median(bares),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
