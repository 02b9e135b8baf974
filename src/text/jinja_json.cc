#include "text/jinja_json.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {
using Json = nlohmann::ordered_json;
constexpr int kMaxDepth = 100;

[[noreturn]] void Fail(const std::string& what) {
  throw UserError({.what = what, .where = "the values of a template"});
}

bool IsAscii(std::string_view text) {
  char all = 0;
  for (const char c : text) all = static_cast<char>(all | c);
  return all >= 0;
}
}  // namespace

Value ToValue(Runtime& runtime, const Json& json, int depth) {
  if (depth > kMaxDepth) Fail("values nested too deep");
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::Bool(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::Int(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) Fail("an integer beyond 64 bits");
      return Value::Int(json.get<int64_t>());
    case Json::value_t::number_float:
      return Value::Float(json.get<double>());
    case Json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (text.size() > UINT32_MAX) Fail("a text of more than 4 GiB");
      if (!IsAscii(text)) {
        int64_t replaced = 0;
        const std::string valid = ReplaceInvalidUtf8(text, replaced);
        if (replaced > 0) return runtime.Text(valid);
      }
      return Value::String(text);
    }
    case Json::value_t::array: {
      const auto items = runtime.New<Value>(json.size());
      for (size_t i = 0; i < items.size(); ++i) items[i] = ToValue(runtime, json[i], depth + 1);
      return Value::List(items);
    }
    case Json::value_t::object: {
      const auto entries = runtime.New<Entry>(json.size());
      size_t i = 0;
      for (const auto& item : json.items()) {
        entries[i++] = {Value::String(item.key()), ToValue(runtime, item.value(), depth + 1)};
      }
      return Value::Dict(entries);
    }
    default:
      return Value::None();
  }
}

}  // namespace pawl::text::jinja
