#include "kernels/gemm.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/panel_product.h"

namespace pawl::kernels {
namespace {
// Columns at a time where K is large, so that the packed left operand is used often enough.
constexpr int64_t kMinColumns = 1024;
}  // namespace

void Gemm(const GemmArgs& args, Team& team) {
  PAWL_CHECK(!args.accumulate || args.bias == nullptr, "Gemm adds to c or starts from a bias");
  if (args.m == 0 || args.n == 0) return;
  const int64_t columns_whole_k = kPackedFloats / std::max<int64_t>(args.k, 1) / 16 * 16;
  const int64_t columns = std::min(NumPanels(args.n) * 16, std::max(columns_whole_k, kMinColumns));
  const int64_t steps = std::clamp<int64_t>(args.k, 1, kPackedFloats / columns / 4 * 4);
  float* packed = team.Shared(columns * steps);
  auto* panels = reinterpret_cast<std::byte*>(packed);
  for (int64_t n = 0; n < args.n; n += columns) {
    const int64_t width = std::min(columns, args.n - n);
    for (int64_t k = 0; k == 0 || k < args.k; k += steps) {
      const int64_t depth = std::min(steps, args.k - k);
      PackPanels({.b = Advance(args.b, k, n), .k = depth, .n = width, .panels = panels}, team);
      PanelProduct({.m = args.m,
                    .n = width,
                    .k = depth,
                    .a = Advance(args.a, 0, k),
                    .alpha = args.alpha,
                    .panels = panels,
                    .panel_bytes = PanelBytes(WeightType::kF32, depth),
                    .c = args.c + n,
                    .c_stride = args.c_stride,
                    .bias = args.bias ? args.bias + n : nullptr,
                    .accumulate = args.accumulate || k > 0},
                   team);
    }
  }
}

}  // namespace pawl::kernels
