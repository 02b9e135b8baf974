// Sub-commands of `pawl`: each file adds one to the CLI11 app and stores its exit code. Thin: the
// work is in train/ and below.
#pragma once

namespace CLI {
class App;
}

namespace pawl::cli {

void AddTrain(CLI::App& app, int& exit_code);
void AddEval(CLI::App& app, int& exit_code);
void AddConfig(CLI::App& app, int& exit_code);
void AddData(CLI::App& app, int& exit_code);
void AddDoctor(CLI::App& app, int& exit_code);
void AddEnvs(CLI::App& app, int& exit_code);
void AddRuns(CLI::App& app, int& exit_code);
void AddTokenizer(CLI::App& app, int& exit_code);

}  // namespace pawl::cli
