#!/usr/bin/env python3
"""Goldens of Stable-Baselines3's PPO and VecNormalize: tests/goldens/sb3/*.safetensors.

  bench/peers/setup peers
  .venv-peers/bin/python tests/goldens/make_sb3_ppo.py

Hopper-v5 with a time limit of 50, so that a rollout holds terminations and truncations. base, clip_vf and target_kl start
from the same trained policy, Adam state and rollout; each records one train() of SB3 itself. T = 256 steps, B = 8
environments, O = 11, A = 3, batches of 64, E epochs begun, U minibatches begun (the last one of target_kl stopped the
update before its optimizer step). float32 unless noted; the metadata `hyperparameters` is JSON.

  before/<parameter>                 SB3's state_dict names; weights [out, in]
  adam_before/exp_avg/<parameter>    and exp_avg_sq; adam_before/step i64: Adam steps taken so far
  rollout/observations [T, B, O]     before the step; SB3's buffer holds float64, its policy casts to float32, as here
  rollout/actions [T, B, A]          as sampled, not clipped
  rollout/log_probs, values [T, B]
  rollout/rewards_raw [T, B]         of the environment; rollout/rewards: plus gamma V(final observation) if truncated
  rollout/episode_starts, dones, truncated [T, B] u8; truncated excludes terminated; dones[t] = episode_starts[t + 1]
  rollout/terminal_index [K, 2] i32  (t, env) of the truncated steps; terminal_obs [K, O], terminal_values [K]
  rollout/last_obs [B, O], last_dones [B] u8, last_values [B]   after step T - 1
  rollout/advantages, returns [T, B]
  permutations [E, T * B] i32        row e: the samples of epoch e in order; sample index = env * T + t
  minibatch/policy_loss, value_loss, entropy_loss, loss, approx_kl, clip_fraction [U]; grad_norm [steps], before clipping
  after_10/<parameter>               after 10 optimizer steps; after/<parameter>, adam_after/...: after the whole train()
  optimizer_steps i64 []

per_step_norm: VecNormalize over 4 environments x 200 random steps; index 0 of [201, ...] is the reset.
  obs_raw [201, 4, O] f64, obs [201, 4, O]; rewards_raw, rewards [200, 4]; dones [200, 4] u8; actions [200, 4, A]
  obs_mean, obs_var [201, O] f64, obs_count [201] f64; ret_mean, ret_var, ret_count [201] f64; after each step
  returns [201, 4] f64: the discounted sums after the step (0 where done)
  terminal_index [K, 2] i32 (step, env) of the dones; terminal_obs_raw [K, O] f64, terminal_obs [K, O] normalised
"""
import argparse
import json
import pathlib

import gymnasium as gym
import mujoco
import numpy as np
import stable_baselines3
import torch
from safetensors.numpy import save_file
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecNormalize

OUT = pathlib.Path(__file__).resolve().parent  # parent of the folder sb3; --out
NUM_ENVS, NUM_STEPS, BATCH = 8, 256, 64
PRETRAIN_UPDATES = 6
TARGET_KL = 0.007
SEED = 7  # --seed


def make_envs(count):
    return DummyVecEnv([lambda: gym.make("Hopper-v5", max_episode_steps=50)] * count)


def numbers(tensor):
    return tensor.detach().cpu().numpy().copy()


class Recorder(VecEnvWrapper):
    """Keeps what SB3 drops: raw rewards, truncation flags and final observations."""

    def __init__(self, venv):
        super().__init__(venv)
        self.clear()

    def clear(self):
        self.rewards, self.dones, self.truncated, self.terminal = [], [], [], []

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        obs, rewards, dones, infos = self.venv.step_wait()
        self.rewards.append(rewards.copy())
        self.dones.append(dones.copy())
        self.truncated.append(np.array([info["TimeLimit.truncated"] for info in infos]))
        for env, info in enumerate(infos):
            if info["TimeLimit.truncated"]:
                self.terminal.append((len(self.rewards) - 1, env, info["terminal_observation"].copy()))
        return obs, rewards, dones, infos


