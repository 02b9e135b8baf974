#include "envs/mujoco_sim.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>

namespace pawl::envs {
namespace {

constexpr unsigned kState = mjSTATE_INTEGRATION;

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

SharedModel LoadFile(const std::string& path) {
  const bool own = std::filesystem::path(path).parent_path() !=
                   std::filesystem::weakly_canonical(PAWL_GYMNASIUM_ASSETS);
  const MujocoLoadScope scope(path, own);
  char message[1024] = "";
  mjModel* model = mj_loadXML(path.c_str(), nullptr, message, sizeof(message));
  // a model that loaded may come with a message too, a warning that the log handler saw
  // (half_cheetah.xml: settotalmass)
  if (model == nullptr) {
    throw UserError({.what = fmt::format("MuJoCo cannot load the model: {}", Trimmed(message)),
                     .where = path,
                     .expected = "an MJCF file"});
  }
  return ShareMujocoModel(model);
}

// mj_checkPos and mj_checkVel look before a step only; this is their condition.
bool HasBadNumber(const double* values, int count) {
  for (int i = 0; i < count; ++i) {
    if (!(std::abs(values[i]) <= mjMAXVAL)) return true;
  }
  return false;
}

}  // namespace

SharedModel LoadMujocoModel(const std::string& path) {
  InstallMujocoLog();
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const mjModel>> cache;
  std::error_code ignored;
  const auto canonical = std::filesystem::weakly_canonical(path, ignored);
  const std::string key = canonical.empty() ? path : canonical.string();

  std::lock_guard lock(mutex);
  auto& entry = cache[key];
  SharedModel model = entry.lock();
  if (model == nullptr) {
    model = LoadFile(key);
    entry = model;
  }
  return model;
}

SharedModel ShareMujocoModel(mjModel* model) {
  InstallMujocoLog();
  SharedModel shared(model, [](const mjModel* m) { mj_deleteModel(const_cast<mjModel*>(m)); });
  if ((model->opt.enableflags & (mjENBL_SLEEP | mjENBL_IPC)) != 0) {
    throw UserError(
        {.what = "the model enables 'sleep' or 'ipc'",
         .where = "<option><flag .../>",
         .expected = "both disabled: MuJoCo cannot save the state they carry from step to step"});
  }
  model->opt.disableflags |= mjDSBL_AUTORESET;
  return shared;
}

MujocoSim::MujocoSim(SharedModel model) : model_(std::move(model)) {
  InstallMujocoLog();
  state_size_ = mj_stateSize(model_.get(), kState);
  MakeData();
}

void MujocoSim::MakeData() {
  data_.reset(mj_makeData(model_.get()));
  if (data_ == nullptr) {
    throw RunError({.what = "MuJoCo cannot allocate a simulation",
                    .expected = fmt::format("{} bytes of memory", model_->narena)});
  }
}

void MujocoSim::Reset() { mj_resetData(model_.get(), data_.get()); }

void MujocoSim::ResetTo(std::span<const double> qpos, std::span<const double> qvel) {
  PAWL_CHECK_EQ(static_cast<int>(qpos.size()), static_cast<int>(model_->nq));
  PAWL_CHECK_EQ(static_cast<int>(qvel.size()), static_cast<int>(model_->nv));
  Reset();
  std::copy(qpos.begin(), qpos.end(), data_->qpos);
  std::copy(qvel.begin(), qvel.end(), data_->qvel);
  mj_forward(model_.get(), data_.get());
}

Divergence MujocoSim::Step(std::span<const double> control, int substeps) {
  PAWL_DCHECK(static_cast<int>(control.size()) == model_->nu);
  return Run([&](mjData& data) {
    std::copy(control.begin(), control.end(), data.ctrl);
    for (int i = 0; i < substeps; ++i) {
      mj_step(model_.get(), &data);
      if (HasBadWarning(data)) [[unlikely]]
        break;
    }
  });
}

Divergence MujocoSim::TakeDivergence() {
  static constexpr std::pair<mjtWarning, Divergence> kCauses[] = {
      {mjWARN_BADQPOS, Divergence::kBadPosition},
      {mjWARN_BADQVEL, Divergence::kBadVelocity},
      {mjWARN_BADQACC, Divergence::kBadAcceleration},
      {mjWARN_CONTACTFULL, Divergence::kContactMemory},
      {mjWARN_CNSTRFULL, Divergence::kConstraintMemory}};
  Divergence found = Divergence::kNone;
  for (const auto& [index, divergence] : kCauses) {
    if (data_->warning[index].number > 0 && found == Divergence::kNone) found = divergence;
  }
  for (mjWarningStat& warning : data_->warning) warning = {};
  if (found != Divergence::kNone) return found;
  if (HasBadNumber(data_->qpos, static_cast<int>(model_->nq))) return Divergence::kBadPosition;
  if (HasBadNumber(data_->qvel, static_cast<int>(model_->nv))) return Divergence::kBadVelocity;
  return Divergence::kNone;
}

void MujocoSim::SaveState(core::ByteWriter& out) const {
  std::vector<double> state(state_size_);
  mj_getState(model_.get(), data_.get(), state.data(), kState);
  out.PutSpan<double>(state);
}

void MujocoSim::LoadState(core::ByteReader& in) {
  std::vector<double> state(state_size_);
  in.GetSpan<double>(state);
  mj_setState(model_.get(), data_.get(), state.data(), kState);
}

int MujocoSim::Id(mjtObj type, const std::string& name) const {
  const int id = mj_name2id(model_.get(), type, name.c_str());
  if (id >= 0) return id;
  std::vector<std::string> known;
  for (int i = 0;; ++i) {
    const char* other = mj_id2name(model_.get(), type, i);
    if (other == nullptr) break;
    known.emplace_back(other);
  }
  const std::string nearest = NearestName(name, known);
  throw UserError({.what = fmt::format("the model has no {} '{}'", mju_type2Str(type), name),
                   .where = mj_id2name(model_.get(), mjOBJ_MODEL, 0)
                                ? mj_id2name(model_.get(), mjOBJ_MODEL, 0)
                                : "",
                   .hint = nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)});
}

}  // namespace pawl::envs
