#!/usr/bin/env python3
"""Golden trajectories of Gymnasium's MuJoCo v5 tasks: tests/goldens/gym_mujoco/*.safetensors and reset_moments.json.

  bench/peers/setup peers
  .venv-peers/bin/python tests/goldens/make_gym_mujoco.py [ENV ...] [--no-moments]

<ENV>.safetensors holds >= 1,000 steps with default keywords, <ENV>_args*.safetensors about 100 with others. Actions are
float64 (with float32 ones Gymnasium's control cost is float32), a quarter of them up to 1.5x outside the bounds. N steps,
E episodes, M observations, K one-step records:

  reset/step_index [E] i64     the step at which the episode begins
  reset/qpos, qvel, obs [E, .] state and observation after the reset
  step/action [N, A]           as given to the environment
  step/qpos, qvel [N, .]       state after the step
  step/reward [N]              and step/info/<name> [N] or [N, k]: everything in info, as float64
  step/terminated, truncated   [N] u8; the next step begins an episode if either is 1
  step/obs_index [M] i64       the step that each row of step/obs [M, O] belongs to (each 8th where O > 60, else all)
  one/step_index [K] i64       a step taken once more from the recorded state before it: mj_resetData, set, mj_forward,
  one/qpos, qvel, obs, reward  step(step/action[index]): no warm start or lagged positions come from earlier steps

All floats are float64. Metadata (strings): env_id, kwargs (JSON), max_episode_steps, frame_skip, seed, mujoco, gymnasium,
numpy.
"""
import argparse
import json
import pathlib

import gymnasium as gym
import mujoco
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
MAX_OBS = 60        # wider observations are stored each 8th step only
OBS_STRIDE = 8      # of such an environment
ONE_STRIDE = 16
NUM_RESETS = 10_000

# the time limit of the long file where it is not the task's own
TIME_LIMITS = {"HumanoidStandup-v5": 250, "Ant-v5": 250, "Humanoid-v5": 250}

# keywords of the short files; together they change every v5 keyword that is not about rendering, and xml_file where the
# package holds a second model that fits
ARGS = {
    "HalfCheetah-v5": [dict(frame_skip=3, forward_reward_weight=1.7, ctrl_cost_weight=0.25, reset_noise_scale=0.05,
                            exclude_current_positions_from_observation=False)],
    "Hopper-v5": [
        dict(frame_skip=3, forward_reward_weight=1.7, ctrl_cost_weight=0.02, healthy_reward=0.7,
             healthy_state_range=(-9.0, 8.0), healthy_z_range=(0.8, 1.5), healthy_angle_range=(-0.15, 0.3),
             reset_noise_scale=0.02, exclude_current_positions_from_observation=False),
        dict(terminate_when_unhealthy=False, healthy_state_range=(-4.0, 5.0))],
    "Walker2d-v5": [
        dict(xml_file="walker2d.xml", frame_skip=3, forward_reward_weight=1.7, ctrl_cost_weight=0.02,
             healthy_reward=0.7, healthy_z_range=(0.9, 1.6), healthy_angle_range=(-0.6, 0.8), reset_noise_scale=0.02,
             exclude_current_positions_from_observation=False),
        dict(terminate_when_unhealthy=False)],
    "Ant-v5": [
        dict(frame_skip=4, forward_reward_weight=1.7, ctrl_cost_weight=0.3, contact_cost_weight=2e-3,
             healthy_reward=0.7, main_body="front_left_leg", healthy_z_range=(0.35, 0.8),
             contact_force_range=(-0.6, 0.4), reset_noise_scale=0.05,
             exclude_current_positions_from_observation=False),
        dict(main_body=5, terminate_when_unhealthy=False, healthy_z_range=(0.5, 0.7),
             include_cfrc_ext_in_observation=False)],
    "Humanoid-v5": [
        dict(frame_skip=4, forward_reward_weight=1.7, ctrl_cost_weight=0.3, contact_cost_weight=2e-3,
             contact_cost_range=(0.5, 40.0), healthy_reward=3.0, healthy_z_range=(1.1, 1.8), reset_noise_scale=0.03,
             exclude_current_positions_from_observation=False, include_cinert_in_observation=False,
             include_qfrc_actuator_in_observation=False),
        dict(terminate_when_unhealthy=False, include_cvel_in_observation=False,
             include_cfrc_ext_in_observation=False)],
    "HumanoidStandup-v5": [
        dict(frame_skip=4, uph_cost_weight=1.7, ctrl_cost_weight=0.3, impact_cost_weight=2e-4,
             impact_cost_range=(0.5, 40.0), reset_noise_scale=0.03, exclude_current_positions_from_observation=False,
             include_cinert_in_observation=False, include_qfrc_actuator_in_observation=False),
        dict(include_cvel_in_observation=False, include_cfrc_ext_in_observation=False)],
    "Swimmer-v5": [dict(frame_skip=3, forward_reward_weight=1.7, ctrl_cost_weight=0.02, reset_noise_scale=0.05,
                        exclude_current_positions_from_observation=False)],
    "Reacher-v5": [dict(frame_skip=3, reward_dist_weight=1.7, reward_control_weight=0.3)],
    "Pusher-v5": [dict(xml_file="pusher.xml", frame_skip=4, reward_near_weight=0.8, reward_dist_weight=1.7,
                       reward_control_weight=0.3),
                  dict(frame_skip=4, reward_near_weight=0.8, reward_dist_weight=1.7, reward_control_weight=0.3)],
    "InvertedPendulum-v5": [dict(frame_skip=3, reset_noise_scale=0.05)],
    "InvertedDoublePendulum-v5": [dict(frame_skip=3, healthy_reward=7.0, reset_noise_scale=0.05)],
}


