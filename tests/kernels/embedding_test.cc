#include "kernels/embedding.h"

#include <bit>

#include "rows.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

constexpr int64_t kVocab = 11;
constexpr int64_t kWidths[] = {0, 1, 3, 15, 16, 17, 33, 200};

std::vector<int32_t> Ids(int64_t rows) {
  std::vector<int32_t> ids;
  for (int64_t r = 0; r < rows; ++r) ids.push_back(static_cast<int32_t>(r * r * 7 % kVocab));
  if (rows > 1) ids[1] = kVocab - 1;
  return ids;
}

// The upper halves of the floats, and the floats they stand for.
std::vector<uint16_t> Truncate(Rows& table) {
  std::vector<uint16_t> halves(table.rows() * table.stride());
  for (int64_t r = 0; r < table.rows(); ++r) {
    for (int64_t i = 0; i < table.width(); ++i) {
      const uint32_t bits = std::bit_cast<uint32_t>(table(r, i)) & 0xffff0000u;
      halves[r * table.stride() + i] = static_cast<uint16_t>(bits >> 16);
      table(r, i) = std::bit_cast<float>(bits);
    }
  }
  return halves;
}

class EmbeddingOf : public OnEveryTarget {};

TEST_P(EmbeddingOf, GathersScalesAndAddsPositions) {
  for (int threads : {1, 2, 3}) {
    Team team(threads);
    for (int64_t rows : {0, 1, 3, 17, 600}) {
      for (int64_t width : kWidths) {
        Rows table = Rows::Random(kVocab, width, 1), places = Rows::Random(rows, width, 2);
        const std::vector<uint16_t> table16 = Truncate(table), places16 = Truncate(places);
        const std::vector<int32_t> ids = Ids(rows);
        std::vector<int32_t> positions;
        for (int64_t r = 0; r < rows; ++r) positions.push_back(static_cast<int32_t>(rows - 1 - r));
        for (bool half : {false, true}) {
          for (bool learned : {false, true}) {
            Rows y(rows, width, 7);
            EmbeddingArgs args{.ids = ids,
                               .width = width,
                               .table = {.f32 = table.data(), .stride = table.stride()},
                               .scale = 1.7f,
                               .y = y.data(),
                               .y_stride = y.stride()};
            if (half) args.table = {.bf16 = table16.data(), .stride = table.stride()};
            if (learned) {
              args.position_table = {.f32 = places.data(), .stride = places.stride()};
              if (half) args.position_table = {.bf16 = places16.data(), .stride = places.stride()};
              args.positions = positions.data();
            }
            Embedding(args, team);
            for (int64_t r = 0; r < rows; ++r) {
              for (int64_t i = 0; i < width; ++i) {
                float want = table(ids[r], i) * 1.7f;
                if (learned) want += places(positions[r], i);
                ASSERT_EQ(y(r, i), want) << rows << " x " << width;
              }
            }
            EXPECT_TRUE(y.GuardsKept());
          }
        }
      }
    }
  }
}

TEST_P(EmbeddingOf, TheGradientAddsRowsInOrderOnWhatIsThere) {
  for (int threads : {1, 2, 3}) {
    Team team(threads);
    for (int64_t rows : {0, 1, 3, 17, 600}) {
      for (int64_t width : kWidths) {
        const std::vector<int32_t> ids = Ids(rows);
        const Rows dy = Rows::Random(rows, width, 3);
        Rows dtable = Rows::Random(kVocab, width, 4, 1, 0), want = dtable, parts = dtable;
        EmbeddingBackward(ids, dy.data(), dy.stride(), width, 1.7f, dtable.data(), team);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < width; ++i) {
            const float v = dy(r, i) * 1.7f;
            want(ids[r], i) += v;
          }
        }
        EXPECT_EQ(dtable, want) << rows << " x " << width;
        const std::span<const int32_t> all = ids;
        for (int64_t first = 0; first < rows; first += 5) {
          const int64_t count = std::min<int64_t>(5, rows - first);
          EmbeddingBackward(all.subspan(first, count), dy.row(first), dy.stride(), width, 1.7f,
                            parts.data(), team);
        }
        EXPECT_EQ(parts, want) << rows << " x " << width;
      }
    }
  }
}

PAWL_ON_EVERY_TARGET(EmbeddingOf);
}  // namespace
}  // namespace pawl::kernels
