// The small actor-critic MLP as one flat float32 buffer, and its forward pass on the CPU. Actors
// (rollout threads) and the learner's fused update (ppo_update.h) call the same row kernels, so a
// row's result is the same bits alone or in any batch: every dot product is one accumulator, k
// ascending, FMA, starting from the bias; activations are our vector functions. No torch here.
// MlpLayout is immutable and shared; scratch and parameters are passed in. Highway, dispatched at
// run time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/buffer.h"

namespace pawl::kernels {

enum class Activation : uint8_t { kTanh, kRelu, kElu };
enum class PolicyHead : uint8_t { kGaussian, kSquashedGaussian, kCategorical };

struct MlpShape {
  int obs = 0;              // O
  int act = 0;              // A: numbers per action, or number of choices (categorical)
  std::vector<int> hidden;  // at least one width
  Activation activation = Activation::kTanh;
  bool shared = false;  // policy and value share the hidden layers
  PolicyHead head = PolicyHead::kGaussian;
};
// "" when the fused update (ppo_update.h: 1 to 3 hidden layers of 1 to 256) serves this shape, else
// the reason it does not (shown to the user). Layout and forward pass serve any shape.
std::string FusedUnsupportedReason(const MlpShape& shape);

// One parameter: a weight [out, in] (row-major outside, panels of 16 columns inside), a bias [out]
// or log_std [A] (in = 0). Names: separate nets "policy.0.weight", "policy.0.bias", ...,
// "value.0.weight", ... (the last index is the head); shared: "trunk.<i>.*", then "policy.0.*" and
// "value.0.*" for the heads; Gaussian heads add "log_std".
struct MlpParameter {
  std::string name;
  int out = 0;
  int in = 0;  // 0: a vector
  size_t offset = 0;
};

class MlpLayout {
 public:
  explicit MlpLayout(MlpShape shape);
  const MlpShape& shape() const { return shape_; }
  size_t size() const {
    return size_;
  }  // floats in the flat buffer, padding included (padding is and stays 0)
  // Floats of the first part, what the policy loss alone moves (separate nets: the policy net and
  // log_std); the rest is the value net, or the value head of a shared net.
  size_t policy_size() const { return policy_size_; }
  const std::vector<MlpParameter>& parameters() const { return parameters_; }
  const MlpParameter& Find(const std::string& name) const;
  // Copies one parameter between the flat buffer and a dense row-major array [out, in] (or [out]).
  void Pack(const MlpParameter& parameter, const float* dense, float* flat) const;
  void Unpack(const MlpParameter& parameter, const float* flat, float* dense) const;

 private:
  MlpShape shape_;
  size_t size_ = 0, policy_size_ = 0;
  std::vector<MlpParameter> parameters_;
};

using AlignedBuffer = core::Buffer<float>;

struct Network;  // network.h

// Forward pass of up to max_rows rows; one object per thread (it owns the scratch). The layout must
// outlive it.
class MlpForward {
 public:
  MlpForward(const MlpLayout& layout, int max_rows);
  // params: 64-byte aligned (AlignedBuffer). obs [rows, O] row-major, normalised. head [rows, A]:
  // mean or logits; value [rows]; either may be null and is then skipped.
  void Run(const float* params, const float* obs, int rows, float* head, float* value);

 private:
  void RunChunk(const float* params, const float* obs, int rows, float* head, float* value);

  const MlpLayout& layout_;
  int max_rows_;
  std::shared_ptr<const std::vector<Network>> networks_;
  AlignedBuffer input_, output_;
  std::vector<AlignedBuffer> hidden_;
};

// Draws actions and their log-probabilities.
//   Gaussian:  action = mean + exp(log_std) * noise;  log_prob = sum_a [-0.5 z^2 - log_std - 0.5
//   log 2pi], z as recomputed
//              from the stored float32 action, so that the learner finds the same bits.
//   Squashed:  action holds u (before tanh); log_prob = Gaussian(u) - sum_a 2 (log 2 - u -
//   softplus(-2 u))  (Brax's form). Categorical: action [rows, 1] = argmax_c(logit_c +
//   Gumbel(noise_c)); log_prob = log_softmax(logits)[action].
// head [rows, A] from MlpForward; log_std [A] (unused for categorical); noise [rows, A]: standard
// normal, or uniform in (0, 1) for categorical; nullptr noise = deterministic (mean, or argmax).
// action [rows, A] or [rows, 1]; log_prob [rows].
void SampleActions(PolicyHead head_kind, int act, const float* head, const float* log_std,
                   const float* noise, int rows, float* action, float* log_prob);
// log_prob [rows] of given actions: the same bits as SampleActions gave.
void ActionLogProb(PolicyHead head_kind, int act, const float* head, const float* log_std,
                   const float* action, int rows, float* log_prob);

}  // namespace pawl::kernels
