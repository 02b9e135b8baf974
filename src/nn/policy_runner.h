// The policy as actors and evaluation run it: flat weights in, distribution head and value out, by
// the same row kernels as the learner's fused update. One object per thread. Also the flat weights
// by name.
#pragma once
#include <span>

#include "core/rng.h"
#include "core/safetensors.h"
#include "kernels/mlp.h"

namespace pawl::nn {

class PolicyRunner {
 public:
  PolicyRunner(const kernels::MlpShape& shape, int max_rows);
  PolicyRunner(const PolicyRunner&) = delete;
  PolicyRunner& operator=(const PolicyRunner&) = delete;
  // weights: flat, as Learner::Weights() gives them. obs [rows, O] normalised; head [rows, A];
  // value [rows].
  void Forward(std::span<const float> weights, const float* obs, int rows, float* head,
               float* value);
  // The log_std [A] inside the flat weights; nullptr for a categorical head.
  const float* LogStd(std::span<const float> weights) const;

 private:
  const kernels::MlpLayout layout_;
  kernels::MlpForward forward_;
};

// The flat weights of a shape (kernels::MlpLayout): their number, and copies to and from dense
// arrays by name
// ("policy.0.weight" [out, in], ...). NamedToFlat throws for a missing name or another size.
size_t FlatWeightsSize(const kernels::MlpShape& shape);
void FlatToNamed(const kernels::MlpShape& shape, std::span<const float> flat, core::ArrayMap& out);
void NamedToFlat(const kernels::MlpShape& shape, const core::ArrayMap& in, std::span<float> flat);

// The noise of one row that SampleActions wants: standard normal, or uniform in (0, 1) for a
// categorical head. [A]
void FillActionNoise(kernels::PolicyHead head, core::Philox& rng, std::span<float> noise);

}  // namespace pawl::nn
