// The language-model head with a cross-entropy loss, forward and backward, beside the eager
// LibTorch composition (logits = x W^T, cross_entropy, autograd to dX and dW) on the same numbers
// in the same rounds. The machine's multiply-add rate is measured before and after every contender;
// a share is 6 T V d operations against the better of the two. Memory is the growth of the
// process's peak. One JSON object a line.
//   lm_head_bench [--quick] [--rounds N] [--rows T --vocab V --width D] [--no-eager]
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "bench/figure.h"
#include "core/clock.h"
#include "core/rng.h"
#include "kernels/cpu_info.h"
#include "kernels/lm_head.h"

namespace pawl::kernels {
namespace {
constexpr int kThreads = 2;

struct Shape {
  int64_t rows = 0, vocab = 0, width = 0;
  double Operations() const { return 6.0 * double(rows) * double(vocab) * double(width); }
};

// Starts the count of peak memory anew (proc(5)).
void ResetPeak() { std::ofstream("/proc/self/clear_refs") << 5; }
// Peak resident bytes of the process since.
double PeakBytes() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    double kib = 0;
    if (word == "VmHWM:" && file >> kib) return kib * 1024;
  }
  return 0;
}

std::vector<float> Random(int64_t count, double scale) {
  std::vector<float> x(count);
  core::Philox rng(1, core::Role::kTest, uint64_t(count) & 0xffffffffu, 0);
  for (float& v : x) v = static_cast<float>(scale * rng.Uniform(-1, 1));
  return x;
}

// One contender over the rounds.
struct Times {
  std::vector<double> seconds, share;
  void Run(const Shape& shape, const std::function<void()>& f) {
    const double before = MeasureFmaRate(kThreads, 0.05);
    const double start = core::MonotonicSeconds();
    f();
    seconds.push_back(core::MonotonicSeconds() - start);
    const double peak = std::max(before, MeasureFmaRate(kThreads, 0.05));
    share.push_back(shape.Operations() / seconds.back() / peak);
  }
};

// The inputs, our call and the eager one; each leaves dX and dW.
class Bench {
 public:
  explicit Bench(const Shape& shape)
      : shape_(shape),
        x_(Random(shape.rows * shape.width, 1)),
        weight_(Random(shape.vocab * shape.width, 0.1)),
        dx_(x_.size()),
        dweight_(weight_.size()),
        log_prob_(shape.rows),
        team_(kThreads) {
    for (int64_t r = 0; r < shape.rows; ++r) {
      targets_.push_back(static_cast<int32_t>(r * 7919 % shape.vocab));
    }
  }
  void Ours(bool backward) {
    LmHeadArgs args = Args();
    if (!backward) args.loss = nullptr;
    if (backward) std::fill(dweight_.begin(), dweight_.end(), 0.0f);
    LmHeadLoss(args, team_);
  }
  void Eager() {
    auto wrap = [&](std::vector<float>& x, int64_t rows) {
      return torch::from_blob(x.data(), {rows, shape_.width}).requires_grad_();
    };
    const torch::Tensor x = wrap(x_, shape_.rows), weight = wrap(weight_, shape_.vocab);
    const torch::Tensor targets =
        torch::from_blob(targets_.data(), {shape_.rows}, torch::kInt32).to(torch::kLong);
    const torch::Tensor loss = torch::cross_entropy_loss(x.matmul(weight.t()), targets);
    loss.backward();
    eager_loss_ = loss.item<double>();
    eager_dx_ = x.grad();
    eager_dweight_ = weight.grad();
  }
  LmHeadArgs Args() {
    return {.rows = shape_.rows,
            .width = shape_.width,
            .vocab = shape_.vocab,
            .x = x_.data(),
            .x_stride = shape_.width,
            .weight = {.f32 = weight_.data(), .stride = shape_.width},
            .targets = targets_,
            .log_prob = log_prob_.data(),
            .loss = &loss_,
            .dx = dx_.data(),
            .dx_stride = shape_.width,
            .dweight = dweight_.data()};
  }
  // How far apart the two are: the loss, and gradients relative to their largest entry.
  nlohmann::json Difference() {
    double loss = 0;
    for (float l : log_prob_) loss -= double(l) / double(shape_.rows);
    auto apart = [](std::vector<float>& ours, const torch::Tensor& eager) {
      const torch::Tensor mine = torch::from_blob(ours.data(), eager.sizes());
      return ((mine - eager).abs().max() / eager.abs().max()).item<double>();
    };
    return {{"loss", std::abs(loss - eager_loss_)},
            {"dx", apart(dx_, eager_dx_)},
            {"dweight", apart(dweight_, eager_dweight_)}};
  }

