#include "kernels/cpu_info.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu_info.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "core/thread_pool.h"
#include "kernels/cpu_target.h"
#include "kernels/mlp.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// `rounds` rounds of independent multiply-adds; returns the operations done.
double FmaRounds(int rounds, float* sink) {
  constexpr int kChains =
      kVectors == 1 ? 16 : 12;  // enough to hide the latency, few enough to stay in registers
  Vec sum[kChains];
  Each<kChains>([&](auto i) PAWL_INLINE_LAMBDA { sum[i] = Constant(static_cast<float>(i)); });
  const Vec a = Constant(0.999f), b = Constant(1e-3f);
  for (int round = 0; round < rounds; ++round) {
    Each<kChains>([&](auto i) PAWL_INLINE_LAMBDA { sum[i] = hn::MulAdd(sum[i], a, b); });
  }
  Vec total = sum[0];
  for (int i = 1; i < kChains; ++i) total = hn::Add(total, sum[i]);
  *sink = hn::GetLane(total);
  return 2.0 * rounds * kChains * kLanes;
}

// Sum of `count` floats, read as `streams` runs side by side (count / streams is a multiple of 64).
float ReadAll(const float* data, size_t count, int streams) {
  Vec sum[4] = {hn::Zero(kTag), hn::Zero(kTag), hn::Zero(kTag), hn::Zero(kTag)};
  const size_t part = count / streams;
  for (size_t i = 0; i < part; i += 2 * kPanel) {
    for (int s = 0; s < streams; ++s) {
      const float* at = data + s * part + i;
      for (int j = 0; j < 2 * kVectors; j += 2) {
        sum[j & 2] = hn::Add(sum[j & 2], hn::Load(kTag, at + j * kLanes));
        sum[(j & 2) + 1] = hn::Add(sum[(j & 2) + 1], hn::Load(kTag, at + (j + 1) * kLanes));
      }
    }
  }
  return hn::GetLane(hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])));
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(FmaRounds);
HWY_EXPORT(ReadAll);
namespace {
using Clock = std::chrono::steady_clock;
double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

// Best rate of `slices` slices in which all threads work at the same time; work(thread) returns the
// units it did and is called until its slice is over.
double BestRate(int threads, double seconds, const std::function<double(int)>& work) {
  constexpr int kSlices = 5;
  double best = 0;
  for (int slice = 0; slice < kSlices; ++slice) {
    std::vector<double> rate(threads);
    std::atomic<int> ready{0};
    auto run = [&](int thread) {
      ready.fetch_add(1);
      while (ready.load() < threads) std::this_thread::yield();
      const auto start = Clock::now();
      double units = 0;
      do units += work(thread);
      while (Seconds(start) < seconds / kSlices);
      rate[thread] = units / Seconds(start);
    };
    std::vector<std::jthread> others;
    try {
      for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
    } catch (...) {
      ready.store(threads);  // those that run wait for the others
      throw;
    }
    run(0);
    others.clear();  // joins
    double sum = 0;
    for (double r : rate) sum += r;
    best = std::max(best, sum);
  }
  return best;
}

// The value of the first "key : value" line of /proc/cpuinfo with this key.
std::string CpuinfoField(const std::string& key) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (line.compare(0, key.size(), key) != 0 || colon == std::string::npos) continue;
    return colon + 2 < line.size() ? line.substr(colon + 2) : "";
  }
  return "";
}
}  // namespace

CpuInfo ReadCpuInfo() {
  CpuInfo info{.model = CpuinfoField("model name"), .target = CpuTarget()};
  info.cores = core::NumCores();
  static constexpr const char* kOfInterest[] = {
      "sse4_2",   "avx",      "avx2",        "fma",         "f16c",
      "avx_vnni", "avx512f",  "avx512_vnni", "avx512_bf16", "avx512_fp16",
      "amx_tile", "amx_int8", "amx_bf16",    "asimd",       "sve"};
  const std::string flags = CpuinfoField("flags");
  std::istringstream words(flags.empty() ? CpuinfoField("Features") : flags);
  for (std::string word; words >> word;) {
    if (std::find(std::begin(kOfInterest), std::end(kOfInterest), word) != std::end(kOfInterest)) {
      info.features.push_back(word);
    }
  }
  return info;
}

double MeasureFmaRate(int threads, double seconds) {
  return BestRate(threads, seconds, [](int) {
    float sink;
    return HWY_DYNAMIC_DISPATCH(FmaRounds)(20000, &sink);
  });
}

double MeasureReadBandwidth(int threads, int streams, double seconds) {
  constexpr size_t kCount = size_t(32) << 20;  // floats: 128 MiB, beyond any cache's share
  std::vector<AlignedBuffer> data;
  for (int thread = 0; thread < threads; ++thread) {
    data.emplace_back(kCount);
    // memory never written is one page of zeros, read from the cache
    std::fill_n(data.back().data(), kCount, 1.0f);
  }
  std::vector<float> sink(threads);
  return BestRate(threads, seconds, [&](int thread) {
    sink[thread] = HWY_DYNAMIC_DISPATCH(ReadAll)(data[thread].data(), kCount, streams);
    return static_cast<double>(kCount * sizeof(float));
  });
}

}  // namespace pawl::kernels
#endif
