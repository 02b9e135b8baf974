#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "cli/command.h"
#include "kernels/cpu_target.h"

namespace pawl::cli {

void AddDoctor(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("doctor", "What this machine has and what Pawl makes of it");
  command->callback([&exit_code] {
    std::printf("cores         %u\n", std::thread::hardware_concurrency());
    std::printf("instructions  %s\n", kernels::CpuTarget().c_str());
    exit_code = 0;
  });
}

}  // namespace pawl::cli
