// Adam's step on one vector: the one formula behind AdamStep (elementwise.h) and AdamW (adamw.h).
#if defined(PAWL_KERNELS_ADAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PAWL_KERNELS_ADAM_INL_H_
#undef PAWL_KERNELS_ADAM_INL_H_
#else
#define PAWL_KERNELS_ADAM_INL_H_
#endif

#include <limits>

#include "kernels/elementwise.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

class AdamVector {
 public:
  explicit HWY_INLINE AdamVector(const AdamStepArgs& args)
      : beta1_(Constant(args.beta1)),
        beta2_(Constant(args.beta2)),
        gain1_(Constant(1 - args.beta1)),
        gain2_(Constant(1 - args.beta2)),
        scale_(Constant(args.scale)),
        epsilon_(Constant(args.epsilon)),
        step_size_(Constant(args.step_size)),
        correction_(Constant(args.correction)),
        decay_(Constant(args.decay)) {}

  HWY_INLINE void Step(Vec g, Vec& m, Vec& v, Vec& p) const {
    const Vec grad = hn::Mul(g, scale_);
    m = Flush(hn::MulAdd(m, beta1_, hn::Mul(grad, gain1_)));
    v = Flush(hn::MulAdd(v, beta2_, hn::Mul(hn::Mul(grad, grad), gain2_)));
    const Vec divisor = hn::MulAdd(hn::Sqrt(v), correction_, epsilon_);
    const Vec change = hn::Div(m, divisor);
    p = hn::NegMulAdd(step_size_, change, hn::Mul(p, decay_));
  }

 private:
  // without a gradient (a dead unit) the moments decay into subnormal numbers, which never reach
  // zero and make every operation on them many times slower
  static HWY_INLINE Vec Flush(Vec x) {
    const Vec smallest = Constant(std::numeric_limits<float>::min());
    return hn::IfThenZeroElse(hn::Lt(hn::Abs(x), smallest), x);
  }
  Vec beta1_, beta2_, gain1_, gain2_, scale_, epsilon_, step_size_, correction_, decay_;
};

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#endif
