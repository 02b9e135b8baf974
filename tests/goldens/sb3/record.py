#!/usr/bin/env python3
"""Records what Stable-Baselines3 does, for tests/algos/ppo_sb3_test.cc and tests/nn/normalizer_sb3_test.cc.

  record.py [FOLDER]     writes ppo.safetensors and per_step_norm.safetensors (default: beside this file)

ppo.safetensors: a rollout of 8 Hopper-v5 environments x 256 steps (25-step time limit, so that episodes end both ways), the
weights that acted, the permutations of 10 epochs, SB3's bootstrapped rewards, advantages and returns, and for each case
(base, clip_vf, target_kl) the weights after 10 minibatches and after the whole train(). Arrays are [T, B]; permutations are
turned from SB3's row order (env * T + t) into ours (t * B + env).
per_step_norm.safetensors: 120 steps of VecNormalize on 4 environments: what came in, what went out, the statistics.
"""
import copy
import os
import sys

import gymnasium as gym
import mujoco
import numpy as np
import stable_baselines3
import torch
from safetensors.numpy import save_file
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

T, B, EPOCHS, BATCH = 256, 8, 10, 64
CASES = {"base": {}, "clip_vf": {"clip_range_vf": 0.2}, "target_kl": {"target_kl": 0.005}}


def make(time_limit):
    return lambda: gym.make("Hopper-v5", max_episode_steps=time_limit)


def weights(policy):
    """SB3's parameters under our names."""
    names = {"log_std": "log_std"}
    for ours, theirs, head in (("policy", "policy_net", "action_net"), ("value", "value_net", "value_net")):
        for layer in (0, 1):
            for part in ("weight", "bias"):
                names[f"mlp_extractor.{theirs}.{2 * layer}.{part}"] = f"{ours}.{layer}.{part}"
        for part in ("weight", "bias"):
            names[f"{head}.{part}"] = f"{ours}.2.{part}"
    return {names[k]: v.detach().numpy().copy() for k, v in policy.named_parameters()}


class Raw(BaseCallback):
    """What the environments gave, before SB3 adds the value of final observations to the rewards."""

    def __init__(self):
        super().__init__()
        self.reward, self.terminated, self.truncated, self.final_value = [], [], [], []

    def _on_step(self):
        infos, dones = self.locals["infos"], self.locals["dones"]
        truncated = np.array([bool(i.get("TimeLimit.truncated", False)) for i in infos]) & dones
        final_value = np.zeros(B, np.float32)
        for env in np.flatnonzero(truncated):
            obs = self.model.policy.obs_to_tensor(infos[env]["terminal_observation"])[0]
            with torch.no_grad():
                final_value[env] = self.model.policy.predict_values(obs).item()
        self.reward.append(self.locals["rewards"].copy())
        self.truncated.append(truncated)
        self.terminated.append(dones & ~truncated)
        self.final_value.append(final_value)
        return True


def train(model, clip_range_vf=None, target_kl=None):
    """One train() on a copy of the model; returns weights after 10 steps, at the end, and the number of steps."""
    model = copy.deepcopy(model)
    model.clip_range_vf = None if clip_range_vf is None else lambda _: clip_range_vf
    model.target_kl = target_kl
    counted = {"steps": 0}
    step = model.policy.optimizer.step

    def counting_step(*args, **kwargs):
        result = step(*args, **kwargs)
        counted["steps"] += 1
        if counted["steps"] == 10:
            counted["after_10"] = weights(model.policy)
        return result

    model.policy.optimizer.step = counting_step
    orders, permutation = [], np.random.permutation

    def recorded_permutation(n):
        orders.append(permutation(n))
        return orders[-1]

    np.random.seed(7)  # every case takes the same permutations
    np.random.permutation = recorded_permutation
    try:
        model.train()
    finally:
        np.random.permutation = permutation
    return counted, weights(model.policy), orders, {k: v for k, v in model.logger.name_to_value.items()}


