#include "layering_check.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

namespace pawl::layering {
namespace {
namespace fs = std::filesystem;

struct Layer {
  int level;
  bool torch;  // files may include LibTorch's headers (of nn, rollout and algos: TorchFiles)
};
const std::map<std::string, Layer, std::less<>> kLayers = {
    {"core", {0, false}},   {"kernels", {1, false}},  {"envs", {1, false}}, {"text", {1, false}},
    {"net", {1, false}},    {"track", {1, false}},    {"dist", {2, true}},  {"nn", {3, true}},
    {"rollout", {4, true}}, {"inference", {4, true}}, {"algos", {5, true}}, {"rlhf", {6, true}},
    {"train", {7, true}},   {"cli", {8, true}},
};
// The rest of these folders computes on our kernels alone: where bits are promised, LibTorch's
// products and sums, whose order may change with threads and alignment, must not creep in.
bool MayUseTorch(const fs::path& path, const std::string& folder) {
  static const std::map<std::string, std::set<std::string>, std::less<>> kTorchFiles = {
      {"nn", {"actor_critic", "distribution"}},
      {"rollout", {"advantage"}},
      {"algos", {"ppo_loss", "ppo_torch"}},
      {"rlhf", {}},
      {"train", {}},
      {"cli", {}}};
  const std::string stem = path.stem().string();
  const auto listed = kTorchFiles.find(folder);
  return listed == kTorchFiles.end() || stem.starts_with("torch_") || listed->second.contains(stem);
}
constexpr size_t kMaxSourceLines = 600;
constexpr size_t kMaxHeaderLines = 200;

bool IsHeader(const fs::path& path) {
  return path.extension() == ".h" || path.extension() == ".cuh";
}
// Highway's "-inl.h" files hold code, compiled once per instruction set: as long as a source may
// be.
size_t MaxLines(const fs::path& path) {
  const bool code = path.stem().string().ends_with("-inl");
  return IsHeader(path) && !code ? kMaxHeaderLines : kMaxSourceLines;
}
bool IsSource(const fs::path& path) {
  return path.extension() == ".cc" || path.extension() == ".cu";
}

// "core" for src/core/rng.h, "kernels" for kernels/mlp.h, "" for a file outside the layers.
std::string FolderOf(const fs::path& path) {
  auto part = path.begin();
  if (*part == "kernels") return "kernels";
  if (*part != "src" || ++part == path.end() || std::next(part) == path.end()) return "";
  return part->string();
}

struct Include {
  size_t line;
  bool quoted;
  std::string target;
};

std::vector<Include> IncludesOf(const std::string& text) {
  std::vector<Include> includes;
  std::istringstream lines(text);
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line);
    std::string directive;
    words >> std::ws;
    if (words.get() != '#' || !(words >> directive) || !directive.starts_with("include")) continue;
    const size_t begin = line.find_first_of("\"<", line.find("include"));
    if (begin == std::string::npos) continue;  // a macro, as Highway's HWY_TARGET_INCLUDE
    const bool quoted = line[begin] == '"';
    const size_t end = line.find(quoted ? '"' : '>', begin + 1);
    if (end != std::string::npos)
      includes.push_back({number, quoted, line.substr(begin + 1, end - begin - 1)});
  }
  return includes;
}

bool IsTorchHeader(std::string_view target) {
  for (const std::string_view prefix : {"torch/", "ATen/", "c10/", "caffe2/"}) {
    if (target.starts_with(prefix)) return true;
  }
  return false;
}

