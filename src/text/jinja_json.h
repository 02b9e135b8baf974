// JSON as values of a rendering.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "text/jinja_runtime.h"

namespace pawl::text::jinja {

// Text is borrowed from the JSON, which must outlive the rendering; lists and objects are made in
// the runtime's memory. Throws UserError for integers beyond 64 bits and values nested too deep.
Value ToValue(Runtime& runtime, const nlohmann::ordered_json& json, int depth = 0);

}  // namespace pawl::text::jinja
