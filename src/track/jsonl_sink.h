// metrics.jsonl: one JSON object per update, one line each, keys in the order of the metrics, null
// where undefined, every number the shortest that reads back to the same bits. Written by the
// learner loop.
#pragma once
#include <filesystem>
#include <string>

#include "track/append_file.h"
#include "track/sink.h"

namespace pawl::track {

class JsonlSink : public Sink {
 public:
  // Appends to the file, which is made when missing.
  explicit JsonlSink(const std::filesystem::path& path) : file_(path) {}
  // The line holds the metrics only; `step` is among them as env_steps.
  void Write(int64_t step, const Metrics& metrics) override;
  void Flush() override { file_.Sync(); }

 private:
  AppendFile file_;
  std::string line_;
};

}  // namespace pawl::track
