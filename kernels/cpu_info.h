// What the CPU is and what it reaches, measured: the limits that benchmarks state their shares of,
// and what `pawl doctor` prints. Measuring keeps the named number of cores busy.
#pragma once
#include <string>
#include <vector>

namespace pawl::kernels {

struct CpuInfo {
  std::string model;                  // "AMD EPYC 7763 64-Core Processor"; "" where unknown
  int cores = 0;                      // this process may run on
  std::vector<std::string> features;  // "avx2", "fma", ...: those of interest that it has
  std::string target;                 // instruction set the kernels use (cpu_target.h)
};
CpuInfo ReadCpuInfo();

// float32 operations a second (a multiply-add counts two) of independent multiply-adds in
// registers, the sum over `threads`; best of several slices of `seconds`.
double MeasureFmaRate(int threads, double seconds);
// Bytes a second read from memory: every thread reads 128 MiB of its own as `streams` streams (one
// stream is not the ceiling: 4 to 8 are); best of several slices of `seconds`.
double MeasureReadBandwidth(int threads, int streams, double seconds);

}  // namespace pawl::kernels