// What is wrong with one include of a file in `folder`, if anything.
std::optional<std::string> Problem(const Tree& tree, const fs::path& path,
                                   const std::string& folder, const Include& include) {
  const Layer& own = kLayers.find(folder)->second;
  if (IsTorchHeader(include.target)) {
    if (!own.torch) return "<" + include.target + ">: no torch headers in " + folder + "/";
    if (!MayUseTorch(path, folder)) {
      return "<" + include.target + ">: this file computes on our kernels alone";
    }
    if (include.target == "torch/torch.h" && path.extension() != ".cc") {
      return "<torch/torch.h> is for .cc files (headers: <torch/types.h> or a forward declaration)";
    }
    return std::nullopt;
  }
  const std::string target_folder = include.target.substr(0, include.target.find('/'));
  const auto target = kLayers.find(target_folder);
  if (!include.quoted) return std::nullopt;
  if (target_folder == "hwy") return std::nullopt;  // Highway's own idiom: #include "hwy/highway.h"
  if (target == kLayers.end() || target_folder == include.target) {
    return "\"" + include.target + "\": not \"folder/file\" of a known folder";
  }
  // torch_trainer.h names no tensor: a learner may choose it
  if (include.target.starts_with("nn/torch_") && include.target != "nn/torch_trainer.h" &&
      !MayUseTorch(path, folder)) {
    return "\"" + include.target + "\": this file computes on our kernels alone";
  }
  const std::string file = (target_folder == "kernels" ? "" : "src/") + include.target;
  if (!tree.contains(file)) return "\"" + include.target + "\": there is no " + file;
  if (include.target == "core/log.h" && folder != "core" &&
      own.level < kLayers.find("train")->second.level) {
    return "\"core/log.h\": only train/ and cli/ log";
  }
  if (target_folder == folder || target->second.level < own.level) return std::nullopt;
  return "\"" + include.target + "\": " + folder + " (layer " + std::to_string(own.level) +
         ") may not include " + target_folder + " (layer " + std::to_string(target->second.level) +
         ")";
}

// Words of a list of files; "#" starts a comment.
std::set<std::string> WordsOf(const std::string& text) {
  std::set<std::string> words;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    for (char& c : line) {
      if (std::string_view("()\"'=;").find(c) != std::string_view::npos) c = ' ';
    }
    std::istringstream in(line);
    words.insert(std::istream_iterator<std::string>(in), std::istream_iterator<std::string>());
  }
  return words;
}

// The files that say what is built in a folder: its CMakeLists.txt and the .cmake files beside it
// that this names.
std::set<std::string> ListedIn(const Tree& tree, const fs::path& folder) {
  const auto list = tree.find((folder / "CMakeLists.txt").generic_string());
  if (list == tree.end()) return {};
  std::set<std::string> words = WordsOf(list->second);
  for (const std::string& word : std::set<std::string>(words)) {
    if (!word.ends_with(".cmake")) continue;
    const auto included = tree.find((folder / word).generic_string());
    if (included != tree.end()) words.merge(WordsOf(included->second));
  }
  return words;
}

bool IsListed(const Tree& tree, const fs::path& path) {
  for (fs::path folder = path.parent_path();; folder = folder.parent_path()) {
    if (ListedIn(tree, folder).contains(path.lexically_relative(folder).generic_string()))
      return true;
    if (folder.empty()) break;
  }
  // fuzz targets are built by their own script, which names them without ".cc"
  const auto script = tree.find((path.parent_path() / "run").generic_string());
  return script != tree.end() && WordsOf(script->second).contains(path.stem().string());
}
}  // namespace

Tree ReadTree(const fs::path& root) {
  Tree tree;
  for (const char* top : {"src", "kernels", "tests", "bench", "examples"}) {
    if (!fs::exists(root / top)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const fs::path& path = entry.path();
      const bool list = path.filename() == "CMakeLists.txt" || path.extension() == ".cmake" ||
                        path.filename() == "run";
      const bool table = path.extension() == ".inc";  // generated: of any length
      if (!entry.is_regular_file() || !(list || table || IsHeader(path) || IsSource(path)))
        continue;
      std::ifstream in(path, std::ios::binary);
      tree[path.lexically_relative(root).generic_string()] =
          std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  return tree;
}

std::vector<std::string> Violations(const Tree& tree) {
  std::vector<std::string> out;
  for (const auto& [name, text] : tree) {
    const fs::path path(name);
    if (!IsHeader(path) && !IsSource(path)) continue;
    const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    const size_t limit = MaxLines(path);
    if (lines > limit) {
      out.push_back(name + ":" + std::to_string(lines) + ": longer than " + std::to_string(limit) +
                    " lines");
    }
    if (IsSource(path) && !IsListed(tree, path))
      out.push_back(name + ":1: no CMakeLists.txt lists it");
    if (*path.begin() != "src" && *path.begin() != "kernels") continue;
    const std::string folder = FolderOf(path);
    if (!kLayers.contains(folder)) {
      out.push_back(name + ":1: '" + folder + "' is not in the table of layers");
      continue;
    }
    for (const Include& include : IncludesOf(text)) {
      if (const auto problem = Problem(tree, path, folder, include)) {
        out.push_back(name + ":" + std::to_string(include.line) + ": " + *problem);
      }
    }
  }
  return out;
}

}  // namespace pawl::layering
