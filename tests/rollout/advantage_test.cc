#include "rollout/advantage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/rng.h"

namespace pawl::rollout {
namespace {
using torch::Tensor;

Tensor Column(std::vector<float> values) { return at::tensor(values).unsqueeze(1); }
float Get(const Tensor& x, int t, int b = 0) { return x[t][b].item<float>(); }

GaeInput ThreeSteps() {
  return {.reward = Column({1, 2, 3}),
          .value = Column({0.5f, 0.25f, 1}),
          .final_value = Column({100, 10, 100}),
          .last_value = at::tensor(std::vector<float>{4}),
          .terminated = at::zeros({3, 1}, at::kBool),
          .truncated = at::zeros({3, 1}, at::kBool),
          .gamma = 0.5,
          .lambda = 0.8};
}

// delta_2 = 3 + 0.5*4 - 1 = 4; delta_1 = 2 + 0.5*1 - 0.25 = 2.25; delta_0 = 1 + 0.125 - 0.5 = 0.625
// A_2 = 4; A_1 = 2.25 + 0.4*4 = 3.85; A_0 = 0.625 + 0.4*3.85 = 2.165
TEST(Gae, HandWorkedWithoutEnds) {
  const Advantages out = Gae(ThreeSteps());
  EXPECT_FLOAT_EQ(Get(out.advantage, 2), 4);
  EXPECT_FLOAT_EQ(Get(out.advantage, 1), 3.85f);
  EXPECT_FLOAT_EQ(Get(out.advantage, 0), 2.165f);
  EXPECT_FLOAT_EQ(Get(out.returns, 0), 2.665f);
}

// At the end of step 1: a termination is worth 0, a truncation what its final observation is worth
// (10, not the 1 of the next episode's first observation); both cut the recursion.
TEST(Gae, TruncationBootstrapsTerminationDoesNot) {
  GaeInput in = ThreeSteps();
  in.terminated[1][0] = true;
  Advantages out = Gae(in);
  EXPECT_FLOAT_EQ(Get(out.advantage, 1), 2 - 0.25f);
  EXPECT_FLOAT_EQ(Get(out.advantage, 0), 0.625f + 0.4f * 1.75f);
  in = ThreeSteps();
  in.truncated[1][0] = true;
  out = Gae(in);
  EXPECT_FLOAT_EQ(Get(out.advantage, 1), 2 + 0.5f * 10 - 0.25f);
  EXPECT_FLOAT_EQ(Get(out.advantage, 0), 0.625f + 0.4f * 6.75f);
  EXPECT_FLOAT_EQ(Get(out.advantage, 2), 4) << "the next episode is not touched";
}

TEST(Gae, EndsAtTheLastStepDoNotReadTheLastValue) {
  GaeInput in = ThreeSteps();
  in.truncated[2][0] = true;
  in.final_value[2][0] = 6;
  EXPECT_FLOAT_EQ(Get(Gae(in).advantage, 2), 3 + 3 - 1);
  in = ThreeSteps();
  in.terminated[2][0] = true;
  EXPECT_FLOAT_EQ(Get(Gae(in).advantage, 2), 3 - 1);
}

// lambda = 1: advantage + value is the discounted sum of rewards; lambda = 0: one-step error.
TEST(Gae, LambdaOneIsMonteCarloAndLambdaZeroIsOneStep) {
  GaeInput in = ThreeSteps();
  in.lambda = 1;
  EXPECT_FLOAT_EQ(Get(Gae(in).returns, 0), 1 + 0.5f * 2 + 0.25f * 3 + 0.125f * 4);
  in.lambda = 0;
  EXPECT_FLOAT_EQ(Get(Gae(in).advantage, 0), 0.625f);
}

// Columns do not mix: B columns give what each gives alone.
TEST(Gae, ColumnsAreIndependent) {
  core::Philox rng(1, core::Role::kTest, 0, 0);
  const int64_t T = 37, B = 19;
  auto random = [&](int64_t rows) {
    Tensor x = at::empty({rows, B});
    for (int64_t i = 0; i < x.numel(); ++i) {
      x.data_ptr<float>()[i] = static_cast<float>(rng.Normal());
    }
    return x;
  };
  GaeInput in{.reward = random(T),
              .value = random(T),
              .final_value = random(T),
              .last_value = random(1)[0],
              .terminated = random(T) > 1.3,
              .truncated = random(T) > 1.3};
  in.truncated = in.truncated.logical_and(in.terminated.logical_not());
  const Advantages all = Gae(in);
  for (int64_t b = 0; b < B; ++b) {
    auto column = [&](const Tensor& x) { return x.narrow(1, b, 1); };
    const Advantages one = Gae({.reward = column(in.reward),
                                .value = column(in.value),
                                .final_value = column(in.final_value),
                                .last_value = in.last_value.narrow(0, b, 1),
                                .terminated = column(in.terminated),
                                .truncated = column(in.truncated)});
    EXPECT_TRUE(at::equal(one.advantage, column(all.advantage))) << b;
  }
  EXPECT_TRUE(at::equal(all.returns, all.advantage + in.value));
}

TEST(Gae, ShapesThatDoNotFitAreRefusedByName) {
  GaeInput in = ThreeSteps();
  in.value = in.value.t();
  try {
    Gae(in);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("value"),
                                             testing::HasSubstr("[1, 3] vs [3, 1]")));
  }
  in = ThreeSteps();
  in.last_value = at::zeros({2});
  EXPECT_THROW(Gae(in), Error);
}

TEST(Gae, AnEmptyRolloutIsEmpty) {
  const Tensor none = at::zeros({0, 3});
  const Advantages out = Gae({.reward = none,
                              .value = none,
                              .final_value = none,
                              .last_value = at::zeros({3}),
                              .terminated = none.to(at::kBool),
                              .truncated = none.to(at::kBool)});
  EXPECT_EQ(out.advantage.sizes(), none.sizes());
}

}  // namespace
}  // namespace pawl::rollout
