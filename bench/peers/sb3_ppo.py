#!/usr/bin/env python3
"""Stable-Baselines3 PPO end to end, environment steps per second (collection and updates); a JSON line a setting.

  bench/peers/setup peers
  .venv-peers/bin/python bench/peers/sb3_ppo.py [--env HalfCheetah-v5] [--updates 4] [--repeats 3]

SB3's default recipe with 2,048 steps an update: n_steps 2048 / num_envs, batch 64, 10 epochs, 64-64 tanh, no normalisation.
Settings: 1 environment, 8 in a DummyVecEnv, 8 in a SubprocVecEnv, each with 1 and 2 torch threads. One update warms up;
the rate is the median of the repeats. The last line is the best setting again, with "best": true.
"""
import argparse
import json
import statistics
import time

import gymnasium as gym
import mujoco
import stable_baselines3
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

STEPS_PER_UPDATE = 2048
SETTINGS = [(1, DummyVecEnv), (8, DummyVecEnv), (8, SubprocVecEnv)]


def measure(env_id, num_envs, vec_env, threads, updates, repeats):
    """Median environment steps per second over `repeats` runs of `updates` updates."""
    torch.set_num_threads(threads)
    env = make_vec_env(env_id, n_envs=num_envs, seed=0, vec_env_cls=vec_env)
    model = PPO("MlpPolicy", env, n_steps=STEPS_PER_UPDATE // num_envs, batch_size=64, n_epochs=10, seed=0, device="cpu")
    model.learn(STEPS_PER_UPDATE)
    rates = []
    for _ in range(repeats):
        began = time.perf_counter()
        model.learn(updates * STEPS_PER_UPDATE, reset_num_timesteps=False)
        rates.append(updates * STEPS_PER_UPDATE / (time.perf_counter() - began))
    env.close()
    return statistics.median(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    versions = {"stable_baselines3": stable_baselines3.__version__, "torch": torch.__version__,
                "gymnasium": gym.__version__, "mujoco": mujoco.__version__}
    rows = []
    for num_envs, vec_env in SETTINGS:
        for threads in (1, 2):
            rate = measure(args.env, num_envs, vec_env, threads, args.updates, args.repeats)
            rows.append({"peer": "stable_baselines3", "env": args.env, "num_envs": num_envs,
                         "vec_env": vec_env.__name__, "torch_threads": threads,
                         "n_steps": STEPS_PER_UPDATE // num_envs, "steps_per_s": round(rate, 1), "versions": versions})
            print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({**max(rows, key=lambda row: row["steps_per_s"]), "best": True}), flush=True)


if __name__ == "__main__":
    main()
