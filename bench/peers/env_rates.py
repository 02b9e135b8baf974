#!/usr/bin/env python3
"""Control steps per second of Gymnasium (one environment in a loop) and of EnvPool (64 environments); a JSON line a row.

  bench/peers/setup
  .venv-peers/bin/python bench/peers/env_rates.py [--seconds S] [--envs NAME ...] [--threads N ...]

Gymnasium runs in this process; EnvPool in its own environment, .venv-envpool, by the same script. EnvPool sync waits for
all 64 environments (batch 64), async for the first 32. Actions are uniform within the bounds; resets are included, as in a
rollout. A row: {"peer", "env", "mode", "threads", "num_envs", "batch", "steps_per_s", "versions"}; the rate is the median
of three runs of S seconds each.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

ENVS = ["HalfCheetah", "Ant", "Hopper", "Walker2d", "Humanoid", "Reacher"]
NUM_ENVS = 64
REPEATS = 3
ROOT = pathlib.Path(__file__).resolve().parents[2]


def median_rate(advance, seconds):
    """Median over REPEATS of steps per second; advance() takes some steps and returns how many."""
    advance()
    rates = []
    for _ in range(REPEATS):
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            count += advance()
        rates.append(count / (time.perf_counter() - began))
    return statistics.median(rates)


def gymnasium_rows(env_names, seconds):
    import gymnasium as gym
    import mujoco

    versions = {"gymnasium": gym.__version__, "mujoco": mujoco.__version__}
    for name in env_names:
        env = gym.make(f"{name}-v5")
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        actions = rng.uniform(env.action_space.low, env.action_space.high, (64,) + env.action_space.shape)
        actions = actions.astype(np.float32)

        def advance():
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
            return len(actions)

        yield {"peer": "gymnasium", "env": f"{name}-v5", "mode": "loop", "threads": 1, "num_envs": 1, "batch": 1,
               "steps_per_s": median_rate(advance, seconds), "versions": versions}


def envpool_rows(env_names, seconds, thread_counts):
    import envpool

    versions = {"envpool": envpool.__version__}
    for name in env_names:
        for threads in thread_counts:
            for mode, batch in (("sync", NUM_ENVS), ("async", NUM_ENVS // 2)):
                pool = envpool.make(f"{name}-v5", env_type="gymnasium", num_envs=NUM_ENVS, batch_size=batch,
                                    num_threads=threads, seed=0)
                space = pool.action_space
                actions = np.random.default_rng(0).uniform(space.low, space.high, (batch,) + space.shape)
                pool.async_reset()

                def advance():
                    for _ in range(4):
                        info = pool.recv()[-1]
                        pool.send(actions, info["env_id"])
                    return 4 * batch

                yield {"peer": "envpool", "env": f"{name}-v5", "mode": mode, "threads": threads, "num_envs": NUM_ENVS,
                       "batch": batch, "steps_per_s": median_rate(advance, seconds), "versions": versions}
                pool.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--envs", nargs="+", default=ENVS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--only", choices=["gymnasium", "envpool"], help=argparse.SUPPRESS)
    args = parser.parse_args()

    if args.only == "envpool":
        rows = envpool_rows(args.envs, args.seconds, args.threads)
    else:
        rows = gymnasium_rows(args.envs, args.seconds)
    for row in rows:
        row["steps_per_s"] = round(row["steps_per_s"], 1)
        print(json.dumps(row), flush=True)
    if args.only is None:
        python = ROOT / ".venv-envpool" / "bin" / "python"
        if not python.exists():
            sys.exit("error: .venv-envpool is missing; run bench/peers/setup")
        subprocess.run([python, __file__, "--only", "envpool", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
