// Matrix products beside what the machine can do and beside ATen: linear layers on packed weights
// from one row (memory) to many (arithmetic), and the products of training. Ceilings, ours and
// ATen's take turns in every round, because a shared machine drifts within seconds; a share is the
// median over rounds of rate / ceiling of the same round. One JSON object a line.
//   linear_bench [--quick] [--threads N] [--rounds N] [--only linear|gemm]
#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "bench/figure.h"
#include "core/clock.h"
#include "kernels/cpu_info.h"
#include "kernels/linear.h"

namespace pawl::kernels {
namespace {

// Copies of a weight in turn, so that a call never finds its weights in a cache.
constexpr size_t kColdBytes = size_t{440} << 20;

struct Options {
  int threads = 2;
  int rounds = 9;
  double seconds = 0.04;  // a contender's turn in a round
};

// Seconds a call takes, the mean over calls of about `seconds` together; `best` falls to the
// fastest call, which on a busy machine is the one that nobody interrupted.
double TimePerCall(const std::function<void()>& f, double seconds, double* best) {
  const double start = core::MonotonicSeconds();
  double now = start;
  int calls = 0;
  do {
    const double before = now;
    f();
    ++calls;
    now = core::MonotonicSeconds();
    *best = std::min(*best, now - before);
  } while (now - start < seconds);
  return (now - start) / calls;
}

double ReadCeiling(const Options& options) {
  return std::max(MeasureReadBandwidth(options.threads, 4, options.seconds),
                  MeasureReadBandwidth(options.threads, 8, options.seconds));
}

std::vector<float> Random(int64_t count) {
  std::vector<float> x(count);
  uint32_t state = 12345;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(state >> 8) * 0x1p-23f - 1;
  }
  return x;
}
torch::Tensor Wrap(std::vector<float>& x, int64_t rows, int64_t columns) {
  return torch::from_blob(x.data(), {rows, columns});
}

// Rates of one case, round by round.
struct Rounds {
  Figure ours, aten, fma, read, share_fma, share_read, aten_over_ours;
  double best = HUGE_VAL, aten_best = HUGE_VAL, best_fma = 0;
  void Add(const Options& options, bool memory, double operations, double bytes,
           const std::function<void()>& run, const std::function<void()>& run_aten) {
    fma.samples.push_back(MeasureFmaRate(options.threads, options.seconds));
    if (memory) read.samples.push_back(ReadCeiling(options));
    ours.samples.push_back(TimePerCall(run, options.seconds, &best));
    const double time = ours.samples.back();
    if (run_aten) {
      aten.samples.push_back(TimePerCall(run_aten, options.seconds, &aten_best));
      aten_over_ours.samples.push_back(aten.samples.back() / time);
    }
    // the ceilings once more behind: the better of both
    const double peak =
        std::max(fma.samples.back(), MeasureFmaRate(options.threads, options.seconds));
    best_fma = std::max(best_fma, peak);
    share_fma.samples.push_back(operations / time / peak);
    if (memory) {
      share_read.samples.push_back(bytes / time /
                                   std::max(read.samples.back(), ReadCeiling(options)));
    }
  }
  void Print(const std::string& name, double operations, double bytes, const Options& options) {
    nlohmann::json line = {{"case", name},
                           {"us", ours.Median() * 1e6},
                           {"gflops", operations / ours.Median() * 1e-9},
                           {"fma_ceiling_gflops", fma.Median() * 1e-9},
                           {"share_of_fma", share_fma.Json()},
                           {"best_us", best * 1e6},
                           {"best_share_of_fma", operations / best / best_fma},
                           {"threads", options.threads},
                           {"rounds", options.rounds}};
    if (!aten.samples.empty()) {
      line["aten_best_us"] = aten_best * 1e6;
      line["aten_us"] = aten.Median() * 1e6;
      line["aten_over_ours"] = aten_over_ours.Json();
    }
    if (!share_read.samples.empty()) {
      line["gb_per_s"] = bytes / ours.Median() * 1e-9;
      line["read_ceiling_gb_per_s"] = read.Median() * 1e-9;
      line["share_of_read"] = share_read.Json();
    }
    std::printf("%s\n", line.dump().c_str());
    std::fprintf(stderr, "%-34s %9.1f us %6.1f GFLOP/s (%.2f of FMA, best call %.2f)", name.c_str(),
                 ours.Median() * 1e6, operations / ours.Median() * 1e-9, share_fma.Median(),
                 operations / best / best_fma);
    if (!share_read.samples.empty()) {
      std::fprintf(stderr, " %5.1f GB/s (%.2f of read)", bytes / ours.Median() * 1e-9,
                   share_read.Median());
    }
    if (!aten.samples.empty()) {
      std::fprintf(stderr, "  ATen %9.1f us: %.2fx, best %.2fx", aten.Median() * 1e6,
                   aten_over_ours.Median(), aten_best / best);
    }
    std::fprintf(stderr, "\n");
    std::fflush(stdout);
  }
};

void BenchLinear(const Options& options, WeightType type, int64_t out, int64_t in,
                 const std::vector<int64_t>& all_rows, Team& team) {
  std::vector<float> w = Random(out * in);
  const int64_t most_rows = *std::max_element(all_rows.begin(), all_rows.end());
  std::vector<float> x = Random(most_rows * in), y(most_rows * out);
  std::vector<PackedWeight> copies;
  copies.emplace_back(type, out, in, MatrixRef{.f32 = w.data(), .stride = in}, team);
  const double bytes = static_cast<double>(copies[0].size_bytes());
  while (copies.size() * bytes < kColdBytes) copies.push_back(PackedWeight(copies[0]));
  std::vector<torch::Tensor> plain = {Wrap(w, out, in)};
  while (plain.size() * w.size() * sizeof(float) < kColdBytes) plain.push_back(plain[0].clone());
  size_t turn = 0, aten_turn = 0;
  for (int64_t rows : all_rows) {
    const double operations = 2.0 * rows * out * in;
    const torch::Tensor input = Wrap(x, rows, in);
    auto run = [&] {
      Linear(copies[turn++ % copies.size()],
             {.rows = rows, .x = x.data(), .x_stride = in, .y = y.data(), .y_stride = out}, team);
    };
    torch::Tensor aten_y = torch::zeros({rows, out});  // kept, as ours is
    auto run_aten = [&] { at::mm_out(aten_y, input, plain[aten_turn++ % plain.size()].t()); };
    run();
    run_aten();
    Rounds rounds;
    for (int i = 0; i < options.rounds; ++i) {
      rounds.Add(options, rows <= 32, operations, bytes, run, run_aten);
    }
    rounds.Print(fmt::format("linear {} {}x{} rows {}", type == WeightType::kF32 ? "f32" : "bf16",
                             out, in, rows),
                 operations, bytes, options);
  }
}

struct Product {
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false, accumulate = false;
};

void BenchGemm(const Options& options, const Product& p, Team& team) {
  std::vector<float> a = Random(p.m * p.k), b = Random(p.k * p.n), c(p.m * p.n), d(p.m * p.n);
  auto tensor = [](std::vector<float>& x, int64_t rows, int64_t columns, bool transposed) {
    return transposed ? Wrap(x, columns, rows).t() : Wrap(x, rows, columns);
  };
  const torch::Tensor left = tensor(a, p.m, p.k, p.a_transposed);
  const torch::Tensor right = tensor(b, p.k, p.n, p.b_transposed);
  torch::Tensor result = Wrap(d, p.m, p.n);
  const GemmArgs args{
      .m = p.m,
      .n = p.n,
      .k = p.k,
      .a = {.f32 = a.data(), .stride = p.a_transposed ? p.m : p.k, .transposed = p.a_transposed},
      .b = {.f32 = b.data(), .stride = p.b_transposed ? p.k : p.n, .transposed = p.b_transposed},
      .c = c.data(),
      .c_stride = p.n,
      .accumulate = p.accumulate};
  auto run = [&] { Gemm(args, team); };
  auto run_aten = [&] {
    if (p.accumulate) {
      result.addmm_(left, right);
    } else {
      at::matmul_out(result, left, right);
    }
  };
  run();
  run_aten();
  const double operations = 2.0 * p.m * p.n * p.k;
  Rounds rounds;
  for (int i = 0; i < options.rounds; ++i) {
    rounds.Add(options, false, operations, 0, run, run_aten);
  }
  rounds.Print(fmt::format("gemm {}x{}x{} {}{}{}", p.m, p.n, p.k, p.a_transposed ? "T" : "N",
                           p.b_transposed ? "T" : "N", p.accumulate ? " +=" : ""),
               operations, 0, options);
}

// A linear layer [out, in] on `rows` rows as training does it: forward, gradient of its input,
// gradient of its weight added up.
void BenchLayer(const Options& options, int64_t rows, int64_t out, int64_t in, Team& team) {
  BenchGemm(options, {.m = rows, .n = out, .k = in, .b_transposed = true}, team);
  BenchGemm(options, {.m = rows, .n = in, .k = out}, team);
  BenchGemm(options, {.m = out, .n = in, .k = rows, .a_transposed = true, .accumulate = true},
            team);
}

void Run(const Options& options, bool quick, const std::string& only) {
  Team team(options.threads);
  if (only != "gemm") {
    std::vector<std::pair<int64_t, int64_t>> shapes = {{4864, 896}, {896, 4864}, {768, 288}};
    if (!quick) {
      shapes.insert(shapes.end(), {{1152, 896}, {288, 768}, {32000, 288}, {151936, 896}});
    }
    for (auto [out, in] : shapes) {
      for (WeightType type : {WeightType::kF32, WeightType::kBF16}) {
        BenchLinear(options, type, out, in, {1, 8, 32, 512}, team);
      }
    }
  }
  if (only == "linear") return;
  struct Layer {
    int64_t rows, out, in;
  };
  std::vector<Layer> layers = {{4096, 768, 288}, {1024, 4864, 896}, {512, 32000, 288}};
  if (!quick) {
    layers.insert(layers.end(), {{4096, 288, 288},
                                 {4096, 864, 288},
                                 {4096, 1536, 288},
                                 {4096, 288, 768},
                                 {1024, 1152, 896},
                                 {1024, 896, 896},
                                 {1024, 9728, 896},
                                 {1024, 896, 4864},
                                 {256, 4864, 896},
                                 {512, 151936, 896}});
  }
  for (const Layer& layer : layers) BenchLayer(options, layer.rows, layer.out, layer.in, team);
}

}  // namespace
}  // namespace pawl::kernels

int main(int argc, char** argv) {
  using namespace pawl::kernels;
  CLI::App app("matrix products beside the machine's ceilings and ATen");
  Options options;
  bool quick = false;
  std::string only;
  app.add_flag("--quick", quick, "the main shapes, 3 rounds");
  app.add_option("--threads", options.threads, "of ours, ATen and the ceilings");
  app.add_option("--rounds", options.rounds, "rounds of every case");
  app.add_option("--only", only, "linear or gemm")->check(CLI::IsMember({"linear", "gemm"}));
  CLI11_PARSE(app, argc, argv);
  if (quick && app.count("--rounds") == 0) options.rounds = 3;
  torch::set_num_threads(options.threads);
  const torch::NoGradGuard no_grad;
  const CpuInfo cpu = ReadCpuInfo();
  std::fprintf(stderr, "%s, %d cores, %s; medians of %d rounds\n", cpu.model.c_str(), cpu.cores,
               cpu.target.c_str(), options.rounds);
  Run(options, quick, only);
}
