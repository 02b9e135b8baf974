// The whole command line as one call, so that a program that registers its own environments
// (envs::RegisterEnv) has it too.
#pragma once

namespace pawl::cli {

// Parses the arguments, runs the sub-command, prints errors as one line. Returns the exit code: 0
// done, 1 failed, 2 bad usage or config, 130 interrupted.
int Main(int argc, char** argv);

}  // namespace pawl::cli
