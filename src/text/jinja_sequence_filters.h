// The filters that take a sequence or mapping apart; entries of the table in jinja_filters.cc.
#pragma once
#include "text/jinja_runtime.h"
#include "text/jinja_value.h"

namespace pawl::text::jinja {

Value AttributeFilter(Runtime& runtime, const Value& value, const Args& args);
Value Batch(Runtime& runtime, const Value& value, const Args& args);
Value DictSort(Runtime& runtime, const Value& value, const Args& args);
Value First(Runtime& runtime, const Value& value, const Args& args);
Value GroupBy(Runtime& runtime, const Value& value, const Args& args);
Value ItemsFilter(Runtime& runtime, const Value& value, const Args& args);
Value Join(Runtime& runtime, const Value& value, const Args& args);
Value Last(Runtime& runtime, const Value& value, const Args& args);
Value LengthFilter(Runtime& runtime, const Value& value, const Args& args);
Value ListFilter(Runtime& runtime, const Value& value, const Args& args);
Value Map(Runtime& runtime, const Value& value, const Args& args);
template <bool kLargest>
Value Extreme(Runtime& runtime, const Value& value, const Args& args);
Value Reverse(Runtime& runtime, const Value& value, const Args& args);
// select, reject; of an attribute: selectattr, rejectattr.
template <bool kKeeps, bool kOfAttribute>
Value Select(Runtime& runtime, const Value& value, const Args& args);
Value SliceFilter(Runtime& runtime, const Value& value, const Args& args);
Value Sort(Runtime& runtime, const Value& value, const Args& args);
Value Sum(Runtime& runtime, const Value& value, const Args& args);
Value Unique(Runtime& runtime, const Value& value, const Args& args);

}  // namespace pawl::text::jinja