 private:
  Shape shape_;
  std::vector<float> x_, weight_, dx_, dweight_, log_prob_;
  std::vector<int32_t> targets_;
  Team team_;
  double eager_loss_ = 0;
  torch::Tensor eager_dx_, eager_dweight_;
  TokenLoss loss_ = [this](int64_t, std::span<const float>, std::span<const float>,
                           std::span<float> dlog_prob, std::span<float>) {
    std::fill(dlog_prob.begin(), dlog_prob.end(), -1.0f / static_cast<float>(shape_.rows));
  };
};

void RunCase(const Shape& shape, int rounds, bool with_eager) {
  Bench bench(shape);
  Times forward, ours, eager;
  double ours_growth = 0, eager_growth = 0;
  for (int i = 0; i < rounds; ++i) {
    ResetPeak();
    double before = PeakBytes();
    ours.Run(shape, [&] { bench.Ours(true); });
    ours_growth = std::max(ours_growth, PeakBytes() - before);
    forward.Run(shape, [&] { bench.Ours(false); });
    if (!with_eager) continue;
    ResetPeak();
    before = PeakBytes();
    eager.Run(shape, [&] { bench.Eager(); });
    eager_growth = std::max(eager_growth, PeakBytes() - before);
  }
  nlohmann::json line = {{"case", "lm_head"},
                         {"rows", shape.rows},
                         {"vocab", shape.vocab},
                         {"width", shape.width},
                         {"rounds", rounds},
                         {"seconds", Median(ours.seconds)},
                         {"forward_seconds", Median(forward.seconds)},
                         {"share_of_fma", Median(ours.share)},
                         {"workspace_mb", double(LmHeadWorkspaceBytes(bench.Args())) * 1e-6},
                         {"peak_growth_mb", ours_growth * 1e-6},
                         {"logits_mb", 4e-6 * double(shape.rows) * double(shape.vocab)}};
  if (with_eager) {
    std::vector<double> ratio;
    for (int i = 0; i < rounds; ++i) ratio.push_back(eager.seconds[i] / ours.seconds[i]);
    line["eager_seconds"] = Median(eager.seconds);
    line["eager_share_of_fma"] = Median(eager.share);
    line["eager_peak_growth_mb"] = eager_growth * 1e-6;
    line["eager_over_ours"] = Median(ratio);
    line["difference"] = bench.Difference();
  }
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  CLI::App app("The language-model head beside eager LibTorch");
  bool quick = false, no_eager = false;
  int rounds = 3;
  Shape shape;
  app.add_flag("--quick", quick, "small shapes, one round");
  app.add_flag("--no-eager", no_eager, "ours alone");
  app.add_option("--rounds", rounds, "rounds of each case")->check(CLI::PositiveNumber);
  app.add_option("--rows", shape.rows, "tokens (with --vocab and --width: this case only)");
  app.add_option("--vocab", shape.vocab, "tokens of the vocabulary");
  app.add_option("--width", shape.width, "hidden width");
  CLI11_PARSE(app, argc, argv);
  torch::set_num_threads(kThreads);
  std::vector<Shape> shapes = {{4096, 32000, 288}, {4096, 151936, 896}};
  if (quick) shapes = {{512, 32000, 288}, {300, 8000, 64}};
  if (shape.rows > 0 && shape.vocab > 0 && shape.width > 0) shapes = {shape};
  for (const Shape& s : shapes) RunCase(s, quick ? 1 : rounds, !no_eager);
  return 0;
}

}  // namespace
}  // namespace pawl::kernels

int main(int argc, char** argv) { return pawl::kernels::Main(argc, argv); }