def parameters(policy, prefix):
    return {f"{prefix}/{name}": numbers(p) for name, p in policy.named_parameters()}


def adam_state(policy, prefix):
    names = {p: name for name, p in policy.named_parameters()}
    arrays = {}
    for group in policy.optimizer.param_groups:
        for p in group["params"]:
            state = policy.optimizer.state[p]
            for key in ("exp_avg", "exp_avg_sq"):
                arrays[f"{prefix}/{key}/{names[p]}"] = numbers(state[key])
            arrays[f"{prefix}/step"] = np.array(int(state["step"]), np.int64)
    return arrays


def rollout_arrays(model):
    """The rollout of a model that is about to train, in [T, B] order."""
    env, buffer, policy = model.env, model.rollout_buffer, model.policy
    terminal_obs = np.array([obs for _, _, obs in env.terminal], np.float32)
    with torch.no_grad():
        # one row at a time, as SB3 does: a batch rounds differently
        terminal_values = np.array([policy.predict_values(torch.as_tensor(obs[None]))[0, 0] for obs in terminal_obs],
                                   np.float32)
        last_values = numbers(policy.predict_values(torch.as_tensor(model._last_obs).float()))[:, 0]
    arrays = {
        "observations": buffer.observations.astype(np.float32),
        "actions": buffer.actions,
        "log_probs": buffer.log_probs,
        "values": buffer.values,
        "rewards_raw": np.array(env.rewards, np.float32),
        "rewards": buffer.rewards,
        "episode_starts": buffer.episode_starts.astype(np.uint8),
        "dones": np.array(env.dones, np.uint8),
        "truncated": np.array(env.truncated, np.uint8),
        "terminal_index": np.array([(t, e) for t, e, _ in env.terminal], np.int32),
        "terminal_obs": terminal_obs,
        "terminal_values": terminal_values,
        "last_obs": model._last_obs.astype(np.float32),
        "last_dones": np.array(env.dones[-1], np.uint8),
        "last_values": last_values,
        "advantages": buffer.advantages,
        "returns": buffer.returns,
    }
    return {f"rollout/{k}": v.copy() for k, v in arrays.items()}


class GoldenPPO(PPO):
    """PPO whose train() records its surroundings while `golden` is a dictionary."""

    golden = None

    def train(self):
        if self.golden is None:
            return super().train()
        golden, policy = self.golden, self.policy
        golden |= parameters(policy, "before") | adam_state(policy, "adam_before") | rollout_arrays(self)
        permutations, step_count = [], 0
        permutation, step = np.random.permutation, policy.optimizer.step

        def recorded_permutation(count):
            permutations.append(permutation(count))
            return permutations[-1]

        def recorded_step(*args, **kwargs):
            nonlocal step_count
            result = step(*args, **kwargs)
            step_count += 1
            if step_count == 10:
                golden.update(parameters(policy, "after_10"))
            return result

        np.random.permutation, policy.optimizer.step = recorded_permutation, recorded_step
        try:
            super().train()
        finally:
            np.random.permutation, policy.optimizer.step = permutation, step
        golden |= parameters(policy, "after") | adam_state(policy, "adam_after")
        golden["permutations"] = np.array(permutations, np.int32)
        golden["optimizer_steps"] = np.array(step_count, np.int64)


def make_model():
    return GoldenPPO("MlpPolicy", Recorder(make_envs(NUM_ENVS)), n_steps=NUM_STEPS, batch_size=BATCH, n_epochs=10,
                     seed=SEED, device="cpu")


