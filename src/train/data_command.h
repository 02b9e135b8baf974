// `pawl data inspect`: what data files hold, their lengths, the first records with what is learned
// of them, the lines that are bad. A table or one JSON object.
#pragma once
#include <string>

#include "text/data_config.h"

namespace pawl::train {

struct InspectOptions {
  text::DataConfig data;  // files, columns, kind, limits
  std::string tokenizer;  // "byte", a folder with a tokenizer.json, or "" for characters alone
  int64_t show = 3;
  bool json = false;
};

// Prints; 0, or 1 where there are bad lines.
int InspectCommand(const InspectOptions& options);

}  // namespace pawl::train
