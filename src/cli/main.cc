#include "cli/main.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/command.h"
#include "core/error.h"
#include "core/log.h"
#include "envs/mujoco_log.h"
#include "train/actor_process.h"

namespace pawl::cli {
namespace {
constexpr const char* kFooter =
    "In the repository, ./pawl setup installs what is missing and ./pawl test runs every test.";

// CLI11 says only that some sub-command is required.
void CheckSubcommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(command->get_name());
  }
  if (std::find(known.begin(), known.end(), word) != known.end()) return;
  const std::string nearest = NearestName(word, known);
  throw UserError({.what = fmt::format("there is no command '{}'", word),
                   .expected = fmt::format("one of {}", fmt::join(known, ", ")),
                   .hint = nearest.empty() ? fmt::format("see {} --help", app.get_name())
                                           : fmt::format("did you mean '{}'?", nearest)});
}
// One line whatever was in it: file names and keys may hold line breaks, escape codes, megabytes.
std::string OneLine(const std::string& message) {
  constexpr size_t kLongest = 4000;
  std::string line;
  for (const char c : message.substr(0, kLongest)) {
    const auto code = static_cast<unsigned char>(c);
    line += code < 0x20 || code == 0x7f ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return message.size() > kLongest ? line + " ..." : line;
}

int Fail(const std::string& name, const std::string& message, int exit_code) {
  std::fprintf(stderr, "%s: %s\n", name.c_str(), OneLine(message).c_str());
  return exit_code;
}

// Output that did not arrive must not look like success. Training goes on without a terminal.
int CheckOutput(const CLI::App& app, const std::string& name, int exit_code) {
  errno = 0;
  const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  const auto commands = app.get_subcommands();
  if (!lost || exit_code != 0 || (!commands.empty() && commands.front()->get_name() == "train"))
    return exit_code;
  return Fail(name,
              fmt::format("cannot write to standard output ({})",
                          errno != 0 ? std::strerror(errno) : "write error"),
              1);
}
}  // namespace

int Main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], train::kActorArgument) == 0) {
    return train::ActorProcessMain(std::atoi(argv[2]));
  }
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit is a write error, not the end
  // deprecated words in a model that came with Pawl are nothing its user could change
  envs::SetModelWarningSink([](const envs::ModelWarning& warning) {
    const auto level = warning.own ? core::LogLevel::kWarn : core::LogLevel::kDebug;
    PAWL_LOG_(level, "{}: {}", warning.path, warning.text);
  });
  CLI::App app{
      "Pawl trains policies by reinforcement learning (robot arms and other tasks in simulation) "
      "and language models on text."};
  // a program with environments of its own (examples/custom_env) goes by its own name
  const std::string name = std::filesystem::path(argv[0]).filename();
  app.name(name);
  app.require_subcommand(1);
  app.set_version_flag("--version", PAWL_VERSION);
  app.footer(kFooter);
  int exit_code = 0;
  AddTrain(app, exit_code);
  AddEval(app, exit_code);
  AddConfig(app, exit_code);
  AddData(app, exit_code);
  AddTokenizer(app, exit_code);
  AddDoctor(app, exit_code);
  AddEnvs(app, exit_code);
  AddRuns(app, exit_code);
  try {
    if (argc > 1 && argv[1][0] != '-') CheckSubcommand(app, argv[1]);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return CheckOutput(app, name, app.exit(help));
  } catch (const CLI::CallForAllHelp& help) {
    return CheckOutput(app, name, app.exit(help));
  } catch (const CLI::CallForVersion& version) {
    return CheckOutput(app, name, app.exit(version));
  } catch (const CLI::ParseError& error) {
    const auto commands = app.get_subcommands();
    const std::string command = commands.empty() ? "" : " " + commands.front()->get_name();
    return Fail(name, fmt::format("{} (see {}{} --help)", error.what(), name, command), 2);
  } catch (const Error& error) {
    return Fail(name, error.what(), error.exit_code());
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(name,
                fmt::format("cannot use '{}': {}", error.path1().string(), error.code().message()),
                1);
  } catch (const std::bad_alloc&) {
    return Fail(
        name,
        "out of memory: a smaller file or model, fewer env.num_envs, a shorter ppo.horizon, "
        "fewer train.micro_batch_tokens?",
        1);
  } catch (const std::exception& error) {
    return Fail(name, error.what(), 1);
  }
  return CheckOutput(app, name, exit_code);
}

}  // namespace pawl::cli
