#include "text/text_template.h"

#include <nlohmann/json.hpp>

#include "text/jinja_evaluator.h"
#include "text/jinja_json.h"
#include "text/jinja_parser.h"

namespace pawl::text {

struct TextTemplate::Impl {
  std::string name, source;
  std::unique_ptr<const jinja::Tree> tree;
};

TextTemplate::TextTemplate(std::string_view source, const std::string& name) {
  auto impl = std::make_shared<Impl>();
  impl->name = name;
  impl->source = source;
  // Jinja drops a line break at the end, which a prompt may need
  if (source.ends_with('\n')) impl->source += '\n';
  impl->tree = jinja::Parse(impl->source, impl->name);
  impl_ = std::move(impl);
}

std::string TextTemplate::Render(const nlohmann::ordered_json& variables) const {
  jinja::Runtime runtime(impl_->name, {}, std::nullopt);
  runtime.RefuseUndefined();
  std::vector<jinja::Named> values;
  for (const auto& item : variables.items())
    values.push_back({item.key(), jinja::ToValue(runtime, item.value())});
  return jinja::Evaluate(*impl_->tree, runtime, values).text;
}

}  // namespace pawl::text
