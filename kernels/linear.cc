#include "kernels/linear.h"

#include "core/error.h"
#include "kernels/panel_product.h"

namespace pawl::kernels {

PackedWeight::PackedWeight(WeightType type, int64_t out, int64_t in, const MatrixRef& w, Team& team)
    : type_(type),
      out_(out),
      in_(in),
      panel_bytes_(PanelBytes(type, in)),
      data_(NumPanels(out) * panel_bytes_) {
  MatrixRef right = w;  // [in, out]
  right.transposed = !w.transposed;
  PackPanels({.b = right, .k = in, .n = out, .type = type, .panels = data_.data()}, team);
}

void Linear(const PackedWeight& weight, const LinearArgs& args, Team& team) {
  PAWL_CHECK(!args.accumulate || args.bias == nullptr, "Linear adds to y or starts from a bias");
  PanelProduct({.m = args.rows,
                .n = weight.out(),
                .k = weight.in(),
                .a = {.f32 = args.x,
                      .stride = args.x_stride,
                      .round_to_bf16 = weight.type() == WeightType::kBF16},
                .type = weight.type(),
                .panels = weight.data(),
                .panel_bytes = weight.panel_bytes(),
                .c = args.y,
                .c_stride = args.y_stride,
                .bias = args.bias,
                .accumulate = args.accumulate},
               team);
}

}  // namespace pawl::kernels
