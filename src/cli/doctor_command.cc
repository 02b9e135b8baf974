#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cli/command.h"
#include "core/error.h"
#include "envs/render.h"
#include "kernels/cpu_info.h"
#include "kernels/cuda_library.h"

namespace pawl::cli {
namespace {
constexpr double kMeasureSeconds = 0.05;
constexpr int kReadStreams = 4;

// "MemTotal" of /proc/meminfo, in GB.
double MemoryGb(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  for (std::string name, unit; in >> name;) {
    double kilobytes = 0;
    in >> kilobytes;
    std::getline(in, unit);
    if (name == key + ":") return kilobytes * 1024 / 1e9;
  }
  return 0;
}

void PrintCpu() {
  const auto cpu = kernels::ReadCpuInfo();
  std::printf("processor     %s, %d cores\n", cpu.model.c_str(), cpu.cores);
  std::printf("instructions  %s (the kernels use %s)\n",
              fmt::format("{}", fmt::join(cpu.features, " ")).c_str(), cpu.target.c_str());
  std::printf("memory        %.1f GB, %.1f GB free\n", MemoryGb("MemTotal"),
              MemoryGb("MemAvailable"));
  std::printf("fp32 rate     %.0f GFLOP/s on 1 core, %.0f on %d\n",
              kernels::MeasureFmaRate(1, kMeasureSeconds) / 1e9,
              kernels::MeasureFmaRate(cpu.cores, kMeasureSeconds) / 1e9, cpu.cores);
  std::printf("memory read   %.1f GB/s on 1 core, %.1f on %d\n",
              kernels::MeasureReadBandwidth(1, kReadStreams, kMeasureSeconds) / 1e9,
              kernels::MeasureReadBandwidth(cpu.cores, kReadStreams, kMeasureSeconds) / 1e9,
              cpu.cores);
}

void PrintGpu() {
  const std::string path = kernels::CudaLibrary::DefaultPath();
  if (!std::filesystem::exists(path)) {
    std::printf("CUDA          no libpawl_cuda.so (nvcc was not found when Pawl was built)\n");
    return;
  }
  try {
    const auto library = kernels::CudaLibrary::Load();
    const int devices = library.DeviceCount();
    std::printf("CUDA          libpawl_cuda.so loads, %d device%s\n", devices,
                devices == 1 ? "" : "s");
    for (int i = 0; i < devices; ++i)
      std::printf("              %d: %s\n", i, library.DeviceName(i).c_str());
  } catch (const Error& error) {
    std::printf("CUDA          %s\n", error.what());
  }
}

void PrintGl() {
  try {
    envs::Renderer renderer({.width = 64, .height = 64});
    std::printf("rendering     OpenGL works offscreen\n");
  } catch (const Error& error) {
    std::printf("rendering     %s\n", error.what());
  }
}
}  // namespace

void AddDoctor(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "doctor", "What this machine has, what it reaches, and what Pawl makes of it");
  command->callback([&exit_code] {
    PrintCpu();
    PrintGpu();
    PrintGl();
    exit_code = 0;
  });
}

}  // namespace pawl::cli
