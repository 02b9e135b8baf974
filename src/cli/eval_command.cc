#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "train/evaluate_policy.h"

namespace pawl::cli {

void AddEval(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<train::EvaluateOptions>();
  CLI::App* command = app.add_subcommand(
      "eval",
      "Evaluate a run or checkpoint: success and return with 95 % intervals; of a "
      "language model the loss");
  command
      ->add_option("run", options->path,
                   "run folder, checkpoint folder, policy folder or Hugging Face folder")
      ->required();
  command->add_option("--episodes", options->episodes, "policies: episodes to play; default 100")
      ->check(CLI::Range(1, 1'000'000));
  command
      ->add_option("--seed", options->seed,
                   "policies: seed of the evaluation (its streams are apart from training's); "
                   "default 1000003")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool whole = !text.empty() && text.size() < 19 &&
                               text.find_first_not_of("0123456789") == std::string::npos;
            return whole ? "" : "expected a whole number from 0 on";
          },
          ""));
  command->add_flag("--stochastic", options->stochastic,
                    "sample actions instead of taking the mode");
  command->add_option("--env", options->env_id,
                      "refuse unless the policy was trained for this environment");
  command->add_option("--video", options->video,
                      "also write this MP4 of the first episodes, three at most");
  command->add_option("--data", options->data,
                      "language models: text files; default: the run's own hold-out");
  command->add_option("--task", options->tasks,
                      "language models: task files (docs/evaluation.md), any number");
  command->add_option("--set", options->set, "KEY=VALUE in all task files");
  command->add_option("--text", options->text,
                      "language models: perplexity of plain text files, in windows of --context");
  command
      ->add_option("--stride", options->stride,
                   "of --text: tokens from a window to the next; default: the context")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--against", options->against,
                      "another model on the same items, with the difference and its interval");
  command->add_option("--outputs", options->outputs,
                      "of tasks: a folder for the answers, a JSON line an item");
  command->add_option("--context", options->context, "language models: positions of a sequence")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--device", options->device,
                      "language models: cpu or cuda; default cpu, wherever the run was trained");
  command->add_flag("--best", options->best, "of a run: the best checkpoint instead of the newest");
  command->add_flag("--json", options->json, "print one JSON object and nothing else");
  command->callback([options, &exit_code] { exit_code = train::EvaluateCommand(*options); });
}

}  // namespace pawl::cli
