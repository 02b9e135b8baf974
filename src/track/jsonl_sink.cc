#include "track/jsonl_sink.h"

#include <algorithm>

#include "core/error.h"
#include "track/number_text.h"

namespace pawl::track {

void JsonlSink::Write(int64_t /*step*/, const Metrics& metrics) {
  line_ = "{";
  for (const auto& [name, value] : metrics) {
    const bool plain = std::none_of(name.begin(), name.end(), [](unsigned char c) {
      return c < 0x20 || c == '"' || c == '\\';
    });
    PAWL_CHECK(plain, "a metric's name needs no escapes: '{}'", name);
    line_ += line_.size() > 1 ? ", \"" : "\"";
    line_ += name;
    line_ += "\": ";
    AppendJsonNumber(line_, value);
  }
  line_ += "}\n";
  file_.Append(line_);
}

}  // namespace pawl::track
