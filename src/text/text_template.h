// A Jinja template over the columns of a record: how evaluation makes prompts. The language is that
// of chat templates (chat_template.h), but a line break at the end stays, and writing what the
// record does not have is an error. Immutable once parsed; any thread may render.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace pawl::text {

class TextTemplate {
 public:
  // `name` stands in messages. Throws UserError with the line.
  TextTemplate(std::string_view source, const std::string& name);
  // `variables`: an object. Throws UserError.
  std::string Render(const nlohmann::ordered_json& variables) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace pawl::text
