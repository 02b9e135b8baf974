#!/usr/bin/env python3
"""Return of Stable-Baselines3 PPO + VecNormalize with CleanRL's continuous-action recipe: one seed, one JSON file.

  sb3_returns.py --env HalfCheetah-v5 --seed 1 --steps 1000000 --out FILE.json

The recipe: one environment, 2048 steps a rollout, batches of 64, 10 epochs, learning rate 3e-4 falling to 0, gamma 0.99,
lambda 0.95, clip 0.2 (values too), no entropy bonus, value weight 0.5, gradient norm 0.5, Adam epsilon 1e-5, two
separate 64-64 tanh networks with orthogonal weights, observations and rewards normalised and clipped at 10.

The file is written whole or not at all. Its keys:
  episode_return_last100  mean unscaled return of the last 100 training episodes
  curve                   [steps, the same mean] at each rollout
  eval_returns            deterministic returns of the final policy, frozen normaliser, seeds that training did not use
"""
import argparse
import json
import os
import time

import gymnasium as gym
import mujoco
import numpy as np
import stable_baselines3
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

FIRST_EVAL_SEED = 1_000_000


class Curve(BaseCallback):
    """Mean unscaled return of the last 100 episodes after each rollout."""

    def __init__(self):
        super().__init__()
        self.points = []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        window = self.model.ep_info_buffer
        if window:
            self.points.append([self.num_timesteps, float(np.mean([e["r"] for e in window]))])


def train(env_id, seed, steps):
    """A trained model, its VecNormalize and its training curve."""
    venv = DummyVecEnv([lambda: Monitor(gym.make(env_id))])
    venv = VecNormalize(venv, norm_obs=True, norm_reward=True, clip_obs=10.0, clip_reward=10.0, gamma=0.99)
    # the last rollout ends after `steps`, where SB3's share of training that is left falls below 0
    model = PPO("MlpPolicy", venv, n_steps=2048, batch_size=64, n_epochs=10, gamma=0.99, gae_lambda=0.95,
                learning_rate=lambda left: 3e-4 * max(left, 0.0), clip_range=0.2, clip_range_vf=0.2,
                normalize_advantage=True, ent_coef=0.0, vf_coef=0.5, max_grad_norm=0.5, seed=seed, device="cpu",
                policy_kwargs={"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "activation_fn": torch.nn.Tanh,
                               "ortho_init": True, "log_std_init": 0.0, "optimizer_kwargs": {"eps": 1e-5}})
    curve = Curve()
    model.learn(steps, callback=curve)
    return model, venv, curve.points


def evaluate(model, venv, env_id, episodes):
    """Deterministic returns with the frozen normaliser."""
    venv.training = False
    env = gym.make(env_id)
    returns = []
    for episode in range(episodes):
        obs, _ = env.reset(seed=FIRST_EVAL_SEED + episode)
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(venv.normalize_obs(obs), deterministic=True)  # clipped to the bounds
            obs, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    return returns


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--eval-episodes", type=int, default=20)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()

    torch.set_num_threads(1)
    began = time.time()
    model, venv, curve = train(args.env, args.seed, args.steps)
    trained = time.time()
    result = {
        "env": args.env,
        "seed": args.seed,
        "steps": args.steps,
        "recipe": "cleanrl ppo_continuous_action, VecNormalize",
        "episode_return_last100": curve[-1][1] if curve else None,
        "eval_returns": evaluate(model, venv, args.env, args.eval_episodes),
        "eval_first_seed": FIRST_EVAL_SEED,
        "curve": curve,
        "train_time_s": trained - began,
        "time_s": time.time() - began,
        "versions": {"stable_baselines3": stable_baselines3.__version__, "gymnasium": gym.__version__,
                     "mujoco": mujoco.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }
    with open(args.out + ".tmp", "w") as f:
        json.dump(result, f)
        f.write("\n")
    os.replace(args.out + ".tmp", args.out)


if __name__ == "__main__":
    main()