def replay(golden, clip_range_vf, target_kl):
    """Per-minibatch losses, by a second PPO loop written here that must reach SB3's weights bit for bit."""
    model = make_model()
    policy, optimizer = model.policy, model.policy.optimizer
    tensor = lambda array: torch.as_tensor(np.ascontiguousarray(array))
    with torch.no_grad():
        for name, p in policy.named_parameters():
            p.copy_(tensor(golden[f"before/{name}"]))
            optimizer.state[p] = {"step": torch.tensor(float(golden["adam_before/step"])),
                                  "exp_avg": tensor(golden[f"adam_before/exp_avg/{name}"]).clone(),
                                  "exp_avg_sq": tensor(golden[f"adam_before/exp_avg_sq/{name}"]).clone()}
    flat = {k: tensor(golden[f"rollout/{k}"].swapaxes(0, 1).reshape(NUM_ENVS * NUM_STEPS, -1))
            for k in ("observations", "actions", "log_probs", "values", "advantages", "returns")}
    rows = {k: [] for k in ("policy_loss", "value_loss", "entropy_loss", "loss", "approx_kl", "clip_fraction",
                            "grad_norm")}

    def minibatch(indices):
        """One minibatch; False where the KL limit stops the update."""
        part = {k: v[indices] for k, v in flat.items()}
        old_log_prob, old_value, target = (part[k].flatten() for k in ("log_probs", "values", "returns"))
        values, log_prob, entropy = policy.evaluate_actions(part["observations"], part["actions"])
        advantage = part["advantages"].flatten()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = torch.exp(log_prob - old_log_prob)
        policy_loss = -torch.min(advantage * ratio, advantage * torch.clamp(ratio, 0.8, 1.2)).mean()
        values = values.flatten()
        if clip_range_vf is not None:
            values = old_value + torch.clamp(values - old_value, -clip_range_vf, clip_range_vf)
        value_loss = torch.nn.functional.mse_loss(target, values)
        entropy_loss = -torch.mean(entropy)
        loss = policy_loss + 0.0 * entropy_loss + 0.5 * value_loss
        with torch.no_grad():
            log_ratio = log_prob - old_log_prob
            kl = torch.mean((torch.exp(log_ratio) - 1) - log_ratio)
            clipped = torch.mean((torch.abs(ratio - 1) > 0.2).float())
        for name, value in zip(rows, (policy_loss, value_loss, entropy_loss, loss, kl, clipped)):
            rows[name].append(value.item())
        if target_kl is not None and kl.numpy() > 1.5 * target_kl:
            return False
        optimizer.zero_grad()
        loss.backward()
        rows["grad_norm"].append(torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5).item())
        optimizer.step()
        return True

    batches = golden["permutations"].reshape(-1, BATCH)
    for batch in batches:
        if not minibatch(batch):
            break
    for name, p in policy.named_parameters():
        assert np.array_equal(numbers(p), golden[f"after/{name}"]), f"the replay left SB3's path at {name}"
    return {f"minibatch/{k}": np.array(v, np.float32) for k, v in rows.items()}


def versions():
    return {"stable_baselines3": stable_baselines3.__version__, "gymnasium": gym.__version__,
            "mujoco": mujoco.__version__, "torch": torch.__version__, "numpy": np.__version__}


def write(name, arrays, hyperparameters):
    folder = OUT / "sb3"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    arrays = {k: v.copy() for k, v in arrays.items()}  # contiguous
    save_file(arrays, path, {"hyperparameters": json.dumps(hyperparameters), **versions()})
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


