#include <gtest/gtest.h>

#include <cmath>

#include "cuda_testing.h"
#include "lm_head_case.h"

namespace pawl::kernels {
namespace {

class LmHeadGpu : public OnCuda {
 protected:
  template <class T>
  void ToHost(std::vector<T>& host, const T* device) {
    library_->CopyToHost(host.data(), device, host.size() * sizeof(T));
    library_->Synchronize();
  }
};

// What a pass over a chunk of logits gives.
struct Result {
  std::vector<float> log_prob, entropy, dlogits;
};

// A chunk of logits, some rows of it of no weight.
struct Chunk {
  Chunk(HeadOptions o, int64_t rows, int64_t vocab, int64_t pad)
      : head(o, rows, vocab, 1),
        stride(vocab + pad),
        logits(RandomVector(rows * stride, 9, o.scale)) {}
  LogitRowsArgs Args() const {
    return {.rows = head.x.rows(),
            .vocab = head.weight.rows(),
            .stride = stride,
            .inverse_temperature = head.o.inverse_temperature,
            .soft_cap = head.o.soft_cap};
  }
  Result OnTheCpu() {
    Team team(2);
    std::vector<double> state(head.x.rows() * kLogitState);
    Result result{head.log_prob, head.entropy, logits};
    LogitRowsArgs args = Args();
    args.f32 = result.dlogits.data();
    args.targets = head.targets.data();
    args.log_prob = result.log_prob.data();
    args.entropy = result.entropy.data();
    args.state = state.data();
    args.dlog_prob = head.dlog_prob.data();
    args.dentropy = head.dentropy.data();
    LogitRowsForward(args, team);
    LogitRowsBackward(args, team);
    return result;
  }
  HeadCase head;
  int64_t stride;
  std::vector<float> logits;
};

TEST_F(LmHeadGpu, AgreesWithTheCpuForEverySizeAndStride) {
  for (HeadOptions o : {HeadOptions{.scale = 3},
                        {.soft_cap = 2, .inverse_temperature = 0.7f, .scale = 3},
                        {.half = true, .scale = 3},
                        {.scale = 1e3}}) {
    for (int64_t rows : {0, 1, 17, 300}) {
      for (int64_t vocab : {1, 7, 8, 33, 4096, 32001}) {
        for (int64_t pad : {0, 3, 8}) {
          Chunk chunk(o, rows, vocab, pad);
          std::vector<uint16_t> half;
          for (float& x : chunk.logits) {
            if (!o.half) break;
            half.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16));
            x = std::bit_cast<float>(uint32_t(half.back()) << 16);
          }
          const Result want = chunk.OnTheCpu();
          Result got = want;
          LogitRowsArgs args = chunk.Args();
          if (o.half) args.bf16 = ToDevice(half);
          if (!o.half) args.f32 = ToDevice(chunk.logits);
          args.targets = ToDevice(chunk.head.targets);
          args.log_prob = ToDevice(std::vector<float>(rows));
          args.entropy = ToDevice(std::vector<float>(rows));
          args.state = ToDevice(std::vector<double>(rows * kLogitState));
          args.dlog_prob = ToDevice(chunk.head.dlog_prob);
          args.dentropy = ToDevice(chunk.head.dentropy);
          library_->LogitRowsForward(args);
          library_->LogitRowsBackward(args);
          ToHost(got.log_prob, args.log_prob);
          ToHost(got.entropy, args.entropy);
          if (!o.half) ToHost(got.dlogits, args.f32);
          if (o.half) ToHost(half, args.bf16);
          for (int64_t r = 0; r < rows; ++r) {
            ASSERT_NEAR(got.log_prob[r], want.log_prob[r], 1e-6 * (3 + o.scale)) << vocab;
            ASSERT_NEAR(got.entropy[r], want.entropy[r], 1e-6 * (3 + o.scale)) << vocab;
            for (int64_t i = r * chunk.stride; i < (r + 1) * chunk.stride; ++i) {
              // bfloat16 rounds to 8 bits; what lies between the rows stays
              const float x =
                  o.half ? std::bit_cast<float>(uint32_t(half[i]) << 16) : got.dlogits[i];
              const double tolerance = o.half ? 5e-3 * std::fabs(want.dlogits[i]) : 0;
              ASSERT_NEAR(x, want.dlogits[i], tolerance + 1e-6 * (3 + o.scale)) << vocab;
            }
            if (chunk.head.dlog_prob[r] != 0 || chunk.head.dentropy[r] != 0) continue;
            for (int64_t i = 0; i < vocab && !o.half; ++i) {
              ASSERT_EQ(got.dlogits[r * chunk.stride + i], 0);
            }
          }
        }
      }
    }
  }
}

TEST_F(LmHeadGpu, ARowIsTheSameBitsAloneOrInAChunk) {
  Chunk chunk({.scale = 3}, 40, 5000, 8);
  LogitRowsArgs args = chunk.Args();
  args.f32 = ToDevice(chunk.logits);
  args.targets = ToDevice(chunk.head.targets);
  args.log_prob = ToDevice(std::vector<float>(40));
  args.entropy = ToDevice(std::vector<float>(40));
  std::vector<float> all(40), one(40);
  library_->LogitRowsForward(args);
  ToHost(all, args.log_prob);
  args.rows = 1;
  args.f32 += 39 * args.stride;
  args.targets += 39;
  library_->LogitRowsForward(args);
  ToHost(one, args.log_prob);
  EXPECT_EQ(one[0], all[39]);
}

}  // namespace
}  // namespace pawl::kernels
