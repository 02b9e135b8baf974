// The methods of Python's str, dict, list and tuple that templates may call, and the two of the
// loop variable.
#pragma once
#include <string_view>

#include "text/jinja_runtime.h"
#include "text/jinja_value.h"

namespace pawl::text::jinja {

// The number of a method name; 0 where no kind of value has such a method.
int MethodNamed(std::string_view name);

enum class Access : uint8_t { kNone, kAllowed, kUnsafe };
// Whether values of the kind have that method, and whether the sandbox of chat templates lets it
// be used (none that changes a list or mapping).
Access MethodAccess(int method, Kind kind);

// self.method(args). Throws UserError for methods that Python has and Pawl does not.
Value CallMethod(Runtime& runtime, int method, const Value& self, const Args& args);

}  // namespace pawl::text::jinja
