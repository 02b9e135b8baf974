#include "text/data_config.h"

#include "text/record.h"

namespace pawl::text {
namespace {

// A key that only records have.
struct RecordKey {
  const char* name;
  bool set;
};

void CheckRecordKeys(const DataConfig& config) {
  const DataConfig plain;
  for (const RecordKey& key : {RecordKey{"data.weights", !config.weights.empty()},
                               {"data.kind", config.kind != plain.kind},
                               {"data.columns", !config.columns.empty()},
                               {"data.loss_on", config.loss_on != plain.loss_on},
                               {"data.wrap_in_chat", config.wrap_in_chat},
                               {"data.chat_template", !config.chat_template.empty()}}) {
    if (!key.set) continue;
    throw UserError({.what = fmt::format("{} is set, but the files hold no records", key.name),
                     .where = key.name,
                     .expected = "data.format = \"records\", or not this key"});
  }
}
}  // namespace

bool IsRecordName(std::string_view path) {
  if (path.ends_with(".gz")) path.remove_suffix(3);
  return path.ends_with(".jsonl") || path.ends_with(".json") || path.ends_with(".ndjson");
}

DataFormat FormatOf(const DataConfig& config) {
  if (config.format != DataFormat::kAuto) return config.format;
  const bool records = !config.files.empty() && IsRecordName(config.files.front());
  return records ? DataFormat::kRecords : DataFormat::kText;
}

void CheckDataConfig(const DataConfig& config) {
  if (config.files.empty()) {
    throw UserError({.what = "data.files is empty",
                     .where = "data.files",
                     .expected = "text files, as --set data.files='[\"my.txt\"]'"});
  }
  const DataFormat format = FormatOf(config);
  if (format != DataFormat::kLines && !config.separator.empty()) {
    throw UserError({.what = "data.separator is set, but data.format is not \"lines\"",
                     .where = "data.separator",
                     .expected = "data.format = \"lines\", or no separator"});
  }
  if (format != DataFormat::kRecords) CheckRecordKeys(config);
  if (format == DataFormat::kText && config.packing != Packing::kNone) {
    throw UserError({.what = "data.packing is set, but a text is one stream of full windows",
                     .where = "data.packing",
                     .expected = "\"none\""});
  }
  ReadColumns(config.columns);  // throws for what is no column
}

}  // namespace pawl::text