def record_ppo(path):
    model = PPO("MlpPolicy", DummyVecEnv([make(25)] * B), n_steps=T, batch_size=BATCH, n_epochs=EPOCHS, seed=3, device="cpu")
    model._setup_learn(total_timesteps=T * B)
    raw = Raw()
    raw.init_callback(model)
    last_value = {}
    compute = model.rollout_buffer.compute_returns_and_advantage

    def recorded_compute(last_values, dones):
        last_value["v"] = last_values.clone().cpu().numpy().flatten()
        compute(last_values=last_values, dones=dones)

    model.rollout_buffer.compute_returns_and_advantage = recorded_compute
    model.collect_rollouts(model.env, raw, model.rollout_buffer, T)
    del model.rollout_buffer.compute_returns_and_advantage
    buffer = model.rollout_buffer
    arrays = {
        "observation": buffer.observations.astype(np.float32),  # SB3's networks see float32, too
        "action": buffer.actions, "log_prob": buffer.log_probs, "value": buffer.values,
        "reward": np.array(raw.reward, np.float32), "terminated": np.array(raw.terminated, np.uint8),
        "truncated": np.array(raw.truncated, np.uint8), "final_value": np.array(raw.final_value),
        "last_value": last_value["v"], "sb3/bootstrapped_reward": buffer.rewards, "sb3/advantage": buffer.advantages,
        "sb3/returns": buffer.returns,
    }
    arrays = {k: np.ascontiguousarray(v).copy() for k, v in arrays.items()}
    arrays |= {f"initial/{k}": v for k, v in weights(model.policy).items()}
    for case, settings in CASES.items():
        counted, after, orders, log = train(model, **settings)
        if case == "base":
            rows = np.array(orders)
            arrays["permutation"] = ((rows % T) * B + rows // T).astype(np.int32)
        arrays |= {f"{case}/after_10/{k}": v for k, v in counted["after_10"].items()}
        arrays |= {f"{case}/after/{k}": v for k, v in after.items()}
        arrays[f"{case}/steps"] = np.array(counted["steps"], np.int64)
        for ours, theirs in {"policy_loss": "policy_gradient_loss", "value_loss": "value_loss", "clip_fraction": "clip_fraction",
                             "explained_variance": "explained_variance", "policy_std": "std", "epochs": "n_updates"}.items():
            arrays[f"{case}/metric/{ours}"] = np.array(log[f"train/{theirs}"], np.float64)
        arrays[f"{case}/metric/entropy"] = np.array(-log["train/entropy_loss"], np.float64)
        print(case, counted["steps"], "steps,", {k: float(v) for k, v in log.items()})
    print("terminated", raw_count(raw.terminated), "truncated", raw_count(raw.truncated))
    save_file(arrays, path, metadata())


def raw_count(flags):
    return int(np.sum(flags))


class Recording(DummyVecEnv):
    """Keeps final observations as the environments gave them: VecNormalize overwrites them in place."""

    def step_wait(self):
        obs, rewards, dones, infos = super().step_wait()
        self.final = [i.get("terminal_observation") for i in infos]
        self.final = [None if f is None else f.copy() for f in self.final]
        return obs, rewards, dones, infos


def record_norm(path, steps=120, envs=4):
    inner = Recording([make(20)] * envs)
    inner.seed(5)
    venv = VecNormalize(inner, gamma=0.99)
    rng = np.random.default_rng(1)
    rows = {}

    def keep(**values):
        for k, v in values.items():
            rows.setdefault(k, []).append(np.array(v, copy=True))

    def keep_observation(obs):
        keep(observation=venv.get_original_obs(), normalized_observation=obs, mean=venv.obs_rms.mean,
             variance=venv.obs_rms.var, count=venv.obs_rms.count)

    keep_observation(venv.reset())
    for _ in range(steps):
        obs, reward, dones, infos = venv.step(rng.uniform(-1, 1, (envs, 3)).astype(np.float32))
        truncated = np.array([bool(i.get("TimeLimit.truncated", False)) for i in infos]) & dones
        final = np.zeros_like(obs, np.float64)
        normalized_final = np.zeros_like(obs)
        for e in np.flatnonzero(dones):
            final[e], normalized_final[e] = inner.final[e], infos[e]["terminal_observation"]
        keep_observation(obs)
        keep(reward=venv.get_original_reward(), normalized_reward=reward, terminated=dones & ~truncated,
             truncated=truncated, final_observation=final, normalized_final_observation=normalized_final,
             return_mean=venv.ret_rms.mean, return_variance=venv.ret_rms.var, return_count=venv.ret_rms.count)
    arrays = {}
    for k, v in rows.items():
        a = np.array(v)
        kind = np.uint8 if a.dtype == bool else np.float32 if k.startswith("normalized_") and "obs" in k else np.float64
        arrays[k] = np.ascontiguousarray(a.astype(kind))
    print("norm: terminated", int(arrays["terminated"].sum()), "truncated", int(arrays["truncated"].sum()))
    save_file(arrays, path, metadata())


def metadata():
    return {"stable_baselines3": stable_baselines3.__version__, "torch": torch.__version__, "numpy": np.__version__,
            "gymnasium": gym.__version__, "mujoco": mujoco.__version__}


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    record_ppo(os.path.join(folder, "ppo.safetensors"))
    record_norm(os.path.join(folder, "per_step_norm.safetensors"))
