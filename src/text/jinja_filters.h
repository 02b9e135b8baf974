// Jinja's filters (`value | name(args)`), tests (`value is name(args)`) and global functions, with
// tojson as transformers replaces it. What Jinja has and Pawl does not is in the tables with a null
// function, so that its use can be named.
#pragma once
#include <string_view>

#include "text/jinja_runtime.h"
#include "text/jinja_value.h"

namespace pawl::text::jinja {

struct Filter {
  std::string_view name;
  Value (*apply)(Runtime&, const Value&, const Args&) = nullptr;
};
struct Test {
  std::string_view name;
  bool (*apply)(Runtime&, const Value&, const Args&) = nullptr;
};
// nullptr where Jinja has none of that name.
const Filter* FindFilter(std::string_view name);
const Test* FindTest(std::string_view name);

// The global of that name as a value; undefined where there is none.
Value GlobalNamed(std::string_view name);
Value CallGlobal(Runtime& runtime, int function, const Args& args);

}  // namespace pawl::text::jinja
