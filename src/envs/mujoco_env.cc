#include "envs/mujoco_env.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>

namespace pawl::envs {
namespace {

// Gymnasium's rule: a name without a leading '.', '/' or '~' is one of its own model files.
std::string ModelPath(const std::string& xml_file) {
  std::string path = xml_file;
  if (path.starts_with('~')) {
    const char* home = std::getenv("HOME");
    path = std::string(home != nullptr ? home : "") + path.substr(1);
  } else if (!path.starts_with('.') && !path.starts_with('/')) {
    path = std::string(PAWL_GYMNASIUM_ASSETS) + "/" + path;
  }
  if (!std::filesystem::is_regular_file(path)) {
    throw UserError({.what = fmt::format("there is no model file '{}'", path),
                     .where = "env.args.xml_file",
                     .expected = "an MJCF file",
                     .hint = "write ./name.xml for a file of your own"});
  }
  return path;
}

MujocoScene MakeScene(const CameraConfig& camera) {
  if (camera.lookat.size() != 3) {
    throw UserError({.what = fmt::format("{} numbers", camera.lookat.size()),
                     .where = "env.args.default_camera_config.lookat",
                     .expected = "[x, y, z]"});
  }
  MujocoScene scene{.azimuth = camera.azimuth,
                    .elevation = camera.elevation,
                    .distance = camera.distance,
                    .track_body = camera.trackbodyid};
  std::copy(camera.lookat.begin(), camera.lookat.end(), scene.lookat);
  return scene;
}

}  // namespace

Interval ToInterval(const std::vector<double>& values, const std::string& key) {
  if (values.size() != 2 || !(values[0] <= values[1])) {
    throw UserError({.what = "not an interval",
                     .where = "env.args." + key,
                     .expected = "[low, high] with low <= high (inf and -inf are numbers too)"});
  }
  return {values[0], values[1]};
}

ActionSpec ControlSpec(const mjModel& model) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ActionSpec spec{.size = static_cast<int>(model.nu)};
  for (int i = 0; i < model.nu; ++i) {
    const bool limited = model.actuator_ctrllimited[i] != 0;
    spec.low.push_back(limited ? model.actuator_ctrlrange[2 * i] : -kInfinity);
    spec.high.push_back(limited ? model.actuator_ctrlrange[2 * i + 1] : kInfinity);
    const char* name = mj_id2name(&model, mjOBJ_ACTUATOR, i);
    // Gymnasium's files leave most actuators unnamed: the joint says what they move
    if ((name == nullptr || *name == 0) && model.actuator_trntype[i] == mjTRN_JOINT) {
      name = mj_id2name(&model, mjOBJ_JOINT, model.actuator_trnid[2 * i]);
    }
    spec.names.push_back(name != nullptr && *name != 0 ? name : fmt::format("control {}", i));
  }
  return spec;
}

MujocoEnv::MujocoEnv(const MujocoArgs& args, std::string id)
    : sim_(LoadMujocoModel(ModelPath(args.xml_file))),
      frame_skip_(args.frame_skip),
      dt_(sim_.model().opt.timestep * args.frame_skip),
      time_limit_(args.max_episode_steps),
      scene_(MakeScene(args.default_camera_config)),
      initial_qpos_(model().nq),
      initial_qvel_(model().nv) {
  spec_.id = std::move(id);
  spec_.version = std::string("1");
  spec_.action = ControlSpec(model());
  spec_.max_episode_steps = args.max_episode_steps;
  spec_.control_period_s = dt_;
}

void MujocoEnv::FinishSpec() {
  last_observation_.assign(spec_.ObservationSize(), 0.0);
  extra_.assign(spec_.extra_names.size(), 0.0);
}

void MujocoEnv::AddNoise(core::Philox& rng, double scale, bool normal_velocity,
                         std::span<double> qpos, std::span<double> qvel) {
  for (double& q : qpos) q += rng.Uniform(-scale, scale);
  for (double& v : qvel) v += normal_velocity ? scale * rng.Normal() : rng.Uniform(-scale, scale);
}

void MujocoEnv::Reset(core::Philox rng, std::span<double> observation) {
  std::copy_n(model().qpos0, model().nq, initial_qpos_.data());
  std::fill(initial_qvel_.begin(), initial_qvel_.end(), 0.0);
  SampleInitialState(rng, initial_qpos_, initial_qvel_);
  sim_.ResetTo(initial_qpos_, initial_qvel_);
  BeginEpisode(observation);
}

void MujocoEnv::ResetTo(std::span<const double> qpos, std::span<const double> qvel,
                        std::span<double> observation) {
  sim_.ResetTo(qpos, qvel);
  BeginEpisode(observation);
}

void MujocoEnv::BeginEpisode(std::span<double> observation) {
  time_limit_.Reset();
  OnEpisodeBegin();
  Observe(observation);
  std::copy(observation.begin(), observation.end(), last_observation_.begin());
}

StepResult MujocoEnv::Step(std::span<const double> action, std::span<double> observation) {
  StepResult result;
  const Divergence divergence = sim_.Step(action, frame_skip_);
  if (divergence != Divergence::kNone) [[unlikely]] {
    result = {.terminated = true, .divergence = divergence};
    std::fill(extra_.begin(), extra_.end(), 0.0);
    std::copy(last_observation_.begin(), last_observation_.end(), observation.begin());
  } else {
    // fills cfrc_ext, which mj_step leaves to whoever needs it
    if (needs_contact_forces_) mj_rnePostConstraint(&model(), &sim_.data());
    Observe(observation);
    result = Evaluate(action);
    std::copy(observation.begin(), observation.end(), last_observation_.begin());
  }
  result.extra = extra_;
  time_limit_.Count(result);
  return result;
}

void MujocoEnv::SaveState(core::ByteWriter& out) const {
  sim_.SaveState(out);
  time_limit_.SaveState(out);
  out.PutSpan<double>(last_observation_);
  SaveTask(out);
}

void MujocoEnv::LoadState(core::ByteReader& in) {
  sim_.LoadState(in);
  time_limit_.LoadState(in);
  in.GetSpan<double>(last_observation_);
  LoadTask(in);
}

MujocoScene MujocoEnv::Scene() const {
  MujocoScene scene = scene_;
  scene.model = &model();
  scene.data = &data();
  return scene;
}

}  // namespace pawl::envs
