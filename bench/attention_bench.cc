// Causal grouped attention, forward, backward and decode, beside LibTorch's scaled dot product
// attention on the same shape and threads, and beside what the cores can do: multiply-add rate and
// read bandwidth are measured in the same rounds, alternating with the contenders. Operations are
// those that causality needs. On a busy machine the clock counts what others took, from us and from
// the ceiling in turn, so processor time is also given, beside the best of short one-thread slices
// of the multiply-add rate. One JSON object per case, then a line on stderr.
//   attention_bench [--only NAME] [--rounds N] [--seconds S] [--threads N] [--no-peer]
#include <fmt/format.h>
#include <time.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "bench/figure.h"
#include "core/clock.h"
#include "core/rng.h"
#include "kernels/attention.h"
#include "kernels/cpu_info.h"

namespace pawl::kernels {
namespace {

struct Options {
  int rounds = 7;
  int threads = 2;
  double seconds = 0.05;  // a contender's turn in a round
  bool no_peer = false;
  std::string only;
};

// Of one call: seconds by the clock, and of processors, over all threads.
struct Cost {
  double wall = 0, cpu = 0;
};

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// Cost of a call of f: medians over `seconds`.
Cost TimePerCall(const std::function<void()>& f, double seconds) {
  f();
  std::vector<double> wall, cpu;
  const double end = core::MonotonicSeconds() + seconds;
  while (core::MonotonicSeconds() < end || wall.empty()) {
    const double cpu_start = CpuSeconds(), start = core::MonotonicSeconds();
    f();
    wall.push_back(core::MonotonicSeconds() - start);
    cpu.push_back(CpuSeconds() - cpu_start);
  }
  auto median = [](std::vector<double>& x) {
    std::nth_element(x.begin(), x.begin() + x.size() / 2, x.end());
    return x[x.size() / 2];
  };
  return {median(wall), median(cpu)};
}

struct Shape {
  int64_t sequences, length, heads, kv_heads, head_dim;
  std::string Name() const {
    return fmt::format("{} x {}, {}/{} heads x {}", sequences, length, heads, kv_heads, head_dim);
  }
};

core::Buffer<float> Normal(size_t count, uint64_t seed = 0) {
  core::Buffer<float> x(count);
  core::Philox rng(count, core::Role::kTest, seed, 0);
  for (float& value : x.span()) value = static_cast<float>(rng.Normal());
  return x;
}

// Sequences of equal length as a training batch packs them.
struct Batch {
  explicit Batch(const Shape& s)
      : shape(s),
        q(Normal(s.sequences * s.length * s.heads * s.head_dim)),
        k(Normal(s.sequences * s.length * s.kv_heads * s.head_dim)),
        v(Normal(k.size(), 1)),
        dout(Normal(q.size(), 1)),
        out(q.size()),
        dq(q.size()),
        dk(k.size()),
        dv(k.size()),
        log_sum(s.sequences * s.length * s.heads) {
    const int64_t width = s.heads * s.head_dim, kv_width = s.kv_heads * s.head_dim;
    for (int64_t i = 0; i < s.sequences; ++i) {
      sequences.push_back({.row = i * s.length,
                           .queries = s.length,
                           .k = k.data() + i * s.length * kv_width,
                           .v = v.data() + i * s.length * kv_width});
    }
    backward = {.forward = {.shape = {.heads = s.heads,
                                      .kv_heads = s.kv_heads,
                                      .head_dim = s.head_dim,
                                      .scale = 1 / std::sqrt(static_cast<float>(s.head_dim))},
                            .sequences = sequences,
                            .q = q.data(),
                            .q_stride = width,
                            .kv_stride = kv_width,
                            .out = out.data(),
                            .out_stride = width,
                            .log_sum = log_sum.data()},
                .dout = dout.data(),
                .dout_stride = width,
                .dq = dq.data(),
                .dq_stride = width,
                .dk = dk.data(),
                .dv = dv.data(),
                .dkv_stride = kv_width};
  }
  Shape shape;
  core::Buffer<float> q, k, v, dout, out, dq, dk, dv, log_sum;
  std::vector<AttentionSequence> sequences;
  AttentionBackwardArgs backward;
};

// The same numbers in LibTorch's layout [B, H, S, K].
torch::Tensor ToTorch(const core::Buffer<float>& x, const Shape& s, int64_t heads) {
  return torch::from_blob(const_cast<float*>(x.data()), {s.sequences, s.length, heads, s.head_dim})
      .transpose(1, 2)
      .contiguous();
}
double Difference(const core::Buffer<float>& x, const torch::Tensor& y, const Shape& s,
                  int64_t heads) {
  return (ToTorch(x, s, heads) - y).abs().max().item<double>();
}
torch::Tensor Sdpa(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                   bool causal) {
  return at::scaled_dot_product_attention(q, k, v, {}, 0.0, causal, {}, q.size(1) != k.size(1));
}

void BenchTraining(const Options& options, const Shape& shape) {
  Team team(options.threads);
  Batch batch(shape);
  const auto q = ToTorch(batch.q, shape, shape.heads).requires_grad_();
  const auto k = ToTorch(batch.k, shape, shape.kv_heads).requires_grad_();
  const auto v = ToTorch(batch.v, shape, shape.kv_heads).requires_grad_();
  const auto dout = ToTorch(batch.dout, shape, shape.heads);
  const auto forward = [&] { AttentionForward(batch.backward.forward, team); };
  const auto backward = [&] { AttentionBackward(batch.backward, team); };
  forward();
  backward();
  const auto out = Sdpa(q, k, v, true);
  const auto grad = [&] { return torch::autograd::grad({out}, {q, k, v}, {dout}, true); };
  const auto grads = grad();
  const double difference = std::max({Difference(batch.out, out, shape, shape.heads),
                                      Difference(batch.dq, grads[0], shape, shape.heads),
                                      Difference(batch.dk, grads[1], shape, shape.kv_heads),
                                      Difference(batch.dv, grads[2], shape, shape.kv_heads)});
  Figure peak, ours[2], theirs[2], share[2], cpu[2];
  double core_rate = 0;  // of one thread
  // two products of the scores' triangle forward, five backward
  const double pairs = shape.sequences * shape.heads * shape.length * (shape.length + 1) / 2.0;
  const double flops[2] = {4 * pairs * shape.head_dim, 10 * pairs * shape.head_dim};
  for (int round = 0; round < options.rounds; ++round) {
    for (int pass = 0; pass < 2; ++pass) {
      const auto run = [&] { pass == 0 ? forward() : backward(); };
      const double before = MeasureFmaRate(options.threads, options.seconds / 4);
      const Cost cost = TimePerCall(run, options.seconds);
      const double rate = std::max(before, MeasureFmaRate(options.threads, options.seconds / 4));
      peak.samples.push_back(rate);
      ours[pass].samples.push_back(cost.wall);
      share[pass].samples.push_back(flops[pass] / cost.wall / rate);
      cpu[pass].samples.push_back(cost.cpu);
      core_rate = std::max(core_rate, MeasureFmaRate(1, 5e-3));
      if (options.no_peer) continue;
      theirs[pass].samples.push_back(TimePerCall(
                                         [&] {
                                           if (pass == 1) {
                                             grad();
                                           } else {
                                             torch::NoGradGuard no_grad;
                                             Sdpa(q, k, v, true);
                                           }
                                         },
                                         options.seconds)
                                         .wall);
    }
  }
  for (int pass = 0; pass < 2; ++pass) {
    const double cpu_share = flops[pass] / cpu[pass].Median() / core_rate;
    const auto name = fmt::format("{} {}", pass == 0 ? "forward" : "backward", shape.Name());
    const nlohmann::json line = {{"case", name},
                                 {"threads", options.threads},
                                 {"s", ours[pass].Json()},
                                 {"needed_flops", flops[pass]},
                                 {"flops_per_s", flops[pass] / ours[pass].Median()},
                                 {"fma_flops_per_s", peak.Json()},
                                 {"share_of_fma", share[pass].Json()},
                                 {"cpu_s", cpu[pass].Json()},
                                 {"core_fma_flops_per_s", core_rate},
                                 {"share_of_core_fma_in_cpu_time", cpu_share},
                                 {"libtorch_s", theirs[pass].Json()},
                                 {"largest_difference", difference}};
    std::printf("%s\n", line.dump().c_str());
    std::fprintf(
        stderr,
        "%-38s %8.3f ms %6.1f GFLOP/s, %.2f of FMA (%.2f in CPU time); LibTorch %8.3f ms, %.2fx\n",
        name.c_str(), ours[pass].Median() * 1e3, flops[pass] / ours[pass].Median() / 1e9,
        share[pass].Median(), cpu_share, theirs[pass].Median() * 1e3,
        theirs[pass].Median() / ours[pass].Median());
  }
}

// One query a sequence against `keys` keys in memory: layers of a cache of 256 MiB take turns.
void BenchDecode(const Options& options, int64_t sequences, int64_t keys) {
  Team team(options.threads);
  const Shape shape = {sequences, keys, 14, 2, 64};
  const int64_t width = shape.heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
  const int64_t layer = sequences * keys * kv_width;
  const int64_t layers = std::max<int64_t>((32 << 20) / layer, 1);
  const core::Buffer<float> k = Normal(layer * layers), v = k, q = Normal(sequences * width);
  core::Buffer<float> out(q.size());
  std::vector<AttentionSequence> parts(sequences);
  int64_t turn = 0;
  const auto ours_call = [&] {
    const int64_t at = turn++ % layers * layer;
    for (int64_t i = 0; i < sequences; ++i) {
      parts[i] = {.row = i,
                  .queries = 1,
                  .first_position = keys - 1,
                  .k = k.data() + at + i * keys * kv_width,
                  .v = v.data() + at + i * keys * kv_width};
    }
    AttentionForward({.shape = {.heads = 14, .kv_heads = 2, .head_dim = 64, .scale = 0.125f},
                      .sequences = parts,
                      .q = q.data(),
                      .q_stride = width,
                      .kv_stride = kv_width,
                      .out = out.data(),
                      .out_stride = width},
                     team);
  };
  const auto tq = torch::from_blob(const_cast<float*>(q.data()), {sequences, 14, 1, 64});
  const auto theirs_call = [&] {
    torch::NoGradGuard no_grad;
    const int64_t at = turn++ % layers * layer;
    auto view = [&](const core::Buffer<float>& x) {
      // laid out as transformers' cache
      return torch::from_blob(const_cast<float*>(x.data() + at), {sequences, 2, keys, 64});
    };
    Sdpa(tq, view(k), view(v), false);
  };
  Figure ours, theirs, read, share, fma_share, cpu;
  const double bytes = layer * 2.0 * sizeof(float);
  const double flops = 4.0 * shape.heads * shape.head_dim * keys * sequences;
  for (int round = 0; round < options.rounds; ++round) {
    const double fma = MeasureFmaRate(options.threads, options.seconds / 4);
    const double before = MeasureReadBandwidth(options.threads, 8, options.seconds / 2);
    const Cost cost = TimePerCall(ours_call, options.seconds);
    ours.samples.push_back(cost.wall);
    read.samples.push_back(
        std::max(before, MeasureReadBandwidth(options.threads, 8, options.seconds / 2)));
    share.samples.push_back(bytes / ours.samples.back() / read.samples.back());
    fma_share.samples.push_back(flops / ours.samples.back() / fma);
    cpu.samples.push_back(cost.cpu);
    if (!options.no_peer) {
      theirs.samples.push_back(TimePerCall(theirs_call, options.seconds).wall);
    }
  }
  const auto name = fmt::format("decode {}", shape.Name());
  const nlohmann::json line = {{"case", name},
                               {"threads", options.threads},
                               {"s", ours.Json()},
                               {"bytes", bytes},
                               {"bytes_per_s", bytes / ours.Median()},
                               {"read_bytes_per_s", read.Json()},
                               {"share_of_read", share.Json()},
                               {"cpu_s", cpu.Json()},
                               {"share_of_fma", fma_share.Json()},
                               {"libtorch_s", theirs.Json()}};
  std::printf("%s\n", line.dump().c_str());
  std::fprintf(stderr,
               "%-40s %8.1f us %6.1f GB/s, %.2f of read, %.2f of FMA; LibTorch %8.1f us, %.2fx\n",
               name.c_str(), ours.Median() * 1e6, bytes / ours.Median() / 1e9, share.Median(),
               fma_share.Median(), theirs.Median() * 1e6, theirs.Median() / ours.Median());
}

}  // namespace
}  // namespace pawl::kernels

int main(int argc, char** argv) {
  using namespace pawl::kernels;
  Options options;
  CLI::App app("Causal attention beside LibTorch and the cores' limits");
  app.add_option("--only", options.only, "training or decode")
      ->check(CLI::IsMember({"training", "decode"}));
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "a contender's turn in a round, s")
      ->check(CLI::PositiveNumber);
  app.add_flag("--no-peer", options.no_peer, "leave LibTorch out");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(options.threads);
  const CpuInfo cpu = ReadCpuInfo();
  std::fprintf(stderr, "%s, %d cores, %s; medians of %d rounds\n", cpu.model.c_str(), cpu.cores,
               cpu.target.c_str(), options.rounds);
  if (options.only != "decode") {
    for (const Shape& shape :
         {Shape{16, 256, 6, 6, 48}, {2, 512, 14, 2, 64}, {1, 2048, 8, 8, 64}}) {
      BenchTraining(options, shape);
    }
  }
  if (options.only != "training") {
    for (int64_t keys : {512, 4096}) {
      for (int64_t sequences : {1, 32}) BenchDecode(options, sequences, keys);
    }
  }
}
