#include "kernels/mlp.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "reference.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

std::vector<MlpShape> Shapes() {
  std::vector<MlpShape> shapes;
  for (auto activation : {Activation::kTanh, Activation::kRelu, Activation::kElu}) {
    for (bool shared : {false, true}) {
      shapes.push_back(
          {.obs = 17, .act = 6, .hidden = {64, 64}, .activation = activation, .shared = shared});
      shapes.push_back(
          {.obs = 1, .act = 1, .hidden = {1}, .activation = activation, .shared = shared});
      shapes.push_back({.obs = 40,
                        .act = 21,
                        .hidden = {33, 7, 256},
                        .activation = activation,
                        .shared = shared});
    }
  }
  return shapes;
}

class Mlp : public OnEveryTarget {};

TEST_P(Mlp, ForwardAgreesWithADoubleLoop) {
  for (const MlpShape& shape : Shapes()) {
    const MlpLayout layout(shape);
    const AlignedBuffer weights = RandomWeights(layout, 1);
    const RandomRollout rollout(layout, weights.data(), 19, 2);
    std::vector<float> head(19 * shape.act), value(19);
    MlpForward(layout, 19).Run(weights.data(), rollout.obs.data(), 19, head.data(), value.data());
    const DenseWeights dense = ToDense(layout, weights.data());
    for (int row = 0; row < 19; ++row) {
      const auto want =
          ReferenceForward(shape, dense, rollout.obs.data() + size_t(row) * shape.obs);
      // float32 rounding grows with the depth of the sums: 256 terms, four layers
      for (int a = 0; a < shape.act; ++a) {
        EXPECT_NEAR(head[row * shape.act + a], want.head[a], 2e-5) << ShapeName(shape);
      }
      EXPECT_NEAR(value[row], want.value, 2e-5) << ShapeName(shape);
    }
  }
}

TEST_P(Mlp, ARowIsTheSameBitsAloneOrInAnyBatch) {
  constexpr int kRows = 70;
  for (const MlpShape& shape : Shapes()) {
    const MlpLayout layout(shape);
    const AlignedBuffer weights = RandomWeights(layout, 3);
    const RandomRollout rollout(layout, weights.data(), kRows, 4);
    MlpForward forward(layout, kRows);
    std::vector<float> head(kRows * shape.act), value(kRows);
    forward.Run(weights.data(), rollout.obs.data(), kRows, head.data(), value.data());
    for (int rows = 1; rows <= kRows; ++rows) {
      std::vector<float> some_head(rows * shape.act), some_value(rows);
      const int first = (kRows - rows) / 2;
      forward.Run(weights.data(), rollout.obs.data() + first * shape.obs, rows, some_head.data(),
                  some_value.data());
      ASSERT_TRUE(SameBits(some_head.data(), head.data() + first * shape.act, some_head.size()))
          << ShapeName(shape) << " " << rows << " rows";
      ASSERT_TRUE(SameBits(some_value.data(), value.data() + first, rows));
    }
  }
}

TEST_P(Mlp, NaNInAnObservationReachesBothOutputsOfItsRowOnly) {
  for (const MlpShape& shape : Shapes()) {
    const MlpLayout layout(shape);
    const AlignedBuffer weights = RandomWeights(layout, 5);
    std::vector<float> obs(3 * shape.obs, 0.5f), head(3 * shape.act), value(3);
    obs[shape.obs] = std::numeric_limits<float>::quiet_NaN();
    MlpForward(layout, 3).Run(weights.data(), obs.data(), 3, head.data(), value.data());
    EXPECT_TRUE(std::isnan(head[shape.act]) && std::isnan(value[1])) << ShapeName(shape);
    EXPECT_TRUE(std::isfinite(head[0]) && std::isfinite(value[2])) << ShapeName(shape);
  }
}

TEST_P(Mlp, AnOutputNobodyWantsMayBeNull) {
  for (const MlpShape& shape : Shapes()) {
    const MlpLayout layout(shape);
    const AlignedBuffer weights = RandomWeights(layout, 6);
    const RandomRollout rollout(layout, weights.data(), 5, 7);
    std::vector<float> head(5 * shape.act), value(5), other_head(5 * shape.act), other_value(5);
    MlpForward forward(layout, 5);
    forward.Run(weights.data(), rollout.obs.data(), 5, head.data(), value.data());
    forward.Run(weights.data(), rollout.obs.data(), 5, other_head.data(), nullptr);
    forward.Run(weights.data(), rollout.obs.data(), 5, nullptr, other_value.data());
    EXPECT_EQ(head, other_head);
    EXPECT_EQ(value, other_value);
  }
}
PAWL_ON_EVERY_TARGET(Mlp);

TEST(MlpLayout, PackAndUnpackAreInverseAndLeavePaddingZero) {
  const MlpLayout layout({.obs = 5, .act = 3, .hidden = {20, 7}});
  AlignedBuffer flat(layout.size());
  size_t dense_count = 0;
  for (const auto& p : layout.parameters()) {
    std::vector<float> dense(size_t(p.out) * std::max(p.in, 1)), back(dense.size());
    for (size_t i = 0; i < dense.size(); ++i) dense[i] = static_cast<float>(i + 1);
    layout.Pack(p, dense.data(), flat.data());
    layout.Unpack(p, flat.data(), back.data());
    EXPECT_EQ(dense, back) << p.name;
    dense_count += dense.size();
  }
  size_t non_zero = 0;
  for (float x : flat.span()) non_zero += x != 0;
  EXPECT_EQ(non_zero, dense_count);
}

TEST(MlpLayout, SeparateNetsStandPolicyFirst) {
  const MlpLayout layout({.obs = 5, .act = 3, .hidden = {20, 7}});
  for (const auto& p : layout.parameters()) {
    EXPECT_EQ(p.offset < layout.policy_size(), !p.name.starts_with("value")) << p.name;
  }
}

TEST(MlpLayout, SaysWhyTheFusedUpdateDoesNotServeAShape) {
  EXPECT_EQ(FusedUnsupportedReason({.obs = 5, .act = 3, .hidden = {64, 64}}), "");
  EXPECT_THAT(FusedUnsupportedReason({.obs = 5, .act = 3, .hidden = {512}}),
              testing::HasSubstr("512"));
  EXPECT_THAT(FusedUnsupportedReason({.obs = 5, .act = 3, .hidden = {8, 8, 8, 8}}),
              testing::HasSubstr("4 hidden layers"));
}

TEST(MlpForward, RefusesUnalignedWeights) {
  const MlpLayout layout({.obs = 5, .act = 3, .hidden = {8}});
  AlignedBuffer weights(layout.size() + 1);
  std::vector<float> obs(5), head(3), value(1);
  MlpForward forward(layout, 1);
  EXPECT_THROW(forward.Run(weights.data() + 1, obs.data(), 1, head.data(), value.data()), Error);
}

}  // namespace
}  // namespace pawl::kernels