def draw_actions(rng, space, count):
    """Float64 actions [count, A]; a quarter of the rows reach up to 1.5x beyond the bounds."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    middle, half = (low + high) / 2, (high - low) / 2
    actions = rng.uniform(-1.0, 1.0, (count, low.size))
    outside = rng.random(count) < 0.25
    sign = np.where(rng.random((count, low.size)) < 0.5, -1.0, 1.0)
    actions[outside] = (sign * rng.uniform(1.0, 1.5, (count, low.size)))[outside]
    return middle + half * actions


class Rows(dict):
    """Named lists that become arrays."""

    def add(self, **values):
        for name, value in values.items():
            self.setdefault(name, []).append(np.array(value))

    def arrays(self, prefix, dtypes):
        return {f"{prefix}/{k}": np.ascontiguousarray(np.stack(v), dtype=dtypes.get(k, np.float64))
                for k, v in self.items()}


def record(env, seed, num_steps):
    """Plays `num_steps` random steps, resetting where an episode ends; the arrays of one file."""
    sim = env.unwrapped
    actions = draw_actions(np.random.default_rng(seed), env.action_space, num_steps)
    stride = OBS_STRIDE if env.observation_space.shape[0] > MAX_OBS else 1
    resets, steps, info_rows = Rows(), Rows(), Rows()
    ended = True
    for index in range(num_steps):
        if ended:
            obs, _ = env.reset(seed=seed if index == 0 else None)
            resets.add(step_index=index, qpos=sim.data.qpos, qvel=sim.data.qvel, obs=obs)
        obs, reward, terminated, truncated, info = env.step(actions[index])
        steps.add(action=actions[index], qpos=sim.data.qpos, qvel=sim.data.qvel, reward=reward,
                  terminated=terminated, truncated=truncated)
        info_rows.add(**info)
        if index % stride == 0:
            steps.add(obs_index=index, obs=obs)
        ended = terminated or truncated
    arrays = resets.arrays("reset", {"step_index": np.int64})
    arrays |= steps.arrays("step", {"terminated": np.uint8, "truncated": np.uint8, "obs_index": np.int64})
    arrays |= info_rows.arrays("step/info", {})
    return arrays


def record_single_steps(env, arrays):
    """Each 16th step once more, from nothing but the recorded qpos and qvel before it."""
    sim = env.unwrapped
    starts = {int(step): episode for episode, step in enumerate(arrays["reset/step_index"])}
    rows = Rows()
    for index in range(0, len(arrays["step/action"]), ONE_STRIDE):
        where, row = ("reset", starts[index]) if index in starts else ("step", index - 1)
        mujoco.mj_resetData(sim.model, sim.data)
        sim.set_state(arrays[f"{where}/qpos"][row], arrays[f"{where}/qvel"][row])
        obs, reward, *_ = sim.step(arrays["step/action"][index])
        rows.add(step_index=index, qpos=sim.data.qpos, qvel=sim.data.qvel, obs=obs, reward=reward)
    return rows.arrays("one", {"step_index": np.int64})


def write_trajectory(folder, name, env_id, kwargs, seed, num_steps, time_limit):
    env = gym.make(env_id, disable_env_checker=True, max_episode_steps=time_limit, **kwargs)
    arrays = record(env, seed, num_steps)
    arrays |= record_single_steps(env, arrays)
    assert all(np.isfinite(a).all() for a in arrays.values()), name
    metadata = {"env_id": env_id, "kwargs": json.dumps(kwargs), "max_episode_steps": str(env.spec.max_episode_steps),
                "frame_skip": str(env.unwrapped.frame_skip), "seed": str(seed), "mujoco": mujoco.__version__,
                "gymnasium": gym.__version__, "numpy": np.__version__}
    path = folder / f"{name}.safetensors"
    save_file(arrays, path, metadata)
    print(f"{path.name}: {num_steps} steps, {len(arrays['reset/step_index'])} episodes, "
          f"{int(arrays['step/terminated'].sum())} terminated, {int(arrays['step/truncated'].sum())} truncated, "
          f"{path.stat().st_size / 1e3:.0f} kB", flush=True)


def reset_moments(env_id):
    """Minimum, maximum, mean and standard deviation of each qpos and qvel component after NUM_RESETS resets."""
    env = gym.make(env_id, disable_env_checker=True)
    sim = env.unwrapped
    states = {"qpos": [], "qvel": []}
    for index in range(NUM_RESETS):
        env.reset(seed=0 if index == 0 else None)
        states["qpos"].append(sim.data.qpos.copy())
        states["qvel"].append(sim.data.qvel.copy())
    arrays = {k: np.stack(v) for k, v in states.items()}
    return {k: {"min": v.min(0).tolist(), "max": v.max(0).tolist(), "mean": v.mean(0).tolist(),
                "std": v.std(0).tolist()} for k, v in arrays.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("envs", nargs="*", default=list(ARGS))
    parser.add_argument("--no-moments", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=HERE, help="parent of the folder gym_mujoco")
    parser.add_argument("--seed", type=int, default=1000)
    args = parser.parse_args()
    folder = args.out / "gym_mujoco"
    folder.mkdir(parents=True, exist_ok=True)
    for env_id in args.envs:
        seed = args.seed + 10 * list(ARGS).index(env_id)
        write_trajectory(folder, env_id, env_id, {}, seed, 1040, TIME_LIMITS.get(env_id))
        for variant, kwargs in enumerate(ARGS[env_id]):
            suffix = "_args" if variant == 0 else f"_args{variant + 1}"
            write_trajectory(folder, env_id + suffix, env_id, kwargs, seed + 1 + variant, 120, 50)
    if not args.no_moments:
        moments = {env_id: reset_moments(env_id) for env_id in args.envs}
        result = {"mujoco": mujoco.__version__, "gymnasium": gym.__version__, "num_resets": NUM_RESETS, "envs": moments}
        (folder / "reset_moments.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