def write_update(name, clip_range_vf=None, target_kl=None):
    model = make_model()
    model.learn(PRETRAIN_UPDATES * NUM_ENVS * NUM_STEPS)
    model.env.clear()
    model.golden = golden = {}
    model.clip_range_vf = None if clip_range_vf is None else (lambda _: clip_range_vf)
    model.target_kl = target_kl
    model.learn(NUM_ENVS * NUM_STEPS, reset_num_timesteps=False)
    golden |= replay(golden, clip_range_vf, target_kl)

    kl = golden["minibatch/approx_kl"]
    print(f"{name}: {int(golden['rollout/dones'].sum())} episodes end, {int(golden['rollout/truncated'].sum())} by the "
          f"time limit; {int(golden['optimizer_steps'])} optimizer steps, highest KL by epoch",
          [round(float(kl[i:i + 32].max()), 4) for i in range(0, len(kl), 32)])
    assert golden["rollout/truncated"].any() and golden["rollout/dones"].sum() > golden["rollout/truncated"].sum()
    if target_kl is not None:
        assert len(golden["permutations"]) < 10, "the KL limit did not stop the update part-way"
        limit = 1.5 * target_kl
        assert np.abs(kl / limit - 1).min() > 5e-3, "a KL so near the limit that rounding decides"
    write(name, golden, dict(
        env="Hopper-v5", max_episode_steps=50, num_envs=NUM_ENVS, n_steps=NUM_STEPS, batch_size=BATCH, n_epochs=10,
        learning_rate=3e-4, gamma=0.99, gae_lambda=0.95, clip_range=0.2, clip_range_vf=clip_range_vf, ent_coef=0.0,
        vf_coef=0.5, max_grad_norm=0.5, target_kl=target_kl, kl_stop_factor=1.5, normalize_advantage=True,
        adam_betas=[0.9, 0.999], adam_eps=1e-5, net_arch=[64, 64], activation="tanh", seed=SEED, sample_index="env * T + t",
        stopped_epoch=None if target_kl is None else len(golden["permutations"]) - 1,
        stopped_minibatch=None if target_kl is None else (len(kl) - 1) % (NUM_ENVS * NUM_STEPS // BATCH)))


def write_per_step_norm(num_envs=4, num_steps=200):
    venv = VecNormalize(make_envs(num_envs), clip_obs=10.0, clip_reward=10.0, gamma=0.99)
    venv.seed(SEED)
    rng = np.random.default_rng(SEED)
    rows = {}

    def add(**values):
        for name, value in values.items():
            rows.setdefault(name, []).append(np.array(value))

    def add_state(obs):
        add(obs_raw=venv.get_original_obs(), obs=obs, obs_mean=venv.obs_rms.mean, obs_var=venv.obs_rms.var,
            obs_count=venv.obs_rms.count, ret_mean=venv.ret_rms.mean, ret_var=venv.ret_rms.var,
            ret_count=venv.ret_rms.count, returns=venv.returns)

    raw_terminal = {}
    inner_step = venv.venv.step_wait

    def recorded_step():
        result = inner_step()
        raw_terminal.update({e: info["terminal_observation"].copy() for e, info in enumerate(result[3])
                             if "terminal_observation" in info})
        return result

    venv.venv.step_wait = recorded_step
    add_state(venv.reset())
    for step in range(num_steps):
        raw_terminal.clear()
        actions = rng.uniform(-1.0, 1.0, (num_envs, 3)).astype(np.float32)
        obs, rewards, dones, infos = venv.step(actions)
        add(actions=actions, rewards_raw=venv.get_original_reward(), rewards=rewards, dones=dones.astype(np.uint8))
        add_state(obs)
        for env in np.flatnonzero(dones):
            add(terminal_index=np.array([step, env], np.int32), terminal_obs_raw=raw_terminal[env],
                terminal_obs=infos[env]["terminal_observation"])
    arrays = {k: np.stack(v) for k, v in rows.items()}
    for name in ("obs_count", "ret_mean", "ret_var", "ret_count", "obs_raw", "returns"):
        assert arrays[name].dtype == np.float64, name
    assert arrays["rewards_raw"].dtype == arrays["obs"].dtype == np.float32
    print({k: (v.shape, str(v.dtype)) for k, v in arrays.items()})
    write("per_step_norm", arrays, dict(env="Hopper-v5", max_episode_steps=50, num_envs=num_envs, num_steps=num_steps,
                                        gamma=0.99, clip_obs=10.0, clip_reward=10.0, epsilon=1e-8,
                                        initial_count=1e-4, initial_mean=0.0, initial_var=1.0, seed=SEED))


def main():
    global OUT, SEED
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    OUT, SEED = args.out, args.seed
    torch.set_num_threads(1)
    write_update("base")
    write_update("clip_vf", clip_range_vf=0.2)
    write_update("target_kl", target_kl=TARGET_KL)
    write_per_step_norm()


if __name__ == "__main__":
    main()
