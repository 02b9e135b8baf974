// Helpers of the text tests: a temporary folder, the message of an expected error, a tokenizer with
// special tokens.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "text/tokenizer.h"

namespace pawl::text {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "pawl-text-XXXXXX").string();
    PAWL_CHECK(mkdtemp(name.data()) != nullptr, "no temporary folder");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  // Writes a file and returns its path.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

// The line of the user error that `f` throws; "" where it throws none.
inline std::string UserErrorOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.exit_code() == 2 ? error.what() : "not a user error: " + std::string(error.what());
  }
  return "";
}

// A special token as tokenizer.json has it.
inline nlohmann::json Added(int64_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

// Files of a tokenizer of bytes with special tokens from id 256 on: <s>, which stands before a
// text, <e>, which ends one, and `more`.
inline void WriteSpecialTokenizer(const std::filesystem::path& folder,
                                  std::initializer_list<const char*> more = {}) {
  auto document = nlohmann::json::parse(MakeByteTokenizer().ToJson());
  auto& added = document["added_tokens"];
  added = {Added(256, "<s>"), Added(257, "<e>")};
  for (const char* content : more) added.push_back(Added(256 + int64_t(added.size()), content));
  std::ofstream(folder / "tokenizer.json") << document.dump();
  std::ofstream(folder / "tokenizer_config.json")
      << R"({"bos_token": "<s>", "eos_token": "<e>", "add_bos_token": true})";
}

}  // namespace pawl::text
